/* SPDX-License-Identifier: MIT */
/*
 * Counters without a lock: each group keeps what is used (pending included)
 * and, of that, what is pending. Limits are tested by compare-and-swap, so
 * use never exceeds a limit, not even for a moment.
 *
 * Counters grow from the group upwards; when an ancestor refuses, the groups
 * below it are given back what they had taken.
 */
#include "charge/charge.h"

#include "base/check.h"
#include "base/heap.h"

#include <errno.h>
#include <stdatomic.h>

/* A hook that frees a little each time is not asked for ever. */
#define RECLAIM_ROUNDS 16

/* [I] immutable  [a] atomic */
struct charge_group {
	struct charge_group *parent;       /* [I] */
	_Atomic uint64_t used_pages;       /* [a] charged and pending */
	_Atomic uint64_t pending_pages;    /* [a] */
	_Atomic uint64_t refused;          /* [a] */
	_Atomic uint64_t limit_pages;      /* [a] */
	_Atomic uint64_t children;         /* [a] */
	_Atomic(charge_reclaim_fn) reclaim; /* [a] */
	void *_Atomic reclaim_arg;         /* [a] stored before `reclaim` */
};

struct charge_group *charge_create(struct charge_group *parent,
				   uint64_t limit_pages)
{
	struct charge_group *group = heap_zalloc(sizeof(*group));

	if (!group)
		return NULL;
	group->parent = parent;
	atomic_store(&group->limit_pages, limit_pages);
	if (parent)
		atomic_fetch_add(&parent->children, 1);
	return group;
}

void charge_destroy(struct charge_group *group)
{
	if (!group)
		return;
	check(atomic_load(&group->used_pages) == 0);
	check(atomic_load(&group->pending_pages) == 0);
	check(atomic_load(&group->children) == 0);
	if (group->parent)
		atomic_fetch_sub(&group->parent->children, 1);
	heap_free(group, sizeof(*group));
}

void charge_set_limit(struct charge_group *group, uint64_t limit_pages)
{
	atomic_store(&group->limit_pages, limit_pages);
}

void charge_set_reclaim(struct charge_group *group, charge_reclaim_fn fn,
			void *arg)
{
	atomic_store(&group->reclaim, NULL);
	atomic_store(&group->reclaim_arg, arg);
	atomic_store(&group->reclaim, fn);
}

static void subtract(_Atomic uint64_t *counter, uint64_t pages)
{
	uint64_t before = atomic_fetch_sub(counter, pages);

	check(before >= pages);
}

/* The group alone, without its ancestors, uses `pages` more. */
static bool use_one(struct charge_group *group, uint64_t pages)
{
	uint64_t limit = atomic_load(&group->limit_pages);
	uint64_t used = atomic_load(&group->used_pages);

	do {
		if (used > limit || pages > limit - used)
			return false;
	} while (!atomic_compare_exchange_weak(&group->used_pages, &used,
					       used + pages));
	return true;
}

/* All groups from `group` up use `pages` more; or none, and who refused. */
static struct charge_group *use_all(struct charge_group *group, uint64_t pages)
{
	struct charge_group *g;

	for (g = group; g; g = g->parent)
		if (!use_one(g, pages))
			break;
	if (!g)
		return NULL;
	for (struct charge_group *below = group; below != g;
	     below = below->parent)
		subtract(&below->used_pages, pages);
	return g;
}

static bool reclaim(struct charge_group *group, uint64_t pages)
{
	charge_reclaim_fn fn = atomic_load(&group->reclaim);

	return fn && fn(atomic_load(&group->reclaim_arg), group, pages) > 0;
}

static int use_or_reclaim(struct charge_group *group, uint64_t pages)
{
	struct charge_group *full;

	for (int round = 0; round <= RECLAIM_ROUNDS; round++) {
		full = use_all(group, pages);
		if (!full)
			return 0;
		if (!reclaim(full, pages))
			break;
	}
	return -ENOMEM;
}

int charge_try(struct charge_group *group, uint64_t pages)
{
	struct charge_group *g;

	if (!group)
		return 0;
	if (heap_should_fail() || use_or_reclaim(group, pages)) {
		for (g = group; g; g = g->parent)
			atomic_fetch_add(&g->refused, 1);
		return -ENOMEM;
	}
	for (g = group; g; g = g->parent)
		atomic_fetch_add(&g->pending_pages, pages);
	return 0;
}

void charge_commit(struct charge_group *group, uint64_t pages)
{
	for (struct charge_group *g = group; g; g = g->parent)
		subtract(&g->pending_pages, pages);
}

void charge_cancel(struct charge_group *group, uint64_t pages)
{
	for (struct charge_group *g = group; g; g = g->parent) {
		subtract(&g->pending_pages, pages);
		subtract(&g->used_pages, pages);
	}
}

void charge_uncharge(struct charge_group *group, uint64_t pages)
{
	for (struct charge_group *g = group; g; g = g->parent)
		subtract(&g->used_pages, pages);
}

struct charge_counts charge_read(const struct charge_group *group)
{
	uint64_t pending = atomic_load(&group->pending_pages);
	uint64_t used = atomic_load(&group->used_pages);

	/* Two loads: a commit or cancel in between must not make it wrap. */
	return (struct charge_counts){
		.charged_pages = used > pending ? used - pending : 0,
		.pending_pages = pending,
		.refused = atomic_load(&group->refused),
	};
}
