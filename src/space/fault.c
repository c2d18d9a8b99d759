/* SPDX-License-Identifier: MIT */
/*
 * What a refused access means.
 *
 * The order is part of the behaviour: permission, then markers, then the
 * watch, then what the space does by itself. A fault that goes to the watch
 * is queued first and looked at again afterwards:
 *
 *   faulting thread                     filling thread
 *   1  entry is none
 *   2                                   sets the entry
 *   3                                   wakes: nobody is queued
 *   4  queues
 *   5  entry is not none: withdraws, retries
 *
 * Were it not looked at in step 5, nobody would ever wake the thread. If 4
 * comes before 3 the wake finds it.
 */
#include "space/vma.h"

#include "base/check.h"

#include <errno.h>

struct fault {
	struct space *space;
	struct vma *vma;
	struct slot slot;
	va_t va;         /* exact */
	unsigned access; /* FAULT_* */
	struct watch_ticket *ticket;
};

/* The fault's access as the right that it needs. */
static unsigned fault_right(unsigned access)
{
	if (access & FAULT_WRITE)
		return ACCESS_WRITE;
	return (access & FAULT_EXEC) ? ACCESS_EXEC : ACCESS_READ;
}

/* The mode in which the watch asks for this fault; 0: it does not. */
static unsigned fault_reason(const struct fault *fault, struct pte pte)
{
	unsigned modes = fault->vma->modes;

	if (pte_is_none(pte))
		return modes & WATCH_MISSING;
	if (pte_is_present(pte) && (pte.bits & PTE_WP) &&
	    (fault->access & FAULT_WRITE))
		return modes & WATCH_WP;
	return 0;
}

static enum space_outcome fault_post(const struct fault *fault,
				     unsigned reason)
{
	const struct profile *profile = fault->space->home.profile;
	struct watch *watch = fault->vma->watch;
	struct watch_fault ask = { fault->va, fault->access, reason };

	if ((fault->access & FAULT_AGAIN) && !profile->fault_retries_endlessly)
		return SPACE_BUS;

	switch (watch->ops->on_fault(watch, &ask, fault->ticket)) {
	case WATCH_BUS:
		return SPACE_BUS;
	case WATCH_RETRY:
		return SPACE_RETRY;
	case WATCH_WAIT:
		break;
	}

	atomic_thread_fence(memory_order_seq_cst);
	if (fault_reason(fault, table_read(&fault->slot)) == reason) {
		watch->ops->announce(fault->ticket);
		return SPACE_WAIT;
	}
	watch->ops->withdraw(fault->ticket);
	return SPACE_RETRY;
}

/* ---- what the space does by itself, under the leaf's lock ---- */

static enum space_outcome fault_demand(const struct fault *fault)
{
	const struct vma *vma = fault->vma;
	struct pte pte;

	if (vma->ops->demand(&fault->space->home,
			     fault->access & FAULT_WRITE, vma->prot, &pte))
		return SPACE_NOMEM;
	table_set(&fault->slot, pte);
	return SPACE_RETRY;
}

/*
 * The frame of the old entry may still be read through translations, so it is
 * let go only when they are shot down; *old is that entry, or none.
 */
static enum space_outcome fault_unshare(const struct fault *fault,
					struct pte *old)
{
	struct pte was = *old;
	struct pte now;

	*old = (struct pte){ 0 };
	if (fault->vma->ops->unshare(&fault->space->home, was, &now))
		return SPACE_NOMEM;
	table_set(&fault->slot, now);
	if (pte_pfn(was).n != pte_pfn(now).n)
		*old = was;
	return SPACE_RETRY;
}

static enum space_outcome fault_refresh(const struct fault *fault)
{
	struct mmu *mmu = fault->space->home.mmu;

	if (mmu->ops->refresh(mmu, page_down(fault->va), fault->vma->prot,
			      fault_right(fault->access)))
		return SPACE_SEGV_ACCERR;
	return SPACE_RETRY;
}

static enum space_outcome fault_change(const struct fault *fault,
				       struct pte *old)
{
	struct pte pte = table_read(&fault->slot);
	bool is_write = fault->access & FAULT_WRITE;

	*old = (struct pte){ 0 };
	/* Changed since the watch was thought of: decide again. */
	if (fault_reason(fault, pte))
		return SPACE_RETRY;
	if (pte_is_none(pte))
		return fault_demand(fault);
	if (!pte_is_present(pte))
		return SPACE_RETRY;
	if (pte.bits & PTE_NATIVE)
		return fault_refresh(fault);
	if (!is_write || (pte.bits & PTE_WRITABLE))
		return SPACE_RETRY;
	*old = pte;
	return fault_unshare(fault, old);
}

static enum space_outcome fault_resolve(const struct fault *fault)
{
	struct space *space = fault->space;
	struct mmu *mmu = space->home.mmu;
	enum space_outcome outcome;
	struct pte old;

	vma_anchor(fault->vma);
	table_lock(&fault->slot);
	outcome = fault_change(fault, &old);
	table_unlock(&fault->slot);

	if (!pte_is_none(old)) {
		mmu->ops->shoot(mmu, range_of(fault->slot.va, PAGE_BYTES));
		table_lock(&fault->slot);
		fault->vma->ops->drop(&space->home, old);
		table_unlock(&fault->slot);
	}
	return outcome;
}

/* ---- the decision ---- */

static enum space_outcome fault_inside(struct fault *fault)
{
	struct space *space = fault->space;
	struct vma *vma = fault->vma;
	unsigned reason;
	struct pte pte;

	if (!vma_permits(vma, fault_right(fault->access)))
		return SPACE_SEGV_ACCERR;
	check(vma->ops != NULL);
	if (table_walk(space->table, page_down(fault->va), true, &fault->slot))
		return SPACE_NOMEM;

	pte = table_read(&fault->slot);
	if (pte_is_marker(pte) && pte_has(pte, PTE_MARKER_GUARD))
		return SPACE_SEGV_MAPERR;
	if (pte_is_marker(pte) && pte_has(pte, PTE_MARKER_POISON))
		return SPACE_BUS;

	reason = fault_reason(fault, pte);
	if (reason)
		return fault_post(fault, reason);
	return fault_resolve(fault);
}

static enum space_outcome fault_decide(struct fault *fault)
{
	bool is_native = fault->space->home.mmu->is_native;
	struct vma *vma = space_find_vma(fault->space, fault->va);

	if (!vma || !range_has(vma->range, fault->va))
		return is_native ? SPACE_NOT_OURS : SPACE_SEGV_MAPERR;
	if (is_native && (!vma->watch || vma_never_traps(vma)))
		return SPACE_NOT_OURS;
	fault->vma = vma;
	return fault_inside(fault);
}

enum space_outcome space_fault(struct space *space, va_t va, unsigned access,
			       struct watch_ticket *ticket)
{
	struct fault fault = {
		.space = space,
		.va = va,
		.access = access,
		.ticket = ticket,
	};
	enum space_outcome outcome;
	unsigned reader;

	reader = rwlock_read(&space->map_lock);
	outcome = fault_decide(&fault);
	rwlock_read_drop(&space->map_lock, reader);
	atomic_fetch_add_explicit(&space->counts.faults, 1,
				  memory_order_relaxed);
	return outcome;
}
