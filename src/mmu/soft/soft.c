/* SPDX-License-Identifier: MIT */
/*
 * The mmu that is not there: memory for frames, and TLBs to shoot down.
 */
#include "mmu/soft/soft.h"

#include "base/check.h"
#include "base/heap.h"
#include "base/raw.h"

#include <errno.h>
#include <linux/mman.h>
#include <sys/syscall.h>

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

/*
 * A huge page is one fault where there would be 512, and one translation.
 * Where the system grants neither, the pages are populated as they are touched.
 */
static void soft_populate(struct mmu *mmu, void *at, size_t bytes)
{
	bool is_huge = bytes == HUGE_BYTES &&
		       ((uintptr_t)at & (HUGE_BYTES - 1)) == 0;

	(void)mmu;
	if (is_huge)
		raw_call(SYS_madvise, at, bytes, MADV_HUGEPAGE);
	raw_call(SYS_madvise, at, bytes, MADV_POPULATE_WRITE);
}

static const struct mmu_ops soft_ops = {
	.name = "soft",
	.batch_pages = 1,
	.destroy = soft_destroy,
	.arena = soft_arena,
	.populate = soft_populate,
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
