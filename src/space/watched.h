/* SPDX-License-Identifier: MIT */
/*
 * Which addresses are watched, for whoever may take no lock: the trap, and a
 * shim that asks before every call.
 *
 * Two lists take turns. The writer fills the one that nobody is sent to and
 * then raises the generation; a reader whose list was current before and
 * after it looked has seen it whole.
 */
#ifndef SPACE_WATCHED_H
#define SPACE_WATCHED_H

#include "base/types.h"

#include <stdatomic.h>

/* Ranges told apart; beyond that only the bounds of them all are known. */
#define WATCHED_MOST 256

struct watched_list {
	struct range hull;  /* [M] of all ranges; empty: nothing is watched */
	uint32_t count;     /* [M] */
	bool is_exact;      /* [M] ranges[] is all that is watched */
	struct range ranges[WATCHED_MOST]; /* [M] rising, they do not touch */
};

struct watched {
	_Atomic uint32_t generation;  /* [a] its low bit: the current list */
	struct watched_list lists[2]; /* [M] also read without lock */
};

/*
 * Whether the range meets a watched one. When in doubt, yes: beyond
 * WATCHED_MOST ranges, and while the lists change all the time.
 * Locks:   none needed.
 * Context: trap, any.
 */
bool watched_meets(const struct watched *watched, struct range r);

/* Locks for the rest: map_lock held for writing. */

/* The range is watched (too) / no part of it is. */
void watched_add(struct watched *watched, struct range r);
void watched_remove(struct watched *watched, struct range r);

/*
 * Whether more was removed than WATCHED_MOST ranges tell: the caller knows
 * better, and tells it all between begin and end.
 */
bool watched_is_vague(const struct watched *watched);

/* From begin to end the ranges that are added, rising, are all there are. */
struct watched_list *watched_begin(struct watched *watched);
void watched_tell(struct watched_list *list, struct range r);
void watched_end(struct watched *watched);

#endif /* SPACE_WATCHED_H */
