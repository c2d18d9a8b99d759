/* SPDX-License-Identifier: MIT */
/*
 * The faulting side: a fault becomes a message and a ticket to wait for.
 *
 * Everything here runs inside a trap, maybe in the middle of malloc. The
 * space looks at the entry again after queueing (step 2 of the story in
 * wake.c), then announces or withdraws.
 */
#include "uffd/context.h"

#include "base/check.h"
#include "uffd/queue.h"

/* Answers that need no message, in the order of precedence. Spec: 3.6. */
static bool is_refused(const struct uffd *uffd, unsigned access)
{
	if (uffd_has(uffd, PF_UFFD_FEATURE_SIGBUS))
		return true;
	if ((access & FAULT_KERNEL) &&
	    (uffd->flags & PF_UFFD_USER_MODE_ONLY))
		return true;
	return false;
}

static uint32_t flags_of(const struct watch_fault *fault)
{
	uint64_t flags = 0;

	if (fault->access & FAULT_WRITE)
		flags |= PF_UFFD_PAGEFAULT_FLAG_WRITE;
	if (fault->reason == WATCH_WP)
		flags |= PF_UFFD_PAGEFAULT_FLAG_WP;
	if (fault->reason == WATCH_MINOR)
		flags |= PF_UFFD_PAGEFAULT_FLAG_MINOR;
	return (uint32_t)flags;
}

static uint32_t post(struct uffd *uffd, const struct watch_fault *fault,
		     struct watch_ticket *ticket)
{
	struct conversation *c = uffd->talk;
	struct waiter_post what = {
		.address = page_down(fault->va),
		.flags = flags_of(fault),
		.thread = sync_self(),
	};
	uint32_t slot;

	if (uffd_has(uffd, PF_UFFD_FEATURE_EXACT_ADDRESS))
		what.address = fault->va;
	if (uffd_has(uffd, PF_UFFD_FEATURE_THREAD_ID))
		what.tid = what.thread;

	lock_take(&c->lock);
	slot = queue_post(c, &what);
	ticket->slot = slot;
	ticket->word = &waiter_at(c, slot)->gen;
	ticket->seen = atomic_load(ticket->word);
	ticket->watch = &uffd->watch;
	lock_drop(&c->lock);
	return slot;
}

static enum watch_answer on_fault(struct watch *watch,
				  const struct watch_fault *fault,
				  struct watch_ticket *ticket)
{
	struct uffd *uffd = uffd_of_watch(watch);

	if (is_refused(uffd, fault->access))
		return WATCH_BUS;
	if (atomic_load(&uffd->is_released))
		return WATCH_RETRY;
	if (!post(uffd, fault, ticket)) {
		sync_relax();
		return WATCH_RETRY;
	}
	return WATCH_WAIT;
}

/*
 * The object of a ticket that is still queued, with a reference and its
 * conversation locked; NULL when the ticket is stale. An object with a waiter
 * queued is not released yet, or is about to wake it with this lock.
 */
static struct uffd *hold(const struct watch_ticket *ticket)
{
	struct uffd *uffd = uffd_of_watch(ticket->watch);

	lock_take(&uffd->talk->lock);
	if (atomic_load(ticket->word) == ticket->seen) {
		uffd_get(uffd);
		return uffd;
	}
	lock_drop(&uffd->talk->lock);
	return NULL;
}

static void withdraw(const struct watch_ticket *ticket)
{
	struct uffd *uffd = hold(ticket);

	if (!uffd)
		return;
	queue_withdraw(uffd->talk, ticket->slot);
	lock_drop(&uffd->talk->lock);
	uffd_tell(uffd);
	uffd_put(uffd);
}

static void announce(const struct watch_ticket *ticket)
{
	struct uffd *uffd = hold(ticket);

	if (!uffd)
		return;
	lock_drop(&uffd->talk->lock);
	uffd_ring(uffd);
	uffd_tell(uffd);
	uffd_put(uffd);
}

const struct watch_ops uffd_watch_ops = {
	.on_fault = on_fault,
	.withdraw = withdraw,
	.announce = announce,
};
