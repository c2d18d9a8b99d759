/* SPDX-License-Identifier: MIT */
/*
 * The high seam, for a process' own memory: "do this request".
 *
 * Requests have the shape of system calls and answer with a result or -errno.
 * Behind them stands the engine on the host mmu, or the running kernel; which
 * of the two is decided for each new object (choice.c). Everything that must
 * exist once per process lives here: the space, the table of descriptors,
 * the trap.
 */
#ifndef SYS_SYS_H
#define SYS_SYS_H

#include "base/types.h"

#include "polyfault/interpose.h"

#include <poll.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

/* ---- descriptors (descriptor.c) ---- */

/* Spec: 3.2; rows A. Returns: a descriptor; -errno. */
int sys_userfaultfd(int flags);
int sys_device_new(int flags);

/* Spec: rows B to G. Returns: 0; -errno. */
int sys_ioctl(int fd, unsigned long command, void *arg);

/* As the calls of that name; for ours and others. Returns: as they; -errno. */
int sys_close(int fd);
int sys_dup(int fd);
int sys_dup3(int fd, int new_fd, int flags);
int sys_fcntl(int fd, int command, long arg);
ssize_t sys_fdinfo(int fd, char *text, size_t n);

/* What an interposer tells of descriptors; see interpose.h. */
bool sys_is_ours(int fd);
void sys_note_dup(int old_fd, int fd);
void sys_note_closing(int fd);
void sys_note_closed(void);
bool sys_note_received(int fd);
bool sys_is_internal(int fd);
void sys_expose(int fd);

/* ---- reading (reader.c) ---- */

/* Spec: 3.7; rows L. `may_wait` false: as RWF_NOWAIT. */
ssize_t sys_read(int fd, const struct iovec *iov, int count, bool may_wait);
int sys_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	      const sigset_t *mask);
int sys_poll_now(int fd);

/* ---- memory (memory.c, remap.c, usermem.c) ---- */

/* As the calls of that name; watched ranges are followed. */
long sys_mmap(void *addr, size_t len, int prot, int flags, int fd,
	      off_t offset);
int sys_munmap(va_t addr, size_t len);
int sys_mprotect(va_t addr, size_t len, int prot);
long sys_mremap(va_t addr, size_t old_len, size_t new_len, int flags,
		va_t new_addr);
int sys_madvise(va_t addr, size_t len, int advice);
int sys_mlock2(va_t addr, size_t len, int flags);
int sys_mlockall(int flags);

/*
 * What is about to happen to the range by a call that we do not make (brk):
 * nothing is watched there any more. Returns: 0; -ENOMEM.
 */
int sys_forget_range(struct range r);

/* Watched memory in the range becomes ordinary memory. Returns: 0; -ENOMEM. */
int sys_unwatch(struct range r);

/* Whether the range meets watched memory. Context: trap. */
bool sys_is_watched(struct range r);

/* See pf_fault_in(). Returns: 0; -EFAULT. */
int sys_fault_in(struct range r, bool is_write);

/*
 * Bytes between the program's memory and any other, with faults allowed.
 * Returns: bytes copied; short at a bad address.
 */
size_t sys_copy_user(void *dst, const void *src, size_t n);

/* ---- the process (process.c, choice.c, forking.c) ---- */

/* libc's own calls; see pf_interpose_init(). */
extern struct pf_real_calls sys_real;
void sys_interposed(const struct pf_real_calls *real);

/* As sigaction(2), sigprocmask(2); see pf_sigaction(). Returns: 0; -errno. */
int sys_sigaction(int sig, const struct sigaction *act, struct sigaction *old);
int sys_sigmask(int how, const sigset_t *set, sigset_t *old);

/* See pf_deny_kernel(). */
int sys_deny_kernel(bool kill);
bool sys_kernel_is_denied(void);

/*
 * As pf_probe(), pf_read_stats(). *err: 0; -EINVAL, and out->world_why names
 * the variable that is no valid choice.
 */
void sys_probe(struct pf_probe *out, int *err);
void sys_read_stats(struct pf_stats *out);

#endif /* SYS_SYS_H */
