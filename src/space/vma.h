/* SPDX-License-Identifier: MIT */
/*
 * What the verbs of this room share: making, cutting, joining and emptying
 * VMAs. Every function wants map_lock held for writing unless it says less.
 */
#ifndef SPACE_VMA_H
#define SPACE_VMA_H

#include "space/space.h"

/* ---- the tree (vma_tree.c) ---- */

/* The VMA is in the tree; it meets no other (check). */
void vma_tree_insert(struct space *space, struct vma *vma);
/* The VMA is no longer in the tree. */
void vma_tree_remove(struct space *space, struct vma *vma);
/* The VMA before this one in address order; NULL: none. Locks: read. */
struct vma *vma_tree_prev(struct space *space, struct vma *vma);
/* The lowest / highest VMA; NULL: none. Locks: map_lock held. */
struct vma *vma_tree_first(struct space *space);
struct vma *vma_tree_last(struct space *space);

/*
 * The highest address at which `len_bytes` are free.
 *
 * Returns: 0 and *out; -ENOMEM.
 */
int vma_tree_find_gap(struct space *space, uint64_t len_bytes,
		      va_t *out) must_check;

/* ---- one VMA (vma.c) ---- */

/*
 * Whether an access is allowed. As on x86-64, whatever may be written or
 * executed may be read. Locks: map_lock held. Context: trap.
 */
bool vma_permits(const struct vma *vma, unsigned access);

/* A VMA like `like`, not in the tree. Returns: NULL: no memory. */
struct vma *vma_new(const struct vma *like) must_check;
void vma_free(struct vma *vma);

/* Joined with like neighbours. Returns: the VMA it is now part of. */
struct vma *vma_merge(struct space *space, struct vma *vma);

/*
 * The VMA is out of the tree and freed, whatever its watch; its entries are
 * none already.
 */
void vma_remove(struct space *space, struct vma *vma);

/* space->watched tells of the range as well. */
void vma_hint_watched(struct space *space, struct range r);
/* Not any more; what VMAs in the tree watch stays told of. */
void vma_unhint_watched(struct space *space, struct range r);

/* ---- entries of a range (vma.c) ---- */

/*
 * Entries of the range, which lies in the VMA, are none and what they held is
 * released; guard markers stay when `keep_guards`.
 */
void vma_zap(struct space *space, struct vma *vma, struct range r,
	     bool keep_guards);

/* The given bits are clear in every present entry of the range. */
void vma_clear_bits(struct space *space, struct range r, uint64_t bits);

/* ---- the rest ---- */

/*
 * Whether [r.start, r.end) is page-aligned at the start, ordered, and ends in
 * user space; the end is rounded up to a page. Locks: none.
 */
bool space_fix_range(struct range *r) must_check;

/* Every invariant holds, or bug() (validate.c). Locks: map_lock held. */
void space_check_locked(struct space *space);

#endif /* SPACE_VMA_H */
