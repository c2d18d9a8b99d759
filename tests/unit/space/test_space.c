/* SPDX-License-Identifier: MIT */
/*
 * VMAs and the verbs on them: map, unmap, protect, discard, guard, watch.
 */
#include "space_fixture.h"

#include <errno.h>

static struct range pages_at(va_t at, uint64_t pages)
{
	return range_of(at, pages * PAGE);
}

static int64_t map(struct sx *sx, va_t at, uint64_t len_bytes, unsigned flags)
{
	struct space_map_request req = { at, len_bytes, RW, flags };

	return space_map(sx->space, &req);
}

/* Does a mapping without a place get one, and do neighbours merge? */
static void map_finds_a_gap_and_merges(void **state)
{
	struct sx *sx = *state;
	int64_t a = map(sx, 0, PAGE, 0);
	int64_t b = map(sx, 0, 3 * PAGE - 1, 0);

	assert_true(a > 0 && b > 0);
	assert_int_equal(b + 3 * (int64_t)PAGE, a);
	assert_int_equal(sx_vmas(sx), 1);
	assert_int_equal(map(sx, (va_t)a - 9 * PAGE + 5, PAGE, 0),
			 (va_t)a - 9 * PAGE);
	assert_int_equal(sx_vmas(sx), 2);
	assert_int_not_equal(map(sx, (va_t)a, PAGE, 0), a);
}

/* Are the refusals those of mmap? */
static void map_refuses_what_mmap_refuses(void **state)
{
	struct sx *sx = *state;

	sx_map(sx, BASE, 4, RW);
	assert_int_equal(map(sx, 0, 0, 0), -EINVAL);
	assert_int_equal(map(sx, BASE + 1, PAGE, SPACE_FIXED), -EINVAL);
	assert_int_equal(map(sx, TASK_BYTES - PAGE, 2 * PAGE, SPACE_FIXED),
			 -ENOMEM);
	assert_int_equal(map(sx, 0, TASK_BYTES, 0), -ENOMEM);
	assert_int_equal(map(sx, 0, UINT64_MAX, 0), -ENOMEM);
	assert_int_equal(map(sx, BASE + 3 * PAGE, 2 * PAGE, SPACE_NOREPLACE),
			 -EEXIST);
	assert_int_equal(map(sx, BASE + 4 * PAGE, PAGE, SPACE_NOREPLACE),
			 BASE + 4 * PAGE);
	assert_int_equal(sx_vmas(sx), 1);
}

/* Does a fixed mapping replace pages and all? */
static void map_fixed_replaces(void **state)
{
	struct sx *sx = *state;
	struct sx_counts before;

	sx_map(sx, BASE, 4, RW);
	before = sx_count(sx);
	sx_write(sx, BASE, 4, 7);
	sx_map(sx, BASE, 4, RW);
	sx_unchanged(sx, &before);
	assert_false(sx_holds(sx, BASE, 7));
	assert_int_equal(sx_vmas(sx), 1);
}

/* Does unmapping the middle leave both ends with their pages? */
static void unmap_splits(void **state)
{
	struct sx *sx = *state;

	sx_map(sx, BASE, 6, RW);
	sx_write(sx, BASE, 6, 3);
	assert_int_equal(space_unmap(sx->space, pages_at(BASE + 2 * PAGE, 2)),
			 0);
	assert_int_equal(sx_vmas(sx), 2);
	assert_int_equal(sx_count(sx).anon, 4);
	assert_true(sx_holds(sx, BASE + PAGE, 3));
	assert_true(sx_holds(sx, BASE + 4 * PAGE, 3));
	assert_false(sx_holds(sx, BASE + 2 * PAGE, 3));
	assert_int_equal(space_unmap(sx->space, pages_at(BASE + 2 * PAGE, 2)),
			 0);
	assert_int_equal(space_unmap(sx->space, range_of(BASE + 1, PAGE)),
			 -EINVAL);
	assert_int_equal(space_unmap(sx->space, range_of(BASE, 0)), -EINVAL);
}

/* Does protection end writes, and give them back without a copy? */
static void protect_takes_and_gives_writing(void **state)
{
	struct sx *sx = *state;
	struct pte before;

	sx_map(sx, BASE, 3, RW);
	sx_write(sx, BASE, 3, 1);
	before = sx_entry(sx, BASE + PAGE);
	assert_int_equal(space_protect(sx->space, pages_at(BASE + PAGE, 1),
				       ACCESS_READ),
			 0);
	assert_int_equal(sx_vmas(sx), 3);
	assert_int_equal(space_copy_out(sx->space, BASE + PAGE, "x", 1, true),
			 0);
	assert_int_equal(space_protect(sx->space, pages_at(BASE, 3), RW), 0);
	assert_int_equal(sx_vmas(sx), 1);
	sx_write(sx, BASE + PAGE, 1, 2);
	assert_int_equal(pte_pfn(sx_entry(sx, BASE + PAGE)).n,
			 pte_pfn(before).n);
}

/* Are the VMAs before a hole changed, as with mprotect? */
static void protect_stops_at_a_hole(void **state)
{
	struct sx *sx = *state;

	sx_map(sx, BASE, 2, RW);
	sx_map(sx, BASE + 3 * PAGE, 1, RW);
	assert_int_equal(space_protect(sx->space, pages_at(BASE + PAGE, 3),
				       ACCESS_READ),
			 -ENOMEM);
	assert_int_equal(space_find_vma(sx->space, BASE + PAGE)->prot,
			 ACCESS_READ);
	assert_int_equal(space_find_vma(sx->space, BASE + 3 * PAGE)->prot, RW);
	assert_int_equal(space_protect(sx->space, pages_at(BASE, 4), 0),
			 -ENOMEM);
	assert_int_equal(space_protect(sx->space, range_of(BASE + 1, 1), 0),
			 -EINVAL);
	assert_int_equal(space_protect(sx->space, range_of(BASE, 0), 0), 0);
	assert_int_equal(space_protect(sx->space, pages_at(BASE + 2 * PAGE, 1),
				       0),
			 -ENOMEM);
}

/* Does discarding free the pages, on both sides of a hole? */
static void discard_empties_pages(void **state)
{
	struct sx *sx = *state;
	struct sx_counts before = sx_count(sx);

	sx_map(sx, BASE, 2, RW);
	sx_map(sx, BASE + 3 * PAGE, 1, RW);
	sx_write(sx, BASE, 2, 5);
	sx_write(sx, BASE + 3 * PAGE, 1, 5);
	assert_int_equal(space_discard(sx->space, pages_at(BASE, 4)), -ENOMEM);
	assert_int_equal(sx_count(sx).used, before.used);
	assert_int_equal(sx_count(sx).charged, 0);
	assert_int_equal(space_discard(sx->space, pages_at(BASE, 2)), 0);
	assert_int_equal(space_discard(sx->space, range_of(BASE, 0)), 0);
	assert_int_equal(space_discard(sx->space, range_of(BASE + 4, PAGE)),
			 -EINVAL);
	space_find_vma(sx->space, BASE)->is_locked = true;
	assert_int_equal(space_discard(sx->space, pages_at(BASE, 1)), -EINVAL);
}

/* Do guards refuse accesses, survive a discard, and go away again? */
static void guards_stand_until_removed(void **state)
{
	struct sx *sx = *state;
	struct watch_ticket ticket;

	sx_map(sx, BASE, 2, RW);
	sx_write(sx, BASE, 2, 5);
	assert_int_equal(space_guard(sx->space, pages_at(BASE, 1), true), 0);
	assert_int_equal(sx_count(sx).anon, 1);
	assert_int_equal(space_fault(sx->space, BASE, FAULT_READ, &ticket),
			 SPACE_SEGV_MAPERR);
	assert_int_equal(space_discard(sx->space, pages_at(BASE, 2)), 0);
	assert_int_equal(space_fault(sx->space, BASE, FAULT_READ, &ticket),
			 SPACE_SEGV_MAPERR);
	assert_int_equal(space_guard(sx->space, pages_at(BASE, 2), false), 0);
	assert_true(pte_is_none(sx_entry(sx, BASE)));
	assert_int_equal(space_guard(sx->space, pages_at(BASE, 3), true),
			 -ENOMEM);
}

/* Is the middle of a VMA watched alone (C23), and merged back (C30c)? */
static void watching_splits_and_merges(void **state)
{
	struct sx *sx = *state;
	struct fake_watch other;

	fake_watch_init(&other);
	sx_map(sx, BASE, 8, RW);
	sx_watch(sx, pages_at(BASE + 2 * PAGE, 2), &sx->watch.watch,
		 WATCH_MISSING);
	assert_int_equal(sx_vmas(sx), 3);
	assert_false(space_is_watched(sx->space, pages_at(BASE, 2)));
	assert_true(space_is_watched(sx->space,
				     pages_at(BASE + 3 * PAGE, 5)));
	assert_false(space_is_watched(sx->space,
				      pages_at(BASE + 4 * PAGE, 4)));
	sx_watch(sx, pages_at(BASE + 4 * PAGE, 2), &sx->watch.watch,
		 WATCH_MISSING);
	assert_int_equal(sx_vmas(sx), 3);
	sx_watch(sx, pages_at(BASE + 6 * PAGE, 2), &other.watch,
		 WATCH_MISSING);
	assert_int_equal(sx_vmas(sx), 3);
	sx_watch(sx, pages_at(BASE, 8), NULL, 0);
	assert_int_equal(sx_vmas(sx), 1);
	assert_false(space_is_watched(sx->space, pages_at(BASE, 8)));
}

/* Does the end of a write-protecting watch end the protection? */
static void wp_ends_with_its_mode(void **state)
{
	struct sx *sx = *state;
	struct slot slot;

	sx_map_watched(sx, BASE, 2, WATCH_WP | WATCH_MISSING);
	sx_watch(sx, pages_at(BASE, 2), &sx->watch.watch, WATCH_WP);
	sx_write(sx, BASE, 1, 1);
	assert_int_equal(table_walk(sx->space->table, BASE, true, &slot), 0);
	space_begin(sx->space);
	table_lock(&slot);
	table_set(&slot, (struct pte){ (table_read(&slot).bits | PTE_WP) &
				       ~PTE_WRITABLE });
	table_unlock(&slot);
	space_end(sx->space);
	sx_watch(sx, pages_at(BASE, 2), NULL, 0);
	assert_false(sx_entry(sx, BASE).bits & PTE_WP);
	sx_write(sx, BASE, 1, 2);
}

/* What a verb is in the table of the next case. */
struct verb {
	const char *name;
	int (*act)(struct sx *sx);
};

static int act_map(struct sx *sx)
{
	int64_t at = map(sx, BASE + 2 * PAGE, 2 * PAGE, SPACE_FIXED);

	return at < 0 ? (int)at : 0;
}

static int act_unmap(struct sx *sx)
{
	return space_unmap(sx->space, pages_at(BASE + 2 * PAGE, 2));
}

static int act_protect(struct sx *sx)
{
	return space_protect(sx->space, pages_at(BASE + 2 * PAGE, 2),
			     ACCESS_READ);
}

static int act_guard(struct sx *sx)
{
	return space_guard(sx->space, pages_at(BASE + 2 * PAGE, 2), true);
}

static int act_touch(struct sx *sx)
{
	return space_copy_out(sx->space, BASE + 5 * PAGE, "x", 1, true) == 1
		       ? 0
		       : -ENOMEM;
}

static const struct verb verbs[] = {
	{ "map", act_map },	{ "unmap", act_unmap },
	{ "protect", act_protect }, { "guard", act_guard },
	{ "touch", act_touch },
};

/* Is everything as before when memory runs out, whichever allocation? */
static void a_refused_verb_changes_nothing(void **state)
{
	struct sx *sx = *state;
	struct sx_counts before;
	uint64_t nth;
	unsigned i;
	int err;

	for (i = 0; i < array_len(verbs); i++) {
		sx_map(sx, BASE, 8, RW);
		sx_write(sx, BASE + 2 * PAGE, 2, 9);
		before = sx_count(sx);
		for (nth = 1;; nth++) {
			heap_fail_nth(nth);
			err = verbs[i].act(sx);
			heap_fail_nth(0);
			space_check(sx->space);
			if (!err)
				break;
			assert_int_equal(err, -ENOMEM);
			sx_unchanged(sx, &before);
			assert_true(sx_holds(sx, BASE + 2 * PAGE, 9));
			assert_int_equal(sx_vmas(sx), 1);
		}
		assert_true(nth > 1 || verbs[i].act == act_guard);
		assert_int_equal(space_unmap(sx->space, pages_at(BASE, 8)), 0);
	}
}

/* Does a refused creation leave nothing, and the mmu to its owner? */
static void a_refused_creation_leaves_nothing(void **state)
{
	struct space_options options = { .arena_bytes = 1 << 20 };
	uint64_t before = heap_outstanding();
	struct space *space;
	uint64_t nth;
	int err;

	(void)state;
	for (nth = 1;; nth++) {
		assert_int_equal(mmu_soft_create(&options.mmu), 0);
		heap_fail_nth(nth);
		err = space_create(&options, &space);
		heap_fail_nth(0);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		options.mmu->ops->destroy(options.mmu);
		assert_int_equal(heap_outstanding(), before);
	}
	assert_true(nth > 2);
	space_put(space);
	assert_int_equal(heap_outstanding(), before);
}

int main(void)
{
#define a_case(name) cmocka_unit_test_setup_teardown(name, sx_setup, sx_teardown)
	const struct CMUnitTest cases[] = {
		a_case(map_finds_a_gap_and_merges),
		a_case(map_refuses_what_mmap_refuses),
		a_case(map_fixed_replaces),
		a_case(unmap_splits),
		a_case(protect_takes_and_gives_writing),
		a_case(protect_stops_at_a_hole),
		a_case(discard_empties_pages),
		a_case(guards_stand_until_removed),
		a_case(watching_splits_and_merges),
		a_case(wp_ends_with_its_mode),
		a_case(a_refused_verb_changes_nothing),
		cmocka_unit_test(a_refused_creation_leaves_nothing),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
