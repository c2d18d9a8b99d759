/* SPDX-License-Identifier: MIT */
/*
 * The embedded interface: address spaces in software, as many as you like.
 *
 * For emulators, sandboxes and deterministic tests. Nothing here uses signals
 * or global state; every function returns 0 (or a count) or -errno, and never
 * touches errno. Several threads may use one space; each needs a CPU of its
 * own for loads and stores.
 *
 *   struct pf_space *s;  pf_space_create(NULL, &s);
 *   int64_t at = pf_space_map(s, 0, 1 << 20, PROT_READ | PROT_WRITE, 0);
 *   struct pf_uffd *u;   pf_uffd_create(s, 0, &u);
 *   pf_uffd_ioctl(u, PF_UFFDIO_API, &api);  ... REGISTER ...
 *   another thread: pf_uffd_read(u, &msg, 1, -1); pf_uffd_ioctl(u, COPY, ..)
 *   this thread:    pf_load(cpu, at, &byte, 1, NULL);   // waits for it
 */
#ifndef POLYFAULT_EMBED_H
#define POLYFAULT_EMBED_H

#include "polyfault/abi.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct pf_space;
struct pf_cpu;
struct pf_uffd;

struct pf_space_config {
	const char *profile;   /* "linux-6.18" (NULL), "linux-5.4" */
	uint64_t limit_pages;  /* charge limit; 0: none */
	uint64_t arena_bytes;  /* most memory of frames; 0: a default */
	bool is_unprivileged;  /* EVENT_FORK is refused */
};

/*
 * A new, empty address space. `config` may be NULL.
 * Returns: 0 and *out; -EINVAL (no such profile); -ENOMEM.
 */
int pf_space_create(const struct pf_space_config *config,
		    struct pf_space **out);

/*
 * The space has exited: nothing is mapped, objects on it answer ESRCH or
 * ENOMEM; its waiting threads come back with -EFAULT.
 */
void pf_space_exit(struct pf_space *space);

/* The space is freed, when the last object on it is closed. */
void pf_space_destroy(struct pf_space *space);

/*
 * As mmap, munmap, mprotect, madvise(MADV_DONTNEED), for private anonymous
 * memory. `prot`: PROT_*. `flags`: 0, MAP_FIXED or MAP_FIXED_NOREPLACE.
 * Returns: the address / 0; -EINVAL, -ENOMEM, -EEXIST as those calls.
 */
int64_t pf_space_map(struct pf_space *space, uint64_t at, uint64_t len,
		     int prot, int flags);
int pf_space_unmap(struct pf_space *space, uint64_t at, uint64_t len);
int pf_space_protect(struct pf_space *space, uint64_t at, uint64_t len,
		     int prot);
int pf_space_discard(struct pf_space *space, uint64_t at, uint64_t len);
/* As madvise(MADV_GUARD_INSTALL), madvise(MADV_GUARD_REMOVE). */
int pf_space_guard(struct pf_space *space, uint64_t at, uint64_t len,
		   bool install);

/* One accessing thread's view. Returns: 0 and *out; -ENOMEM. */
int pf_cpu_create(struct pf_space *space, struct pf_cpu **out);
void pf_cpu_destroy(struct pf_cpu *cpu);

/*
 * Bytes are loaded or stored as by the program that lives in the space; waits
 * in userfaults. *fault_va (may be NULL) is where it failed.
 * Returns: 0; -EFAULT (would be SIGSEGV); -EIO (SIGBUS); -ENOMEM.
 */
int pf_load(struct pf_cpu *cpu, uint64_t va, void *dst, size_t n,
	    uint64_t *fault_va);
int pf_store(struct pf_cpu *cpu, uint64_t va, const void *src, size_t n,
	     uint64_t *fault_va);

/* As a system call's access. Returns: bytes copied. */
size_t pf_kernel_read(struct pf_space *space, void *dst, uint64_t va,
		      size_t n);
size_t pf_kernel_write(struct pf_space *space, uint64_t va, const void *src,
		       size_t n);

/* What an entry of the page table is, as /proc/self/pagemap would tell. */
struct pf_entry {
	bool is_present, is_writable, is_dirty, is_zero_page, is_exclusive;
	bool is_wp, is_guard, is_poison;
	uint64_t frame;
};
int pf_space_entry(struct pf_space *space, uint64_t va, struct pf_entry *out);

struct pf_space_counts {
	uint64_t anon_pages;    /* resident anonymous pages (RssAnon) */
	uint64_t charged_pages; /* of the space's charge group */
	uint64_t frames;        /* frames in use */
	uint64_t table_pages;
	uint64_t vmas;
};
void pf_space_read_counts(struct pf_space *space, struct pf_space_counts *out);

/* Every invariant of the space holds, or the process is aborted. */
void pf_space_check(struct pf_space *space);

/*
 * The n-th allocation from now on fails once (0: none): frames, tables,
 * charges and the heap alike. For tests; process-wide.
 */
void pf_fail_nth(uint64_t n);

/*
 * An object on the space. `flags`: PF_UFFD_USER_MODE_ONLY, O_NONBLOCK,
 * O_CLOEXEC (no effect).
 * Returns: 0 and *out; -EINVAL, -ENOMEM.
 */
int pf_uffd_create(struct pf_space *space, int flags, struct pf_uffd **out);
void pf_uffd_close(struct pf_uffd *uffd);

/*
 * A command, with its argument block in the caller's memory / at an address
 * of the space. Addresses inside the block are the space's.
 * Returns: 0; -errno.
 */
int pf_uffd_ioctl(struct pf_uffd *uffd, uint32_t command, void *arg);
int pf_uffd_ioctl_at(struct pf_uffd *uffd, uint32_t command, uint64_t va);

/*
 * As PF_UFFDIO_COPY, but the bytes come from the caller's memory.
 * Returns: bytes filled; -errno.
 */
int64_t pf_uffd_copy_from(struct pf_uffd *uffd, uint64_t dst, const void *src,
			  uint64_t len, uint64_t mode);

/*
 * Up to `count` messages. Waits for the first: for ever when timeout_ms < 0
 * (and the object is blocking), else at most so long.
 * Returns: how many; -EAGAIN (none in time); -EINVAL (no handshake).
 */
int pf_uffd_read(struct pf_uffd *uffd, struct pf_uffd_msg *msgs,
		 unsigned count, int timeout_ms);

/* As read(2) with a byte count: -EINVAL when n < 32. Returns: bytes. */
int64_t pf_uffd_read_bytes(struct pf_uffd *uffd, void *buf, size_t n);

/* POLLIN/POLLERR as poll(2) would say. */
int pf_uffd_poll(struct pf_uffd *uffd);
void pf_uffd_set_nonblocking(struct pf_uffd *uffd, bool is_nonblocking);

/* The three lines of fdinfo. Returns: bytes. */
size_t pf_uffd_fdinfo(struct pf_uffd *uffd, char *text, size_t n);

/*
 * The map-changing state is raised / lowered by hand: fills answer EAGAIN in
 * between, as while a mapping-change event is pending.
 */
void pf_uffd_raise_changing(struct pf_uffd *uffd, bool raise);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif /* POLYFAULT_EMBED_H */
