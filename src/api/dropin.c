/* SPDX-License-Identifier: MIT */
/* The drop-in interface: check nothing, call sys, convert errors once. */
#include "polyfault/userfaultfd.h"

#include "api/export.h"
#include "api/rim.h"
#include "base/types.h"
#include "sys/sys.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

pf_export int pf_userfaultfd(int flags)
{
	return (int)rim(sys_userfaultfd(flags));
}

pf_export int pf_device_new(int flags)
{
	return (int)rim(sys_device_new(flags));
}

pf_export int pf_ioctl(int fd, unsigned long command, void *arg)
{
	return (int)rim(sys_ioctl(fd, command, arg));
}

/* ---- reading ---- */

pf_export ssize_t pf_readv(int fd, const struct iovec *iov, int count)
{
	if (!pf_is_userfaultfd(fd))
		return readv(fd, iov, count);
	return rim(sys_read(fd, iov, count, true));
}

pf_export ssize_t pf_read(int fd, void *buf, size_t n)
{
	struct iovec one = { buf, n };

	if (!pf_is_userfaultfd(fd))
		return read(fd, buf, n);
	return rim(sys_read(fd, &one, 1, true));
}

pf_export ssize_t pf_preadv2(int fd, const struct iovec *iov, int count,
			     off_t offset, int flags)
{
	if (!pf_is_userfaultfd(fd))
		return preadv2(fd, iov, count, offset, flags);
	return rim(sys_read(fd, iov, count, !(flags & RWF_NOWAIT)));
}

pf_export int pf_ppoll(struct pollfd *fds, nfds_t count,
		       const struct timespec *timeout, const sigset_t *mask)
{
	return (int)rim(sys_ppoll(fds, count, timeout, mask));
}

pf_export int pf_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct timespec timeout = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000L,
	};

	return pf_ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, NULL);
}

/* ---- the descriptor ---- */

pf_export int pf_close(int fd)
{
	return (int)rim(sys_close(fd));
}

pf_export int pf_dup(int fd)
{
	return (int)rim(sys_dup(fd));
}

pf_export int pf_dup3(int fd, int new_fd, int flags)
{
	return (int)rim(sys_dup3(fd, new_fd, flags));
}

pf_export int pf_fcntl(int fd, int command, long arg)
{
	return (int)rim(sys_fcntl(fd, command, arg));
}

/* ---- memory ---- */

static va_t va_of(const void *addr)
{
	return (va_t)(uintptr_t)addr;
}

pf_export void *pf_mmap(void *addr, size_t len, int prot, int flags, int fd,
			off_t offset)
{
	/* rim()'s -1 is MAP_FAILED. */
	return (void *)rim(sys_mmap(addr, len, prot, flags, fd, offset));
}

pf_export int pf_munmap(void *addr, size_t len)
{
	return (int)rim(sys_munmap(va_of(addr), len));
}

pf_export int pf_mprotect(void *addr, size_t len, int prot)
{
	return (int)rim(sys_mprotect(va_of(addr), len, prot));
}

pf_export void *pf_mremap(void *addr, size_t old_len, size_t new_len,
			  int flags, void *new_addr)
{
	return (void *)rim(sys_mremap(va_of(addr), old_len, new_len, flags,
				      va_of(new_addr)));
}

pf_export int pf_madvise(void *addr, size_t len, int advice)
{
	return (int)rim(sys_madvise(va_of(addr), len, advice));
}

pf_export int pf_mlock(const void *addr, size_t len)
{
	return pf_mlock2(addr, len, 0);
}

pf_export int pf_mlock2(const void *addr, size_t len, unsigned flags)
{
	return (int)rim(sys_mlock2(va_of(addr), len, (int)flags));
}

pf_export int pf_mlockall(int flags)
{
	return (int)rim(sys_mlockall(flags));
}

pf_export int pf_brk(void *addr)
{
	struct range tail = { page_up(va_of(addr)), page_up(va_of(sbrk(0))) };

	if (tail.start < tail.end && sys_forget_range(tail))
		return (int)rim(-ENOMEM);
	return brk(addr);
}

/* ---- processes and signals ---- */

pf_export pid_t pf_fork(void)
{
	return sys_real.fork ? sys_real.fork() : fork();
}

pf_export int pf_sigaction(int sig, const struct sigaction *act,
			   struct sigaction *old)
{
	return (int)rim(sys_sigaction(sig, act, old));
}

pf_export int pf_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return (int)rim(sys_sigmask(how, set, old));
}
