/* SPDX-License-Identifier: MIT */
/*
 * One interface over every place where a userfaultfd can live.
 *
 *   kernel    the running kernel's, through the plain system calls
 *   host      ours on the real memory of this process
 *   soft      ours on software page tables
 *   soft-5.4  the same with the semantics of the 5.4 series
 *   shim      ours under the system calls of an unmodified program, which this
 *             program is when it runs under the preload shim
 *
 * A case is written once against this interface and runs in all of them.
 * Addresses are the world's. Every function answers 0 (or a count, or an
 * address) or -errno; nothing touches errno.
 */
#ifndef SUPPORT_WORLD_H
#define SUPPORT_WORLD_H

#include "polyfault/abi.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

#define PG 4096ull
#define RW (PROT_READ | PROT_WRITE)
/* One past the highest address of a program (x86-64, four levels). */
#define W_TASK_SIZE 0x7ffffffff000ull
/* Where nothing is ever mapped. */
#define W_BAD_POINTER 0x10ull

enum w_kind { W_KERNEL, W_HOST, W_SOFT, W_SEED, W_SHIM, W_KINDS };

/* How an access of the program itself ended. */
struct w_outcome {
	enum { W_DONE, W_SEGV, W_BUS } end;
	int code;      /* si_code; 0 where the world has no signals */
	uint64_t at;   /* si_addr */
};

/* What an entry of the page table is, as far as the world lets us see. */
struct w_entry {
	bool is_present, is_exclusive, is_wp, is_guard, is_zero_page;
};

struct world;

/* A userfaultfd object. */
struct w_uffd {
	struct world *world;
	int fd;            /* -1 in the soft worlds */
	void *soft;        /* NULL in the others */
	uint64_t features; /* what the handshake answered */
	int64_t out;       /* the output field of the last op_*() */
	struct w_uffd *next;
};

enum w_task_kind {
	W_LOAD, W_STORE,            /* by the program: one byte at va */
	W_KERNEL_LOAD, W_KERNEL_STORE, /* by a system call */
	W_IOCTL,                    /* command on uffd, block in the task */
	W_READ,                     /* 320 bytes from uffd, waiting */
	W_DISCARD,                  /* MADV_DONTNEED of one page at va */
	W_FUNCTION                  /* call(arg) */
};

/* Something done in a thread of its own. */
struct w_task {
	struct world *world;
	enum w_task_kind kind;
	struct w_uffd *uffd;
	uint64_t va;
	uint32_t command;
	union {
		struct pf_uffdio_copy copy;
		struct pf_uffdio_zeropage zeropage;
		struct pf_uffd_msg messages[10];
	} block;
	int64_t (*call)(void *arg);
	void *arg;
	/* Below: results, valid once is_done. */
	uint8_t byte;              /* loaded, or to be stored (set before) */
	struct w_outcome outcome;
	int64_t result;
	_Atomic pid_t tid;
	_Atomic bool is_done;
	bool is_joined;
	pthread_t thread;
	struct w_task *next;
};

/* What a world must be able to do; the contracts are those of w_*() below. */
struct world_ops {
	int (*open)(struct world *w);
	void (*close)(struct world *w);
	int64_t (*map)(struct world *w, uint64_t at, uint64_t len, int prot,
		       int flags);
	int (*unmap)(struct world *w, uint64_t at, uint64_t len);
	int (*protect)(struct world *w, uint64_t at, uint64_t len, int prot);
	int (*discard)(struct world *w, uint64_t at, uint64_t len);
	int (*guard)(struct world *w, uint64_t at, uint64_t len);
	struct w_outcome (*access)(struct world *w, uint64_t va, void *buf,
				   size_t n, bool is_store);
	int64_t (*kernel_access)(struct world *w, uint64_t va, void *buf,
				 size_t n, bool is_store);
	int (*entry)(struct world *w, uint64_t va, struct w_entry *out);
	int64_t (*count)(struct world *w, uint64_t va, int what);
	int (*create)(struct world *w, int flags, struct w_uffd *out);
	void (*release)(struct w_uffd *u);
	int (*ioctl)(struct w_uffd *u, uint32_t command, void *block);
	int (*ioctl_at)(struct w_uffd *u, uint32_t command, uint64_t va);
	int64_t (*read)(struct w_uffd *u, void *buf, size_t n);
	int (*poll)(struct w_uffd *u);
	void (*set_nonblocking)(struct w_uffd *u, bool is_nonblocking);
	int64_t (*fdinfo)(struct w_uffd *u, char *text, size_t n);
	int (*orphan)(struct world *w, uint64_t at, struct w_uffd *out);
	int (*raise)(struct w_uffd *u, bool is_raised);
	void (*drop_privilege)(struct world *w);
	void (*thread_ends)(struct world *w);
};

struct world {
	enum w_kind kind;
	const struct world_ops *ops;
	uint64_t offered;          /* feature bits offered by the handshake */
	struct w_uffd *uffds;      /* opened and not yet closed */
	struct w_task *tasks;
	void *state;               /* of the implementation */
};

extern const struct world_ops world_kernel, world_host, world_soft, world_shim;

const char *w_name(enum w_kind kind);

/* Whether the world has 5.4 semantics. */
bool w_is_seed(const struct world *w);

/* Whether it has real memory, descriptors and signals. */
bool w_is_real(const struct world *w);

/* Ready for a case. A world that cannot be opened ends the case. */
void w_open(struct world *w, enum w_kind kind);

/*
 * Everything that the case left open is closed; every thread must come back
 * then, and nothing may be left over (frames, charges, descriptors).
 */
void w_close(struct world *w);

/* mmap, munmap, mprotect, MADV_DONTNEED, MADV_GUARD_INSTALL; anonymous. */
uint64_t w_map(struct world *w, uint64_t len, int prot);
int64_t w_map_at(struct world *w, uint64_t at, uint64_t len);
int w_unmap(struct world *w, uint64_t at, uint64_t len);
int w_protect(struct world *w, uint64_t at, uint64_t len, int prot);
int w_discard(struct world *w, uint64_t at, uint64_t len);
int w_guard(struct world *w, uint64_t at, uint64_t len);

/* A fresh mapping with page i filled with bytes of value first + i. */
uint64_t w_map_filled(struct world *w, uint64_t pages, uint8_t first);

/* An access of the program's own; may wait in a userfault. */
struct w_outcome w_load(struct world *w, uint64_t va, void *buf, size_t n);
struct w_outcome w_store(struct world *w, uint64_t va, const void *buf,
			 size_t n);
/* One byte, which must be readable. */
uint8_t w_peek(struct world *w, uint64_t va);

/* A system call's access. Returns: bytes, or -EFAULT when none. */
int64_t w_kernel_load(struct world *w, uint64_t va, void *buf, size_t n);
int64_t w_kernel_store(struct world *w, uint64_t va, const void *buf,
		       size_t n);

struct w_entry w_entry(struct world *w, uint64_t va);

/*
 * Counters, -1 where the world has no such thing. The first two are of the
 * mapping around va; the next two of the whole world.
 */
enum { W_ANON_PAGES, W_DIRTY_PAGES, W_CHARGED_PAGES, W_VMAS };
int64_t w_count(struct world *w, uint64_t va, int what);

/* A new object, not handshaken. Returns: it, or NULL and *err. */
struct w_uffd *w_try_create(struct world *w, int flags, int *err);
struct w_uffd *w_create(struct world *w, int flags);
void w_release(struct w_uffd *u);

/* A command with its block in the case's memory / at a world's address. */
int w_ioctl(struct w_uffd *u, uint32_t command, void *block);
int w_ioctl_at(struct w_uffd *u, uint32_t command, uint64_t va);
int64_t w_read(struct w_uffd *u, void *buf, size_t n);
int w_poll(struct w_uffd *u);
void w_set_nonblocking(struct w_uffd *u, bool is_nonblocking);
void w_fdinfo(struct w_uffd *u, char *text, size_t n);

/*
 * A handshaken object whose address space has exited, with one registered
 * page at `at`. The soft world itself has exited then, too.
 */
struct w_uffd *w_orphan(struct world *w, uint64_t at);

/* A mapping-change event is (no longer) pending on the object. */
void w_raise(struct w_uffd *u, bool is_raised);

/* The rest of the case runs without privileges. */
void w_drop_privilege(struct world *w);

/* A task with everything but its kind unset. */
struct w_task *w_task(struct world *w, enum w_task_kind kind);
void w_start(struct w_task *task);
/* Short forms: a thread that touches one byte. */
struct w_task *w_touch(struct world *w, enum w_task_kind kind, uint64_t va);

/* It came to an end within two seconds, or the case fails. */
void w_join(struct w_task *task);
/* It is still under way after a while in which it could have ended. */
void w_still_waits(struct w_task *task);

#endif /* SUPPORT_WORLD_H */
