/* SPDX-License-Identifier: MIT */
/*
 * syscall(): how nearly every program asks for a userfaultfd, and how some
 * make the other calls that matter. What concerns us goes where libc's
 * function of that name goes; everything else straight to the kernel.
 */
#include "calls.h"
#include "rawcall.h"

#include <stdarg.h>
#include <sys/syscall.h>

/* Reading and writing: only with an object, or with watched memory. */
static bool transfer(const long *arg, long number, long *result)
{
	int fd = (int)arg[0];
	void *buf = (void *)arg[1];
	size_t n = (size_t)arg[2];

	switch (number) {
	case SYS_read:
		*result = read(fd, buf, n);
		return true;
	case SYS_write:
		*result = write(fd, buf, n);
		return true;
	case SYS_pread64:
		*result = pread(fd, buf, n, arg[3]);
		return true;
	case SYS_pwrite64:
		*result = pwrite(fd, buf, n, arg[3]);
		return true;
	case SYS_readv:
		*result = readv(fd, buf, (int)n);
		return true;
	case SYS_writev:
		*result = writev(fd, buf, (int)n);
		return true;
	case SYS_preadv:
		*result = preadv(fd, buf, (int)n, arg[3]);
		return true;
	case SYS_preadv2:
		*result = preadv2(fd, buf, (int)n, arg[3], (int)arg[5]);
		return true;
	default:
		return false;
	}
}

/* Readiness. */
static bool look(const long *arg, long number, long *result)
{
	void *at = (void *)arg[0], *event = (void *)arg[3];
	fd_set *in = (void *)arg[1], *out = (void *)arg[2];
	int fd = (int)arg[0], n = (int)arg[2];

	switch (number) {
	case SYS_poll:
		*result = poll(at, (nfds_t)arg[1], n);
		return true;
	case SYS_select:
		*result = select(fd, in, out, event, (void *)arg[4]);
		return true;
	case SYS_epoll_ctl:
		*result = epoll_ctl(fd, (int)arg[1], n, event);
		return true;
	case SYS_epoll_wait:
		*result = epoll_wait(fd, (void *)in, n, (int)arg[3]);
		return true;
	default:
		return false;
	}
}

/*
 * ppoll, pselect6 and epoll_pwait take the kernel's signal mask of 8 bytes,
 * and write back the time that is left.
 */
static bool look_masked(const long *arg, long number, long *result)
{
	const struct {
		const uint64_t *mask; /* [I] */
		size_t bytes;         /* [I] */
	} *packed = (const void *)arg[5];
	sigset_t mask = { 0 };
	const uint64_t *from;

	if (number == SYS_ppoll)
		from = (const void *)arg[3];
	else if (number == SYS_epoll_pwait)
		from = (const void *)arg[4];
	else if (number == SYS_pselect6)
		from = packed ? packed->mask : NULL;
	else
		return false;
	if (from)
		mask.__val[0] = *from;
	if (number == SYS_ppoll)
		*result = ppoll((void *)arg[0], (nfds_t)arg[1],
				(void *)arg[2], from ? &mask : NULL);
	else if (number == SYS_epoll_pwait)
		*result = epoll_pwait((int)arg[0], (void *)arg[1],
				      (int)arg[2], (int)arg[3],
				      from ? &mask : NULL);
	else
		*result = pselect((int)arg[0], (void *)arg[1],
				  (void *)arg[2], (void *)arg[3],
				  (void *)arg[4], from ? &mask : NULL);
	return true;
}

/* A descriptor that comes from another process by its number there. */
static long take_from(const long *arg)
{
	long fd = RAW(SYS_pidfd_getfd, arg[0], arg[1], arg[2]);

	if (fd < 0)
		return shim_fail((int)-fd);
	if (pf_note_received((int)fd))
		shim_adopt((int)fd);
	return fd;
}

bool syscall_on_descriptor(const long *arg, long number, long *result)
{
	int fd = (int)arg[0];

	switch (number) {
	case SYS_ioctl:
		*result = ioctl(fd, (unsigned long)arg[1], arg[2]);
		return true;
	case SYS_close:
		*result = close(fd);
		return true;
	case SYS_dup:
		*result = dup(fd);
		return true;
	case SYS_dup2:
		*result = dup2(fd, (int)arg[1]);
		return true;
	case SYS_dup3:
		*result = dup3(fd, (int)arg[1], (int)arg[2]);
		return true;
	case SYS_fcntl:
		*result = fcntl(fd, (int)arg[1], arg[2]);
		return true;
	case SYS_lseek:
		*result = lseek(fd, arg[1], (int)arg[2]);
		return true;
	case SYS_close_range:
		*result = close_range((unsigned)arg[0], (unsigned)arg[1],
				      (int)arg[2]);
		return true;
	case SYS_pidfd_getfd:
		*result = take_from(arg);
		return true;
	default:
		return transfer(arg, number, result) ||
		       look(arg, number, result) ||
		       look_masked(arg, number, result);
	}
}

/* The calls that matter even before the first object exists. */
static bool always(const long *arg, long number, long *result)
{
	const char *path;

	switch (number) {
	case PF_SYS_USERFAULTFD:
		(void)next();
		*result = shim_adopt(pf_userfaultfd((int)arg[0]));
		return true;
	case SYS_open:
		path = (const char *)arg[0];
		*result = open(path, (int)arg[1], (mode_t)arg[2]);
		return true;
	case SYS_openat:
		path = (const char *)arg[1];
		*result = openat((int)arg[0], path, (int)arg[2],
				 (mode_t)arg[3]);
		return true;
	case SYS_ioctl:
	case SYS_pidfd_getfd:
		return syscall_on_descriptor(arg, number, result);
	case SYS_rt_sigaction:
	case SYS_rt_sigprocmask:
	case SYS_execve:
	case SYS_execveat:
	case SYS_exit_group:
		return syscall_on_process(arg, number, result);
	default:
		return false;
	}
}

SHIM long syscall(long number, ...)
{
	struct raw_args call = { .number = number };
	va_list args;
	long result;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		call.arg[i] = va_arg(args, long);
	va_end(args);
	if (always(call.arg, number, &result))
		return result;
	if (shim_is_active() &&
	    (syscall_on_descriptor(call.arg, number, &result) ||
	     syscall_on_memory(call.arg, number, &result) ||
	     syscall_on_process(call.arg, number, &result)))
		return result;
	result = raw_syscall(&call);
	if (result < 0 && result >= -4095)
		return shim_fail((int)-result);
	return result;
}
