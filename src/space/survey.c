/* SPDX-License-Identifier: MIT */
/*
 * The host world's truth and ours: real mappings are brought in before they
 * are judged, and what nobody watches is let go.
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
