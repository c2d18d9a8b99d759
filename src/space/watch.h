/* SPDX-License-Identifier: MIT */
/*
 * What a watcher of a VMA is told. Owned by space/, implemented above it.
 *
 * A VMA has at most one watch and a set of modes. The space asks the watch
 * when a fault on a watched page cannot be answered by the space itself; the
 * watch answers with what the faulting thread shall do. (Fork, remap, remove
 * and unmap will be told through this table as well.)
 */
#ifndef SPACE_WATCH_H
#define SPACE_WATCH_H

#include "base/sync.h"
#include "base/types.h"

#define WATCH_MISSING 1u
#define WATCH_WP 2u
#define WATCH_MINOR 4u

/* An access, as the faulting side describes it. */
#define FAULT_READ 0u
#define FAULT_WRITE 1u
#define FAULT_EXEC 2u
#define FAULT_KERNEL 4u /* a system call's access, not the program's own */
#define FAULT_AGAIN 8u  /* the same access met a userfault already */

struct watch_fault {
	va_t va;         /* exact */
	unsigned access; /* FAULT_* */
	unsigned reason; /* WATCH_MISSING, WATCH_WP or WATCH_MINOR */
};

/*
 * What to wait for: until *word differs from `seen`. Handed out by on_fault;
 * holds no pointer into a stack; waiting needs no lock and leaves nothing
 * behind but the queue entry that `withdraw` takes back.
 */
struct watch_ticket {
	_Atomic uint32_t *word;
	uint32_t seen;
	uint32_t slot;
	struct watch *watch;
};

enum watch_answer {
	WATCH_WAIT,  /* ticket filled: wait, then retry the access */
	WATCH_RETRY, /* try the access again at once */
	WATCH_BUS    /* the access fails: SIGBUS, or -EFAULT for FAULT_KERNEL */
};

struct watch_ops {
	/*
	 * The fault is queued for the watch's reader, or answered at once.
	 * Locks:   called with map_lock held for reading and the leaf's lock
	 *          NOT held.
	 * Context: trap.
	 */
	enum watch_answer (*on_fault)(struct watch *watch,
				      const struct watch_fault *fault,
				      struct watch_ticket *ticket);

	/*
	 * The queue entry of the ticket is gone, if it still was there.
	 * Context: trap.
	 */
	void (*withdraw)(const struct watch_ticket *ticket);

	/*
	 * Called once when the fault is found to be real after queueing (the
	 * entry is still none): the reader may now be woken.
	 */
	void (*announce)(const struct watch_ticket *ticket);
};

/*
 * Raised while an address-space change that will be reported is under way.
 * Fills hold `lock` for reading and test `changing`; whoever begins a change
 * takes `lock` for writing to raise it.
 */
struct watch_gate {
	struct rwlock lock;          /* RANK_CHANGING */
	_Atomic uint32_t changing;   /* [a] */
};

struct watch {
	const struct watch_ops *ops; /* [I] */
	struct watch_gate gate;      /* [a] */
};

#endif /* SPACE_WATCH_H */
