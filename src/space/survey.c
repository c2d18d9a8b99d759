/* SPDX-License-Identifier: MIT */
/*
 * The host world's truth and ours: real mappings are brought in before they
 * are judged, watched ones are armed, and what nobody watches is let go.
 *
 * Without locks of the host's, a mapping may have changed since we looked;
 * the mmu asks again before it does anything that cannot be undone.
 */
#include "space/vma.h"

#include "base/check.h"

#include <errno.h>

/* Kinds that can be filled; the others are there to be refused. */
static const struct object_ops *const native_ops[] = {
	[MMU_ANON] = &object_native,
	[MMU_STACK] = &object_native,
	[MMU_SHMEM] = NULL,
	[MMU_HUGETLB] = NULL,
	[MMU_FILE] = NULL,
	[MMU_SPECIAL] = NULL,
};

struct survey {
	struct space *space;
	struct range r;
	va_t at; /* everything below is settled */
};

/* A thread may begin to use watched memory as its stack, or cease to. */
static enum mmu_kind kind_class(enum mmu_kind kind)
{
	return kind == MMU_STACK ? MMU_ANON : kind;
}

/*
 * Whether the mapping may be what the VMA describes. Protection tells
 * nothing: the mmu makes pages inaccessible itself.
 */
static bool survey_agrees(const struct vma *vma, const struct mmu_mapping *m)
{
	return kind_class((enum mmu_kind)vma->kind) == kind_class(m->kind) &&
	       vma->is_shared == m->is_shared;
}

static int survey_add(struct space *space, const struct mmu_mapping *m,
		      struct range part)
{
	struct vma like = {
		.range = part,
		.prot = m->prot,
		.kind = (enum vma_kind)m->kind,
		.is_shared = m->is_shared,
		.may_write = m->may_write,
		.is_locked = m->is_locked,
		.is_surveyed = true,
	};
	struct vma *vma;

	check((size_t)m->kind < array_len(native_ops));
	like.ops = native_ops[m->kind];
	vma = vma_new(&like);
	if (!vma)
		return -ENOMEM;
	vma_tree_insert(space, vma);
	return 0;
}

/* The program took this part away behind our back. */
static int survey_lose(struct space *space, struct range part)
{
	if (range_is_empty(part))
		return 0;
	return space_unmap_locked(space, part);
}

/* `part` lies in the mapping: each piece is believed, lost or added. */
static int survey_part(struct space *space, const struct mmu_mapping *m,
		       struct range part)
{
	struct range piece = part;
	struct vma *vma;
	int err = 0;

	while (!err && piece.start < part.end) {
		vma = space_find_vma(space, piece.start);
		piece.end = part.end;
		if (!vma || vma->range.start >= part.end) {
			err = survey_add(space, m, piece);
		} else if (vma->range.start > piece.start) {
			piece.end = vma->range.start;
			err = survey_add(space, m, piece);
		} else {
			piece = range_clip(vma->range, piece);
			if (!survey_agrees(vma, m)) {
				err = survey_lose(space, piece);
				continue;
			}
		}
		piece.start = piece.end;
	}
	return err;
}

static int survey_visit(void *arg, const struct mmu_mapping *m)
{
	struct survey *survey = arg;
	struct range part = range_clip(m->range, survey->r);
	int err;

	if (range_is_empty(part))
		return 0;
	err = survey_lose(survey->space,
			  (struct range){ survey->at, part.start });
	if (!err)
		err = survey_part(survey->space, m, part);
	survey->at = part.end;
	return err;
}

int space_survey(struct space *space, struct range r)
{
	struct mmu *mmu = space->home.mmu;
	struct survey survey = { space, r, r.start };
	int err;

	if (!mmu->is_native)
		return 0;
	space_settle(space, r);
	err = mmu->ops->survey(mmu, r, survey_visit, &survey);
	if (!err)
		err = survey_lose(space, (struct range){ survey.at, r.end });
	if (err)
		space_settle(space, r);
	return err;
}

void space_settle(struct space *space, struct range r)
{
	struct vma *next;
	struct vma *vma;

	if (!space->home.mmu->is_native)
		return;
	vma = space_find_vma(space, r.start);
	while (vma && vma->range.start < r.end) {
		next = space_next_vma(space, vma);
		if (!vma->watch)
			vma_remove(space, vma);
		vma = next;
	}
}

/* ---- arming ---- */

struct arming {
	struct space *space;
	struct vma *vma;
	int err;
};

/* Pages of one leaf get the entry of a page that was always there. */
static int arm_leaf(const struct arming *arming, struct range r)
{
	struct space *space = arming->space;
	const struct vma *vma = arming->vma;
	struct slot slot;
	struct slot each;
	struct pte pte;
	uint64_t i;
	int err;

	err = table_walk(space->table, r.start, true, &slot);
	if (err)
		return err;
	err = vma->ops->demand(&space->home, false, vma->prot, &pte);
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

static void arm_present(void *arg, struct range present)
{
	struct arming *arming = arg;
	struct range leaf;

	while (!arming->err && !range_is_empty(present)) {
		leaf = range_of(present.start & ~(HUGE_BYTES - 1), HUGE_BYTES);
		leaf = range_clip(leaf, present);
		arming->err = arm_leaf(arming, leaf);
		present.start = leaf.end;
	}
}

int space_arm(struct space *space, struct vma *vma)
{
	struct arming arming = { space, vma, 0 };
	struct mmu *mmu = space->home.mmu;
	struct mmu_mapping m = {
		.range = vma->range,
		.prot = vma->prot,
		.kind = (enum mmu_kind)vma->kind,
		.is_shared = vma->is_shared,
		.may_write = vma->may_write,
		.is_locked = vma->is_locked,
	};
	int err;

	if (!mmu->is_native || vma_never_traps(vma) ||
	    (vma->modes & WATCH_MISSING))
		return 0;

	check(vma->ops != NULL);
	/* The hint first: a page may trap as soon as it is revoked. */
	vma_hint_watched(space, vma->range);
	err = mmu->ops->adopt(mmu, &m, vma->range, arm_present, &arming);
	if (!err && arming.err) {
		mmu->ops->release(mmu, vma->range, vma->prot);
		err = arming.err;
	}
	if (err)
		vma_zap(space, vma, vma->range, false);
	return err;
}

void space_disarm(struct space *space, struct vma *vma)
{
	struct mmu *mmu = space->home.mmu;

	if (!mmu->is_native || vma_never_traps(vma) || !vma->watch)
		return;
	mmu->ops->release(mmu, vma->range, vma->prot);
	vma_zap(space, vma, vma->range, false);
}
