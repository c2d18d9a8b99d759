/* SPDX-License-Identifier: MIT */
/*
 * Page tables: four levels of 512 entries, the one walk, the one writer.
 *
 *   va:  | 9 bits | 9 bits | 9 bits | 9 bits | 12 bits |
 *          root     level 3  level 2  leaf     offset
 *
 * Table pages are frames; upper entries hold their numbers. An entry of a
 * leaf is one 64-bit word, exactly one of none, present, marker:
 *
 *   none     0
 *   present  P=1 | pfn in bits 12..43, or N=1 (native: the bytes are in the
 *            program's own mapping) | W writable, D dirty, A accessed,
 *            U write-protected by userfaultfd, Z the zero page
 *   marker   P=0, M=1 | which: wp, poison, guard
 *
 * Reading an entry is one atomic load and needs no lock; writing one needs
 * the lock of its leaf.
 */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

#include "base/sync.h"
#include "base/types.h"
#include "frame/frame.h"

struct pte {
	uint64_t bits;
};

#define PTE_PRESENT (1ull << 0)
#define PTE_WRITABLE (1ull << 1)
#define PTE_DIRTY (1ull << 2)
#define PTE_ACCESSED (1ull << 3)
#define PTE_WP (1ull << 4)
#define PTE_ZERO (1ull << 5)
#define PTE_NATIVE (1ull << 6)
#define PTE_MARKER (1ull << 7)
#define PTE_MARKER_WP (PTE_MARKER | 1ull << 8)
#define PTE_MARKER_POISON (PTE_MARKER | 1ull << 9)
#define PTE_MARKER_GUARD (PTE_MARKER | 1ull << 10)
#define PTE_PFN_SHIFT 12

static inline bool pte_is_none(struct pte pte)
{
	return pte.bits == 0;
}

static inline bool pte_is_present(struct pte pte)
{
	return pte.bits & PTE_PRESENT;
}

static inline bool pte_is_marker(struct pte pte)
{
	return pte.bits & PTE_MARKER;
}

/* Whether it is the given marker, e.g. PTE_MARKER_POISON. */
static inline bool pte_has(struct pte pte, uint64_t marker)
{
	return (pte.bits & marker) == marker;
}

static inline struct pfn pte_pfn(struct pte pte)
{
	return (struct pfn){ (uint32_t)(pte.bits >> PTE_PFN_SHIFT) };
}

static inline struct pte pte_of(struct pfn pfn, uint64_t flags)
{
	return (struct pte){ (uint64_t)pfn.n << PTE_PFN_SHIFT | flags };
}

struct table;

/* One leaf entry, found by table_walk(). */
struct slot {
	va_t va;
	_Atomic uint64_t *entry; /* NULL: a level is missing */
	struct lock *lock;       /* of the leaf */
};

/* An empty table in the arena. Returns: 0 and *out; -ENOMEM. */
int table_create(struct frame_arena *arena, struct table **out) must_check;

/* All table pages are freed; every entry must be none (check). */
void table_destroy(struct table *table);

/*
 * The slot of `va`; with `alloc`, missing levels are made on the way.
 *
 * Locks:   none needed: levels are only ever added (compare-and-swap), until
 *          table_destroy().
 * Context: trap.
 * Returns: 0 and *out (entry NULL when a level is missing and !alloc);
 *          -ENOMEM.
 */
int table_walk(struct table *table, va_t va, bool alloc,
	       struct slot *out) must_check;

/* The slot `pages` further on, which is in the same leaf. Context: trap. */
static inline struct slot slot_after(const struct slot *slot, uint64_t pages)
{
	return (struct slot){ .va = slot->va + (pages << PAGE_SHIFT),
			      .entry = slot->entry + pages,
			      .lock = slot->lock };
}

/* The entry as it is now; none when a level is missing. Context: trap. */
struct pte table_read(const struct slot *slot);

/* Takes / drops the leaf's lock. Context: trap. */
void table_lock(const struct slot *slot);
void table_unlock(const struct slot *slot);

/*
 * The entry is `pte`, and whatever was written before is visible to whoever
 * reads it so.
 *
 * Locks:   the slot's lock is held.
 * Orders:  earlier stores before the entry (release).
 */
void table_set(const struct slot *slot, struct pte pte);

/*
 * `fn` was called for every entry of the range that is not none, rising, with
 * the leaf's lock held. Missing levels are skipped whole. fn may set the
 * entry; it must not take another leaf's lock.
 *
 * Returns: 0, or the first non-zero that fn returned.
 */
typedef int (*table_visit_fn)(void *arg, const struct slot *slot,
			      struct pte pte);
int table_each(struct table *table, struct range r, table_visit_fn fn,
	       void *arg);

/*
 * Length in bytes of the run of pages at r.start, at most to r.end, whose
 * entries are all none (is_none) or all not none.
 *
 * Context: trap. Reads without locks.
 */
uint64_t table_run(struct table *table, struct range r, bool is_none);

#endif /* TABLE_TABLE_H */
