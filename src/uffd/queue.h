/* SPDX-License-Identifier: MIT */
/*
 * The moves of a waiter. No other file changes a waiter's state or links.
 *
 *   free ──post──> unread ──deliver──> read
 *    ^               │ └──────┬─────────┘
 *    │            withdraw   wake
 *    └───────────────┴────────┴──> woken ──release──> free
 */
#ifndef UFFD_QUEUE_H
#define UFFD_QUEUE_H

#include "uffd/conversation.h"

/* What a fault says of itself. */
struct waiter_post {
	uint64_t address; /* as the message shall report it */
	uint32_t flags;   /* PF_UFFD_PAGEFAULT_FLAG_* */
	uint32_t tid;     /* as the message shall report it, or 0 */
	uint32_t thread;  /* who waits */
};

/* The bucket of an address: a multiplicative hash of its page. */
static inline uint32_t queue_bucket(uint64_t address)
{
	uint64_t page = address >> PAGE_SHIFT;

	return (uint32_t)((page * 0x9E3779B97F4A7C15ull) >> 32) %
	       WAITER_BUCKETS;
}

/*
 * A waiter with that message is the newest of the unread.
 *
 * Locks:   c->lock held.
 * Context: trap.
 * Returns: its slot; 0 when every slot is taken.
 */
uint32_t queue_post(struct conversation *c,
		    const struct waiter_post *post) must_check;

/*
 * The oldest unread waiter is the newest of the read.
 *
 * Locks:   c->lock held.
 * Context: trap.
 * Returns: its slot; 0 when there is none.
 */
uint32_t queue_deliver(struct conversation *c) must_check;

/*
 * Whether somebody waits for that page. Locks: c->lock held.
 */
bool queue_has(struct conversation *c, uint64_t page);

/*
 * The waiter is on no queue and may retry its access. Its slot is the first
 * of the chain, linked by hash_next, until queue_release_chain().
 *
 * Locks:   c->lock held.
 * Context: trap.
 */
void queue_wake(struct conversation *c, uint32_t slot, uint32_t *chain);

/*
 * The slots of the chain are free.
 *
 * Locks:   c->lock held.
 * Context: trap.
 */
void queue_release_chain(struct conversation *c, uint32_t chain);

/*
 * The waiter is on no queue and its slot is free: it went away by itself.
 *
 * Locks:   c->lock held.
 * Context: trap.
 */
void queue_withdraw(struct conversation *c, uint32_t slot);

#endif /* UFFD_QUEUE_H */
