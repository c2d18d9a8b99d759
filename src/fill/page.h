/* SPDX-License-Identifier: MIT */
/*
 * Private to the fill engine: the state of one fill, its stages, its sources.
 *
 *   pass   lock the space, find and judge the VMA, then step after step
 *   step   decide -> reserve -> provide -> claim -> commit
 *
 * A copy has two phases. In the first the source is read under the locks with
 * faults refused. If that comes up short, the pass ends with -ENODATA: every
 * lock is dropped, the page that came up short is fetched into a held page
 * with faults allowed, and a new pass decides everything again.
 */
#ifndef FILL_PAGE_H
#define FILL_PAGE_H

#include "fill/fill.h"

struct fill;

/* Where the bytes come from. */
struct fill_source {
	const char *name;
	/* Markers are written over, where the profile has it so. */
	bool overwrites_markers;

	/*
	 * step.from and what belongs to it is set, for the page at fill->at.
	 * Locks:   as in a step.
	 * Returns: 0; -ENOMEM.
	 */
	int (*prepare)(struct fill *fill);

	/*
	 * The bytes of the page at fill->at are in step.held.
	 * Locks:   none held; faults are allowed.
	 * Returns: 0; -EFAULT: the source is bad.
	 */
	int (*fetch)(struct fill *fill);
};

extern const struct fill_source fill_source_copy;
extern const struct fill_source fill_source_zero;

/* [I] immutable, [t] the filling thread's own */
struct fill {
	struct space *space;              /* [I] */
	const struct fill_request *req;   /* [I] */
	const struct fill_source *source; /* [I] */
	va_t at;                          /* [t] first byte not yet filled */

	/* Of a pass. */
	struct vma *vma;      /* [t] what covers req->dst */
	unsigned map_reader;  /* [t] map_lock, held for reading */
	unsigned gate_reader; /* [t] the gate, held for reading if has_gate */
	bool has_gate;        /* [t] */

	/* Of a step. */
	struct slot slot;        /* [t] of the page at `at` */
	struct object_step step; /* [t] */
};

/*
 * The stages, in order; each is entered with what the one before it left.
 *
 * decide:    the entry's table exists; the step's pages are chosen; the leaf
 *            is locked where the kind holds it.
 *            Returns: 0; -EEXIST, -ENOMEM; -ENODATA: fetch first.
 * reserve:   what the kind needs is taken.  Returns: 0; -ENOMEM.
 * provide:   the bytes are complete, unseen. step.dst may be shorter.
 *            Returns: 0; -ENODATA, -ENOMEM, -ENOENT; then nothing is kept.
 * claim:     the leaf is locked and the entries still are free.
 *            Returns: 0; -EEXIST; then the leaf is not locked by claim.
 * commit:    the entries are published; cannot fail.
 * unreserve: what reserve and provide took is given back.
 * undecide:  the leaf is unlocked where decide locked it.
 *
 * Locks: map_lock and the gate held for reading; the leaf's as said.
 */
int stage_decide(struct fill *fill) must_check;
int stage_reserve(struct fill *fill) must_check;
int stage_provide(struct fill *fill) must_check;
int stage_claim(struct fill *fill) must_check;
void stage_commit(struct fill *fill);
void stage_unreserve(struct fill *fill);
void stage_undecide(struct fill *fill);

/*
 * step.held is a page of nobody's yet / is none.
 *
 * Returns: 0; -ENOMEM.
 */
int fill_hold(struct fill *fill) must_check;
void fill_unhold(struct fill *fill);

#endif /* FILL_PAGE_H */
