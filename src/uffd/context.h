/* SPDX-License-Identifier: MIT */
/*
 * The object itself, as the files of this room see it.
 *
 * One per descriptor. Like its conversation it is recycled, never unmapped:
 * a thread that comes back from a wait finds the object of its ticket
 * readable, and the generation in its slot tells it that it is stale.
 */
#ifndef UFFD_CONTEXT_H
#define UFFD_CONTEXT_H

#include "space/watch.h"
#include "uffd/conversation.h"
#include "uffd/uffd.h"

/* Guards: [I] immutable from creation to the last put, [a] atomic. */
struct uffd {
	struct watch watch;          /* [a] what owned VMAs point at */
	struct conversation *talk;   /* [I] for the life of the process */
	struct space *space;         /* [I] one reference */
	const struct profile *profile; /* [I] */
	struct uffd_host host;       /* [I] */
	unsigned flags;              /* [I] creation flags */
	_Atomic uint64_t features;   /* [a] requested ones; see is_ready */
	_Atomic uint32_t is_ready;   /* [a] handshaken: features are final */
	_Atomic uint32_t is_released; /* [a] the descriptor is closed */
	_Atomic uint32_t refs;       /* [a] */
	struct uffd *next_free;      /* [pool lock] while in the pool */
};

/* How an object hears of faults. */
extern const struct watch_ops uffd_watch_ops;

/*
 * The object that owns the VMAs of a watch.
 *
 * Context: trap.
 */
struct uffd *uffd_of_watch(struct watch *watch);

/* One reference more, by one who knows of another. Context: trap. */
void uffd_get(struct uffd *uffd);

/*
 * Waiters whose reported address lies in the range are on no queue and retry
 * their access.
 *
 * Locks:   takes and drops the conversation's lock; a space's map_lock may be
 *          held.
 * Orders:  entries published before the call are seen by whoever it wakes,
 *          and by whoever queues too late to be woken by it (full barrier).
 * Spec:    2.11; D06, D10, G02, L09-L11.
 */
void uffd_wake(struct uffd *uffd, struct range r);

/*
 * The host was told, or is being told by another thread, whether there is a
 * message. Call after each change of the unread queue.
 *
 * Locks:   none of the object held.
 * Context: trap.
 */
void uffd_tell(struct uffd *uffd);

/*
 * The bell rang: whoever sleeps on it looks again. Context: trap.
 */
void uffd_ring(struct uffd *uffd);

/* Whether the (non-zero) feature bits were all asked for. Context: trap. */
static inline bool uffd_has(const struct uffd *uffd, uint64_t features)
{
	return (atomic_load_explicit(&uffd->features, memory_order_relaxed) &
		features) == features;
}

#endif /* UFFD_CONTEXT_H */
