/* SPDX-License-Identifier: MIT */
/*
 * Waiting outside the signal handler.
 *
 * Sleeping inside the handler would keep its frame on what may be an 8 KiB
 * alternate stack, where the next handler then overflows it. So the handler
 * returns into bounce.S on the interrupted stack.
 *
 * Where the handler itself ran on that stack the kernel's signal frame still
 * lies there, with the vector state that returning from the handler will
 * restore; the record must be below it, and is, in the handler's own frame:
 *
 *    interrupted rsp ->  +----------------------+
 *                        | red zone, 128 bytes  |
 *                        +----------------------+
 *                        | signal frame         |  gone when waiting
 *                        +----------------------+
 *                        | handler's frame:     |
 *                        | struct bounce_record |
 *          waiting rsp ->+----------------------+
 */
#ifndef HOST_BOUNCE_H
#define HOST_BOUNCE_H

#include "mmu/host/bounce_layout.h"
#include "mmu/host/host.h"

#include <time.h>
#include <ucontext.h>

struct bounce_record {
	uint64_t regs[16];       /* [I] as interrupted */
	_Atomic uint32_t *word;  /* [I] */
	uint32_t seen;           /* [I] */
	uint32_t spin;           /* [I] looks before sleeping */
	struct timespec timeout; /* [I] of one sleep */
	uint32_t slot;           /* [I] */
	uint32_t reason;         /* [owner] -errno of the last sleep */
	void *owner;             /* [I] */
	siginfo_t info;          /* [I] what the thread sends itself */
	uint64_t flags;          /* [I] */
	uint64_t rip;            /* [I] */
};

/* Room for a record in the frame of the handler. */
struct bounce_room {
	struct bounce_record record;
};

/*
 * The context will, when the handler returns, wait for `wait` and then be as
 * it was.
 *
 * Context: trap.
 * Returns: whether it could be arranged; not when the stack there is
 *          `is_watched` memory, which might be missing itself.
 */
bool bounce_arm(ucontext_t *uc, const struct host_wait *wait,
		struct bounce_room *room,
		bool (*is_watched)(const void *at, size_t n));

/*
 * The record of a context that waits in the bounce; NULL when it does not, or
 * had waited and was about to make its access, which it then is at.
 *
 * Context: trap.
 */
struct bounce_record *bounce_of(ucontext_t *uc);

/* The wait that a record describes. */
struct host_wait bounce_wait(const struct bounce_record *record);

/*
 * The context, which was in the bounce, is as it was when its access was
 * refused: the access will be made anew.
 */
void bounce_undo(ucontext_t *uc, const struct bounce_record *record);

/* Whether a siginfo is one that bounce.S sent. */
bool bounce_is_tick(const siginfo_t *info);

#endif /* HOST_BOUNCE_H */
