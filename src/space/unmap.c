/* SPDX-License-Identifier: MIT */
/*
 * Unmapping: both ends are cut first, since only that can be refused.
 */
#include "space/vma.h"

#include "base/check.h"

#include <errno.h>

int space_unmap_locked(struct space *space, struct range r)
{
	struct mmu *mmu = space->home.mmu;
	struct vma *next;
	struct vma *vma;
	int err;

	err = space_cut(space, r);
	if (err)
		return err;
	vma = space_find_vma(space, r.start);
	while (vma && vma->range.start < r.end) {
		check(range_covers(r, vma->range));
		next = space_next_vma(space, vma);
		vma_zap(space, vma, vma->range, false);
		if (mmu->is_native && vma->watch)
			mmu->ops->forget(mmu, vma->range);
		vma_remove(space, vma);
		vma = next;
	}
	return 0;
}

int space_unmap(struct space *space, struct range r)
{
	int err;

	if (!space_fix_range(&r) || range_is_empty(r))
		return -EINVAL;
	space_begin(space);
	err = space_unmap_locked(space, r);
	space_end(space);
	return err;
}
