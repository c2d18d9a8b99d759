/* SPDX-License-Identifier: MIT */
/*
 * Waking: who waits in a range, and how they learn of it.
 *
 * The story of the lost wake-up, with F the faulting and H the handling side:
 *
 *   1. F finds the entry none and queues itself      (queue_post)
 *   2. F: full barrier, looks at the entry again; only if still none it waits
 *   3. H publishes the entry                         (table_set)
 *   4. H: full barrier, looks at the queues          (here)
 *
 * Whatever the order of 1 and 3, either F sees the entry in 2, or H sees F
 * in 4. Without the two barriers each could miss the other.
 */
#include "uffd/context.h"

#include "base/check.h"
#include "uffd/queue.h"

static void wake_page(struct conversation *c, uint64_t page, uint32_t *chain)
{
	uint32_t slot = c->buckets[queue_bucket(page)];

	while (slot) {
		struct waiter *w = waiter_at(c, slot);
		uint32_t next = w->hash_next;

		if (page_down(w->address) == page)
			queue_wake(c, slot, chain);
		slot = next;
	}
}

static void wake_queue(struct conversation *c, const struct waiter_queue *q,
		       struct range r, uint32_t *chain)
{
	uint32_t slot = q->head;

	while (slot) {
		struct waiter *w = waiter_at(c, slot);
		uint32_t next = w->next;

		if (range_has(r, w->address))
			queue_wake(c, slot, chain);
		slot = next;
	}
}

/* By page or by waiter, whichever are fewer. */
static void wake_matching(struct conversation *c, struct range r,
			  uint32_t *chain)
{
	uint64_t pages = range_bytes(r) >> PAGE_SHIFT;
	va_t va;

	if (pages > atomic_load(&c->queued)) {
		wake_queue(c, &c->unread, r, chain);
		wake_queue(c, &c->read, r, chain);
		return;
	}
	for (va = r.start; va < r.end; va += PAGE_BYTES)
		wake_page(c, va, chain);
}

/* System calls without the lock: woken threads soon want it. */
static void rouse(struct conversation *c, uint32_t chain)
{
	uint32_t slot;

	for (slot = chain; slot; slot = waiter_at(c, slot)->hash_next) {
		struct waiter *w = waiter_at(c, slot);

		check(w->state == WAITER_WOKEN);
		if (w->may_sleep)
			sync_wake_all(&w->gen);
	}
}

void uffd_wake(struct uffd *uffd, struct range r)
{
	struct conversation *c = uffd->talk;
	uint32_t chain = 0;

	check(is_page_aligned(r.start));
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load(&c->queued))
		return;

	lock_take(&c->lock);
	wake_matching(c, r, &chain);
	lock_drop(&c->lock);
	if (!chain)
		return;

	rouse(c, chain);
	lock_take(&c->lock);
	queue_release_chain(c, chain);
	lock_drop(&c->lock);
	uffd_tell(uffd);
}
