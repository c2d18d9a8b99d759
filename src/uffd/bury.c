/* SPDX-License-Identifier: MIT */
/*
 * Waiters whose thread was killed: nobody will take them off the queues.
 *
 * A thread of the process dies with the process; but a process that shares
 * its memory, made by clone(CLONE_VM), may be killed alone.
 */
#include "uffd/context.h"

#include "uffd/queue.h"

static bool bury_queue(struct conversation *c, const struct waiter_queue *q)
{
	bool any = false;
	uint32_t slot = q->head;

	while (slot) {
		uint32_t next = waiter_at(c, slot)->next;

		if (sync_is_dead(waiter_at(c, slot)->thread)) {
			queue_withdraw(c, slot);
			any = true;
		}
		slot = next;
	}
	return any;
}

void uffd_bury(struct uffd *uffd)
{
	struct conversation *c = uffd->talk;
	bool any;

	lock_take(&c->lock);
	any = bury_queue(c, &c->unread);
	any = bury_queue(c, &c->read) || any;
	lock_drop(&c->lock);
	if (any)
		uffd_tell(uffd);
}
