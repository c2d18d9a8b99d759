/* SPDX-License-Identifier: MIT */
/*
 * Memory kinds: the only place where they differ.
 *
 * One operations table a kind. `anon` keeps its bytes in frames of the arena
 * and charges them; `native` is anonymous memory whose bytes live in the
 * program's own mapping, reached through the mmu. Shared memory and huge
 * pages come as further tables; above this room nobody asks for the kind.
 *
 * A step is one move of the fill engine: one page, or a run of pages where
 * the kind can do several at once. Its stages, in order:
 *
 *   reserve   what is needed is taken            may refuse, undone
 *   provide   the bytes are there, unseen        may refuse, may be short
 *   commit    the entries to publish             cannot fail
 *   unreserve everything since reserve is undone
 */
#ifndef OBJECT_OBJECT_H
#define OBJECT_OBJECT_H

#include "base/profile.h"
#include "base/types.h"
#include "charge/charge.h"
#include "frame/frame.h"
#include "mmu/mmu.h"
#include "table/table.h"

/* What a space lends to the objects mapped in it. */
struct object_home {
	struct mmu *mmu;            /* [I] */
	struct frame_arena *frames; /* [I] */
	struct charge_group *group; /* [I] who pays; NULL: nobody */
	const struct profile *profile; /* [I] */
	_Atomic uint64_t *anon_pages;  /* [I] resident anonymous pages, counted
					* here; NULL: nobody counts */
};

enum object_from { OBJECT_ZERO, OBJECT_USER, OBJECT_HELD };

/*
 * Reads the program's memory with faults refused; returns bytes read.
 */
typedef size_t (*object_read_fn)(void *arg, void *dst, va_t src, size_t n);

struct object_step {
	const struct object_home *home;
	struct range dst;   /* pages of this step; provide may shorten it */
	unsigned prot;      /* the VMA's ACCESS_* */
	bool is_locked;     /* the VMA is mlocked */
	bool wants_wp;      /* publish write-protected */
	bool is_awaited;    /* a thread trapped on dst and waits for it */
	enum object_from from;
	va_t src;           /* OBJECT_USER: address of the first byte */
	object_read_fn read; /* OBJECT_USER: how (not used by native) */
	void *read_arg;
	struct pfn held;    /* OBJECT_HELD: a page with the bytes; also where
			     * provide leaves the page to be filled when it
			     * answers -ENODATA. Owned by the caller between
			     * steps. */
	struct pfn frame;   /* private to the kind, during a step */
};

struct object_ops {
	const char *name;
	unsigned batch_pages; /* most pages of one step, in one leaf; 1 unless
			       * holds_leaf */
	/*
	 * provide touches the page that the program maps, so nobody else may
	 * fill it meanwhile: the leaf's lock is held from before the entries
	 * are looked at until after finish (else in commit only).
	 */
	bool holds_leaf;

	/* Returns: 0; -ENOMEM. Nothing is kept on refusal. */
	int (*reserve)(struct object_step *step);

	/*
	 * The bytes of step->dst are in place, unseen. dst may have been
	 * shortened to what was copied, whole pages, at least one.
	 * On refusal nothing is kept, of reserve neither: no unreserve.
	 * Returns: 0; -ENODATA: the source of the first page would fault,
	 *          and step->held is a page to copy it into with faults
	 *          allowed; -ENOMEM; -ENOENT: the mapping is no longer ours.
	 */
	int (*provide)(struct object_step *step);

	/*
	 * Counters, owner and LRU are set; returns the entry for the page
	 * `va` of the step, to be published by table_set(). Called under the
	 * leaf's lock, once for each page, rising. Cannot fail.
	 */
	struct pte (*commit)(struct object_step *step, va_t va);

	/* After the last entry was set: pages become visible (native). */
	void (*finish)(struct object_step *step);

	void (*unreserve)(struct object_step *step);

	/*
	 * A demand-zero fault (no userfaultfd asked for it): the entry to set,
	 * under the leaf's lock.
	 * Returns: 0 and *out; -ENOMEM.
	 */
	int (*demand)(const struct object_home *home, bool is_write,
		      unsigned prot, struct pte *out);

	/*
	 * A write to a present, not writable page of a writable VMA: the new
	 * entry (copy-on-write, or simply writable when exclusive). Under the
	 * leaf's lock. When the frame differs, the caller drops the old entry.
	 * Returns: 0 and *out; -ENOMEM.
	 */
	int (*unshare)(const struct object_home *home, struct pte old,
		       struct pte *out);

	/* What an entry held is released; the entry is none already. */
	void (*drop)(const struct object_home *home, struct pte pte);
};

/* Private anonymous memory in frames of the arena. Spec 1.3, 1.4, 2.5. */
extern const struct object_ops object_anon;

/* Private anonymous memory in the program's own mapping. */
extern const struct object_ops object_native;

#endif /* OBJECT_OBJECT_H */
