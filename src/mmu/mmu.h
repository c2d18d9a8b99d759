/* SPDX-License-Identifier: MIT */
/*
 * The low seam: make an entry real, and tell when an access is refused.
 *
 * `soft` has no hardware: every access walks our tables through a software
 * TLB, and the only thing to do is to shoot cached translations down. `host`
 * stands on the real memory of this process: a page's bytes live in the
 * program's own mapping, a missing page is made to trap, and a trap is the
 * fault.
 *
 * Blanket preconditions, not repeated below: ranges are page-aligned and not
 * empty; the caller holds the space's map_lock, for writing where it says so;
 * functions of the native part are called only when `is_native`.
 *
 *   a native page              what the hardware does     entry in our table
 *   missing  (revoke)          guard marker / PROT_NONE   none
 *   provided (provide)         PROT_NONE, bytes complete  none
 *   visible  (publish)         the program's protection   present, native
 *   evicted  (by the mmu)      PROT_NONE, bytes kept      present, native
 */
#ifndef MMU_MMU_H
#define MMU_MMU_H

#include "base/types.h"

struct mmu;

/* What a mapping found by survey() is. Mirrored by enum vma_kind. */
enum mmu_kind {
	MMU_ANON,    /* private anonymous */
	MMU_SHMEM,   /* tmpfs, memfd, shared anonymous */
	MMU_HUGETLB,
	MMU_FILE,    /* a regular file */
	MMU_SPECIAL, /* vdso, vvar, devices, System V, droppable */
	MMU_STACK    /* a live stack: as anonymous, but never revoked */
};

struct mmu_mapping {
	struct range range;
	unsigned prot;  /* ACCESS_* */
	enum mmu_kind kind;
	bool is_shared;
	bool may_write; /* could ever become writable */
};

/* Where the bytes of a native fill come from. */
enum mmu_source {
	MMU_FROM_ZERO,
	MMU_FROM_USER, /* `src`, with faults refused */
	MMU_FROM_BYTES /* `bytes`, one page of our own memory */
};

struct mmu_fill {
	struct range dst;
	unsigned prot; /* protection once visible */
	enum mmu_source from;
	va_t src;
	const void *bytes;
	bool is_awaited; /* a thread trapped there, and will access it next */
};

typedef int (*mmu_visit_fn)(void *arg, const struct mmu_mapping *m);

/* What pages of a range hold. */
enum mmu_held { MMU_HOLDS_NOTHING, MMU_HOLDS_BYTES, MMU_HOLDS_GUARD };

typedef void (*mmu_found_fn)(void *arg, struct range r, enum mmu_held held);

struct mmu_ops {
	const char *name;     /* "soft" or "host" */
	unsigned batch_pages; /* most pages of one native fill step */

	/* ---- both worlds ---- */

	/* Everything is given back. No lock held. */
	void (*destroy)(struct mmu *mmu);

	/*
	 * `bytes` of zeroed memory for frames and table pages, lazily
	 * populated, at *base.
	 * Returns: 0; -ENOMEM.
	 */
	int (*arena)(struct mmu *mmu, size_t bytes, void **base);

	/*
	 * Pages of an arena are about to be written, and may as well be
	 * populated at once. NULL: each is when it is touched.
	 * Context: trap.
	 */
	void (*populate)(struct mmu *mmu, void *at, size_t bytes);

	/*
	 * No thread uses, or will use, a cached translation of the range that
	 * was made before this call (soft), and has finished any access that
	 * did. Native: nothing to do.
	 */
	void (*shoot)(struct mmu *mmu, struct range r);

	/* ---- native only ---- */

	/*
	 * Bytes from or to the program's memory.
	 *
	 * With may_fault false an access that would trap ends the copy; with
	 * true it may sleep in a fault of ours (no lock may be held), and only
	 * an address that is really bad ends it.
	 * Returns: bytes copied, from the start.
	 */
	size_t (*copy_in)(struct mmu *mmu, void *dst, va_t src, size_t n,
			  bool may_fault);
	size_t (*copy_out)(struct mmu *mmu, va_t dst, const void *src, size_t n,
			   bool may_fault);

	/*
	 * `visit` was called for each real mapping that meets the range, in
	 * rising order, clipped to nothing (whole mappings).
	 * Returns: 0; what visit returned when not 0; -ENOMEM, -EIO.
	 */
	int (*survey)(struct mmu *mmu, struct range r, mmu_visit_fn visit,
		      void *arg);

	/*
	 * Pages of the range that hold something are left as they are and
	 * reported to `found` in rising order: those that hold bytes, and
	 * those that the program guards itself. The others are revoked. No
	 * write of a concurrent thread is lost. map_lock held for writing.
	 * Returns: 0; -EINVAL when this memory cannot be watched (nothing
	 *          changed, nothing reported); -ENOMEM: what holds something
	 *          was reported, and the rest is to be released.
	 */
	int (*adopt)(struct mmu *mmu, const struct mmu_mapping *m,
		     struct range r, mmu_found_fn found, void *arg);

	/*
	 * Whether the range still is what we believe: missing pages still
	 * trap by our doing. Asked before destructive steps.
	 */
	bool (*is_ours)(struct mmu *mmu, struct range r);

	/*
	 * Pages at the start of `f->dst`, all missing before, hold their
	 * final bytes but nobody can see them.
	 * Returns: bytes provided (whole pages, at least one); -EFAULT when
	 *          the source of the first page would fault; -ENOMEM; -ENOENT
	 *          when the mapping is no longer ours.
	 */
	int64_t (*provide)(struct mmu *mmu, const struct mmu_fill *f);

	/*
	 * Provided pages, f->dst as far as provide said, are visible with
	 * f->prot. Cannot fail.
	 */
	void (*publish)(struct mmu *mmu, const struct mmu_fill *f);

	/* Provided pages are missing again. Cannot fail. */
	void (*retract)(struct mmu *mmu, const struct mmu_fill *f);

	/*
	 * The range's content is gone and every access traps; in between no
	 * access saw a page of zeros. `prot` is what it was, and will be again
	 * for what is filled later.
	 * Returns: 0; -ENOMEM (nothing changed).
	 */
	int (*revoke)(struct mmu *mmu, struct range r, unsigned prot);

	/*
	 * Pages of the range, missing, visible or evicted, are ordinary
	 * memory again with protection `prot`; missing ones demand-zero.
	 * Cannot fail; on a mapping that is not ours any more does nothing.
	 */
	void (*release)(struct mmu *mmu, struct range r, unsigned prot);

	/*
	 * Pages of the range, which trap, are guarded by the program: as
	 * release, but they go on trapping. Cannot fail.
	 */
	void (*release_guards)(struct mmu *mmu, struct range r, unsigned prot);

	/*
	 * An access to a page whose entry is present was refused.
	 * Returns: 0: retry (it is accessible now, or was in between);
	 *          -EACCES: not by our doing, the program shall see it.
	 */
	int (*refresh)(struct mmu *mmu, va_t va, unsigned prot,
		       unsigned access);

	/*
	 * The visible pages of the range have protection `prot`, the missing
	 * ones still trap. Called for whole VMA parts when
	 * `protect_keeps_missing`, else for runs of present pages.
	 * Returns: 0; -ENOMEM, -EACCES as mprotect.
	 */
	int (*protect)(struct mmu *mmu, struct range r, unsigned prot);

	/* Nothing is remembered of the range. Cannot fail. */
	void (*forget)(struct mmu *mmu, struct range r);
};

struct mmu {
	const struct mmu_ops *ops;  /* [I] */
	bool is_native;             /* [I] */
	bool protect_keeps_missing; /* [I] guards survive mprotect */
};

/*
 * The software mmu: one for each space, no system resources but memory.
 *
 * Context: may sleep.
 * Returns: 0 and *out; -ENOMEM.
 */
int mmu_soft_create(struct mmu **out) must_check;

/* ---- software TLB: the soft mmu's side of space_load()/space_store() ---- */

#define MMU_TLB_ENTRIES 256

/* The tags' order is that of ACCESS_*. What a tag says: mmu/tlb.h. */
struct mmu_tlb_entry {
	va_t tags[3];    /* the page, where the right is there */
	uint8_t *bytes;  /* the frame */
};

/*
 * One thread's cache of translations. `busy` brackets an access, so that
 * shoot() can wait for it; it is ordered by membarrier(2) where the system
 * has it, by a fence in the accessor where not.
 */
struct mmu_tlb {
	_Atomic uint32_t busy;       /* [a] 1 while an access uses an entry */
	_Atomic uint64_t generation; /* [a] of the entries; compared with
				      * the mmu's */
	const _Atomic uint64_t *newest; /* [I] the mmu's; where an accessor
					 * must fence, one that never is
					 * the entries' */
	struct mmu_tlb_entry entries[MMU_TLB_ENTRIES]; /* [owner thread] */
	struct mmu_tlb *next;        /* [mmu's lock] its list of TLBs */
};

/*
 * The TLB belongs to the mmu and is shot down with it / no longer.
 *
 * Context: may sleep.
 */
void mmu_soft_attach(struct mmu *mmu, struct mmu_tlb *tlb);
void mmu_soft_detach(struct mmu *mmu, struct mmu_tlb *tlb);

/*
 * Between these two, an entry returned is good to use.
 *
 * enter returns the bytes of the page of `va` when the TLB has it for
 * `access`, else NULL (and the caller still calls leave). mmu/tlb.h has the
 * same for aligned words, inline.
 * Context: any.
 */
uint8_t *mmu_soft_enter(struct mmu *mmu, struct mmu_tlb *tlb, va_t va,
			unsigned access);
void mmu_soft_leave(struct mmu_tlb *tlb);

/*
 * The translation is cached, unless a shoot() came since `generation`, read
 * with mmu_soft_generation() before the tables were walked.
 */
uint64_t mmu_soft_generation(struct mmu *mmu);
void mmu_soft_cache(struct mmu_tlb *tlb, va_t va, unsigned access,
		    uint8_t *bytes, uint64_t generation);

#endif /* MMU_MMU_H */
