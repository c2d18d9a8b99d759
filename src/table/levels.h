/* SPDX-License-Identifier: MIT */
/*
 * The levels of a table, and the one walk through them.
 *
 * Private to table.
 */
#ifndef TABLE_LEVELS_H
#define TABLE_LEVELS_H

#include "table/table.h"

#define TABLE_ENTRIES 512u
#define TABLE_BITS 9
#define TABLE_ROOT_SHIFT 39
#define TABLE_LEAF_SHIFT PAGE_SHIFT
#define TABLE_LOCKS 64u
#define TABLE_VA_END ((va_t)1 << 48)

struct table {
	struct frame_arena *arena; /* [I] */
	struct pfn root;           /* [I] */
	_Atomic uint64_t *top;     /* [I] the root's entries */
	/* Many leaves share a lock, so two leaves' locks are never held. */
	struct lock locks[TABLE_LOCKS]; /* [a] by a leaf's number */
};

/* One leaf, or the hole where it would be. */
struct leaf {
	_Atomic uint64_t *entries; /* NULL: a level is missing */
	struct lock *lock;
	va_t end; /* where the leaf's, or the hole's, addresses end */
};

static inline unsigned table_index(va_t va, unsigned shift)
{
	return (unsigned)(va >> shift) & (TABLE_ENTRIES - 1);
}

/* The entries of a table page. Context: trap. */
_Atomic uint64_t *table_entries(const struct table *table, struct pfn pfn);

/* The leaf of `va`, nothing made on the way. Context: trap. */
struct leaf table_leaf(const struct table *table, va_t va);

#endif /* TABLE_LEVELS_H */
