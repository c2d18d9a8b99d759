/* SPDX-License-Identifier: MIT */
/*
 * Fork: the parent stands still for it, the child starts with nothing ours.
 *
 *   prepare   map_lock for writing: no fill, no registration is half done
 *   parent    goes on
 *   child     its memory is the kernel's copy; traps are taken away
 */
#include "sys/process.h"

#include "base/heap.h"

#include <errno.h>
#include <pthread.h>

/* One fork at a time. */
static struct lock turn = LOCK_INIT(RANK_NONE);
static struct host_mask mask; /* [turn] */
static bool is_held;           /* [turn] the space is */
static bool is_followed;

static void prepare(void)
{
	struct host_mask blocked;

	host_block_signals(&blocked);
	lock_take(&turn);
	mask = blocked;
	is_held = sys_space() != NULL;
	if (is_held)
		space_begin(sys_space());
	heap_before_fork();
}

static void parent(void)
{
	struct host_mask blocked = mask;

	heap_after_fork(false);
	if (is_held)
		space_end(sys_space());
	lock_drop(&turn);
	host_restore_signals(&blocked);
}

static void child(void)
{
	struct host_mask blocked = mask;

	lock_init(&turn, RANK_NONE);
	heap_after_fork(true);
	sys_process_after_fork();
	host_busy_after_fork(&blocked);
}

int sys_follow_forks(void)
{
	if (is_followed)
		return 0;
	is_followed = true;
	return pthread_atfork(prepare, parent, child) ? -ENOMEM : 0;
}
