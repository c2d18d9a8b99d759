/* SPDX-License-Identifier: MIT */
/*
 * Mapping private anonymous memory in the soft world.
 */
#include "space/vma.h"

#include "base/check.h"

#include <errno.h>

bool space_fix_range(struct range *r)
{
	if (!is_page_aligned(r->start) || r->end < r->start ||
	    r->end > TASK_BYTES)
		return false;
	r->end = page_up(r->end);
	return true;
}

/* Where the request goes when it names no fixed place. */
static int map_choose(struct space *space, struct range hint,
		      struct range *out)
{
	uint64_t len_bytes = range_bytes(hint);
	struct vma *vma;
	va_t at;
	int err;

	vma = space_find_vma(space, hint.start);
	if (hint.start && hint.end <= TASK_BYTES &&
	    (!vma || vma->range.start >= hint.end)) {
		*out = hint;
		return 0;
	}
	err = vma_tree_find_gap(space, len_bytes, &at);
	if (!err)
		*out = range_of(at, len_bytes);
	return err;
}

static int map_place(struct space *space, const struct space_map_request *req,
		     struct range want, struct range *out)
{
	struct vma *vma;

	if (!(req->flags & (SPACE_FIXED | SPACE_NOREPLACE)))
		return map_choose(space, want, out);
	if (want.end > TASK_BYTES)
		return -ENOMEM;
	vma = space_find_vma(space, want.start);
	if ((req->flags & SPACE_NOREPLACE) && vma &&
	    range_meets(vma->range, want))
		return -EEXIST;
	*out = want;
	return 0;
}

static int map_locked(struct space *space, const struct space_map_request *req,
		      struct range want, va_t *out)
{
	struct vma like = {
		.prot = req->prot,
		.kind = VMA_ANON,
		.may_write = true,
		.ops = &object_anon,
	};
	struct vma *vma;
	int err;

	err = map_place(space, req, want, &want);
	if (err)
		return err;
	*out = want.start;
	like.range = want;
	vma = vma_new(&like);
	if (!vma)
		return -ENOMEM;
	err = space_unmap_locked(space, want);
	if (err) {
		vma_free(vma);
		return err;
	}
	vma_tree_insert(space, vma);
	vma_merge(space, vma);
	return 0;
}

int64_t space_map(struct space *space, const struct space_map_request *req)
{
	bool is_fixed = req->flags & (SPACE_FIXED | SPACE_NOREPLACE);
	struct range want;
	va_t at = 0;
	int err;

	check(!space->home.mmu->is_native);
	if (req->len_bytes == 0 || (is_fixed && !is_page_aligned(req->at)))
		return -EINVAL;
	if (req->len_bytes > TASK_BYTES || req->at > TASK_BYTES)
		return -ENOMEM;
	want = range_of(page_down(req->at), page_up(req->len_bytes));

	space_begin(space);
	err = atomic_load(&space->is_dead) ? -ENOMEM : 0;
	if (!err)
		err = map_locked(space, req, want, &at);
	space_end(space);
	return err ? err : (int64_t)at;
}
