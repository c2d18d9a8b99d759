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
/* All ones, as bytes and as a tag. */
#define NO_PAGE (~(va_t)0)
#define ACCESS_BITS (ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC)

bool soft_barrier_register(void)
{
	return raw_call(SYS_membarrier,
			MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0;
}

/* What an entry's generation never is. */
static const _Atomic uint64_t no_generation = UINT64_MAX;

void mmu_soft_attach(struct mmu *mmu, struct mmu_tlb *tlb)
{
	struct mmu_soft *soft = soft_of(mmu);

	atomic_store(&tlb->busy, 0);
	atomic_store(&tlb->generation, 0);
	tlb->newest = soft->has_barrier ? &soft->generation : &no_generation;
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
	struct mmu_soft *soft = soft_of(mmu);
	const struct mmu_tlb_entry *entry = mmu_tlb_entry_of(tlb, va);

	mmu_tlb_enter(tlb);
	if (!soft->has_barrier)
		atomic_exchange(&tlb->busy, 1);
	if (atomic_load(&soft->generation) !=
	    atomic_load_explicit(&tlb->generation, memory_order_relaxed))
		return NULL;
	return mmu_tlb_differs(entry, va, access, 1) ? NULL : entry->bytes;
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
		mem_set(tlb->entries, 0xff, sizeof(tlb->entries));
		atomic_store_explicit(&tlb->generation, generation,
				      memory_order_relaxed);
	}
	for (unsigned i = 0; i < array_len(entry->tags); i++)
		entry->tags[i] = access & 1u << i ? page_down(va) : NO_PAGE;
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
