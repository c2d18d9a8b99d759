/* SPDX-License-Identifier: MIT */
/*
 * The mmu that is not there: memory for frames, and TLBs to shoot down.
 */
#include "mmu/soft/soft.h"

#include "base/check.h"
#include "base/heap.h"

#include <errno.h>

static void soft_destroy(struct mmu *mmu)
{
	struct mmu_soft *soft = soft_of(mmu);
	struct soft_memory *m;

	check(!soft->tlbs);
	while ((m = soft->memory)) {
		soft->memory = m->next;
		heap_unmap(m->base, m->bytes);
		heap_free(m, sizeof(*m));
	}
	heap_free(soft, sizeof(*soft));
}

static int soft_arena(struct mmu *mmu, size_t bytes, void **base)
{
	struct mmu_soft *soft = soft_of(mmu);
	struct soft_memory *m = heap_zalloc(sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	err = heap_map(bytes, false, &m->base);
	if (err) {
		heap_free(m, sizeof(*m));
		return err;
	}
	m->bytes = bytes;
	*base = m->base;
	lock_take(&soft->lock);
	m->next = soft->memory;
	soft->memory = m;
	lock_drop(&soft->lock);
	return 0;
}

static const struct mmu_ops soft_ops = {
	.name = "soft",
	.batch_pages = 1,
	.destroy = soft_destroy,
	.arena = soft_arena,
	.shoot = soft_shoot,
};

int mmu_soft_create(struct mmu **out)
{
	struct mmu_soft *soft = heap_zalloc(sizeof(*soft));

	if (!soft)
		return -ENOMEM;
	soft->mmu.ops = &soft_ops;
	soft->has_barrier = soft_barrier_register();
	/* Never 0, which is the generation of an empty TLB. */
	atomic_store(&soft->generation, 1);
	lock_init(&soft->lock, RANK_HOST);
	*out = &soft->mmu;
	return 0;
}
