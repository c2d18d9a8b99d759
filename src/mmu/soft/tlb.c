/* SPDX-License-Identifier: MIT */
/*
 * The software TLB: a thread's own translations, and shooting them down.
 *
 * Entries are good while the TLB's generation is the mmu's. A shoot raises
 * the mmu's, then waits for accesses that began before. Each side stores,
 * then looks at what the other stores:
 *
 *   accessor                          shooter
 *   1. busy = 1                       1. generation + 1
 *   2. generation as it was? use      2. busy? wait
 *
 * The full barrier that needs between 1 and 2 on both sides is made for both
 * by the shooter's membarrier(2); where there is none, the store of each is
 * an atomic exchange or addition, which is one.
 */
#include "mmu/soft/soft.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/raw.h"
#include "mmu/tlb.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>

#define SHOOT_SPINS 200
#define SHOOT_NAP_NS ((int64_t)50 * 1000)
#define ACCESS_BITS (ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC)

bool soft_barrier_register(void)
{
	return raw_call(SYS_membarrier,
			MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0;
}

void mmu_soft_attach(struct mmu *mmu, struct mmu_tlb *tlb)
{
	struct mmu_soft *soft = soft_of(mmu);

	atomic_store(&tlb->busy, 0);
	atomic_store(&tlb->generation, 0);
	tlb->has_barrier = soft->has_barrier;
	tlb->newest = &soft->generation;
	lock_take(&soft->lock);
	tlb->next = soft->tlbs;
	soft->tlbs = tlb;
	lock_drop(&soft->lock);
}

void mmu_soft_detach(struct mmu *mmu, struct mmu_tlb *tlb)
{
	struct mmu_soft *soft = soft_of(mmu);
	struct mmu_tlb **link = &soft->tlbs;

	check(!atomic_load(&tlb->busy));
	lock_take(&soft->lock);
	while (*link && *link != tlb)
		link = &(*link)->next;
	check(*link == tlb);
	*link = tlb->next;
	lock_drop(&soft->lock);
}

uint8_t *mmu_soft_enter(struct mmu *mmu, struct mmu_tlb *tlb, va_t va,
			unsigned access)
{
	check_more(tlb->newest == &soft_of(mmu)->generation);
	mmu_tlb_enter(tlb);
	return mmu_tlb_find(tlb, page_down(va), access, 1);
}

void mmu_soft_leave(struct mmu_tlb *tlb)
{
	mmu_tlb_leave(tlb);
}

uint64_t mmu_soft_generation(struct mmu *mmu)
{
	return atomic_load_explicit(&soft_of(mmu)->generation,
				    memory_order_acquire);
}

/* An entry that a shoot outran may be stored, but never hits. */
void mmu_soft_cache(struct mmu_tlb *tlb, va_t va, unsigned access,
		    uint8_t *bytes, uint64_t generation)
{
	struct mmu_tlb_entry *entry = mmu_tlb_entry_of(tlb, va);
	uint64_t cached = atomic_load_explicit(&tlb->generation,
					       memory_order_relaxed);

	check(access && !(access & ~ACCESS_BITS));
	if (generation < cached)
		return;
	if (generation > cached) {
		mem_set(tlb->entries, 0, sizeof(tlb->entries));
		atomic_store_explicit(&tlb->generation, generation,
				      memory_order_relaxed);
	}
	entry->tag = page_down(va) | mmu_tlb_rights(access);
	entry->bytes = bytes;
}

/* Every thread of the process passed a full barrier since the call. */
static void barrier_everywhere(struct mmu_soft *soft)
{
	long err;

	if (!soft->has_barrier)
		return;
	err = raw_call(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
	if (err == -EPERM && soft_barrier_register()) /* after a fork */
		err = raw_call(SYS_membarrier,
			       MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
	check(err == 0);
}

static void wait_for_access(struct mmu_tlb *tlb)
{
	for (int i = 0; i < SHOOT_SPINS; i++) {
		if (!atomic_load(&tlb->busy))
			return;
		sync_relax();
	}
	while (atomic_load(&tlb->busy))
		if (sync_wait_change(&tlb->busy, 1, SHOOT_NAP_NS) == 0)
			return;
}

void soft_shoot(struct mmu *mmu, struct range r)
{
	struct mmu_soft *soft = soft_of(mmu);

	check(!range_is_empty(r));
	lock_take(&soft->lock);
	atomic_fetch_add(&soft->generation, 1);
	if (soft->tlbs)
		barrier_everywhere(soft);
	for (struct mmu_tlb *tlb = soft->tlbs; tlb; tlb = tlb->next)
		wait_for_access(tlb);
	lock_drop(&soft->lock);
}
