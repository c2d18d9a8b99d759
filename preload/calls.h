/* SPDX-License-Identifier: MIT */
/*
 * Names of libc's that its headers do not declare (checked variants, second
 * names), and the calls that one family of the shim makes into another.
 */
#ifndef PRELOAD_CALLS_H
#define PRELOAD_CALLS_H

#include "shim.h"

/* ---- libc's undeclared names ---- */

/* As the calls of the same name; `room` is what the compiler knows of `buf`. */
ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t offset, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
		       __SOCKADDR_ARG addr, socklen_t *addr_len);
ssize_t __readlink_chk(const char *path, char *buf, size_t n, size_t room);
ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t n,
			 size_t room);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t count,
		const struct timespec *timeout, const sigset_t *mask,
		size_t room);
size_t __fread_chk(void *buf, size_t room, size_t size, size_t count,
		   FILE *file);
size_t __fread_unlocked_chk(void *buf, size_t room, size_t size, size_t count,
			    FILE *file);
int __open_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
pid_t __fork(void);
int __dup2(int fd, int new_fd);
int __close(int fd);
int __select(int count, fd_set *in, fd_set *out, fd_set *bad,
	     struct timeval *timeout);
int __poll(struct pollfd *fds, nfds_t count, int timeout);

/* ---- between families ---- */

/*
 * What the table of epoll watches knows of `fd`, as an object's descriptor or
 * as an epoll descriptor, is forgotten: it is being closed.
 *
 * Context: any.
 */
void poll_forget(int fd);

/*
 * What a system call made by syscall() must do in our stead.
 *
 * Context: as the call of libc of that name.
 * Returns: whether it was done; then `*result` is 0 or more, or -1 and errno.
 */
bool syscall_on_descriptor(const long *arg, long number, long *result);
bool syscall_on_memory(const long *arg, long number, long *result);
bool syscall_on_process(const long *arg, long number, long *result);

/* As rt_sigaction and rt_sigprocmask: kernel layouts. Returns: 0; -1, errno. */
long signal_raw_action(int sig, const void *act, void *old, size_t mask_bytes);
long signal_raw_mask(int how, const void *set, void *old, size_t mask_bytes);

#endif /* PRELOAD_CALLS_H */
