/* SPDX-License-Identifier: MIT */
/*
 * Making an arena, and the free list: numbers come and go here.
 */
#include "frame/arena.h"

#include "base/check.h"
#include "base/heap.h"
#include "base/mem.h"

#include <errno.h>

#define AHEAD_LEAST 16u

/* The mapping's length; 0 when there would be too many numbers. */
static size_t layout(uint64_t frames, size_t *meta_at, size_t *pages_at)
{
	if (frames > UINT32_MAX - FRAME_FIRST)
		return 0;
	frames += FRAME_FIRST;
	*meta_at = page_up(sizeof(struct frame_arena));
	*pages_at = *meta_at + page_up(frames * sizeof(struct frame));
	return *pages_at + (frames << PAGE_SHIFT);
}

int frame_arena_create(struct mmu *mmu, uint64_t bytes,
		       struct frame_arena **out)
{
	uint64_t frames = (bytes >> PAGE_SHIFT) + !is_page_aligned(bytes);
	size_t meta_at;
	size_t pages_at;
	size_t size = layout(frames, &meta_at, &pages_at);
	struct frame_arena *arena;
	void *base;
	int err;

	if (!size)
		return -ENOMEM;
	err = mmu->ops->arena(mmu, size, &base);
	if (err)
		return err;
	arena = base;
	arena->mmu = mmu;
	lock_init(&arena->lock, RANK_FRAME);
	arena->meta = (struct frame *)((char *)base + meta_at);
	arena->pages = (uint8_t *)base + pages_at;
	arena->end = (uint32_t)frames + FRAME_FIRST;
	arena->brk = FRAME_FIRST;
	arena->ready = FRAME_FIRST;
	arena->meta[FRAME_ZERO_PAGE.n].flags = FRAME_UPTODATE;
	*out = arena;
	return 0;
}

void frame_arena_destroy(struct frame_arena *arena)
{
	check(arena->used == 0);
	check(arena->tables == 0);
	check(arena->lru[FRAME_LRU_ACTIVE] == 0);
	check(arena->lru[FRAME_LRU_UNEVICTABLE] == 0);
	/* The memory is the mmu's. Whoever still uses it shall notice. */
	arena->end = 0;
}

/* The arena's count of what `flags` say the frame is. Locks: F held. */
static uint64_t *count_of(struct frame_arena *arena, unsigned flags)
{
	return flags & FRAME_TABLE ? &arena->tables : &arena->used;
}

/* How many pages from the brk on are populated at once. Locks: F held. */
static uint32_t ahead_pages(const struct frame_arena *arena)
{
	uintptr_t at = (uintptr_t)arena->pages +
		       ((uintptr_t)arena->brk << PAGE_SHIFT);
	uint32_t in_huge = (uint32_t)((HUGE_BYTES - (at & (HUGE_BYTES - 1))) >>
				      PAGE_SHIFT);
	uint32_t pages = arena->brk < AHEAD_LEAST ? AHEAD_LEAST : arena->brk;

	if (pages > in_huge)
		pages = in_huge;
	if (pages > arena->end - arena->brk)
		pages = arena->end - arena->brk;
	return pages;
}

/*
 * As many pages again as there are, so that a small space stays small, up to
 * the end of a huge page: a fault for each costs more than to fill it.
 *
 * Locks: F held.
 */
static void populate_ahead(struct frame_arena *arena)
{
	struct mmu *mmu = arena->mmu;
	uint32_t pages = ahead_pages(arena);

	arena->ready = arena->brk + pages;
	if (mmu->ops->populate)
		mmu->ops->populate(mmu, arena->pages + ((size_t)arena->brk
							<< PAGE_SHIFT),
				   (size_t)pages << PAGE_SHIFT);
}

/* Locks: F held. Returns: 0 when there is none. */
static uint32_t take_number(struct frame_arena *arena)
{
	uint32_t n = arena->free;

	if (n) {
		check(atomic_load(&arena->meta[n].refs) == 0);
		arena->free = arena->meta[n].next;
		return n;
	}
	if (arena->brk == arena->end)
		return 0;
	if (arena->brk == arena->ready)
		populate_ahead(arena);
	return arena->brk++;
}

struct pfn frame_alloc(struct frame_arena *arena, unsigned flags)
{
	struct pfn pfn = { 0 };
	struct frame *meta;
	bool is_fresh;

	if (heap_should_fail())
		return pfn;
	lock_take(&arena->lock);
	is_fresh = arena->free == 0;
	pfn.n = take_number(arena);
	if (pfn.n)
		++*count_of(arena, flags);
	lock_drop(&arena->lock);
	if (!pfn.n)
		return pfn;

	meta = frame_meta(arena, pfn);
	meta->flags = flags;
	if (flags & FRAME_TABLE && !is_fresh)
		mem_set(frame_bytes(arena, pfn), 0, PAGE_BYTES);
	atomic_store_explicit(&meta->refs, 1, memory_order_release);
	return pfn;
}

/* The last reference is gone: the frame pays back and its number is free. */
static void frame_free(struct frame_arena *arena, struct pfn pfn)
{
	struct frame *meta = frame_meta(arena, pfn);

	check(meta->mapcount == 0);
	charge_uncharge(meta->group, 1);
	meta->group = NULL;

	lock_take(&arena->lock);
	check(*count_of(arena, meta->flags) > 0);
	--*count_of(arena, meta->flags);
	if (meta->lru != FRAME_LRU_NONE)
		arena->lru[meta->lru]--;
	meta->lru = FRAME_LRU_NONE;
	meta->flags = 0;
	meta->next = arena->free;
	arena->free = pfn.n;
	lock_drop(&arena->lock);
}

void frame_put(struct frame_arena *arena, struct pfn pfn)
{
	uint32_t before;

	if (pfn.n == FRAME_ZERO_PAGE.n)
		return;
	before = atomic_fetch_sub_explicit(&frame_meta(arena, pfn)->refs, 1,
					   memory_order_acq_rel);
	check(before != 0);
	if (before == 1)
		frame_free(arena, pfn);
}
