/* SPDX-License-Identifier: MIT */
/*
 * Private anonymous memory in frames of the arena.
 *
 * A page is a frame of its own, charged to the home's group, owned by one
 * entry; or the zero page, which costs nothing and belongs to nobody. The
 * charge is tried last, when the bytes are complete: a step that must fetch
 * its source first holds a frame but has not yet asked anybody to pay.
 */
#include "object/object.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>

static const struct pfn no_frame;

static bool is_zero_page(struct pfn pfn)
{
	return pfn.n == FRAME_ZERO_PAGE.n;
}

static struct pte zero_page_entry(void)
{
	return pte_of(FRAME_ZERO_PAGE, PTE_PRESENT | PTE_ZERO | PTE_ACCESSED);
}

/* From here on the frame is somebody's memory: paid for, counted, listed. */
static void anon_own(const struct object_home *home, struct pfn pfn,
		     bool is_locked)
{
	struct frame *meta = frame_meta(home->frames, pfn);

	check(meta->mapcount == 0 && meta->group == NULL);
	charge_commit(home->group, 1);
	meta->group = home->group;
	meta->flags |= FRAME_ANON | FRAME_EXCLUSIVE | FRAME_UPTODATE;
	meta->mapcount = 1;
	frame_set_lru(home->frames, pfn,
		      is_locked ? FRAME_LRU_UNEVICTABLE : FRAME_LRU_ACTIVE);
	if (home->anon_pages)
		atomic_fetch_add_explicit(home->anon_pages, 1,
					  memory_order_relaxed);
}

static int anon_reserve(struct object_step *step)
{
	switch (step->from) {
	case OBJECT_ZERO:
		step->frame = FRAME_ZERO_PAGE;
		return 0;
	case OBJECT_HELD:
		check(step->held.n != 0);
		step->frame = step->held;
		step->held = no_frame;
		return 0;
	case OBJECT_USER:
		step->frame = frame_alloc(step->home->frames, FRAME_ANON);
		return step->frame.n ? 0 : -ENOMEM;
	}
	bug("a step has a source");
}

static void anon_forget_frame(struct object_step *step)
{
	frame_put(step->home->frames, step->frame);
	step->frame = no_frame;
}

static int anon_provide(struct object_step *step)
{
	const struct object_home *home = step->home;
	void *bytes;
	int err;

	check(range_bytes(step->dst) == PAGE_BYTES);
	if (is_zero_page(step->frame))
		return 0;

	if (step->from == OBJECT_USER) {
		bytes = frame_bytes(home->frames, step->frame);
		if (step->read(step->read_arg, bytes, step->src, PAGE_BYTES) <
		    PAGE_BYTES) {
			step->held = step->frame;
			step->frame = no_frame;
			return -ENODATA;
		}
	}

	err = charge_try(home->group, 1);
	if (err)
		anon_forget_frame(step);
	return err;
}

/*
 * A page that may be written is dirty from the start, so that no write can be
 * missed. One that may not is dirty only where the profile says so.
 */
static uint64_t anon_entry_flags(const struct object_step *step)
{
	uint64_t flags = PTE_PRESENT | PTE_ACCESSED;
	bool may_write = step->prot & ACCESS_WRITE;

	if (may_write || step->home->profile->always_dirty)
		flags |= PTE_DIRTY;
	if (step->wants_wp)
		return flags | PTE_WP;
	return may_write ? flags | PTE_WRITABLE : flags;
}

static struct pte anon_commit(struct object_step *step, va_t va)
{
	struct pfn pfn = step->frame;

	check(va == step->dst.start && pfn.n != 0);
	step->frame = no_frame;
	if (is_zero_page(pfn))
		return zero_page_entry();

	anon_own(step->home, pfn, step->is_locked);
	return pte_of(pfn, anon_entry_flags(step));
}

/* A frame needs nothing more once its entry is set. */
static void anon_finish(struct object_step *step)
{
	check(step->frame.n == 0 && step->held.n == 0);
}

static void anon_unreserve(struct object_step *step)
{
	if (is_zero_page(step->frame)) {
		step->frame = no_frame;
		return;
	}
	charge_cancel(step->home->group, 1);
	anon_forget_frame(step);
}

/* A frame and its charge, both still pending. */
static int anon_take(const struct object_home *home, struct pfn *out)
{
	int err;

	*out = frame_alloc(home->frames, FRAME_ANON);
	if (out->n == 0)
		return -ENOMEM;
	err = charge_try(home->group, 1);
	if (err)
		frame_put(home->frames, *out);
	return err;
}

static int anon_demand(const struct object_home *home, bool is_write,
		       unsigned prot, struct pte *out)
{
	struct pfn pfn;
	int err;

	if (!is_write) {
		*out = zero_page_entry();
		return 0;
	}
	check(prot & ACCESS_WRITE);
	err = anon_take(home, &pfn);
	if (err)
		return err;
	mem_set(frame_bytes(home->frames, pfn), 0, PAGE_BYTES);
	anon_own(home, pfn, false);
	*out = pte_of(pfn, PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY |
				   PTE_WRITABLE);
	return 0;
}

/* Whether the entry's frame has no other user than this entry. */
static bool anon_is_exclusive(const struct object_home *home, struct pte pte)
{
	return !(pte.bits & PTE_ZERO) &&
	       (frame_meta(home->frames, pte_pfn(pte))->flags &
		FRAME_EXCLUSIVE);
}

static int anon_unshare(const struct object_home *home, struct pte old,
			struct pte *out)
{
	uint64_t flags = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | PTE_WRITABLE;
	struct pfn pfn;
	int err;

	check(pte_is_present(old));
	if (anon_is_exclusive(home, old)) {
		*out = pte_of(pte_pfn(old), flags);
		return 0;
	}
	err = anon_take(home, &pfn);
	if (err)
		return err;
	mem_copy(frame_bytes(home->frames, pfn),
		 frame_bytes(home->frames, pte_pfn(old)), PAGE_BYTES);
	anon_own(home, pfn, false);
	*out = pte_of(pfn, flags);
	return 0;
}

static void anon_drop(const struct object_home *home, struct pte pte)
{
	struct pfn pfn = pte_pfn(pte);
	struct frame *meta;

	if (!pte_is_present(pte) || is_zero_page(pfn))
		return;
	meta = frame_meta(home->frames, pfn);
	check(meta->mapcount > 0);
	meta->mapcount--;
	if (meta->mapcount == 0)
		frame_set_lru(home->frames, pfn, FRAME_LRU_NONE);
	if (home->anon_pages)
		atomic_fetch_sub_explicit(home->anon_pages, 1,
					  memory_order_relaxed);
	frame_put(home->frames, pfn);
}

const struct object_ops object_anon = {
	.name = "anon",
	.batch_pages = 1,
	.holds_leaf = false,
	.reserve = anon_reserve,
	.provide = anon_provide,
	.commit = anon_commit,
	.finish = anon_finish,
	.unreserve = anon_unreserve,
	.demand = anon_demand,
	.unshare = anon_unshare,
	.drop = anon_drop,
};
