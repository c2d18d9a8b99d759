/* SPDX-License-Identifier: MIT */
/*
 * One word of ranks for each thread.
 *
 * A thread whose id changed is the child of a fork: it holds nothing, since
 * locks in memory that a fork copied are made anew there.
 */
#include "base/held.h"

#include "base/thread.h"

static THREAD_LOCAL uint32_t held_ranks; /* bit per rank */
static THREAD_LOCAL uint32_t held_by;

static bool is_known(uint32_t self, uint32_t rank)
{
	if (!held_is_on(rank) || thread_is_shared())
		return false;
	if (held_by != self) {
		held_by = self;
		held_ranks = 0;
	}
	return true;
}

void held_check(uint32_t self, uint32_t rank)
{
	if (is_known(self, rank) && held_ranks >> rank)
		bug("locks are taken in rising rank");
}

void held_add(uint32_t self, uint32_t rank)
{
	if (!is_known(self, rank))
		return;
	if (held_ranks & 1u << rank)
		bug("one lock of a rank at a time");
	held_ranks |= 1u << rank;
}

void held_remove(uint32_t self, uint32_t rank)
{
	if (is_known(self, rank))
		held_ranks &= ~(1u << rank);
}
