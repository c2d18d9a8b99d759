/* SPDX-License-Identifier: MIT */
/*
 * The address space: VMAs, a page table, the mmu that makes it real.
 *
 *   space ── map_lock [M] ── tree of VMAs ──┬── object ops (the kind)
 *     │                                     └── watch + modes, or none
 *     └── table: va -> entry -> frame, or native page
 *
 * In the soft world every mapping is a VMA here. In the host world the
 * kernel's list of mappings is the truth, and only what is watched has a VMA
 * here: space_survey() brings the mappings of a range in before they are
 * validated, space_settle() lets those go that nobody watches.
 *
 * Invariant at every unlock: VMAs do not meet, have a watch if and only if
 * they have modes, and every entry of the table lies in a VMA.
 *
 * This room does not know userfaultfd; it knows space/watch.h.
 */
#ifndef SPACE_SPACE_H
#define SPACE_SPACE_H

#include "base/profile.h"
#include "base/sync.h"
#include "base/types.h"
#include "mmu/mmu.h"
#include "object/object.h"
#include "space/watch.h"
#include "space/watched.h"
#include "table/table.h"

#include <bsd/sys/tree.h>

/* Same values as enum mmu_kind. */
enum vma_kind {
	VMA_ANON = MMU_ANON,
	VMA_SHMEM = MMU_SHMEM,
	VMA_HUGETLB = MMU_HUGETLB,
	VMA_FILE = MMU_FILE,
	VMA_SPECIAL = MMU_SPECIAL,
	VMA_STACK = MMU_STACK
};

struct vma {
	RB_ENTRY(vma) node;           /* [M] */
	struct range range;           /* [M] */
	unsigned prot;                /* [M] ACCESS_* */
	enum vma_kind kind;           /* [I] */
	bool is_shared;               /* [I] */
	bool may_write;               /* [I] */
	bool is_locked;               /* [M] soft: mlocked */
	_Atomic bool has_anchor;      /* [a] anon-rmap anchor exists */
	bool is_surveyed;             /* [M] host: came from a survey */
	const struct object_ops *ops; /* [I] */
	struct watch *watch;          /* [M] set if and only if modes != 0 */
	unsigned modes;               /* [M] WATCH_* */
};

RB_HEAD(vma_tree, vma);

struct space_counts {
	_Atomic uint64_t anon_pages; /* [a] resident anonymous pages */
	_Atomic uint64_t faults;     /* [a] faults decided */
};

struct space {
	struct rwlock map_lock;     /* RANK_SPACE */
	struct vma_tree vmas;       /* [M] */
	struct table *table;        /* [I] */
	struct object_home home;    /* [I] mmu, frames, group, profile */
	struct space_counts counts; /* [a] */
	struct watched watched;     /* [M] ranges of watched VMAs; read
				     * without lock */
	_Atomic uint32_t is_dead;   /* [a] exited: only the object remains */
	_Atomic uint32_t refs;      /* [a] */
};

struct space_options {
	const struct profile *profile; /* NULL: the newest */
	struct charge_group *group;    /* NULL: not charged */
	struct mmu *mmu;               /* owned by the space from now on */
	uint64_t arena_bytes;          /* 0: a default */
};

/* Returns: 0 and *out with one reference; -ENOMEM (mmu not taken). */
int space_create(const struct space_options *options,
		 struct space **out) must_check;

/*
 * A space outlives its exit for the objects that refer to it. exit drops all
 * VMAs (no watch is told); the last put frees the structure, and checks that
 * no frame is in use.
 */
void space_get(struct space *space);
void space_put(struct space *space);
void space_exit(struct space *space);

/* ---- VMAs (vma.c, vma_tree.c) ---- */

/* Locks: map_lock held. First VMA whose end is above va; NULL: none. */
struct vma *space_find_vma(struct space *space, va_t va);
/* The VMA after this one in address order; NULL: none. */
struct vma *space_next_vma(struct space *space, struct vma *vma);

/* for (vma of space meeting range r) */
#define space_each_vma(space, r, vma)                        \
	for ((vma) = space_find_vma((space), (r).start);     \
	     (vma) && (vma)->range.start < (r).end;          \
	     (vma) = space_next_vma((space), (vma)))

/*
 * The VMA that covers exactly vma->range clipped to r exists: pieces outside
 * r are split off.
 * Locks:   map_lock held for writing.
 * Returns: 0 and *out (the piece inside r); -ENOMEM (nothing changed).
 */
int space_clip_vma(struct space *space, struct vma *vma, struct range r,
		   struct vma **out) must_check;

/*
 * The VMA has that watch and those modes (or none of both), the tree's hint
 * is kept, and it is merged with like neighbours.
 * Locks:   map_lock held for writing.
 * Returns: the VMA it is now part of. Cannot fail.
 */
struct vma *space_set_watch(struct space *space, struct vma *vma,
			    struct watch *watch, unsigned modes);

/*
 * Whether the range meets watched memory; see watched_meets(). A few ns.
 * Locks:   none needed.
 * Context: trap, any.
 */
bool space_is_watched(const struct space *space, struct range r);

/*
 * No VMA reaches over either end of the range, so that unmapping it cannot be
 * refused / VMAs are merged over its ends again.
 * Locks:   map_lock held for writing.
 * Returns: 0; -ENOMEM (nothing changed).
 */
int space_cut(struct space *space, struct range r) must_check;
void space_uncut(struct space *space, struct range r);

/*
 * Host: the real mappings of the range are in the tree as unwatched VMAs;
 * watched ones that are no longer what we believe were dropped. Soft: nothing.
 * Locks:   map_lock held for writing.
 * Returns: 0; -ENOMEM, -EIO.
 */
int space_survey(struct space *space, struct range r) must_check;

/* Host: unwatched VMAs meeting the range leave the tree. Soft: nothing. */
void space_settle(struct space *space, struct range r);

/*
 * The pages of a VMA are (no longer) such that missing ones are noticed.
 * Host: adopt / release. Soft: nothing to do. The VMA is not changed.
 * Locks:   map_lock held for writing.
 * Returns: 0; -ENOMEM (nothing changed). disarm cannot fail.
 */
int space_arm(struct space *space, struct vma *vma) must_check;
void space_disarm(struct space *space, struct vma *vma);

/*
 * Every watched VMA of the range, at whose ends VMAs are cut, is disarmed /
 * armed again as its pages are now; one that cannot be is watched no more.
 * Locks:   map_lock held for writing, from the one to the other.
 */
void space_disarm_range(struct space *space, struct range r);
void space_rearm_range(struct space *space, struct range r);

/*
 * Whether pages of the VMA are never made to trap, and so never missing: a
 * live stack is needed by the trap itself.
 * Locks:   map_lock held.
 * Context: trap.
 */
bool vma_never_traps(const struct vma *vma);

/*
 * The VMA has its anon-rmap anchor.
 * Locks:   map_lock held, for reading will do.
 * Context: trap.
 */
void vma_anchor(struct vma *vma);

/* ---- verbs, soft world: one file each ---- */

#define SPACE_FIXED 1u     /* exactly at `at`, replacing what is there */
#define SPACE_NOREPLACE 2u /* exactly at `at`, -EEXIST where mapped */

struct space_map_request {
	va_t at;        /* hint, or the place with SPACE_FIXED */
	uint64_t len_bytes;
	unsigned prot;
	unsigned flags; /* SPACE_* */
};

/*
 * Private anonymous memory is mapped; merged with like neighbours.
 * Locks:   takes map_lock for writing.
 * Returns: the address; -EINVAL (length 0, misaligned FIXED); -ENOMEM (no
 *          gap, no memory, beyond TASK_BYTES); -EEXIST.
 */
int64_t space_map(struct space *space,
		  const struct space_map_request *req) must_check;

/*
 * Nothing is mapped in the range. Host: what we remember of it is forgotten
 * and the pages' traps need not be undone; the caller unmaps for real,
 * meanwhile holding map_lock through space_begin()/space_end().
 * Returns: 0; -EINVAL; -ENOMEM (split).
 */
int space_unmap(struct space *space, struct range r) must_check;
int space_unmap_locked(struct space *space, struct range r) must_check;

/* As mprotect on the range. Returns: 0; -EINVAL; -ENOMEM (hole, split). */
int space_protect(struct space *space, struct range r,
		  unsigned prot) must_check;
int space_protect_locked(struct space *space, struct range r,
			 unsigned prot) must_check;

/*
 * The pages of the range are gone, and missing or demand-zero again
 * (MADV_DONTNEED).
 * Whether memory is locked only the soft world knows here.
 * Returns: 0; -EINVAL (misaligned; locked VMA); -ENOMEM (hole; the mapped
 *          parts were done).
 */
int space_discard(struct space *space, struct range r) must_check;
int space_discard_locked(struct space *space, struct range r) must_check;

/* A guard marker in every page of the range / taken away again (advise.c). */
int space_guard(struct space *space, struct range r, bool install) must_check;
int space_guard_locked(struct space *space, struct range r,
		       bool install) must_check;

/* map_lock for writing, for a caller who does several things at once. */
void space_begin(struct space *space);
void space_end(struct space *space);

/* ---- faults (fault.c) ---- */

enum space_outcome {
	SPACE_RETRY, /* the access can be made again */
	SPACE_WAIT,  /* wait for the ticket, then make it again */
	SPACE_SEGV_MAPERR,
	SPACE_SEGV_ACCERR,
	SPACE_BUS,
	SPACE_NOMEM,
	SPACE_NOT_OURS /* host: no VMA of ours there */
};

/*
 * What a refused access means was decided, and done where it can be done at
 * once: demand-zero, copy-on-write, reopening; or queued with the watch.
 *
 * CASE: entry none, watched MISSING -> WAIT (or BUS, by the watch)
 *       entry none, else            -> demand-zero, RETRY
 *       marker guard -> SEGV; marker poison -> BUS
 *       present, write, not writable, VMA writable -> copy-on-write, RETRY
 *       VMA does not permit -> SEGV_ACCERR, before any of these
 *
 * Locks:   takes map_lock for reading and leaf locks inside, none on exit.
 * Context: trap.
 * Spec:    3.6; L05, L08, L48, L60, L83.
 */
enum space_outcome space_fault(struct space *space, va_t va, unsigned access,
			       struct watch_ticket *ticket);

/* ---- accesses through the tables, soft world (access.c) ---- */

struct space_cpu; /* one accessing thread: its TLB */

/*
 * A CPU for one thread, holding a reference to the space / is given back.
 *
 * Context: may sleep.
 * Returns: 0 and *out; -ENOMEM.
 */
int space_cpu_create(struct space *space, struct space_cpu **out) must_check;
void space_cpu_destroy(struct space_cpu *cpu);

/*
 * Bytes were loaded from / stored to the space as a program's own access,
 * sleeping in userfaults as needed. A store of up to 8 bytes inside a page
 * is atomic when aligned.
 * Context: may sleep.
 * Returns: 0; -EFAULT (SIGSEGV would be raised); -EIO (SIGBUS); -ENOMEM.
 *          *fault_va, when not NULL, is where.
 */
int space_load(struct space_cpu *cpu, va_t va, void *dst, size_t n,
	       va_t *fault_va);
int space_store(struct space_cpu *cpu, va_t va, const void *src, size_t n,
		va_t *fault_va);

/*
 * Bytes between the space and the engine's memory, as a system call's access
 * (FAULT_KERNEL); with may_fault false nothing sleeps and the copy ends where
 * an access would fault. In the host world: the mmu's.
 * Returns: bytes copied.
 */
size_t space_copy_in(struct space *space, void *dst, va_t src, size_t n,
		     bool may_fault);
size_t space_copy_out(struct space *space, va_t dst, const void *src, size_t n,
		      bool may_fault);

/*
 * As space_copy_in() without faults, for a caller inside the space: nothing
 * is waited for but a leaf's lock. Soft world.
 * Locks:   map_lock held.
 * Returns: bytes copied.
 */
size_t space_peek(struct space *space, void *dst, va_t src, size_t n);

/* ---- self-check (validate.c) ---- */

/* Every invariant above holds, or bug(). Locks: takes map_lock. */
void space_check(struct space *space);

#endif /* SPACE_SPACE_H */
