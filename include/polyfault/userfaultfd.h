/* SPDX-License-Identifier: MIT */
/*
 * The drop-in interface: userfaultfd for the memory of this process.
 *
 * Each function takes the arguments of the system call or libc function that
 * it is named after, and answers as that does: a result, or -1 and errno.
 * Behind them is the running kernel where it grants userfaultfd, or our own
 * engine on the real memory of the process where it does not
 * (POLYFAULT_WORLD=auto|kernel|host forces; default auto).
 *
 * Used without the preload shim, the library learns of changes to watched
 * memory and to the descriptor only through these calls: use pf_munmap() and
 * its kin on watched ranges, pf_read(), pf_poll() and pf_close() on the
 * descriptor. fork() is seen either way.
 */
#ifndef POLYFAULT_USERFAULTFD_H
#define POLYFAULT_USERFAULTFD_H

#include "polyfault/abi.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * A new userfaultfd object, bound to this process' memory.
 *
 * `flags`: PF_UFFD_USER_MODE_ONLY, O_CLOEXEC, O_NONBLOCK.
 * Context: any but a signal handler.
 * Returns: a descriptor; -1: EINVAL (unknown flag), EPERM (policy strict and
 *          not privileged), ENOMEM, EMFILE, ENFILE, ENOSYS (the world that
 *          was asked for is not available here).
 * Spec:    A01-A08, A15, A17.
 */
int pf_userfaultfd(int flags);

/* As ioctl(fd, PF_USERFAULTFD_IOC_NEW, flags) on /dev/userfaultfd. */
int pf_device_new(int flags);

/*
 * As ioctl(2). On a descriptor that is not ours: ioctl(2).
 * Spec: rows B to G.
 */
int pf_ioctl(int fd, unsigned long command, void *arg);

/* As read(2), readv(2), preadv2(2) on the descriptor. Spec: 3.7, L01-L19. */
ssize_t pf_read(int fd, void *buf, size_t n);
ssize_t pf_readv(int fd, const struct iovec *iov, int count);
ssize_t pf_preadv2(int fd, const struct iovec *iov, int count, off_t offset,
		   int flags);

/*
 * As poll(2), ppoll(2), for descriptors of any kind mixed. Looks for a
 * message a little while before it sleeps. Spec: B03, B08, L03, L06, L15.
 */
int pf_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int pf_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	     const sigset_t *mask);

/* As close(2), dup(2), dup3(2), fcntl(2). Spec: A02, A03, B08b, L26. */
int pf_close(int fd);
int pf_dup(int fd);
int pf_dup3(int fd, int new_fd, int flags);
int pf_fcntl(int fd, int command, long arg);

/*
 * As the calls of the same name, on any memory; watched ranges are followed.
 * Ranges that nobody watches go straight to the kernel.
 */
void *pf_mmap(void *addr, size_t len, int prot, int flags, int fd,
	      off_t offset);
int pf_munmap(void *addr, size_t len);
int pf_mprotect(void *addr, size_t len, int prot);
void *pf_mremap(void *addr, size_t old_len, size_t new_len, int flags,
		void *new_addr);
int pf_madvise(void *addr, size_t len, int advice);
int pf_brk(void *addr);

/*
 * As mlock(2), mlock2(2), mlockall(2). Missing watched memory is asked for
 * and waited for first, with MLOCK_ONFAULT too. Spec: L61.
 */
int pf_mlock(const void *addr, size_t len);
int pf_mlock2(const void *addr, size_t len, unsigned flags);
int pf_mlockall(int flags);

/* As fork(2). The child's memory is private and nobody watches it. */
pid_t pf_fork(void);

/*
 * As sigaction(2), pthread_sigmask(3) and sigaltstack(2), but SIGSEGV and
 * SIGBUS stay ours: the program's action is kept and called for faults that
 * are not ours, and neither signal is ever really blocked.
 */
int pf_sigaction(int sig, const struct sigaction *act, struct sigaction *old);
int pf_sigmask(int how, const sigset_t *set, sigset_t *old);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif /* POLYFAULT_USERFAULTFD_H */
