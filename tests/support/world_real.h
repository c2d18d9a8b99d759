/* SPDX-License-Identifier: MIT */
/*
 * Worlds on the real memory of this process differ only in whose functions
 * are called; this is the table of those functions and what stands on it.
 */
#ifndef SUPPORT_WORLD_REAL_H
#define SUPPORT_WORLD_REAL_H

#include "world.h"

#include <poll.h>
#include <signal.h>
#include <sys/uio.h>

/* Each as the libc function of its name: -1 and errno. */
struct real_calls {
	int (*userfaultfd)(int flags);
	int (*device_new)(int flags);
	int (*ioctl)(int fd, unsigned long command, void *arg);
	ssize_t (*read)(int fd, void *buf, size_t n);
	ssize_t (*readv)(int fd, const struct iovec *iov, int count);
	ssize_t (*preadv2)(int fd, const struct iovec *iov, int count,
			   off_t offset, int flags);
	int (*poll)(struct pollfd *fds, nfds_t count, int timeout_ms);
	int (*close)(int fd);
	int (*dup)(int fd);
	int (*fcntl)(int fd, int command, long arg);
	void *(*mmap)(void *addr, size_t len, int prot, int flags, int fd,
		      off_t offset);
	int (*munmap)(void *addr, size_t len);
	int (*mprotect)(void *addr, size_t len, int prot);
	int (*madvise)(void *addr, size_t len, int advice);
	int (*sigaction)(int sig, const struct sigaction *act,
			 struct sigaction *old);
	/* Bytes copied by, or as by, a system call; faults are allowed. */
	size_t (*kernel_load)(void *buf, const void *va, size_t n);
	size_t (*kernel_store)(void *va, const void *buf, size_t n);
	/* The text of /proc/self/fdinfo/FD; bytes or -1. */
	ssize_t (*fdinfo)(int fd, char *text, size_t n);
	/* Someone else than poll() above will watch the descriptor. */
	void (*watch_elsewhere)(int fd);
};

/* The table in use. Worlds without real memory have none: the case skips. */
const struct real_calls *real(const struct world *w);

/*
 * The parts of a struct world_ops that follow from a table; open() of the
 * implementations calls real_open() first.
 */
int real_open(struct world *w, const struct real_calls *calls);
void real_close(struct world *w);
int64_t real_map(struct world *w, uint64_t at, uint64_t len, int prot,
		 int flags);
int real_unmap(struct world *w, uint64_t at, uint64_t len);
int real_protect(struct world *w, uint64_t at, uint64_t len, int prot);
int real_discard(struct world *w, uint64_t at, uint64_t len);
int real_guard(struct world *w, uint64_t at, uint64_t len);
struct w_outcome real_access(struct world *w, uint64_t va, void *buf,
			     size_t n, bool is_store);
int64_t real_kernel_access(struct world *w, uint64_t va, void *buf, size_t n,
			   bool is_store);
int real_entry(struct world *w, uint64_t va, struct w_entry *out);
int64_t real_count(struct world *w, uint64_t va, int what);
int real_create(struct world *w, int flags, struct w_uffd *out);
void real_release(struct w_uffd *u);
int real_ioctl(struct w_uffd *u, uint32_t command, void *block);
int real_ioctl_at(struct w_uffd *u, uint32_t command, uint64_t va);
int64_t real_read(struct w_uffd *u, void *buf, size_t n);
int real_poll(struct w_uffd *u);
void real_set_nonblocking(struct w_uffd *u, bool is_nonblocking);
int64_t real_fdinfo(struct w_uffd *u, char *text, size_t n);
int real_raise(struct w_uffd *u, bool is_raised);
void real_drop_privilege(struct world *w);
void real_thread_ends(struct world *w);

#endif /* SUPPORT_WORLD_REAL_H */
