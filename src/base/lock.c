/* SPDX-License-Identifier: MIT */
/*
 * The lock with one owner.
 *
 *   word:  0             free
 *          tid           owned, nobody sleeps
 *          tid | WAITERS owned, somebody may sleep: drop wakes one
 *
 * Whoever slept takes the lock with WAITERS set, since it cannot know whether
 * others still sleep; the price is one needless wake at the end.
 */
#include "base/check.h"
#include "base/held.h"
#include "base/owner.h"
#include "base/raw.h"
#include "base/sync.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#define LOCK_WAITERS 0x80000000u
#define LOCK_SPINS 100

void lock_init(struct lock *l, enum lock_rank rank)
{
	atomic_store(&l->word, 0);
	l->rank = rank;
}

static bool lock_change(struct lock *l, uint32_t from, uint32_t to)
{
	return atomic_compare_exchange_strong_explicit(&l->word, &from, to,
						       memory_order_acquire,
						       memory_order_relaxed);
}

static bool lock_spin(struct lock *l, uint32_t self)
{
	if (sync_cpus() == 1)
		return false;
	for (int i = 0; i < LOCK_SPINS; i++) {
		if (atomic_load_explicit(&l->word, memory_order_relaxed) == 0 &&
		    lock_change(l, 0, self))
			return true;
		sync_relax();
	}
	return false;
}

/*
 * One round of sleep while the word is `word`, with WAITERS set. True when
 * the owner turned out dead and the lock is now ours.
 */
static bool lock_sleep(struct lock *l, uint32_t word, uint32_t self)
{
	if (sync_wait_change(&l->word, word, OWNER_PATIENCE_NS) == 0)
		return false;
	return sync_is_dead(word & ~LOCK_WAITERS) &&
	       lock_change(l, word, self | LOCK_WAITERS);
}

static void lock_wait(struct lock *l, uint32_t self)
{
	uint32_t word;

	for (;;) {
		word = atomic_load_explicit(&l->word, memory_order_relaxed);
		check((word & ~LOCK_WAITERS) != self);
		if (word == 0) {
			if (lock_change(l, 0, self | LOCK_WAITERS))
				return;
		} else if (word & LOCK_WAITERS ||
			   lock_change(l, word, word | LOCK_WAITERS)) {
			if (lock_sleep(l, word | LOCK_WAITERS, self))
				return;
		}
	}
}

void lock_take(struct lock *l)
{
	uint32_t self = sync_self();

	if (held_is_on(l->rank))
		held_check(self, l->rank);
	if (!lock_change(l, 0, self) && !lock_spin(l, self))
		lock_wait(l, self);
	if (held_is_on(l->rank))
		held_add(self, l->rank);
}

bool lock_try(struct lock *l)
{
	uint32_t self = sync_self();

	if (!lock_change(l, 0, self))
		return false;
	if (held_is_on(l->rank))
		held_add(self, l->rank);
	return true;
}

void lock_drop(struct lock *l)
{
	uint32_t word;

	if (held_is_on(l->rank))
		held_remove(sync_self(), l->rank);
	check_more(lock_is_mine(l));
	word = atomic_exchange_explicit(&l->word, 0, memory_order_release);
	check(word != 0);
	if (word & LOCK_WAITERS)
		raw_call(SYS_futex, &l->word, FUTEX_WAKE | sync_futex_scope, 1);
}

bool lock_is_mine(const struct lock *l)
{
	uint32_t word = atomic_load_explicit(&l->word, memory_order_relaxed);

	return word && (word & ~LOCK_WAITERS) == sync_self();
}
