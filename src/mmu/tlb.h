/* SPDX-License-Identifier: MIT */
/*
 * A TLB hit without a call: the one path of a load or store that must cost a
 * few instructions.
 *
 * A tag is the page's address, its low bits 0, or all ones where the right is
 * not there. So one comparison with the address, of which only the bits inside
 * the page and above the access' size are masked away, answers for the page,
 * the right and the alignment.
 *
 * What orders an access and a shoot is told in mmu/soft/tlb.c. The accessor's
 * side here has no fence: where the system has no membarrier(2) nothing hits.
 */
#ifndef MMU_TLB_H
#define MMU_TLB_H

#include "base/types.h"
#include "mmu/mmu.h"

#include <stdatomic.h>

static inline struct mmu_tlb_entry *mmu_tlb_entry_of(struct mmu_tlb *tlb,
						     va_t va)
{
	return &tlb->entries[(va >> PAGE_SHIFT) % MMU_TLB_ENTRIES];
}

/* From here to mmu_tlb_leave() a shoot waits for this thread. */
static inline void mmu_tlb_enter(struct mmu_tlb *tlb)
{
	atomic_store_explicit(&tlb->busy, 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void mmu_tlb_leave(struct mmu_tlb *tlb)
{
	atomic_store_explicit(&tlb->busy, 0, memory_order_release);
}

/* 0 if the entry is for that address, aligned to `align`, and `access`. */
static inline va_t mmu_tlb_differs(const struct mmu_tlb_entry *entry, va_t va,
				   unsigned access, size_t align)
{
	return entry->tags[access / 2] ^ (va & (PAGE_MASK | (align - 1)));
}

/*
 * Between enter and leave: whether the entry of `va` has its page, for
 * `access`, and `va` is aligned to `align`: 1, 2, 4 or 8. One branch.
 *
 * Context: any.
 */
static inline bool mmu_tlb_hits(struct mmu_tlb *tlb, va_t va, unsigned access,
				size_t align)
{
	uint64_t shot = atomic_load(tlb->newest) ^
			atomic_load_explicit(&tlb->generation,
					     memory_order_relaxed);

	return (shot | mmu_tlb_differs(mmu_tlb_entry_of(tlb, va), va, access,
				       align)) == 0;
}

/* Where the byte at `va` is, after a hit. */
static inline uint8_t *mmu_tlb_byte(struct mmu_tlb *tlb, va_t va)
{
	return mmu_tlb_entry_of(tlb, va)->bytes + (va & ~PAGE_MASK);
}

#endif /* MMU_TLB_H */
