/* SPDX-License-Identifier: MIT */
/*
 * Signals are taken one at a time with sigwaitinfo(), so there is no handler
 * and no race between looking at the child and sleeping. What the terminal
 * sends goes to the whole foreground group, the child included, and is not
 * sent on; what another process sends is.
 */
#include "supervise.h"

#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A script without a first line, as execvp() runs it. Comes back: errno. */
static void become_script(char *path, char **argv)
{
	size_t argc = 0;
	char **shell;

	while (argv[argc])
		argc++;
	shell = calloc(argc + 2, sizeof(*shell));
	if (!shell)
		return;
	shell[0] = argv[0];
	shell[1] = path;
	memcpy(shell + 2, argv + 1, argc * sizeof(*shell));
	execve("/bin/sh", shell, environ);
	free(shell);
}

int become(char *path, char **argv)
{
	execve(path, argv, environ);
	if (errno == ENOEXEC)
		become_script(path, argv);
	return tool_say(errno == ENOENT ? TOOL_NOT_FOUND : TOOL_CANNOT_RUN,
			"%s: cannot be executed: %s", path, strerror(errno));
}

/* Every signal that can be waited for and is not about this process' own
 * doing. */
static void signals_to_forward(sigset_t *set)
{
	static const int own[] = { SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
				   SIGTRAP, SIGABRT, SIGSYS, SIGPIPE };

	sigfillset(set);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(set, own[i]);
}

/* Returns: whether the child has ended, with its status in *status. */
static bool child_changed(pid_t child, int *status)
{
	int how;

	while (waitpid(child, &how, WNOHANG | WUNTRACED) == child) {
		if (WIFSTOPPED(how)) {
			raise(SIGSTOP);
			continue;
		}
		*status = WIFSIGNALED(how) ? TOOL_SIGNALLED + WTERMSIG(how) :
					     WEXITSTATUS(how);
		return true;
	}
	return false;
}

static int wait_for(pid_t child, const sigset_t *signals)
{
	siginfo_t info;
	int status;

	while (!child_changed(child, &status)) {
		int sig = sigwaitinfo(signals, &info);

		if (sig > 0 && sig != SIGCHLD && info.si_code != SI_KERNEL)
			kill(child, sig);
	}
	return status;
}

int supervise(char *path, char **argv)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	struct sigaction old_action;
	sigset_t signals, old_mask;
	pid_t child;

	signals_to_forward(&signals);
	sigaction(SIGCHLD, &standard, &old_action);
	sigprocmask(SIG_BLOCK, &signals, &old_mask);
	child = fork();
	if (child < 0)
		return tool_failed("cannot fork");
	if (child == 0) {
		sigaction(SIGCHLD, &old_action, NULL);
		sigprocmask(SIG_SETMASK, &old_mask, NULL);
		_exit(become(path, argv));
	}
	return wait_for(child, &signals);
}
