/* SPDX-License-Identifier: MIT */
/*
 * Who pays for a page: groups with counters and limits, in a hierarchy.
 *
 * A protocol of its own: try (may refuse), then commit or cancel; uncharge
 * when the page is freed. A group's use counts against all its ancestors.
 *
 *     try ──ok──> pending ──commit──> charged ──uncharge──> free
 *      │             └──────cancel──────────────────────────> free
 *      └─-ENOMEM (limit reached, after the reclaim hook was asked)
 */
#ifndef CHARGE_CHARGE_H
#define CHARGE_CHARGE_H

#include "base/types.h"

#define CHARGE_NO_LIMIT UINT64_MAX

struct charge_group;

struct charge_counts {
	uint64_t charged_pages; /* committed, descendants included */
	uint64_t pending_pages; /* tried, neither committed nor cancelled */
	uint64_t refused;       /* how often a try failed */
};

/*
 * Asked when a limit is reached: free up to `pages` of this group's pages.
 * Returns how many were freed; 0 means: give up.
 */
typedef uint64_t (*charge_reclaim_fn)(void *arg, struct charge_group *group,
				      uint64_t pages);

/*
 * A new group below `parent` (NULL: a root), with a limit in pages.
 *
 * Returns: NULL when there is no memory.
 */
struct charge_group *charge_create(struct charge_group *parent,
				   uint64_t limit_pages) must_check;

/* The group is gone. It must have no charge and no child. NULL is fine. */
void charge_destroy(struct charge_group *group);

/*
 * Tries are refused above the limit; what is charged already may be more.
 *
 * Context: any.
 */
void charge_set_limit(struct charge_group *group, uint64_t limit_pages);

/* `fn` is asked from now on; NULL: nobody is. Not during a try. */
void charge_set_reclaim(struct charge_group *group, charge_reclaim_fn fn,
			void *arg);

/*
 * `pages` are pending in the group and its ancestors. NULL group: free.
 *
 * Returns: 0; -ENOMEM when a limit stays in the way after the reclaim hook
 *          was asked, or when told to fail (heap_fail_nth).
 */
int charge_try(struct charge_group *group, uint64_t pages) must_check;

/*
 * Pending pages are charged / not used after all; charged ones not used any
 * more. In the group and its ancestors; NULL: nothing to do.
 *
 * Context: trap.
 */
void charge_commit(struct charge_group *group, uint64_t pages);
void charge_cancel(struct charge_group *group, uint64_t pages);
void charge_uncharge(struct charge_group *group, uint64_t pages);

/*
 * The group's counters, each right by itself; while others charge, they need
 * not fit together.
 *
 * Context: any.
 */
struct charge_counts charge_read(const struct charge_group *group);

#endif /* CHARGE_CHARGE_H */
