/* SPDX-License-Identifier: MIT */
/*
 * What is asked of one frame: its bytes, its metadata, its references.
 */
#include "frame/frame.h"

#include "base/check.h"
#include "frame/arena.h"

void frame_get(struct frame_arena *arena, struct pfn pfn)
{
	uint32_t before;

	if (pfn.n == FRAME_ZERO_PAGE.n)
		return;
	before = atomic_fetch_add_explicit(&frame_meta(arena, pfn)->refs, 1,
					   memory_order_relaxed);
	check(before != 0 && before != UINT32_MAX);
}

void *frame_bytes(struct frame_arena *arena, struct pfn pfn)
{
	check(pfn.n != 0 && pfn.n < arena->end);
	return arena->pages + ((size_t)pfn.n << PAGE_SHIFT);
}

struct frame *frame_meta(struct frame_arena *arena, struct pfn pfn)
{
	check(pfn.n != 0 && pfn.n < arena->end);
	return &arena->meta[pfn.n];
}

void frame_set_lru(struct frame_arena *arena, struct pfn pfn,
		   enum frame_lru lru)
{
	struct frame *meta = frame_meta(arena, pfn);

	check(pfn.n != FRAME_ZERO_PAGE.n);
	lock_take(&arena->lock);
	if (meta->lru != FRAME_LRU_NONE) {
		check(arena->lru[meta->lru] > 0);
		arena->lru[meta->lru]--;
	}
	meta->lru = lru;
	if (lru != FRAME_LRU_NONE)
		arena->lru[lru]++;
	lock_drop(&arena->lock);
}

struct frame_counts frame_read_counts(struct frame_arena *arena)
{
	struct frame_counts counts;

	lock_take(&arena->lock);
	counts = (struct frame_counts){
		.total = arena->end - FRAME_FIRST,
		.used = arena->used,
		.tables = arena->tables,
		.active = arena->lru[FRAME_LRU_ACTIVE],
		.unevictable = arena->lru[FRAME_LRU_UNEVICTABLE],
	};
	lock_drop(&arena->lock);
	return counts;
}
