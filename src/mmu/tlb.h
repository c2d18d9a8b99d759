/* SPDX-License-Identifier: MIT */
/*
 * A TLB hit without a call: the one path of a load or store that must cost a
 * few instructions.
 *
 *   tag:  | page 12..63 | 0 | rights 8..10 | 0 0 0 0 0 0 0 0 |
 *
 * The zeros let one comparison answer for the page, the right and the
 * alignment of the address. What orders an access and a shoot is told in
 * mmu/soft/tlb.c.
 */
#ifndef MMU_TLB_H
#define MMU_TLB_H

#include "base/types.h"
#include "mmu/mmu.h"

#include <stdatomic.h>

#define MMU_TLB_RIGHTS_SHIFT 8

static inline va_t mmu_tlb_rights(unsigned access)
{
	return (va_t)access << MMU_TLB_RIGHTS_SHIFT;
}

static inline struct mmu_tlb_entry *mmu_tlb_entry_of(struct mmu_tlb *tlb,
						     va_t va)
{
	return &tlb->entries[(va >> PAGE_SHIFT) % MMU_TLB_ENTRIES];
}

/* From here to mmu_tlb_leave() a shoot waits for this thread. */
static inline void mmu_tlb_enter(struct mmu_tlb *tlb)
{
	if (tlb->has_barrier)
		atomic_store_explicit(&tlb->busy, 1, memory_order_relaxed);
	else
		atomic_exchange(&tlb->busy, 1);
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void mmu_tlb_leave(struct mmu_tlb *tlb)
{
	atomic_store_explicit(&tlb->busy, 0, memory_order_release);
}

/* Whether no shoot came since the entries were made. Between the two. */
static inline bool mmu_tlb_is_good(const struct mmu_tlb *tlb)
{
	return atomic_load(tlb->newest) ==
	       atomic_load_explicit(&tlb->generation, memory_order_relaxed);
}

/*
 * The byte at `va`, if the TLB has its page for `access` and `va` is aligned
 * to `align`, a power of two up to 256; else NULL. Between the two.
 *
 * Context: any.
 */
static inline uint8_t *mmu_tlb_find(struct mmu_tlb *tlb, va_t va,
				    unsigned access, size_t align)
{
	const struct mmu_tlb_entry *entry = mmu_tlb_entry_of(tlb, va);
	const va_t at = PAGE_MASK | (align - 1);
	const va_t rights = mmu_tlb_rights(access);

	/* An empty entry has no right, and `access` is one. */
	if (!mmu_tlb_is_good(tlb) ||
	    (entry->tag & (at | rights)) != ((va & at) | rights))
		return NULL;
	return entry->bytes + (va & ~PAGE_MASK);
}

#endif /* MMU_TLB_H */
