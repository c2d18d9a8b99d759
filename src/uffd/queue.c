/* SPDX-License-Identifier: MIT */
/*
 * The only file that moves a waiter.
 */
#include "uffd/queue.h"

#include "base/check.h"

static void list_append(struct conversation *c, struct waiter_queue *q,
			uint32_t slot)
{
	struct waiter *w = waiter_at(c, slot);

	w->prev = q->tail;
	w->next = 0;
	if (q->tail)
		waiter_at(c, q->tail)->next = slot;
	else
		q->head = slot;
	q->tail = slot;
	atomic_fetch_add(&q->count, 1);
}

static void list_remove(struct conversation *c, struct waiter_queue *q,
			uint32_t slot)
{
	struct waiter *w = waiter_at(c, slot);

	check(atomic_load(&q->count) > 0);
	if (w->prev)
		waiter_at(c, w->prev)->next = w->next;
	else
		q->head = w->next;
	if (w->next)
		waiter_at(c, w->next)->prev = w->prev;
	else
		q->tail = w->prev;
	atomic_fetch_sub(&q->count, 1);
}

static void hash_add(struct conversation *c, uint32_t slot)
{
	struct waiter *w = waiter_at(c, slot);
	uint32_t *first = &c->buckets[queue_bucket(w->address)];

	w->hash_prev = 0;
	w->hash_next = *first;
	if (*first)
		waiter_at(c, *first)->hash_prev = slot;
	*first = slot;
}

static void hash_remove(struct conversation *c, uint32_t slot)
{
	struct waiter *w = waiter_at(c, slot);

	if (w->hash_prev)
		waiter_at(c, w->hash_prev)->hash_next = w->hash_next;
	else
		c->buckets[queue_bucket(w->address)] = w->hash_next;
	if (w->hash_next)
		waiter_at(c, w->hash_next)->hash_prev = w->hash_prev;
}

bool queue_has(struct conversation *c, uint64_t page)
{
	uint32_t slot = c->buckets[queue_bucket(page)];

	while (slot && page_down(waiter_at(c, slot)->address) != page)
		slot = waiter_at(c, slot)->hash_next;
	return slot != 0;
}

static uint32_t slot_take(struct conversation *c)
{
	uint32_t slot = c->free;

	if (slot) {
		c->free = waiter_at(c, slot)->next;
		return slot;
	}
	if (c->used_slots == WAITER_SLOTS)
		return 0;
	return ++c->used_slots;
}

static void slot_free(struct conversation *c, uint32_t slot)
{
	struct waiter *w = waiter_at(c, slot);

	check(w->state == WAITER_WOKEN);
	w->state = WAITER_FREE;
	w->next = c->free;
	c->free = slot;
}

/* Off its queue and bucket; whoever looks at the generation retries. */
static void unqueue(struct conversation *c, uint32_t slot)
{
	struct waiter *w = waiter_at(c, slot);

	check(w->state == WAITER_UNREAD || w->state == WAITER_READ);
	list_remove(c, w->state == WAITER_UNREAD ? &c->unread : &c->read,
		    slot);
	hash_remove(c, slot);
	atomic_fetch_sub(&c->queued, 1);
	w->state = WAITER_WOKEN;
	atomic_fetch_add(&w->gen, 1);
}

uint32_t queue_post(struct conversation *c, const struct waiter_post *post)
{
	uint32_t slot = slot_take(c);
	struct waiter *w = waiter_at(c, slot);

	check(lock_is_mine(&c->lock));
	if (!slot)
		return 0;

	check(w->state == WAITER_FREE);
	w->state = WAITER_UNREAD;
	w->address = post->address;
	w->flags = post->flags;
	w->tid = post->tid;
	w->thread = post->thread;
	w->posted_ns = sync_now_ns();
	w->may_sleep = 1;
	/* Before the count: who sees the message sees that it is new. */
	atomic_store_explicit(&c->posted, c->posted + 1, memory_order_relaxed);
	list_append(c, &c->unread, slot);
	hash_add(c, slot);
	atomic_fetch_add(&c->queued, 1);
	c->stats.faults++;
	return slot;
}

uint32_t queue_deliver(struct conversation *c)
{
	uint32_t slot = c->unread.head;

	check(lock_is_mine(&c->lock));
	if (!slot)
		return 0;

	check(waiter_at(c, slot)->state == WAITER_UNREAD);
	list_remove(c, &c->unread, slot);
	waiter_at(c, slot)->state = WAITER_READ;
	list_append(c, &c->read, slot);
	return slot;
}

static void count_wait(struct conversation *c, uint64_t ns)
{
	unsigned last = (unsigned)array_len(c->stats.wait_ns_log2) - 1;
	unsigned log2 = ns ? 63 - (unsigned)__builtin_clzll(ns) : 0;

	c->stats.wait_ns_log2[log2 < last ? log2 : last]++;
	c->stats.woken++;
}

void queue_wake(struct conversation *c, uint32_t slot, uint32_t *chain)
{
	struct waiter *w = waiter_at(c, slot);

	check(lock_is_mine(&c->lock));
	unqueue(c, slot);
	w->hash_next = *chain;
	*chain = slot;
	count_wait(c, sync_now_ns() - w->posted_ns);
}

void queue_release_chain(struct conversation *c, uint32_t chain)
{
	check(lock_is_mine(&c->lock));
	while (chain) {
		uint32_t next = waiter_at(c, chain)->hash_next;

		slot_free(c, chain);
		chain = next;
	}
}

void queue_withdraw(struct conversation *c, uint32_t slot)
{
	check(lock_is_mine(&c->lock));
	unqueue(c, slot);
	slot_free(c, slot);
	c->stats.withdrawn++;
}
