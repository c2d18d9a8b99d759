/* SPDX-License-Identifier: MIT */
/*
 * Watched memory is armed, so that its missing pages trap, and disarmed. The
 * program may have guards of its own there: they are told apart by a marker
 * in our table, and are still there afterwards.
 */
#include "space/vma.h"

#include "base/check.h"

#include <errno.h>

struct arming {
	struct space *space;
	struct vma *vma;
	int err;
};

/* The entry of a page that holds something already. */
static int arm_entry(const struct arming *arming, enum mmu_held held,
		     struct pte *out)
{
	const struct vma *vma = arming->vma;

	if (held == MMU_HOLDS_GUARD) {
		*out = (struct pte){ PTE_MARKER_GUARD };
		return 0;
	}
	return vma->ops->demand(&arming->space->home, false, vma->prot, out);
}

/* The pages, of one leaf, get that entry. */
static int arm_leaf(const struct arming *arming, struct range r,
		    struct pte pte)
{
	struct slot slot;
	struct slot each;
	uint64_t i;
	int err;

	err = table_walk(arming->space->table, r.start, true, &slot);
	if (err)
		return err;
	table_lock(&slot);
	for (i = 0; i < range_bytes(r) >> PAGE_SHIFT; i++) {
		each = slot_after(&slot, i);
		table_set(&each, pte);
	}
	table_unlock(&slot);
	return 0;
}

static void arm_found(void *arg, struct range r, enum mmu_held held)
{
	struct arming *arming = arg;
	struct range leaf;
	struct pte pte;

	if (!arming->err)
		arming->err = arm_entry(arming, held, &pte);
	while (!arming->err && !range_is_empty(r)) {
		leaf = range_of(r.start & ~(HUGE_BYTES - 1), HUGE_BYTES);
		leaf = range_clip(leaf, r);
		arming->err = arm_leaf(arming, leaf, pte);
		r.start = leaf.end;
	}
}

/* Releasing goes from guard to guard of the program's. */
struct releasing {
	struct mmu *mmu;
	unsigned prot;
	struct range guards; /* the run found last */
	va_t at;             /* everything below is released */
};

static void release_before(struct releasing *rel, va_t end)
{
	struct mmu *mmu = rel->mmu;

	if (end > rel->at)
		mmu->ops->release(mmu, (struct range){ rel->at, end },
				  rel->prot);
	rel->at = end;
}

static void release_found(struct releasing *rel)
{
	struct mmu *mmu = rel->mmu;

	if (range_is_empty(rel->guards))
		return;
	release_before(rel, rel->guards.start);
	mmu->ops->release_guards(mmu, rel->guards, rel->prot);
	rel->at = rel->guards.end;
}

static int find_guards(void *arg, const struct slot *slot, struct pte pte)
{
	struct releasing *rel = arg;

	if (pte_is_present(pte) || !pte_has(pte, PTE_MARKER_GUARD))
		return 0;
	if (slot->va != rel->guards.end || range_is_empty(rel->guards)) {
		release_found(rel);
		rel->guards.start = slot->va;
	}
	rel->guards.end = slot->va + PAGE_BYTES;
	return 0;
}

/* All is ordinary memory again, but for the program's own guards. */
static void release_all(struct space *space, const struct vma *vma)
{
	struct releasing rel = {
		.mmu = space->home.mmu,
		.prot = vma->prot,
		.at = vma->range.start,
	};

	if (table_each(space->table, vma->range, find_guards, &rel))
		bug("find_guards never refuses");
	release_found(&rel);
	release_before(&rel, vma->range.end);
}

/* The hint comes first: a page may trap as soon as it is revoked. */
static int arm(struct space *space, struct vma *vma)
{
	struct arming arming = { space, vma, 0 };
	struct mmu *mmu = space->home.mmu;
	struct mmu_mapping m = {
		.range = vma->range,
		.prot = vma->prot,
		.kind = (enum mmu_kind)vma->kind,
		.is_shared = vma->is_shared,
		.may_write = vma->may_write,
	};
	int err;

	check(vma->ops != NULL);
	vma_hint_watched(space, vma->range);
	err = mmu->ops->adopt(mmu, &m, vma->range, arm_found, &arming);
	if (!err)
		err = arming.err;
	if (err && err != -EINVAL)
		release_all(space, vma);
	if (err)
		vma_zap(space, vma, vma->range, false);
	if (err && !vma->watch)
		vma_unhint_watched(space, vma->range);
	return err;
}

int space_arm(struct space *space, struct vma *vma)
{
	if (!space->home.mmu->is_native || vma_never_traps(vma) ||
	    (vma->modes & WATCH_MISSING))
		return 0;
	return arm(space, vma);
}

void space_disarm(struct space *space, struct vma *vma)
{
	if (!space->home.mmu->is_native || vma_never_traps(vma) || !vma->watch)
		return;
	release_all(space, vma);
	vma_zap(space, vma, vma->range, false);
}

void space_disarm_range(struct space *space, struct range r)
{
	struct vma *vma;

	space_each_vma(space, r, vma) {
		check(range_covers(r, vma->range));
		space_disarm(space, vma);
	}
}

void space_rearm_range(struct space *space, struct range r)
{
	struct vma *vma;

	space_each_vma(space, r, vma) {
		if (!vma->watch || vma_never_traps(vma) || !arm(space, vma))
			continue;
		vma = space_set_watch(space, vma, NULL, 0);
	}
	space_settle(space, r);
}
