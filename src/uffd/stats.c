/* SPDX-License-Identifier: MIT */
/*
 * What was counted, and whether everything adds up.
 */
#include "uffd/context.h"

#include "base/check.h"

void uffd_read_stats(const struct uffd *uffd, struct uffd_stats *out)
{
	struct conversation *c = uffd->talk;

	lock_take(&c->lock);
	*out = c->stats;
	lock_drop(&c->lock);
	out->copies = atomic_load(&c->copies);
	out->zeros = atomic_load(&c->zeros);
	out->bytes = atomic_load(&c->bytes);
	out->refused = atomic_load(&c->refused);
}

void uffd_check(struct uffd *uffd)
{
	check(atomic_load(&uffd->refs) > 0);
	check(uffd_is_ready(uffd) || !atomic_load(&uffd->features));
	check(uffd_is_ready(uffd) || !atomic_load(&uffd->talk->queued));
	conversation_check(uffd->talk);
}
