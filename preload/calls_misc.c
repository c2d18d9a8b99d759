/* SPDX-License-Identifier: MIT */
/*
 * Other calls that fill a small block of the program's. The kernel fills one
 * of ours, and libc's caller gets it by ordinary stores, which may fault like
 * the program's own; only with objects, and only where memory is watched.
 */
#include "calls.h"

/* Returns: 0; -1 and EFAULT, when something has been lost. */
static int give(void *to, const void *from, size_t n)
{
	return pf_copy_to_program(to, from, n) == n ? 0 : shim_fail(EFAULT);
}

/* The block can be written before anything happens that cannot be undone. */
static int check_block(void *block, size_t n)
{
	return pf_fault_in(block, n, true);
}

/* Two new descriptors that nobody would hear of are closed again. */
static int give_pair(int *to, const int *made)
{
	if (give(to, made, 2 * sizeof(*made)) == 0)
		return 0;
	next()->close(made[0]);
	next()->close(made[1]);
	return shim_fail(EFAULT);
}

SHIM int pipe2(int fds[2], int flags)
{
	int made[2];

	if (!watched(fds, sizeof(made)))
		return next()->pipe2(fds, flags);
	if (next()->pipe2(made, flags) < 0)
		return -1;
	return give_pair(fds, made);
}

SHIM int pipe(int fds[2])
{
	int made[2];

	if (!watched(fds, sizeof(made)))
		return next()->pipe(fds);
	if (next()->pipe(made) < 0)
		return -1;
	return give_pair(fds, made);
}

SHIM_ALIAS(__pipe, pipe);

SHIM int socketpair(int domain, int type, int protocol, int fds[2])
{
	int made[2];

	if (!watched(fds, sizeof(made)))
		return next()->socketpair(domain, type, protocol, fds);
	if (next()->socketpair(domain, type, protocol, made) < 0)
		return -1;
	return give_pair(fds, made);
}

/* An address and its length, where both are the kernel's to write. */
static int check_address(void *addr, socklen_t *len)
{
	socklen_t room;

	if (!shim_is_active() || !addr || !shim_peek(&room, len, sizeof(room)))
		return 0;
	if (check_block(len, sizeof(*len)))
		return -1;
	return check_block(addr, room);
}

SHIM int accept4(int fd, __SOCKADDR_ARG addr, socklen_t *len, int flags)
{
	if (check_address(addr.__sockaddr__, len))
		return -1;
	return next()->accept4(fd, addr, len, flags);
}

SHIM int accept(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	if (check_address(addr.__sockaddr__, len))
		return -1;
	return next()->accept(fd, addr, len);
}

SHIM int getsockname(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	if (ours(fd))
		return shim_fail(ENOTSOCK);
	if (check_address(addr.__sockaddr__, len))
		return -1;
	return next()->getsockname(fd, addr, len);
}

SHIM int getpeername(int fd, __SOCKADDR_ARG addr, socklen_t *len)
{
	if (ours(fd))
		return shim_fail(ENOTSOCK);
	if (check_address(addr.__sockaddr__, len))
		return -1;
	return next()->getpeername(fd, addr, len);
}

SHIM int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (ours(fd))
		return shim_fail(ENOTSOCK);
	if (check_address(value, len))
		return -1;
	return next()->getsockopt(fd, level, name, value, len);
}

SHIM int setsockopt(int fd, int level, int name, const void *value,
		    socklen_t len)
{
	if (ours(fd))
		return shim_fail(ENOTSOCK);
	if (value && watched(value, len) && pf_fault_in(value, len, false))
		return -1;
	return next()->setsockopt(fd, level, name, value, len);
}

SHIM pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	struct rusage usage_here;
	int status_here;
	pid_t got;

	if (!shim_is_active() ||
	    !(pf_is_watched(status, sizeof(*status)) ||
	      pf_is_watched(usage, sizeof(*usage))))
		return next()->wait4(pid, status, options, usage);
	got = next()->wait4(pid, &status_here, options, &usage_here);
	if (got <= 0)
		return got;
	if ((status && give(status, &status_here, sizeof(*status))) ||
	    (usage && give(usage, &usage_here, sizeof(*usage))))
		return -1;
	return got;
}

SHIM pid_t waitpid(pid_t pid, int *status, int options)
{
	if (!watched(status, sizeof(*status)))
		return next()->waitpid(pid, status, options);
	return wait4(pid, status, options, NULL);
}

SHIM pid_t wait(int *status)
{
	return waitpid(-1, status, 0);
}

SHIM pid_t wait3(int *status, int options, struct rusage *usage)
{
	return wait4(-1, status, options, usage);
}

SHIM int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	if (info && watched(info, sizeof(*info)) &&
	    check_block(info, sizeof(*info)))
		return -1;
	return next()->waitid(type, id, info, options);
}

/* `call` with a block that it fills, and may fill twice. */
#define BLOCK_CALL(block, call)                                             \
	do {                                                                \
		if (watched((block), sizeof(*(block))) &&                   \
		    check_block((block), sizeof(*(block))))                 \
			return -1;                                          \
		return (call);                                              \
	} while (0)

SHIM int uname(struct utsname *name)
{
	BLOCK_CALL(name, next()->uname(name));
}

SHIM int sysinfo(struct sysinfo *info)
{
	BLOCK_CALL(info, next()->sysinfo(info));
}

SHIM clock_t times(struct tms *times_used)
{
	BLOCK_CALL(times_used, next()->times(times_used));
}

SHIM int getrusage(__rusage_who_t who, struct rusage *usage)
{
	BLOCK_CALL(usage, next()->getrusage(who, usage));
}
