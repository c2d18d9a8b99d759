/* SPDX-License-Identifier: MIT */
/*
 * The parent: all of the engine's branching.
 */
#include "fill/fill.h"

#include "base/check.h"
#include "fill/page.h"

#include <errno.h>

static const struct fill_source *const sources[] = {
	[FILL_COPY] = &fill_source_copy,
	[FILL_ZERO] = &fill_source_zero,
};

/* ---- one step ---- */

static int step_after_decide(struct fill *fill)
{
	int err;

	err = stage_reserve(fill);
	if (err)
		return err;

	err = stage_provide(fill);
	if (err)
		return err;

	err = stage_claim(fill);
	if (err) {
		stage_unreserve(fill);
		return err;
	}

	stage_commit(fill);
	return 0;
}

static int fill_step(struct fill *fill)
{
	int err;

	err = stage_decide(fill);
	if (err)
		return err;
	err = step_after_decide(fill);
	stage_undecide(fill);
	if (err)
		return err;

	/* A kind that copied out of the held page leaves it to us. */
	fill_unhold(fill);
	fill->at = fill->step.dst.end;
	return 0;
}

/* ---- one pass ---- */

/* Until the gate is dropped nobody begins to change the address space. */
static int pass_gate(struct fill *fill)
{
	struct watch_gate *gate = fill->req->gate;

	if (!gate)
		return 0;
	fill->gate_reader = rwlock_read(&gate->lock);
	fill->has_gate = true;
	return atomic_load(&gate->changing) ? -EAGAIN : 0;
}

/* The whole range as asked for, also when it is filled in part already. */
static int pass_find(struct fill *fill)
{
	struct range dst = fill->req->dst;

	fill->vma = space_find_vma(fill->space, dst.start);
	if (!fill->vma || !range_covers(fill->vma->range, dst) ||
	    !fill->vma->watch)
		return -ENOENT;
	return 0;
}

static int pass_judge(const struct fill *fill)
{
	struct vma *vma = fill->vma;

	if (fill->req->wants_wp && !(vma->modes & WATCH_WP))
		return -EINVAL;
	if (!vma->ops)
		return -EINVAL;
	if (vma_never_traps(vma))
		return -EEXIST;
	vma_anchor(vma);
	check(vma->ops->holds_leaf || vma->ops->batch_pages == 1);
	return 0;
}

/* Takes the locks of a pass. pass_end() drops them, whatever the result. */
static int pass_begin(struct fill *fill)
{
	bool is_late = fill->space->home.profile->lookup_before_changing;
	int err = 0;

	fill->map_reader = rwlock_read(&fill->space->map_lock);
	if (!is_late)
		err = pass_gate(fill);
	if (!err)
		err = pass_find(fill);
	if (!err && is_late)
		err = pass_gate(fill);
	if (!err)
		err = pass_judge(fill);
	return err;
}

static void pass_end(struct fill *fill)
{
	if (fill->has_gate)
		rwlock_read_drop(&fill->req->gate->lock, fill->gate_reader);
	fill->has_gate = false;
	fill->vma = NULL;
	rwlock_read_drop(&fill->space->map_lock, fill->map_reader);
}

/* A fatal signal counts only between pages, after progress. */
static bool is_killed(const struct fill *fill)
{
	return fill->req->is_killed && fill->req->is_killed();
}

static int fill_pass(struct fill *fill)
{
	int err;

	err = pass_begin(fill);
	while (!err && fill->at < fill->req->dst.end) {
		err = fill_step(fill);
		if (!err && is_killed(fill))
			err = -EINTR;
	}
	pass_end(fill);
	return err;
}

/* ---- the fill ---- */

static int fill_all(struct fill *fill)
{
	int err;

	for (;;) {
		err = fill_pass(fill);
		if (err != -ENODATA)
			return err;
		err = fill->source->fetch(fill);
		if (err)
			return err;
	}
}

static void check_request(const struct fill_request *req)
{
	check(!range_is_empty(req->dst));
	check(is_page_aligned(req->dst.start) && is_page_aligned(req->dst.end));
	check((size_t)req->kind < array_len(sources));
	check(!req->wants_wp || req->kind == FILL_COPY);
	check(req->kind != FILL_COPY || req->bytes ||
	      req->src + range_bytes(req->dst) > req->src);
}

/* Member by member: the slot and the rest of a pass need no value yet. */
static void fill_init(struct fill *fill, struct space *space,
		      const struct fill_request *req)
{
	fill->space = space;
	fill->req = req;
	fill->source = sources[req->kind];
	fill->at = req->dst.start;
	fill->vma = NULL;
	fill->has_gate = false;
	fill->step = (struct object_step){ .home = &space->home };
}

int64_t fill_run(struct space *space, const struct fill_request *req)
{
	struct fill fill;
	int err;

	check_request(req);
	fill_init(&fill, space, req);
	err = fill_all(&fill);
	fill_unhold(&fill);

	/* A short fill reports its progress; the cause is met again on retry. */
	if (fill.at > req->dst.start)
		return (int64_t)(fill.at - req->dst.start);
	check(err < 0);
	return err;
}
