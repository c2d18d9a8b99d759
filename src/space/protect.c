/* SPDX-License-Identifier: MIT */
/*
 * Changing the protection of a range, VMA by VMA; as with mprotect, the VMAs
 * before the first refusal stay changed.
 */
#include "space/vma.h"

#include "base/check.h"

#include <errno.h>

/*
 * Entries lose the right to be written and get it back at the next write,
 * when it is known whether the frame is shared. Translations go in any case:
 * they remember what the VMA permitted.
 */
static int protect_soft(struct space *space, struct vma *vma, unsigned prot)
{
	vma_clear_bits(space, vma->range,
		       (prot & ACCESS_WRITE) ? 0 : PTE_WRITABLE);
	return 0;
}

/* Each run of present pages; the missing ones keep what makes them trap. */
static int protect_runs(struct space *space, struct range r, unsigned prot)
{
	struct mmu *mmu = space->home.mmu;
	uint64_t run_bytes;
	int err;

	while (!range_is_empty(r)) {
		r.start += table_run(space->table, r, true);
		if (range_is_empty(r))
			return 0;
		run_bytes = table_run(space->table, r, false);
		err = mmu->ops->protect(mmu, range_of(r.start, run_bytes),
					prot);
		if (err)
			return err;
		r.start += run_bytes;
	}
	return 0;
}

static int protect_native(struct space *space, struct vma *vma, unsigned prot)
{
	struct mmu *mmu = space->home.mmu;
	int err;

	if (mmu->protect_keeps_missing)
		err = mmu->ops->protect(mmu, vma->range, prot);
	else
		err = protect_runs(space, vma->range, prot);
	if (!err && !(prot & ACCESS_WRITE))
		vma_clear_bits(space, vma->range, PTE_WRITABLE);
	return err;
}

/* One VMA, clipped. *vma is the VMA it is part of afterwards. */
static int protect_vma(struct space *space, struct vma **vma, unsigned prot)
{
	int err = 0;

	/* Real memory may have been changed without our knowledge. */
	if (space->home.mmu->is_native)
		err = protect_native(space, *vma, prot);
	else if ((*vma)->prot != prot)
		err = protect_soft(space, *vma, prot);
	if (!err)
		(*vma)->prot = prot;
	*vma = vma_merge(space, *vma);
	return err;
}

int space_protect_locked(struct space *space, struct range r, unsigned prot)
{
	bool sees_holes = !space->home.mmu->is_native;
	struct vma *vma;
	va_t at = r.start;
	int err;

	space_each_vma(space, r, vma) {
		if (sees_holes && vma->range.start > at)
			return -ENOMEM;
		err = space_clip_vma(space, vma, r, &vma);
		if (err)
			return err;
		err = protect_vma(space, &vma, prot);
		if (err)
			return err;
		at = vma->range.end;
	}
	return sees_holes && at < r.end ? -ENOMEM : 0;
}

int space_protect(struct space *space, struct range r, unsigned prot)
{
	int err;

	if (!is_page_aligned(r.start))
		return -EINVAL;
	if (!space_fix_range(&r))
		return -ENOMEM;
	if (range_is_empty(r))
		return 0;
	space_begin(space);
	err = space_protect_locked(space, r, prot);
	space_end(space);
	return err;
}
