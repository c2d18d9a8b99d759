/* SPDX-License-Identifier: MIT */
/* The runner's half and the case's half of the case harness. */
#include "t.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct t_report *said;

__attribute__((noreturn))
static void leave(enum t_verdict verdict)
{
	said->said = verdict;
	_exit(verdict == T_PASS ? 0 : 1);
}

void t_fail(const char *file, int line, const char *format, ...)
{
	const char *name = strrchr(file, '/');
	va_list args;
	int n;

	n = snprintf(said->text, sizeof(said->text), "%s:%d: ",
		     name ? name + 1 : file, line);
	va_start(args, format);
	vsnprintf(said->text + n, sizeof(said->text) - (size_t)n, format,
		  args);
	va_end(args);
	leave(T_FAIL);
}

void t_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said->text, sizeof(said->text), format, args);
	va_end(args);
	leave(T_SKIP);
}

void t_equal(const char *file, int line, const char *what, const int64_t v[2])
{
	if (v[0] == v[1])
		return;
	t_fail(file, line, "%s is %lld (%#llx), want %lld (%#llx)", what,
	       (long long)v[0], (unsigned long long)v[0], (long long)v[1],
	       (unsigned long long)v[1]);
}

int64_t t_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void t_nap_ms(unsigned ms)
{
	struct timespec nap = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&nap, &nap) == -1 && errno == EINTR)
		;
}

/* Waits with a limit, so that a case that hangs is a failure with a name. */
static bool reap(pid_t child, unsigned seconds, int *status)
{
	int64_t end = t_now_ms() + (int64_t)seconds * 1000;
	struct timespec nap = { 0, 500000 };

	while (t_now_ms() < end) {
		if (waitpid(child, status, WNOHANG) == child)
			return true;
		nanosleep(&nap, NULL);
	}
	kill(-child, SIGKILL);
	kill(child, SIGKILL);
	waitpid(child, status, 0);
	return false;
}

static enum t_verdict judge(int status, struct t_report *report)
{
	if (WIFSIGNALED(status)) {
		snprintf(report->text, sizeof(report->text),
			 "crashed: signal %d", WTERMSIG(status));
		return T_FAIL;
	}
	if (report->said == T_PASS && WEXITSTATUS(status) != 0) {
		snprintf(report->text, sizeof(report->text),
			 "exited with %d", WEXITSTATUS(status));
		return T_FAIL;
	}
	return report->said;
}

enum t_verdict t_run(void (*body)(void *), void *arg, unsigned seconds,
		     struct t_report *report)
{
	int status;
	pid_t child;

	said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (said == MAP_FAILED)
		return T_FAIL;
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		body(arg);
		leave(T_PASS);
	}
	if (!reap(child, seconds, &status)) {
		snprintf(said->text, sizeof(said->text),
			 "still running after %u s", seconds);
		said->said = T_FAIL;
	} else {
		/* What the case left running; nothing is the usual answer. */
		kill(-child, SIGKILL);
		said->said = judge(status, said);
	}
	*report = *said;
	munmap(said, sizeof(*said));
	return report->said;
}
