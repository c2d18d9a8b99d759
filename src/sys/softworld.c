/* SPDX-License-Identifier: MIT */
/*
 * Spaces of the soft world: what they are made of, in order, and who keeps
 * them alive.
 */
#include "sys/softworld.h"

#include "base/check.h"
#include "base/heap.h"
#include "charge/charge.h"

#include <errno.h>

static int space_with_mmu(const struct soft_config *config,
			  struct soft_space *s)
{
	struct space_options options = {
		.profile = config->profile,
		.group = s->group,
		.arena_bytes = config->arena_bytes,
	};
	int err;

	err = mmu_soft_create(&options.mmu);
	if (err)
		return err;
	err = space_create(&options, &s->space);
	if (err)
		options.mmu->ops->destroy(options.mmu);
	return err;
}

int soft_space_create(const struct soft_config *config,
		      struct soft_space **out)
{
	uint64_t limit = config->limit_pages;
	struct soft_space *s = heap_zalloc(sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	lock_init(&s->lock, RANK_HANDLE);
	s->refs = 1;
	s->is_unprivileged = config->is_unprivileged;
	s->group = charge_create(NULL, limit ? limit : CHARGE_NO_LIMIT);
	err = s->group ? space_with_mmu(config, s) : -ENOMEM;
	if (err) {
		charge_destroy(s->group);
		heap_free(s, sizeof(*s));
		return err;
	}
	*out = s;
	return 0;
}

static void put(struct soft_space *s)
{
	uint32_t left;

	lock_take(&s->lock);
	check(s->refs > 0);
	left = --s->refs;
	lock_drop(&s->lock);
	if (left)
		return;
	check(!s->objects);
	space_put(s->space);
	charge_destroy(s->group);
	heap_free(s, sizeof(*s));
}

void soft_space_exit(struct soft_space *s)
{
	struct soft_uffd *u;

	lock_take(&s->lock);
	if (!atomic_load(&s->space->is_dead)) {
		space_exit(s->space);
		for (u = s->objects; u; u = u->next)
			uffd_space_gone(u->uffd);
	}
	lock_drop(&s->lock);
}

void soft_space_destroy(struct soft_space *s)
{
	soft_space_exit(s);
	put(s);
}

void soft_space_check(struct soft_space *s)
{
	struct soft_uffd *u;

	lock_take(&s->lock);
	space_check(s->space);
	for (u = s->objects; u; u = u->next)
		uffd_check(u->uffd);
	lock_drop(&s->lock);
}

static bool is_privileged(void *arg)
{
	const struct soft_space *s = arg;

	return !s->is_unprivileged;
}

int soft_uffd_create(struct soft_space *s, unsigned flags,
		     struct soft_uffd **out)
{
	const struct uffd_options options = {
		.space = s->space,
		.flags = flags,
		.host = { .is_privileged = is_privileged, .arg = s },
	};
	struct soft_uffd *u = heap_zalloc(sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	err = uffd_create(&options, &u->uffd);
	if (err) {
		heap_free(u, sizeof(*u));
		return err;
	}
	u->space = s;
	lock_take(&s->lock);
	s->refs++;
	u->next = s->objects;
	s->objects = u;
	lock_drop(&s->lock);
	*out = u;
	return 0;
}

static void unlink_object(struct soft_space *s, struct soft_uffd *u)
{
	struct soft_uffd **link = &s->objects;

	lock_take(&s->lock);
	while (*link != u)
		link = &(*link)->next;
	*link = u->next;
	lock_drop(&s->lock);
}

void soft_uffd_close(struct soft_uffd *u)
{
	struct soft_space *s = u->space;

	unlink_object(s, u);
	uffd_release(u->uffd);
	heap_free(u, sizeof(*u));
	put(s);
}
