/* SPDX-License-Identifier: MIT */
/*
 * Every invariant of VMAs, tables, frames and counts, in one walk.
 *
 * With map_lock held for writing nobody fills and nobody faults, so counts
 * stand still; only frames held by a fill that fetches its source are extra.
 */
#include "space/vma.h"

#include "base/check.h"

struct inventory {
	struct space *space;
	uint64_t anon_pages;
};

static void check_vma(const struct space *space, const struct vma *vma)
{
	struct range r = vma->range;

	check(!range_is_empty(r));
	check(is_page_aligned(r.start) && is_page_aligned(r.end));
	check(r.end <= TASK_BYTES);
	check((vma->watch != NULL) == (vma->modes != 0));
	check(!vma->watch || space_is_watched(space, r));
	check(vma->ops || !vma->watch);
	check(space->home.mmu->is_native || !vma->is_surveyed);
}

static void check_vmas(struct space *space)
{
	struct vma *vma;
	va_t end = 0;

	for (vma = vma_tree_first(space); vma;
	     vma = space_next_vma(space, vma)) {
		check(vma->range.start >= end);
		check_vma(space, vma);
		end = vma->range.end;
	}
}

static void check_frame(struct space *space, struct pte pte)
{
	const struct frame *meta;

	meta = frame_meta(space->home.frames, pte_pfn(pte));
	check(atomic_load(&meta->refs) >= meta->mapcount);
	check(meta->mapcount >= 1);
	check(meta->flags & FRAME_UPTODATE);
	check(!(meta->flags & FRAME_TABLE));
	check(!(meta->flags & FRAME_EXCLUSIVE) || meta->mapcount == 1);
	check(meta->group == space->home.group);
	check(meta->lru != FRAME_LRU_NONE);
}

static void check_present(struct inventory *all, struct pte pte)
{
	bool is_writable = pte.bits & PTE_WRITABLE;

	check(!pte_is_marker(pte));
	check(!is_writable || !(pte.bits & PTE_WP));
	if (pte.bits & PTE_NATIVE)
		return;
	check(!is_writable || (pte.bits & PTE_DIRTY));
	if (pte.bits & PTE_ZERO) {
		check(!is_writable);
		check(pte_pfn(pte).n == FRAME_ZERO_PAGE.n);
		return;
	}
	check_frame(all->space, pte);
	all->anon_pages++;
}

static int check_entry(void *arg, const struct slot *slot, struct pte pte)
{
	struct inventory *all = arg;
	bool is_native = all->space->home.mmu->is_native;
	const struct vma *vma = space_find_vma(all->space, slot->va);

	check(vma && range_has(vma->range, slot->va) && vma->ops);
	check(!is_native || vma->watch);
	check(pte_is_present(pte) || pte_is_marker(pte));
	if (!pte_is_present(pte))
		return 0;
	check(is_native == !!(pte.bits & PTE_NATIVE));
	check(is_native || (vma->prot & ACCESS_WRITE) ||
	      !(pte.bits & PTE_WRITABLE));
	check_present(all, pte);
	return 0;
}

void space_check_locked(struct space *space)
{
	struct inventory all = { space, 0 };
	struct range everything = { 0, TASK_BYTES };
	struct frame_counts frames;

	check_vmas(space);
	if (table_each(space->table, everything, check_entry, &all))
		bug("check_entry never refuses");
	frames = frame_read_counts(space->home.frames);
	check(frames.used >= all.anon_pages);
	check(!space->home.anon_pages ||
	      atomic_load(space->home.anon_pages) == all.anon_pages);
}

void space_check(struct space *space)
{
	rwlock_write(&space->map_lock);
	space_check_locked(space);
	rwlock_write_drop(&space->map_lock);
}
