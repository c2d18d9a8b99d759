/* SPDX-License-Identifier: MIT */
/*
 * Running a function in a child, to see it end by a check, or to keep what it
 * does to its process away from the other cases.
 */
#ifndef UNIT_DIES_H
#define UNIT_DIES_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The wait status of a forked child that ran fn(arg) and left with 0. */
static inline int status_of(void (*fn)(void *arg), void *arg, bool is_quiet)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		/* Not the handler that the test library installed. */
		signal(SIGABRT, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		alarm(60);
		if (is_quiet)
			dup2(open("/dev/null", O_WRONLY), 2);
		fn(arg);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	return status;
}

/* Whether fn(arg) ends its process by a check that does not hold. */
static inline bool dies(void (*fn)(void *arg), void *arg)
{
	int status = status_of(fn, arg, true);

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* Whether fn(arg), in a process of its own, comes to its end. */
static inline bool survives(void (*fn)(void *arg), void *arg)
{
	int status = status_of(fn, arg, false);

	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* For use inside such a child: what does not hold ends it loudly. */
#define require(cond)                                                      \
	do {                                                               \
		if (!(cond)) {                                             \
			dprintf(2, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1);                                          \
		}                                                          \
	} while (0)

#endif /* UNIT_DIES_H */
