/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing one entry: the one writer.
 */
#include "table/table.h"

#include "base/check.h"

struct pte table_read(const struct slot *slot)
{
	if (!slot->entry)
		return (struct pte){ 0 };
	return (struct pte){ atomic_load_explicit(slot->entry,
						  memory_order_acquire) };
}

void table_lock(const struct slot *slot)
{
	check(slot->lock);
	lock_take(slot->lock);
}

void table_unlock(const struct slot *slot)
{
	lock_drop(slot->lock);
}

/* None, present or marker, and a frame exactly where there should be one. */
static bool is_wellformed(struct pte pte)
{
	if (pte_is_present(pte))
		return !pte_is_marker(pte) &&
		       !pte_pfn(pte).n == !!pte_has(pte, PTE_NATIVE);
	return pte_is_none(pte) || (pte_is_marker(pte) && !pte_pfn(pte).n);
}

void table_set(const struct slot *slot, struct pte pte)
{
	check(slot->entry);
	check(is_wellformed(pte));
	check_more(lock_is_mine(slot->lock));
	atomic_store_explicit(slot->entry, pte.bits, memory_order_release);
}
