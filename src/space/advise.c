/* SPDX-License-Identifier: MIT */
/*
 * Advice that empties pages: discard, and guard markers.
 */
#include "space/vma.h"

#include "base/check.h"

#include <errno.h>

typedef int (*advise_fn)(struct space *space, struct vma *vma, struct range r);

/*
 * `fn` for the part of each VMA in the range. A hole is found out at the end,
 * a refusal ends it; the parts before either are done.
 */
static int advise_each(struct space *space, struct range r, advise_fn fn)
{
	bool has_hole = false;
	struct vma *vma;
	va_t at = r.start;
	int err;

	space_each_vma(space, r, vma) {
		has_hole = has_hole || vma->range.start > at;
		err = fn(space, vma, range_clip(vma->range, r));
		if (err)
			return err;
		at = vma->range.end;
	}
	if (space->home.mmu->is_native)
		return 0;
	return has_hole || at < r.end ? -ENOMEM : 0;
}

static int advise(struct space *space, struct range r, advise_fn fn)
{
	int err;

	if (!space_fix_range(&r))
		return -EINVAL;
	if (range_is_empty(r))
		return 0;
	space_begin(space);
	err = advise_each(space, r, fn);
	space_end(space);
	return err;
}

/* ---- discard ---- */

static int discard_part(struct space *space, struct vma *vma, struct range r)
{
	struct mmu *mmu = space->home.mmu;
	int err;

	if (vma->is_locked)
		return -EINVAL;
	if (mmu->is_native) {
		if (!vma->watch || vma_never_traps(vma))
			return 0;
		err = mmu->ops->revoke(mmu, r, vma->prot);
		if (err)
			return err;
	}
	vma_zap(space, vma, r, true);
	return 0;
}

int space_discard_locked(struct space *space, struct range r)
{
	return advise_each(space, r, discard_part);
}

int space_discard(struct space *space, struct range r)
{
	return advise(space, r, discard_part);
}

/*
 * ---- guard markers ----
 *
 * In the host world the mmu makes the page trap, as it does a missing one;
 * the marker in our table is what tells the two apart.
 */

static int guard_install(struct space *space, struct vma *vma, struct range r)
{
	struct mmu *mmu = space->home.mmu;
	struct slot slot;
	va_t va;
	int err;

	if (vma->is_locked)
		return -EINVAL;
	if (mmu->is_native) {
		if (!vma->watch || vma_never_traps(vma))
			return 0;
		err = mmu->ops->revoke(mmu, r, vma->prot);
		if (err)
			return err;
	}
	vma_zap(space, vma, r, true);
	for (va = r.start; va < r.end; va += PAGE_BYTES) {
		err = table_walk(space->table, va, true, &slot);
		if (err)
			return err;
		table_lock(&slot);
		table_set(&slot, (struct pte){ PTE_MARKER_GUARD });
		table_unlock(&slot);
	}
	return 0;
}

static int clear_guard(void *arg, const struct slot *slot, struct pte pte)
{
	(void)arg;
	if (!pte_is_present(pte) && pte_has(pte, PTE_MARKER_GUARD))
		table_set(slot, (struct pte){ 0 });
	return 0;
}

/* Locked memory is no obstacle here. */
static int guard_remove(struct space *space, struct vma *vma, struct range r)
{
	(void)vma;
	return table_each(space->table, r, clear_guard, NULL);
}

static advise_fn guard_fn(bool install)
{
	return install ? guard_install : guard_remove;
}

int space_guard_locked(struct space *space, struct range r, bool install)
{
	return advise_each(space, r, guard_fn(install));
}

int space_guard(struct space *space, struct range r, bool install)
{
	return advise(space, r, guard_fn(install));
}
