/* SPDX-License-Identifier: MIT */
/*
 * The reading side: messages are taken, polled for, slept for, told of.
 */
#include "uffd/context.h"

#include "base/check.h"
#include "base/mem.h"
#include "uffd/queue.h"

#include <errno.h>
#include <poll.h>

_Static_assert(sizeof(struct pf_uffd_msg) == 32, "read by programs");

static void write_message(const struct waiter *w, struct pf_uffd_msg *msg)
{
	mem_set(msg, 0, sizeof(*msg));
	msg->event = PF_UFFD_EVENT_PAGEFAULT;
	msg->arg.pagefault.flags = w->flags;
	msg->arg.pagefault.address = w->address;
	msg->arg.pagefault.ptid = w->tid;
}

int uffd_take(struct uffd *uffd, struct pf_uffd_msg *msgs, unsigned count)
{
	struct conversation *c = uffd->talk;
	unsigned taken = 0;
	uint32_t slot;

	if (!uffd_is_ready(uffd))
		return -EINVAL;
	if (!atomic_load(&c->unread.count))
		return 0;

	lock_take(&c->lock);
	while (taken < count && (slot = queue_deliver(c)))
		write_message(waiter_at(c, slot), &msgs[taken++]);
	lock_drop(&c->lock);
	uffd_tell(uffd);
	return (int)taken;
}

unsigned uffd_poll(struct uffd *uffd, bool is_nonblocking)
{
	if (!uffd_is_ready(uffd) || !is_nonblocking)
		return POLLERR;
	return atomic_load(&uffd->talk->unread.count) ? POLLIN : 0;
}

_Atomic uint32_t *uffd_bell(struct uffd *uffd)
{
	return &uffd->talk->bell;
}

uint32_t uffd_posted(const struct uffd *uffd)
{
	return atomic_load(&uffd->talk->posted);
}

void uffd_expect(struct uffd *uffd, bool is_asleep)
{
	if (is_asleep)
		atomic_fetch_add(&uffd->talk->sleepers, 1);
	else
		atomic_fetch_sub(&uffd->talk->sleepers, 1);
}

int uffd_sleep(struct uffd *uffd, uint32_t seen, int64_t timeout_ns)
{
	int err;

	uffd_expect(uffd, true);
	err = sync_wait_change(&uffd->talk->bell, seen, timeout_ns);
	uffd_expect(uffd, false);
	check(err == 0 || err == -ETIMEDOUT || err == -EINTR);
	return err;
}

void uffd_ring(struct uffd *uffd)
{
	struct conversation *c = uffd->talk;

	atomic_fetch_add(&c->bell, 1);
	if (atomic_load(&c->sleepers))
		sync_wake_all(&c->bell);
}

/*
 * One thread at a time speaks to the host, without a lock: whoever comes
 * meanwhile leaves a request and goes, and the speaker looks again. A request
 * follows the change it is about, so the last word told is the truth.
 */
void uffd_tell(struct uffd *uffd)
{
	struct conversation *c = uffd->talk;
	uint32_t seen;

	if (!uffd->host.readable)
		return;
	if (atomic_fetch_add(&c->tell_requests, 1) > 0)
		return;
	do {
		bool is_readable;

		seen = atomic_load(&c->tell_requests);
		is_readable = atomic_load(&c->unread.count) > 0;
		/* Said again while true: what a host makes of it may depend on
		 * who listens by now. */
		if (is_readable || c->is_told) {
			c->is_told = is_readable;
			uffd->host.readable(uffd->host.arg, is_readable);
		}
	} while (!atomic_compare_exchange_strong(&c->tell_requests, &seen, 0));
}
