/* SPDX-License-Identifier: MIT */
/*
 * Which ranks the calling thread holds: the check that locks are taken in
 * rising order.
 *
 * Private to base. Costs nothing below check level 2, and says nothing once
 * threads share their storage, since it is kept per thread.
 */
#ifndef BASE_HELD_H
#define BASE_HELD_H

#include "base/check.h"
#include "base/rank.h"
#include "base/types.h"

/*
 * The thread `self` is about to wait for a lock of that rank: a bug() unless
 * all it holds is below.
 *
 * Context: trap.
 */
void held_check(uint32_t self, uint32_t rank);

/* The thread holds / no longer holds a lock of that rank. Context: trap. */
void held_add(uint32_t self, uint32_t rank);
void held_remove(uint32_t self, uint32_t rank);

static inline bool held_is_on(uint32_t rank)
{
	return PF_CHECK_LEVEL >= 2 && rank != RANK_NONE;
}

#endif /* BASE_HELD_H */
