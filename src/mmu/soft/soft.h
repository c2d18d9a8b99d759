/* SPDX-License-Identifier: MIT */
/*
 * The software mmu's own state.
 *
 * Private to mmu/soft.
 */
#ifndef SOFT_SOFT_H
#define SOFT_SOFT_H

#include "base/sync.h"
#include "mmu/mmu.h"

/* Memory given to an arena, to be unmapped at the end. */
struct soft_memory {
	struct soft_memory *next; /* [M] */
	void *base;               /* [I] */
	size_t bytes;             /* [I] */
};

/* [I] immutable  [a] atomic  [M] lock */
struct mmu_soft {
	struct mmu mmu;              /* [I] */
	_Atomic uint64_t generation; /* [a] raised by each shoot */
	bool has_barrier;            /* [I] membarrier(2) works */
	struct lock lock;            /* [a] rank host */
	struct mmu_tlb *tlbs;        /* [M] */
	struct soft_memory *memory;  /* [M] */
};

static inline struct mmu_soft *soft_of(struct mmu *mmu)
{
	return container_of(mmu, struct mmu_soft, mmu);
}

/* Whether this process may use membarrier(2) from now on. */
bool soft_barrier_register(void);

/*
 * Cached translations are no longer used; see mmu_ops.shoot.
 *
 * Locks: takes the mmu's lock inside.
 */
void soft_shoot(struct mmu *mmu, struct range r);

#endif /* SOFT_SOFT_H */
