/* SPDX-License-Identifier: MIT */
/*
 * For those who interpose libc: what a shim must tell and may ask.
 *
 * The preload shim of this project is a client of this header and of
 * userfaultfd.h, of nothing else.
 */
#ifndef POLYFAULT_INTERPOSE_H
#define POLYFAULT_INTERPOSE_H

#include "polyfault/userfaultfd.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * libc's own functions, past any interposer. The library calls them where a
 * wait must be a cancellation point.
 */
struct pf_real_calls {
	ssize_t (*recv)(int fd, void *buf, size_t n, int flags);
	int (*ppoll)(struct pollfd *fds, nfds_t count,
		     const struct timespec *timeout, const sigset_t *mask);
	pid_t (*fork)(void);
};

/* Called once, before anything else of the library. */
void pf_interpose_init(const struct pf_real_calls *real);

/* ---- descriptors ---- */

/* Whether `fd` is one of our objects' descriptors. A few ns; no errno. */
bool pf_is_userfaultfd(int fd);

/*
 * The number `fd` was (or is about to be) made a duplicate of `old_fd`, or was
 * closed, by a call that the shim made itself.
 *
 * closing is called before the real close, closed after it; closed also finds
 * out whether it was the last descriptor of an object.
 */
void pf_note_dup(int old_fd, int fd);
void pf_note_closing(int fd);
void pf_note_closed(void);

/* A descriptor arrived (SCM_RIGHTS, exec): is it one of ours? */
bool pf_note_received(int fd);

/* Descriptors of the library's own, which close_range() must spare. */
bool pf_is_internal_fd(int fd);

/* The descriptor is about to be watched by something that the shim does not
 * see (epoll, another process): its readiness must be kept exact from now on. */
void pf_note_polled_elsewhere(int fd);

/*
 * POLLIN/POLLERR as poll(2) would say of the object now, for select and epoll.
 * Also corrects the descriptor's real readiness.
 */
int pf_poll_now(int fd);

/* The text of /proc/self/fdinfo/FD of the object; bytes, or -1. */
ssize_t pf_fdinfo(int fd, char *text, size_t n);

/* ---- memory ---- */

/* Whether [addr, addr+len) meets watched memory. A few ns when it does not. */
bool pf_is_watched(const void *addr, size_t len);

/*
 * A system call is about to read (or write) that memory: missing pages were
 * asked for and have arrived, as for an access of the kernel's.
 *
 * Context: may sleep in a userfault.
 * Returns: 0; -1 and EFAULT: the system call must fail so (bad address,
 *          user-mode-only object, SIGBUS mode).
 * Spec:    L24b, L25, L51.
 */
int pf_fault_in(const void *addr, size_t len, bool is_write);

/*
 * Bytes between the program's memory and `buf`, with faults allowed, as the
 * kernel's copy_to_user would: what a system call through a bounce buffer
 * needs. Returns: bytes copied (short: bad address).
 */
size_t pf_copy_to_program(void *addr, const void *buf, size_t n);
size_t pf_copy_from_program(void *buf, const void *addr, size_t n);

/*
 * Whatever is watched there is let go: it is ordinary memory again, missing
 * pages read as zero. For memory that libc is about to give back by itself.
 *
 * Returns: 0; -1 and ENOMEM.
 */
int pf_unwatch(void *addr, size_t len);

/* ---- what is going on ---- */

enum pf_world { PF_WORLD_AUTO, PF_WORLD_KERNEL, PF_WORLD_HOST };

/* What this machine offers, and what `auto` would choose. */
struct pf_probe {
	/* The kernel's userfaultfd. */
	bool kernel_was_asked;  /* false: denied by us, or a filter is active */
	int kernel_errno;       /* 0: granted */
	bool device_granted;
	uint64_t kernel_features;
	/* What the host world stands on. */
	bool guard_anon;        /* MADV_GUARD_INSTALL on anonymous memory */
	bool proc_mem_write;    /* writes through /proc/self/mem, PROT_NONE too */
	bool pagemap;
	bool procmap_query;
	bool memfd;
	bool wipe_on_fork;
	bool fault_code;        /* the trap tells reads from writes */
	bool membarrier;
	bool seccomp_active;
	bool kernel_denied_by_us;
	unsigned cpus;
	uint64_t max_map_count;
	/* The choice. */
	enum pf_world world;
	char world_why[128];
	const char *backing;    /* "private" */
	char backing_why[128];
	const char *revoke;     /* "guard" or "protect" */
	char revoke_why[128];
	const char *publish;    /* "write" (/proc/self/mem) or "move" (mremap) */
	char publish_why[128];
	const char *profile;
	const char *policy;     /* "grant" or "strict" */
};

/*
 * The probe, made anew; asks the kernel for a userfaultfd only when neither
 * --deny-kernel nor another seccomp filter is in force, or when
 * POLYFAULT_WORLD=kernel asks for it.
 *
 * Returns: 0; -1 and errno when the environment names no valid choice
 *          (EINVAL; `out->world_why` says which variable).
 */
int pf_probe(struct pf_probe *out);

/*
 * The kernel's userfaultfd is impossible from now on, in this process and all
 * it starts: the system call, the device's NEW and the API handshake give
 * EPERM, or end the process when `kill`.
 *
 * Returns: 0; -1 and errno.
 */
int pf_deny_kernel(bool kill);

/* Whether pf_deny_kernel() is in force here (also after exec). */
bool pf_kernel_is_denied(void);

struct pf_stats {
	uint64_t objects;      /* created */
	uint64_t faults;       /* messages posted */
	uint64_t fills;        /* successful COPY and ZEROPAGE */
	uint64_t bytes;        /* filled */
	uint64_t woken;
	uint64_t traps;        /* SIGSEGV and SIGBUS taken */
	uint64_t forwarded;    /* ... that were the program's own */
	uint64_t vmas_peak;    /* mappings of the process, as last looked at */
	uint64_t wait_ns_log2[40]; /* time from fault to wake-up */
};

/* Sums over all objects of this process so far. Never fails. */
void pf_read_stats(struct pf_stats *out);

/* The i-th permille of the waiting times in `stats`, in ns; 0: none. */
uint64_t pf_stats_wait_ns(const struct pf_stats *stats, unsigned permille);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif /* POLYFAULT_INTERPOSE_H */
