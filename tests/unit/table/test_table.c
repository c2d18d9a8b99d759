/* SPDX-License-Identifier: MIT */
/*
 * table: the walk, the entry, visiting, runs, races, and running out.
 */
#include "table/table.h"

#include "base/check.h"
#include "base/heap.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../dies.h"

#define ARENA_BYTES ((uint64_t)64 << 20)
#define GIB ((uint64_t)1 << 30)
#define BASE ((va_t)0x7f1234400000)
#define LEAF_BYTES HUGE_BYTES

struct world {
	struct mmu *mmu;
	struct frame_arena *arena;
	struct table *table;
	uint64_t heap_before;
};

static int make_world(void **state)
{
	static struct world world;

	world.heap_before = heap_outstanding();
	*state = &world;
	return mmu_soft_create(&world.mmu) ||
	       frame_arena_create(world.mmu, ARENA_BYTES, &world.arena) ||
	       table_create(world.arena, &world.table);
}

static int drop_world(void **state)
{
	struct world *world = *state;

	table_destroy(world->table);
	frame_arena_destroy(world->arena);
	world->mmu->ops->destroy(world->mmu);
	return heap_outstanding() == world->heap_before ? 0 : -1;
}

static uint64_t tables(const struct world *world)
{
	return frame_read_counts(world->arena).tables;
}

/* The entry of `va` is what `bits` say; markers need no frame. */
static void put(struct table *table, va_t va, uint64_t bits)
{
	struct slot slot;

	check(table_walk(table, va, true, &slot) == 0);
	table_lock(&slot);
	table_set(&slot, (struct pte){ bits });
	table_unlock(&slot);
}

static uint64_t get(struct table *table, va_t va)
{
	struct slot slot;

	check(table_walk(table, va, false, &slot) == 0);
	return table_read(&slot).bits;
}

/* Does looking make nothing, and does making make three levels? */
static void walking_makes_levels_only_when_asked(void **state)
{
	struct world *w = *state;
	struct slot slot;

	assert_int_equal(tables(w), 1);
	assert_int_equal(table_walk(w->table, BASE + 123, false, &slot), 0);
	assert_null(slot.entry);
	assert_int_equal(slot.va, BASE);
	assert_true(pte_is_none(table_read(&slot)));
	assert_int_equal(tables(w), 1);
	assert_int_equal(table_walk(w->table, BASE + 123, true, &slot), 0);
	assert_non_null(slot.entry);
	assert_int_equal(slot.va, BASE);
	assert_true(pte_is_none(table_read(&slot)));
	assert_int_equal(tables(w), 4);
	assert_int_equal(table_walk(w->table, BASE + LEAF_BYTES, true, &slot),
			 0);
	assert_int_equal(tables(w), 5);
	assert_int_equal(table_walk(w->table, 0, true, &slot), 0);
	assert_int_equal(tables(w), 8);
}

static void an_entry_is_what_was_set(void **state)
{
	struct world *w = *state;
	struct pfn pfn = { 0xfffffff0 };
	struct pte pte = pte_of(pfn, PTE_PRESENT | PTE_WRITABLE | PTE_DIRTY);
	const va_t places[] = { 0, PAGE_BYTES, BASE, BASE + LEAF_BYTES - 1,
				TASK_BYTES - PAGE_BYTES };

	for (unsigned i = 0; i < array_len(places); i++) {
		put(w->table, places[i], pte.bits);
		assert_int_equal(get(w->table, places[i]), pte.bits);
		assert_int_equal(pte_pfn(pte).n, pfn.n);
		put(w->table, places[i], PTE_MARKER_POISON);
		assert_int_equal(get(w->table, places[i]), PTE_MARKER_POISON);
		put(w->table, places[i], 0);
	}
	put(w->table, BASE, PTE_PRESENT | PTE_NATIVE);
	assert_true(pte_is_none((struct pte){ get(w->table,
						  BASE + PAGE_BYTES) }));
	put(w->table, BASE, 0);
}

static void markers_are_told_apart(void **state)
{
	struct pte guard = { PTE_MARKER_GUARD };

	(void)state;
	assert_true(pte_is_marker(guard) && !pte_is_present(guard));
	assert_true(pte_has(guard, PTE_MARKER_GUARD));
	assert_false(pte_has(guard, PTE_MARKER_WP));
	assert_false(pte_has(guard, PTE_MARKER_POISON));
	assert_false(pte_has((struct pte){ 0 }, PTE_MARKER_WP));
}

/* Does each missing page fail alone, and a second try get further? */
static void running_out_leaves_a_whole_table(void **state)
{
	struct world *w = *state;
	struct table *other;
	struct slot slot;

	for (unsigned n = 1; n <= 3; n++) {
		table_destroy(w->table);
		assert_int_equal(tables(w), 0);
		assert_int_equal(table_create(w->arena, &w->table), 0);
		heap_fail_nth(n);
		assert_int_equal(table_walk(w->table, BASE, true, &slot),
				 -ENOMEM);
		assert_int_equal(tables(w), n);
		heap_fail_nth(0);
		assert_int_equal(get(w->table, BASE), 0);
		assert_int_equal(table_run(w->table, range_of(0, TASK_BYTES),
					   true), TASK_BYTES);
		assert_int_equal(table_walk(w->table, BASE, true, &slot), 0);
		assert_int_equal(tables(w), 4);
	}
	for (unsigned n = 1; n <= 2; n++) {
		uint64_t before = heap_outstanding();

		heap_fail_nth(n);
		assert_int_equal(table_create(w->arena, &other), -ENOMEM);
		assert_int_equal(heap_outstanding(), before);
		assert_int_equal(tables(w), 4);
	}
}

struct visits {
	va_t seen[16];
	unsigned n;
	unsigned stop_at;
	bool erase;
};

static int visit(void *arg, const struct slot *slot, struct pte pte)
{
	struct visits *v = arg;

	assert_true(lock_is_mine(slot->lock));
	assert_int_equal(table_read(slot).bits, pte.bits);
	v->seen[v->n++] = slot->va;
	if (v->erase)
		table_set(slot, (struct pte){ 0 });
	return v->n == v->stop_at ? -EAGAIN : 0;
}

static const va_t scattered[] = {
	PAGE_BYTES, BASE, BASE + PAGE_BYTES, BASE + LEAF_BYTES - PAGE_BYTES,
	BASE + LEAF_BYTES, BASE + 5 * LEAF_BYTES, BASE + 3 * GIB,
	TASK_BYTES - PAGE_BYTES,
};

static void scatter(struct table *table)
{
	for (unsigned i = 0; i < array_len(scattered); i++)
		put(table, scattered[i], PTE_MARKER_WP);
}

/* Is every entry visited once, rising, within the range, under its lock? */
static void each_visits_what_is_there(void **state)
{
	struct world *w = *state;
	struct visits all = { .erase = true };
	struct visits some = { .n = 0 };
	struct visits few = { .stop_at = 2 };

	scatter(w->table);
	assert_int_equal(table_each(w->table,
				    (struct range){ BASE + PAGE_BYTES,
						    BASE + 3 * GIB },
				    visit, &some), 0);
	assert_int_equal(some.n, 4);
	assert_int_equal(some.seen[0], scattered[2]);
	assert_int_equal(some.seen[3], scattered[5]);
	assert_int_equal(table_each(w->table, range_of(0, TASK_BYTES), visit,
				    &few), -EAGAIN);
	assert_int_equal(few.n, 2);
	assert_int_equal(table_each(w->table, range_of(0, TASK_BYTES), visit,
				    &all), 0);
	assert_int_equal(all.n, array_len(scattered));
	assert_memory_equal(all.seen, scattered, sizeof(scattered));
	all.n = 0;
	assert_int_equal(table_each(w->table, range_of(0, TASK_BYTES), visit,
				    &all), 0);
	assert_int_equal(all.n, 0);
	assert_int_equal(table_each(w->table, range_of(BASE, 0), visit, &all),
			 0);
}

/* Do runs end at the first other page, across leaves and holes? */
static void runs_are_measured_across_leaves(void **state)
{
	struct world *w = *state;
	struct range all = range_of(0, TASK_BYTES);
	struct range leaf = range_of(BASE, LEAF_BYTES);
	struct visits wipe = { .erase = true };

	assert_int_equal(table_run(w->table, all, true), TASK_BYTES);
	assert_int_equal(table_run(w->table, all, false), 0);
	scatter(w->table);
	assert_int_equal(table_run(w->table, all, true), PAGE_BYTES);
	assert_int_equal(table_run(w->table, leaf, true), 0);
	assert_int_equal(table_run(w->table, leaf, false), 2 * PAGE_BYTES);
	leaf.start = BASE + LEAF_BYTES - PAGE_BYTES;
	leaf.end = BASE + GIB;
	assert_int_equal(table_run(w->table, leaf, false), 2 * PAGE_BYTES);
	leaf.end = leaf.start + PAGE_BYTES;
	assert_int_equal(table_run(w->table, leaf, false), PAGE_BYTES);
	leaf = (struct range){ BASE + 6 * LEAF_BYTES, BASE + 4 * GIB };
	assert_int_equal(table_run(w->table, leaf, true),
			 BASE + 3 * GIB - leaf.start);
	assert_int_equal(table_run(w->table, range_of(BASE, 0), true), 0);
	assert_int_equal(table_each(w->table, all, visit, &wipe), 0);
}

static struct table *raced;
static _Atomic uint32_t set_sum;

/* All threads walk the same fresh places; each page is set by one of them. */
static void *fill_fresh(void *arg)
{
	struct slot slot;

	(void)arg;
	for (va_t va = BASE; va < BASE + 8 * LEAF_BYTES;
	     va += 16 * PAGE_BYTES) {
		check(table_walk(raced, va, true, &slot) == 0);
		table_lock(&slot);
		if (pte_is_none(table_read(&slot))) {
			table_set(&slot, (struct pte){ PTE_MARKER_GUARD });
			atomic_fetch_add(&set_sum, 1);
		}
		table_unlock(&slot);
	}
	return NULL;
}

static int erase(void *arg, const struct slot *slot, struct pte pte)
{
	++*(unsigned *)arg;
	assert_int_equal(pte.bits, PTE_MARKER_GUARD);
	table_set(slot, (struct pte){ 0 });
	return 0;
}

static void racing_walkers_make_each_level_once(void **state)
{
	struct world *w = *state;
	pthread_t threads[4];
	unsigned erased;

	for (unsigned round = 0; round < 50; round++) {
		erased = 0;
		raced = w->table;
		atomic_store(&set_sum, 0);
		for (unsigned i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, fill_fresh, NULL);
		for (unsigned i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(atomic_load(&set_sum), 8 * 32);
		assert_int_equal(tables(w), 1 + 2 + 8);
		table_each(w->table, range_of(0, TASK_BYTES), erase, &erased);
		assert_int_equal(erased, 8 * 32);
		table_destroy(w->table);
		assert_int_equal(tables(w), 0);
		assert_int_equal(table_create(w->arena, &w->table), 0);
	}
}

static void set_unlocked(void *table)
{
	struct slot slot;

	if (table_walk(table, BASE, true, &slot) == 0)
		table_set(&slot, (struct pte){ PTE_MARKER_WP });
}

static void set_both(void *table)
{
	put(table, BASE, PTE_PRESENT | PTE_NATIVE | PTE_MARKER_WP);
}

static void set_without_frame(void *table)
{
	put(table, BASE, PTE_PRESENT | PTE_WRITABLE);
}

static void set_native_with_frame(void *table)
{
	put(table, BASE, pte_of((struct pfn){ 5 },
				PTE_PRESENT | PTE_NATIVE).bits);
}

static void destroy_with_entry(void *table)
{
	put(table, BASE, PTE_MARKER_WP);
	table_destroy(table);
}

static void walk_too_high(void *table)
{
	struct slot slot;

	if (table_walk(table, (va_t)1 << 48, true, &slot))
		_exit(1);
}

static void misuse_is_noticed(void **state)
{
	struct world *w = *state;

	assert_true(dies(set_unlocked, w->table));
	assert_true(dies(set_both, w->table));
	assert_true(dies(set_without_frame, w->table));
	assert_true(dies(set_native_with_frame, w->table));
	assert_true(dies(destroy_with_entry, w->table));
	assert_true(dies(walk_too_high, w->table));
}

#define table_test(fn) \
	cmocka_unit_test_setup_teardown(fn, make_world, drop_world)

int main(void)
{
	const struct CMUnitTest cases[] = {
		table_test(walking_makes_levels_only_when_asked),
		table_test(an_entry_is_what_was_set),
		table_test(markers_are_told_apart),
		table_test(running_out_leaves_a_whole_table),
		table_test(each_visits_what_is_there),
		table_test(runs_are_measured_across_leaves),
		table_test(racing_walkers_make_each_level_once),
		table_test(misuse_is_noticed),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
