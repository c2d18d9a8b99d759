/* SPDX-License-Identifier: MIT */
/*
 * The lock with many readers, each in a slot of its own.
 *
 * Reader and writer each store, then look at what the other stores, with a
 * full barrier between (all are seq_cst), so at least one sees the other:
 *
 *   1. reader: slots[i] = tid            1. writer: has_writer = 1
 *   2. reader: has_writer? back out      2. writer: slots[*]? wait
 *
 * No wake of the writer is lost: it reads `drained`, then the slot, then
 * sleeps while `drained` is what it read; a reader empties its slot first and
 * counts `drained` after.
 */
#include "base/check.h"
#include "base/held.h"
#include "base/owner.h"
#include "base/sync.h"

#include <errno.h>

#define READER_SPINS 100
/* has_writer: a writer is in, or coming; the second: and readers sleep. */
#define WRITER_IN 1u
#define WRITER_AWAITED 2u
#define CROWDED_NS ((int64_t)1000 * 1000)

void rwlock_init(struct rwlock *l, enum lock_rank rank)
{
	lock_init(&l->writer, rank);
	atomic_store(&l->has_writer, 0);
	atomic_store(&l->drained, 0);
	for (unsigned i = 0; i < SYNC_READER_SLOTS; i++)
		atomic_store(&l->slots[i], 0);
}

/* The reader of a slot is gone; a writer that waits looks again. */
static void slot_leave(struct rwlock *l, unsigned slot)
{
	atomic_store(&l->slots[slot], 0);
	if (!atomic_load(&l->has_writer))
		return;
	atomic_fetch_add(&l->drained, 1);
	sync_wake_all(&l->drained);
}

/* Slots of readers that died are free again. */
static void clear_if_dead(struct rwlock *l, unsigned slot)
{
	uint32_t tid = atomic_load(&l->slots[slot]);

	if (tid && sync_is_dead(tid))
		atomic_compare_exchange_strong(&l->slots[slot], &tid, 0);
}

/* A free slot is the caller's, tried from its own place on; or none is. */
static bool slot_claim(struct rwlock *l, uint32_t self, unsigned *slot)
{
	uint32_t seen;

	for (unsigned i = 0; i < SYNC_READER_SLOTS; i++) {
		*slot = (self + i) % SYNC_READER_SLOTS;
		seen = 0;
		if (atomic_compare_exchange_strong(&l->slots[*slot], &seen,
						   self))
			return true;
	}
	return false;
}

/* More readers than slots: rare, so plain patience is enough. */
static void wait_for_slot(struct rwlock *l)
{
	uint32_t seen = atomic_load(&l->drained);

	if (sync_wait_change(&l->drained, seen, CROWDED_NS) != -ETIMEDOUT)
		return;
	for (unsigned i = 0; i < SYNC_READER_SLOTS; i++)
		clear_if_dead(l, i);
}

/* Locks: `writer` held. */
static void let_readers_in(struct rwlock *l)
{
	if (atomic_exchange(&l->has_writer, 0) == WRITER_AWAITED)
		sync_wake_all(&l->has_writer);
}

/*
 * A writer that died leaves has_writer set. Whoever then owns `writer` is the
 * only one who could have set it rightly, and has not.
 */
static void bury_writer(struct rwlock *l)
{
	uint32_t word = atomic_load(&l->writer.word) & 0x7fffffffu;

	if (!word || !sync_is_dead(word))
		return;
	lock_take(&l->writer);
	let_readers_in(l);
	lock_drop(&l->writer);
}

static void wait_for_writer(struct rwlock *l)
{
	uint32_t seen = WRITER_IN;

	/* It may have left meanwhile, or be awaited already: both are fine. */
	atomic_compare_exchange_strong(&l->has_writer, &seen, WRITER_AWAITED);
	if (sync_wait_change(&l->has_writer, WRITER_AWAITED,
			     OWNER_PATIENCE_NS) == -ETIMEDOUT)
		bury_writer(l);
}

static unsigned reader_enter(struct rwlock *l, uint32_t self)
{
	unsigned slot;

	for (;;) {
		if (atomic_load(&l->has_writer)) {
			wait_for_writer(l);
		} else if (!slot_claim(l, self, &slot)) {
			wait_for_slot(l);
		} else {
			if (!atomic_load(&l->has_writer))
				return slot;
			slot_leave(l, slot);
		}
	}
}

unsigned rwlock_read(struct rwlock *l)
{
	uint32_t self = sync_self();
	unsigned slot;

	if (held_is_on(l->writer.rank))
		held_check(self, l->writer.rank);
	slot = reader_enter(l, self);
	if (held_is_on(l->writer.rank))
		held_add(self, l->writer.rank);
	return slot;
}

void rwlock_read_drop(struct rwlock *l, unsigned slot)
{
	check(slot < SYNC_READER_SLOTS);
	check(atomic_load(&l->slots[slot]) != 0);
	if (held_is_on(l->writer.rank))
		held_remove(sync_self(), l->writer.rank);
	slot_leave(l, slot);
}

static bool spin_for_reader(struct rwlock *l, unsigned slot)
{
	for (int i = 0; i < READER_SPINS && sync_cpus() > 1; i++) {
		if (!atomic_load(&l->slots[slot]))
			return true;
		sync_relax();
	}
	return false;
}

static void wait_for_reader(struct rwlock *l, unsigned slot)
{
	uint32_t seen;

	if (spin_for_reader(l, slot))
		return;
	for (;;) {
		seen = atomic_load(&l->drained);
		if (!atomic_load(&l->slots[slot]))
			return;
		if (sync_wait_change(&l->drained, seen, OWNER_PATIENCE_NS) ==
		    -ETIMEDOUT)
			clear_if_dead(l, slot);
	}
}

void rwlock_write(struct rwlock *l)
{
	lock_take(&l->writer);
	atomic_store(&l->has_writer, WRITER_IN);
	for (unsigned i = 0; i < SYNC_READER_SLOTS; i++)
		if (atomic_load(&l->slots[i]))
			wait_for_reader(l, i);
}

void rwlock_write_drop(struct rwlock *l)
{
	check(atomic_load(&l->has_writer) != 0);
	let_readers_in(l);
	lock_drop(&l->writer);
}
