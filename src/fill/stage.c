/* SPDX-License-Identifier: MIT */
/*
 * The stages of a step: straight lines, each undone by its partner.
 */
#include "fill/page.h"

#include "base/check.h"

#include <errno.h>

int fill_hold(struct fill *fill)
{
	check(fill->step.held.n == 0);
	fill->step.held = frame_alloc(fill->space->home.frames, 0);
	return fill->step.held.n ? 0 : -ENOMEM;
}

void fill_unhold(struct fill *fill)
{
	if (fill->step.held.n == 0)
		return;
	frame_put(fill->space->home.frames, fill->step.held);
	fill->step.held = (struct pfn){ 0 };
}

/* Whether a page with this entry may be filled. */
static bool is_free(const struct fill *fill, struct pte pte)
{
	if (pte_is_none(pte))
		return true;
	return !pte_is_present(pte) && fill->source->overwrites_markers &&
	       fill->space->home.profile->markers_overwritten;
}

/* How many of the first `most` pages of the step are free. */
static uint64_t free_pages(const struct fill *fill, uint64_t most)
{
	struct slot slot;
	uint64_t n;

	for (n = 0; n < most; n++) {
		slot = slot_after(&fill->slot, n);
		if (!is_free(fill, table_read(&slot)))
			break;
	}
	return n;
}

/* As many pages as the kind does at once, within the request and a leaf. */
static uint64_t most_pages(const struct fill *fill)
{
	uint64_t left = (fill->req->dst.end - fill->at) >> PAGE_SHIFT;
	uint64_t most = fill->vma->ops->batch_pages;
	uint64_t in_leaf;

	in_leaf = (HUGE_BYTES - (fill->at & (HUGE_BYTES - 1))) >> PAGE_SHIFT;
	if (most > left)
		most = left;
	if (most > in_leaf)
		most = in_leaf;
	return fill->step.from == OBJECT_HELD ? 1 : most;
}

/*
 * The rule of kinds that hold the leaf. A page that is not free is refused
 * only after its source was found good, as where the bytes are copied before
 * the entry is looked at: a bad source is -EFAULT, a missing one is fetched.
 */
static int decide_free(struct fill *fill)
{
	uint64_t n = free_pages(fill, most_pages(fill));
	int err;

	if (n) {
		fill->step.dst.end = fill->at + (n << PAGE_SHIFT);
		return 0;
	}
	if (fill->step.from != OBJECT_USER)
		return -EEXIST;
	err = fill_hold(fill);
	return err ? err : -ENODATA;
}

static void decide_step(struct fill *fill)
{
	const struct vma *vma = fill->vma;
	struct object_step *step = &fill->step;

	step->dst.start = fill->at;
	step->dst.end = fill->at + (most_pages(fill) << PAGE_SHIFT);
	step->prot = vma->prot;
	step->is_locked = vma->is_locked;
	step->wants_wp = fill->req->wants_wp;
	step->is_awaited = fill->req->is_awaited;
}

int stage_decide(struct fill *fill)
{
	int err;

	err = fill->source->prepare(fill);
	if (err)
		return err;
	err = table_walk(fill->space->table, fill->at, true, &fill->slot);
	if (err)
		return err;

	decide_step(fill);
	if (!fill->vma->ops->holds_leaf)
		return 0;
	table_lock(&fill->slot);
	err = decide_free(fill);
	if (err)
		table_unlock(&fill->slot);
	return err;
}

void stage_undecide(struct fill *fill)
{
	if (fill->vma->ops->holds_leaf)
		table_unlock(&fill->slot);
}

int stage_reserve(struct fill *fill)
{
	return fill->vma->ops->reserve(&fill->step);
}

int stage_provide(struct fill *fill)
{
	const struct range *dst = &fill->step.dst;
	va_t end = dst->end;
	int err;

	err = fill->vma->ops->provide(&fill->step);
	check(err || (dst->end > dst->start && dst->end <= end));
	check(err != -ENODATA || fill->step.held.n != 0);
	check(!err || err == -ENODATA || fill->step.held.n == 0 ||
	      fill->step.from == OBJECT_HELD);
	return err;
}

static uint64_t step_pages(const struct fill *fill)
{
	return range_bytes(fill->step.dst) >> PAGE_SHIFT;
}

int stage_claim(struct fill *fill)
{
	if (fill->vma->ops->holds_leaf) {
		check_more(free_pages(fill, step_pages(fill)) ==
			   step_pages(fill));
		return 0;
	}
	table_lock(&fill->slot);
	if (free_pages(fill, 1) == 1)
		return 0;
	table_unlock(&fill->slot);
	return -EEXIST;
}

/* The entries' release stores come after all of the bytes. */
void stage_commit(struct fill *fill)
{
	const struct object_ops *ops = fill->vma->ops;
	uint64_t pages = step_pages(fill);
	struct slot slot;
	uint64_t i;

	for (i = 0; i < pages; i++) {
		slot = slot_after(&fill->slot, i);
		table_set(&slot, ops->commit(&fill->step, slot.va));
	}
	if (!ops->holds_leaf)
		table_unlock(&fill->slot);
	ops->finish(&fill->step);
}

void stage_unreserve(struct fill *fill)
{
	fill->vma->ops->unreserve(&fill->step);
}
