/* SPDX-License-Identifier: MIT */
/*
 * Physical pages: identity, reference count, owner.
 *
 * A frame is a numbered page of an arena. Numbers, not pointers, are what
 * tables hold, so that an arena can be shared between processes. Number 0 is
 * never handed out; number 1 is the zero page, never written, never freed.
 * Table pages come from the same arena (FRAME_TABLE).
 *
 *   arena:  |0|Z|f f f T f . . . . . .|   metadata: struct frame per number
 */
#ifndef FRAME_FRAME_H
#define FRAME_FRAME_H

#include "base/types.h"
#include "charge/charge.h"
#include "mmu/mmu.h"

#define FRAME_ZERO_PAGE ((struct pfn){ 1 })

enum frame_flag {
	FRAME_TABLE = 1u << 0,    /* holds page-table entries */
	FRAME_UPTODATE = 1u << 1, /* content complete */
	FRAME_DIRTY = 1u << 2,
	FRAME_ANON = 1u << 3,
	FRAME_EXCLUSIVE = 1u << 4, /* one owner: no copy-on-write needed */
};

enum frame_lru { FRAME_LRU_NONE, FRAME_LRU_ACTIVE, FRAME_LRU_UNEVICTABLE };

struct frame {
	_Atomic uint32_t refs;      /* [a] 0: on the free list */
	uint32_t flags;             /* [owner, or table lock once mapped] */
	uint32_t mapcount;          /* [table lock] entries that map it */
	uint32_t lru;               /* [F] enum frame_lru */
	struct charge_group *group; /* [owner] who pays; NULL: nobody */
	uint32_t next;              /* [F] next free frame */
};

struct frame_arena;

struct frame_counts {
	uint64_t total;       /* frames the arena can hold */
	uint64_t used;        /* handed out, zero page and tables excluded */
	uint64_t tables;
	uint64_t active;      /* LRU list lengths */
	uint64_t unevictable;
};

/*
 * An arena of at most `bytes` (rounded up to pages), in the mmu's memory.
 *
 * Returns: 0 and *out; -ENOMEM.
 */
int frame_arena_create(struct mmu *mmu, uint64_t bytes,
		       struct frame_arena **out) must_check;

/* The arena is gone; no frame may be in use (check). */
void frame_arena_destroy(struct frame_arena *arena);

/*
 * A frame with one reference, zeroed when `flags` has FRAME_TABLE, else with
 * undefined content; not charged.
 *
 * Locks:   takes the arena's lock inside.
 * Context: trap.
 * Returns: number 0 when the arena is full or told to fail.
 */
struct pfn frame_alloc(struct frame_arena *arena, unsigned flags) must_check;

/* One reference more / less; the last one frees and uncharges. */
void frame_get(struct frame_arena *arena, struct pfn pfn);
void frame_put(struct frame_arena *arena, struct pfn pfn);

/* The frame's bytes / its metadata. Context: trap. */
void *frame_bytes(struct frame_arena *arena, struct pfn pfn);
struct frame *frame_meta(struct frame_arena *arena, struct pfn pfn);

/* The frame is on that LRU list (counted lists). Context: trap. */
void frame_set_lru(struct frame_arena *arena, struct pfn pfn,
		   enum frame_lru lru);

/*
 * The counts of one moment.
 *
 * Locks: takes the arena's lock inside.
 */
struct frame_counts frame_read_counts(struct frame_arena *arena);

#endif /* FRAME_FRAME_H */
