/* SPDX-License-Identifier: MIT */
/*
 * Making, recycling and checking the shared part of an object.
 *
 * Zeroed memory is already an empty conversation but for its lock: slot 0 is
 * nobody, and slots are used for the first time in rising order, so that a
 * quiet object touches only its first pages.
 */
#include "uffd/conversation.h"

#include "base/check.h"
#include "base/heap.h"
#include "base/mem.h"
#include "uffd/queue.h"

int conversation_create(struct conversation **out)
{
	void *at;
	int err;

	err = heap_map(sizeof(struct conversation), true, &at);
	if (err)
		return err;
	*out = at;
	lock_init(&(*out)->lock, RANK_QUEUE);
	return 0;
}

void conversation_restart(struct conversation *c)
{
	check(atomic_load(&c->queued) == 0);
	check(atomic_load(&c->tell_requests) == 0);
	mem_set(&c->stats, 0, sizeof(c->stats));
	atomic_store(&c->copies, 0);
	atomic_store(&c->zeros, 0);
	atomic_store(&c->bytes, 0);
	atomic_store(&c->refused, 0);
	c->is_told = false;
}

void conversation_destroy(struct conversation *c)
{
	heap_unmap(c, sizeof(*c));
}

/* The queue is a list in both directions of waiters in that one state. */
static void check_queue(struct conversation *c, const struct waiter_queue *q,
			uint32_t state)
{
	uint32_t slot, prev = 0, count = 0;

	for (slot = q->head; slot; slot = waiter_at(c, slot)->next) {
		struct waiter *w = waiter_at(c, slot);

		check(slot <= c->used_slots);
		check(w->state == state);
		check(w->prev == prev);
		prev = slot;
		count++;
		check(count <= c->used_slots);
	}
	check(q->tail == prev);
	check(atomic_load(&q->count) == count);
}

/* Each queued waiter is in the bucket of its page, once. */
static void check_buckets(struct conversation *c)
{
	uint32_t i, slot, prev, count = 0;

	for (i = 0; i < WAITER_BUCKETS; i++) {
		prev = 0;
		for (slot = c->buckets[i]; slot;
		     slot = waiter_at(c, slot)->hash_next) {
			struct waiter *w = waiter_at(c, slot);

			check(w->state == WAITER_UNREAD ||
			      w->state == WAITER_READ);
			check(queue_bucket(w->address) == i);
			check(w->hash_prev == prev);
			prev = slot;
			count++;
			check(count <= c->used_slots);
		}
	}
	check(atomic_load(&c->queued) == count);
}

static void check_free(struct conversation *c)
{
	uint32_t slot, count = 0;

	for (slot = c->free; slot; slot = waiter_at(c, slot)->next) {
		check(waiter_at(c, slot)->state == WAITER_FREE);
		count++;
		check(count <= c->used_slots);
	}
	check(count + atomic_load(&c->queued) <= c->used_slots);
}

void conversation_check(struct conversation *c)
{
	lock_take(&c->lock);
	check(c->used_slots <= WAITER_SLOTS);
	check_queue(c, &c->unread, WAITER_UNREAD);
	check_queue(c, &c->read, WAITER_READ);
	check(atomic_load(&c->queued) == atomic_load(&c->unread.count) +
						atomic_load(&c->read.count));
	check_buckets(c);
	check_free(c);
	lock_drop(&c->lock);
}
