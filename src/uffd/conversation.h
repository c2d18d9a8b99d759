/* SPDX-License-Identifier: MIT */
/*
 * What the two sides of a userfaultfd share: slots of waiters, two queues, a
 * hash by page, a bell.
 *
 * It lies in one mapping that another process may map elsewhere, so nothing
 * in it is a pointer: waiters are slot numbers from 1, and 0 is nobody. The
 * memory is never unmapped, only recycled, and a slot's generation never goes
 * back; so a ticket that outlived its object still names a readable word,
 * and is seen to be stale.
 *
 *   unread: 3 <-> 7 <-> 4        buckets[hash(page)]: 7 <-> 12
 *   read:   12                   free: 5 -> 1;  never used yet: 13 ...
 */
#ifndef UFFD_CONVERSATION_H
#define UFFD_CONVERSATION_H

#include "base/sync.h"
#include "base/types.h"
#include "uffd/uffd.h"

#define WAITER_SLOTS 4096u
#define WAITER_BUCKETS 1024u

enum waiter_state {
	WAITER_FREE,
	WAITER_UNREAD, /* its message is queued */
	WAITER_READ,   /* its message was taken, the fault is unresolved */
	WAITER_WOKEN   /* on no queue; its waker has yet to free the slot */
};

/*
 * One fault that waits. A cache line of its own: a thread may spin on `gen`.
 * The hash key is the page of the reported address.
 */
struct waiter {
	_Alignas(64) _Atomic uint32_t gen; /* [a] changes when it shall wake;
					    * written under [q] */
	uint32_t state;     /* [q] enum waiter_state */
	uint64_t address;   /* [q] as the message reports it */
	uint64_t posted_ns; /* [q] */
	uint32_t flags;     /* [q] PF_UFFD_PAGEFAULT_FLAG_* */
	uint32_t tid;       /* [q] as the message reports it, or 0 */
	uint32_t thread;    /* [q] who waits */
	uint32_t prev;      /* [q] in its queue */
	uint32_t next;      /* [q] in its queue, or in the free list */
	uint32_t hash_prev; /* [q] in its bucket */
	uint32_t hash_next; /* [q] in its bucket, or in a waker's chain */
	uint32_t may_sleep; /* [q] waking it takes a system call */
};

struct waiter_queue {
	uint32_t head;          /* [q] oldest */
	uint32_t tail;          /* [q] newest */
	_Atomic uint32_t count; /* [a] written under [q] */
};

/* [q] conversation->lock */
struct conversation {
	struct lock lock;            /* RANK_QUEUE */
	_Atomic uint32_t queued;     /* [a] on either queue; written under
				      * [q] */
	struct waiter_queue unread;  /* [q] */
	struct waiter_queue read;    /* [q] */
	uint32_t free;               /* [q] slots used before and free now */
	uint32_t used_slots;         /* [q] slots ever used: 1..used_slots */
	_Atomic uint32_t bell;       /* [a] futex: changes at each message */
	_Atomic uint32_t sleepers;   /* [a] asleep on the bell */
	_Atomic uint32_t posted;     /* [a] messages ever; written under [q] */
	_Atomic uint32_t tell_requests; /* [a] see uffd_tell() */
	bool is_told;                /* [teller] last word given to the host */
	struct uffd_stats stats;     /* [q] but for the fill counters */
	_Atomic uint64_t copies;     /* [a] */
	_Atomic uint64_t zeros;      /* [a] */
	_Atomic uint64_t bytes;      /* [a] */
	_Atomic uint64_t refused;    /* [a] */
	uint32_t buckets[WAITER_BUCKETS];     /* [q] first waiter of each */
	struct waiter slots[WAITER_SLOTS + 1]; /* [q] number 0 is not used */
};

/*
 * A conversation in which nobody ever spoke.
 *
 * Context: trap.
 * Returns: 0 and *out; -ENOMEM.
 */
int conversation_create(struct conversation **out) must_check;

/*
 * The conversation, whose queues are empty, starts anew: counters are zero,
 * generations and the bell go on.
 *
 * Context: any. Nobody else uses it but holders of stale tickets.
 */
void conversation_restart(struct conversation *c);

/* It is unmapped. Only for one that was never part of an object. */
void conversation_destroy(struct conversation *c);

/*
 * Every invariant of slots, queues and buckets holds, or bug().
 *
 * Locks:   takes and drops c->lock.
 */
void conversation_check(struct conversation *c);

static inline struct waiter *waiter_at(struct conversation *c, uint32_t slot)
{
	return &c->slots[slot];
}

#endif /* UFFD_CONVERSATION_H */
