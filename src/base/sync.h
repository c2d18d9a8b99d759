/* SPDX-License-Identifier: MIT */
/*
 * The only door to threads: locks, waits, time.
 *
 * Everything stands on futex words, not on pthread, because the trap takes
 * these locks inside a signal handler, in threads that libc may not know.
 * A lock word holds its owner's thread id, so a lock whose owner was killed
 * (a CLONE_VM child may be, with the rest of the process alive) is noticed
 * and taken over by the next one who waits for it.
 *
 *   lock     one owner                               LOCK word: tid | WAITERS
 *   rwlock   readers claim a slot of their own, a    slots[i] = tid of reader
 *            writer waits until every slot is empty  writer   = struct lock
 *
 * Ranks: a thread takes locks in rising rank only; in a build with checks at
 * level 2 or more, taking them in another order is a bug().
 *
 * In a host world whoever holds a lock has its signals blocked (see
 * mmu/host), so a signal handler never meets a lock that its own thread
 * holds. Locks are not recursive.
 */
#ifndef BASE_SYNC_H
#define BASE_SYNC_H

#include "base/rank.h"
#include "base/types.h"

#include <stdatomic.h>

#define SYNC_READER_SLOTS 64

struct lock {
	_Atomic uint32_t word; /* [a] owner's tid, or 0; top bit: waiters */
	uint32_t rank;         /* [I] enum lock_rank */
};

struct rwlock {
	struct lock writer; /* [a] held by the writer, or by one who waits */
	_Atomic uint32_t has_writer; /* [a] futex: readers stay out unless 0 */
	_Atomic uint32_t drained;    /* [a] futex: counts readers leaving */
	_Atomic uint32_t slots[SYNC_READER_SLOTS]; /* [a] tids, 0 = free */
};

#define LOCK_INIT(r) { .word = 0, .rank = (r) }

/*
 * The lock is free, of the given rank.
 *
 * Context: trap. Also used on a lock in memory that a fork copied, in the
 * child, where no other thread can hold it.
 */
void lock_init(struct lock *l, enum lock_rank rank);

/*
 * The caller owns the lock.
 *
 * Locks:   takes `l`; spins briefly, then sleeps in a futex. A dead owner is
 *          found within 100 ms and the lock taken over.
 * Context: trap.
 */
void lock_take(struct lock *l);

/* Whether the lock was free and is now the caller's. Context: trap. */
bool lock_try(struct lock *l) must_check;

/* The caller, who owned it, owns it no more. Context: trap. */
void lock_drop(struct lock *l);

/* Whether the calling thread owns the lock (for checks). Context: trap. */
bool lock_is_mine(const struct lock *l);

/* Nobody holds the lock; see lock_init(). Context: trap. */
void rwlock_init(struct rwlock *l, enum lock_rank rank);

/*
 * The caller is one of the readers.
 *
 * Locks:   takes `l` for reading; waits while a writer holds it or waits.
 * Context: trap.
 * Returns: the slot, to be handed to rwlock_read_drop().
 */
unsigned rwlock_read(struct rwlock *l) must_check;
void rwlock_read_drop(struct rwlock *l, unsigned slot);

/*
 * The caller is the one writer and there is no reader.
 *
 * Locks:   takes `l` for writing; waits for readers to leave, and clears the
 *          slots of readers that died.
 * Context: trap.
 */
void rwlock_write(struct rwlock *l);
void rwlock_write_drop(struct rwlock *l);

/*
 * The calling thread's kernel id, made cheap.
 *
 * Context: trap. Cached in thread-local storage; after sync_share_threads()
 * the cache is believed only on the stretch of stack where it was made, since
 * threads made by raw clone share their parent's storage.
 */
uint32_t sync_self(void);

/*
 * As sync_self(), asking the kernel: called first on a stack that threads
 * hand to each other. Context: trap.
 */
uint32_t sync_ask_self(void);

/*
 * Whether the thread has ended: gone, or a zombie that nobody has reaped.
 * An id that was given to a new thread counts as alive. Context: trap.
 */
bool sync_is_dead(uint32_t tid);

/* From now on threads may share their storage. Called by the host world. */
void sync_share_threads(void);

/*
 * FUTEX_PRIVATE_FLAG while all who wait share this process' memory; 0 once
 * sync_share_words() was called. For those who make the call themselves.
 */
extern uint32_t sync_futex_scope;

/*
 * Words may be waited for by other processes from now on. Called while nobody
 * waits. Shared words cost a look-up of their page at each call.
 */
void sync_share_words(void);

/*
 * Sleeps until `*word` differs from `seen`, or `timeout_ns` passed (negative:
 * for ever), or a signal came.
 *
 * Context: may sleep; async-signal-safe. The word may be shared between
 *          processes.
 * Returns: 0 when it differs; -ETIMEDOUT; -EINTR.
 */
int sync_wait_change(_Atomic uint32_t *word, uint32_t seen,
		     int64_t timeout_ns) must_check;

/* Every thread asleep on `word` looks at it again. Context: trap. */
void sync_wake_all(_Atomic uint32_t *word);

/* A moment of politeness inside a spin. */
static inline void sync_relax(void)
{
	__asm__ volatile("pause");
}

/* Monotonic time in nanoseconds. Context: trap. */
uint64_t sync_now_ns(void);

/* How many CPUs this process may use (read once). Context: any. */
unsigned sync_cpus(void);

#endif /* BASE_SYNC_H */
