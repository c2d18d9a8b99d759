/* SPDX-License-Identifier: MIT */
/*
 * New processes. vfork passes: its child shares the memory, and a function
 * that wraps it could not return twice on one stack.
 */
#include "calls.h"
#include "rawcall.h"

#include <stdarg.h>
#include <sys/syscall.h>

SHIM pid_t fork(void)
{
	if (!shim_is_active())
		return next()->fork();
	return pf_fork();
}

SHIM_ALIAS(__fork, fork);

/* With objects, the handlers that _Fork() would leave out are needed. */
SHIM pid_t _Fork(void)
{
	if (!shim_is_active())
		return next()->_Fork();
	return pf_fork();
}

SHIM int clone(int (*run)(void *), void *stack, int flags, void *arg, ...)
{
	pid_t *parent_tid, *child_tid;
	va_list args;
	pid_t pid;
	void *tls;

	va_start(args, arg);
	parent_tid = va_arg(args, pid_t *);
	tls = va_arg(args, void *);
	child_tid = va_arg(args, pid_t *);
	va_end(args);
	/* Only a plain fork can be made by fork: no namespace, no tid. */
	if (!shim_is_active() || flags != SIGCHLD)
		return next()->clone(run, stack, flags, arg, parent_tid, tls,
				     child_tid);
	pid = pf_fork();
	if (pid == 0)
		_exit(run(arg));
	return pid;
}

bool syscall_on_process(const long *arg, long number, long *result)
{
	switch (number) {
	case SYS_fork:
	case SYS_vfork:
		*result = fork();
		return true;
	case SYS_clone:
		if (arg[0] != SIGCHLD || arg[1] != 0)
			return false;
		*result = fork();
		return true;
	case SYS_rt_sigaction:
		*result = signal_raw_action((int)arg[0], (void *)arg[1],
					    (void *)arg[2], (size_t)arg[3]);
		return true;
	case SYS_rt_sigprocmask:
		*result = signal_raw_mask((int)arg[0], (void *)arg[1],
					  (void *)arg[2], (size_t)arg[3]);
		return true;
	case SYS_execve:
		*result = execve((char *)arg[0], (char **)arg[1],
				 (char **)arg[2]);
		return true;
	case SYS_execveat:
		*result = execveat((int)arg[0], (char *)arg[1],
				   (char **)arg[2], (char **)arg[3],
				   (int)arg[4]);
		return true;
	case SYS_exit_group:
		_exit((int)arg[0]);
	default:
		return false;
	}
}
