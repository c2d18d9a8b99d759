/* SPDX-License-Identifier: MIT */
/*
 * The tree of VMAs: find, iterate, search a gap.
 *
 * Ordered by start; as VMAs do not meet, they are ordered by end too, which
 * is what the search by end relies on.
 */
#include "space/vma.h"

#include "base/check.h"

#include <errno.h>

static int vma_compare(const struct vma *a, const struct vma *b)
{
	if (a->range.start == b->range.start)
		return 0;
	return a->range.start < b->range.start ? -1 : 1;
}

/* All of the family, of which find is not needed. */
RB_GENERATE_INTERNAL(vma_tree, vma, node, vma_compare,
		     __attribute__((unused)) static)

struct vma *space_find_vma(struct space *space, va_t va)
{
	struct vma *vma = RB_ROOT(&space->vmas);
	struct vma *best = NULL;

	while (vma) {
		if (vma->range.end > va) {
			best = vma;
			vma = RB_LEFT(vma, node);
		} else {
			vma = RB_RIGHT(vma, node);
		}
	}
	return best;
}

struct vma *space_next_vma(struct space *space, struct vma *vma)
{
	(void)space;
	return RB_NEXT(vma_tree, &space->vmas, vma);
}

struct vma *vma_tree_prev(struct space *space, struct vma *vma)
{
	(void)space;
	return RB_PREV(vma_tree, &space->vmas, vma);
}

struct vma *vma_tree_first(struct space *space)
{
	return RB_MIN(vma_tree, &space->vmas);
}

struct vma *vma_tree_last(struct space *space)
{
	return RB_MAX(vma_tree, &space->vmas);
}

void vma_tree_insert(struct space *space, struct vma *vma)
{
	struct vma *after = space_find_vma(space, vma->range.start);

	check(!range_is_empty(vma->range));
	check(!after || after->range.start >= vma->range.end);
	if (RB_INSERT(vma_tree, &space->vmas, vma))
		bug("two VMAs at one address");
}

void vma_tree_remove(struct space *space, struct vma *vma)
{
	RB_REMOVE(vma_tree, &space->vmas, vma);
}

/* Where a process has its stack: only who asks for it gets it. */
#define TOP_ROOM_BYTES ((uint64_t)128 << 20)

int vma_tree_find_gap(struct space *space, uint64_t len_bytes, va_t *out)
{
	struct vma *vma = vma_tree_last(space);
	va_t top = TASK_BYTES - TOP_ROOM_BYTES;

	while (vma && (vma->range.end > top ||
		       top - vma->range.end < len_bytes)) {
		if (vma->range.start < top)
			top = vma->range.start;
		vma = vma_tree_prev(space, vma);
	}
	/* The first page stays free, so that NULL is never valid. */
	if (!vma && top < len_bytes + PAGE_BYTES)
		return -ENOMEM;
	*out = top - len_bytes;
	return 0;
}
