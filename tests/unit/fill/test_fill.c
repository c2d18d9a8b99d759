/* SPDX-License-Identifier: MIT */
/*
 * Filling anonymous memory: results, accounting, order of checks, the two
 * phases of a copy. Rows of sections E and F are named where they are met.
 */
#include "../space/space_fixture.h"

#include "fill/fill.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define SRC (BASE + 1024 * PAGE)

static struct fill_request copy_of(va_t at, uint64_t pages, va_t src)
{
	return (struct fill_request){
		.kind = FILL_COPY,
		.dst = range_of(at, pages * PAGE),
		.src = src,
	};
}

static int64_t copy(struct sx *sx, va_t at, uint64_t pages, va_t src)
{
	struct fill_request req = copy_of(at, pages, src);

	return fill_run(sx->space, &req);
}

static int64_t zero(struct sx *sx, va_t at, uint64_t pages)
{
	struct fill_request req = {
		.kind = FILL_ZERO,
		.dst = range_of(at, pages * PAGE),
	};

	return fill_run(sx->space, &req);
}

/* Eight watched pages at BASE, four resident source pages at SRC. */
static void lay_out(struct sx *sx)
{
	sx_map_watched(sx, BASE, 8, WATCH_MISSING);
	sx_map(sx, SRC, 4, RW);
	sx_write(sx, SRC, 4, 0x5a);
}

static bool is_seed(struct sx *sx)
{
	return !sx->space->home.profile->always_dirty;
}

/* What is a copied page, and what does it cost (E22, E65, E14)? */
static void copy_makes_charged_dirty_pages(void **state)
{
	struct sx *sx = *state;
	struct sx_counts before;
	struct pte pte;

	lay_out(sx);
	before = sx_count(sx);
	assert_int_equal(copy(sx, BASE, 3, SRC + 8), 3 * PAGE);
	assert_true(sx_holds(sx, BASE + 2 * PAGE, 0x5a));
	assert_int_equal(sx_count(sx).anon, before.anon + 3);
	assert_int_equal(sx_count(sx).charged, before.charged + 3);
	assert_int_equal(sx_count(sx).used, before.used + 3);
	assert_int_equal(sx_count(sx).active, before.active + 3);
	assert_int_equal(sx_count(sx).pending, 0);
	pte = sx_entry(sx, BASE);
	assert_true(pte.bits & PTE_WRITABLE);
	assert_true(pte.bits & PTE_DIRTY);
	assert_true(pte.bits & PTE_ACCESSED);
	assert_true(frame_meta(sx->space->home.frames, pte_pfn(pte))->flags &
		    FRAME_EXCLUSIVE);
	assert_int_equal(sx->watch.posted, 0);
}

/* What is a zero page (F03, F16, F18, F05, F04b)? */
static void zero_costs_nothing(void **state)
{
	struct sx *sx = *state;
	struct sx_counts before;

	lay_out(sx);
	before = sx_count(sx);
	assert_int_equal(zero(sx, BASE, 2), 2 * PAGE);
	sx_unchanged(sx, &before);
	assert_true(sx_holds(sx, BASE, 0));
	assert_int_equal(sx_entry(sx, BASE).bits &
				 (PTE_ZERO | PTE_WRITABLE | PTE_DIRTY),
			 PTE_ZERO);
	assert_int_equal(copy(sx, BASE, 1, SRC), -EEXIST);
	sx_write(sx, BASE, 1, 3);
	assert_int_equal(sx->watch.posted, 0);
	assert_int_equal(sx_count(sx).anon, before.anon + 1);
	assert_true(sx_holds(sx, BASE + PAGE, 0));
}

/* Is a present page refused, and progress reported (E13, E15, F04, F07)? */
static void present_pages_end_a_fill(void **state)
{
	struct sx *sx = *state;
	struct sx_counts before;

	lay_out(sx);
	assert_int_equal(copy(sx, BASE + PAGE, 1, SRC), PAGE);
	before = sx_count(sx);
	assert_int_equal(copy(sx, BASE + PAGE, 1, SRC), -EEXIST);
	assert_int_equal(zero(sx, BASE + PAGE, 1), -EEXIST);
	sx_unchanged(sx, &before);
	assert_int_equal(copy(sx, BASE, 3, SRC), PAGE);
	assert_int_equal(zero(sx, BASE + 2 * PAGE, 6), 6 * PAGE);
}

/* Which places are no places (E08, E08b, E09, E10, F06)? */
static void the_range_must_be_one_watched_vma(void **state)
{
	struct sx *sx = *state;

	lay_out(sx);
	sx_map(sx, BASE + 8 * PAGE, 1, RW);
	sx_map_watched(sx, BASE + 9 * PAGE, 1, WATCH_MISSING);
	assert_int_equal(copy(sx, BASE + 64 * PAGE, 1, SRC), -ENOENT);
	assert_int_equal(copy(sx, TASK_BYTES - PAGE, 1, SRC), -ENOENT);
	assert_int_equal(copy(sx, BASE + 8 * PAGE, 1, SRC), -ENOENT);
	assert_int_equal(zero(sx, BASE + 8 * PAGE, 1), -ENOENT);
	assert_int_equal(copy(sx, BASE + 7 * PAGE, 2, SRC), -ENOENT);
	assert_int_equal(copy(sx, BASE - PAGE, 2, SRC), -ENOENT);
	assert_int_equal(space_protect(sx->space, range_of(BASE, PAGE),
				       ACCESS_READ),
			 0);
	assert_int_equal(copy(sx, BASE, 2, SRC), -ENOENT);
	assert_true(pte_is_none(sx_entry(sx, BASE)));
}

/* What do bad sources give (E11, E12, E12b, E28, E28b)? */
static void sources_are_fetched_or_refused(void **state)
{
	struct sx *sx = *state;
	struct sx_counts before;

	lay_out(sx);
	before = sx_count(sx);
	assert_int_equal(copy(sx, BASE, 1, SRC + 4 * PAGE), -EFAULT);
	assert_int_equal(copy(sx, BASE, 1, SRC + 3 * PAGE + 1), -EFAULT);
	sx_unchanged(sx, &before);
	assert_int_equal(copy(sx, BASE, 2, SRC + 3 * PAGE), PAGE);
	sx_map(sx, SRC + 8 * PAGE, 1, RW);
	assert_int_equal(copy(sx, BASE + PAGE, 1, SRC + 8 * PAGE), PAGE);
	assert_true(sx_holds(sx, BASE + PAGE, 0));
	assert_int_equal(space_protect(sx->space,
				       range_of(SRC + 8 * PAGE, PAGE), 0),
			 0);
	assert_int_equal(copy(sx, BASE + 2 * PAGE, 1, SRC + 8 * PAGE),
			 -EFAULT);
}

/* What does the VMA's protection do to a page (E20, E20b, E20c, E98)? */
static void protection_decides_the_entry(void **state)
{
	struct sx *sx = *state;
	struct range r = range_of(BASE, PAGE);
	uint64_t bits;

	lay_out(sx);
	assert_int_equal(space_protect(sx->space, r, ACCESS_READ), 0);
	assert_int_equal(copy(sx, BASE, 1, SRC), PAGE);
	bits = sx_entry(sx, BASE).bits;
	assert_false(bits & PTE_WRITABLE);
	assert_int_equal(!(bits & PTE_DIRTY), is_seed(sx));
	assert_int_equal(space_copy_out(sx->space, BASE, "x", 1, true), 0);
	r = range_of(BASE + PAGE, PAGE);
	assert_int_equal(space_protect(sx->space, r, 0), 0);
	assert_int_equal(copy(sx, BASE + PAGE, 1, SRC), PAGE);
	assert_int_equal(space_protect(sx->space, r, RW), 0);
	assert_true(sx_holds(sx, BASE + PAGE, 0x5a));
	sx_write(sx, BASE + PAGE, 1, 1);
}

/* Is a locked VMA's page unevictable? */
static void locked_pages_are_unevictable(void **state)
{
	struct sx *sx = *state;
	struct sx_counts before;

	lay_out(sx);
	before = sx_count(sx);
	space_find_vma(sx->space, BASE)->is_locked = true;
	assert_int_equal(copy(sx, BASE, 1, SRC), PAGE);
	assert_int_equal(sx_count(sx).unevictable, before.unevictable + 1);
	assert_int_equal(sx_count(sx).active, before.active);
	space_find_vma(sx->space, BASE)->is_locked = false;
}

/* Is write protection given only where it is watched (E16, E19, E19b)? */
static void wp_needs_its_mode(void **state)
{
	struct sx *sx = *state;
	struct fill_request req = copy_of(BASE, 1, SRC);

	lay_out(sx);
	req.wants_wp = true;
	assert_int_equal(fill_run(sx->space, &req), -EINVAL);
	sx_map_watched(sx, BASE, 8, WATCH_WP);
	assert_int_equal(fill_run(sx->space, &req), PAGE);
	assert_int_equal(sx_entry(sx, BASE).bits &
				 (PTE_WP | PTE_WRITABLE | PTE_DIRTY),
			 PTE_WP | PTE_DIRTY);
	assert_int_equal(copy(sx, BASE + PAGE, 1, SRC), PAGE);
	assert_false(sx_entry(sx, BASE + PAGE).bits & PTE_WP);
}

/* Are markers written over by a copy, not by zeros (E50b, E50c, J07)? */
static void markers_by_profile(void **state)
{
	struct sx *sx = *state;

	lay_out(sx);
	assert_int_equal(space_guard(sx->space, range_of(BASE, PAGE), true),
			 0);
	assert_int_equal(zero(sx, BASE, 1), -EEXIST);
	assert_int_equal(copy(sx, BASE, 1, SRC),
			 is_seed(sx) ? -EEXIST : (int64_t)PAGE);
	assert_int_equal(sx_holds(sx, BASE, 0x5a), !is_seed(sx));
}

/* In which order are changing and not-there found out (1.2, 2.3)? */
static void changing_is_tested_in_the_profile_s_order(void **state)
{
	struct sx *sx = *state;
	struct fill_request req = copy_of(BASE, 1, SRC);

	lay_out(sx);
	req.gate = &sx->watch.watch.gate;
	atomic_store(&req.gate->changing, 1);
	assert_int_equal(fill_run(sx->space, &req), -EAGAIN);
	req.dst = range_of(BASE + 64 * PAGE, PAGE);
	assert_int_equal(fill_run(sx->space, &req),
			 is_seed(sx) ? -EAGAIN : -ENOENT);
	atomic_store(&req.gate->changing, 0);
	req.dst = range_of(BASE, PAGE);
	assert_int_equal(fill_run(sx->space, &req), PAGE);
}

static bool yes(void)
{
	return true;
}

/* Does a fatal signal stop a fill only after a page (E70)? */
static void a_killed_fill_stops_after_a_page(void **state)
{
	struct sx *sx = *state;
	struct fill_request req = copy_of(BASE, 4, SRC);

	lay_out(sx);
	req.is_killed = yes;
	assert_int_equal(fill_run(sx->space, &req), PAGE);
	req = copy_of(BASE + PAGE, 1, SRC);
	req.is_killed = yes;
	assert_int_equal(fill_run(sx->space, &req), PAGE);
}

/* Do bytes of ours fill as those of the space do? */
static void bytes_of_ours_fill(void **state)
{
	struct sx *sx = *state;
	static char bytes[2 * PAGE_BYTES];
	struct fill_request req = copy_of(BASE, 2, 0);
	struct sx_counts before;

	lay_out(sx);
	memset(bytes, 1, PAGE);
	memset(bytes + PAGE, 2, PAGE);
	req.bytes = bytes;
	assert_int_equal(fill_run(sx->space, &req), 2 * PAGE);
	assert_true(sx_holds(sx, BASE, 1));
	assert_true(sx_holds(sx, BASE + PAGE, 2));
	before = sx_count(sx);
	assert_int_equal(fill_run(sx->space, &req), -EEXIST);
	sx_unchanged(sx, &before);
}

/* Does a limit refuse the second page, leaving no charge (E72, E93)? */
static void a_limit_leaves_no_charge(void **state)
{
	struct sx *sx = *state;
	struct sx_counts before;

	lay_out(sx);
	charge_set_limit(sx->group, sx_count(sx).charged + 1);
	assert_int_equal(copy(sx, BASE, 2, SRC), PAGE);
	before = sx_count(sx);
	assert_int_equal(copy(sx, BASE + PAGE, 1, SRC), -ENOMEM);
	assert_int_equal(zero(sx, BASE + PAGE, 1), PAGE);
	sx_unchanged(sx, &before);
}

/* One fill with each allocation failing in turn. */
static void fill_short_of_memory(struct sx *sx,
				 const struct fill_request *req)
{
	struct sx_counts before;
	int64_t done = 0;
	uint64_t nth;

	for (nth = 1; done <= 0; nth++) {
		before = sx_count(sx);
		heap_fail_nth(nth);
		done = fill_run(sx->space, req);
		heap_fail_nth(0);
		space_check(sx->space);
		if (done > 0)
			break;
		assert_true(done == -ENOMEM || done == -EFAULT);
		sx_unchanged(sx, &before);
		assert_true(pte_is_none(sx_entry(sx, req->dst.start)));
	}
	assert_int_equal(done, range_bytes(req->dst));
}

/* Is nothing left behind, whichever allocation fails (E93, 1.7)? */
static void a_refused_fill_leaves_nothing(void **state)
{
	struct sx *sx = *state;
	struct fill_request req;
	static char bytes[PAGE_BYTES];

	lay_out(sx);
	sx_map(sx, SRC + 8 * PAGE, 1, RW);
	req = copy_of(BASE, 1, SRC);
	fill_short_of_memory(sx, &req);
	req = copy_of(BASE + PAGE, 1, SRC + 8 * PAGE);
	fill_short_of_memory(sx, &req);
	req = copy_of(BASE + 2 * PAGE, 1, 0);
	req.bytes = bytes;
	fill_short_of_memory(sx, &req);
	req = copy_of(BASE + 3 * PAGE, 1, 0);
	req.kind = FILL_ZERO;
	fill_short_of_memory(sx, &req);
}

/* ---- the second phase, with a source that has to be waited for ---- */

struct copier {
	struct sx *sx;
	pthread_t thread;
	struct fill_request req;
	int64_t done;
};

static void *run_copier(void *arg)
{
	struct copier *c = arg;

	c->done = fill_run(c->sx->space, &c->req);
	return NULL;
}

/* A copy of `pages` whose source, all but the first page, is missing. */
static void begin_copy(struct copier *c, struct sx *sx, uint64_t pages)
{
	lay_out(sx);
	sx_map_watched(sx, SRC, 4, WATCH_MISSING);
	c->sx = sx;
	c->req = copy_of(BASE, pages, SRC);
	c->req.gate = &sx->watch.watch.gate;
	if (pages > 1)
		assert_int_equal(zero(sx, SRC, 1), PAGE);
	assert_int_equal(pthread_create(&c->thread, NULL, run_copier, c), 0);
	fake_watch_await(&sx->watch, 1);
}

static int64_t end_copy(struct copier *c, uint64_t pages)
{
	va_t missing = SRC + (pages - 1) * PAGE;

	assert_int_equal(zero(c->sx, missing, 1), PAGE);
	fake_watch_wake(&c->sx->watch);
	pthread_join(c->thread, NULL);
	return c->done;
}

/* Is the source faulted for, with no lock held (E24, E24b, E24c, E67)? */
static void a_missing_source_is_waited_for(void **state)
{
	struct sx *sx = *state;
	struct sx_counts before;
	struct copier c;

	begin_copy(&c, sx, 1);
	assert_int_equal(sx->watch.last.va, SRC);
	assert_int_equal(sx->watch.last.access, FAULT_KERNEL);
	before = sx_count(sx);
	/* The fixture takes map_lock for writing: the copier holds nothing. */
	space_check(sx->space);
	sx_map(sx, BASE + 300 * PAGE, 1, RW);
	assert_int_equal(end_copy(&c, 1), PAGE);
	assert_int_equal(sx_count(sx).used, before.used);
	assert_int_equal(sx_count(sx).charged, before.charged + 1);
}

/* Is everything decided again (E25, E26, E26b, E68)? */
static void the_destination_is_judged_again(void **state)
{
	struct sx *sx = *state;
	struct sx_counts before;
	struct copier c;

	begin_copy(&c, sx, 1);
	assert_int_equal(space_unmap(sx->space, range_of(BASE, 8 * PAGE)), 0);
	before = sx_count(sx);
	assert_int_equal(end_copy(&c, 1), -ENOENT);
	assert_int_equal(sx_count(sx).used, before.used - 1);
}

static void a_filled_destination_is_noticed(void **state)
{
	struct sx *sx = *state;
	struct copier c;

	begin_copy(&c, sx, 1);
	assert_int_equal(zero(sx, BASE, 1), PAGE);
	assert_int_equal(end_copy(&c, 1), -EEXIST);
	assert_int_equal(sx_count(sx).used, sx_count(sx).anon);
}

static void an_unwatched_destination_is_noticed(void **state)
{
	struct sx *sx = *state;
	struct copier c;

	begin_copy(&c, sx, 1);
	sx_watch(sx, range_of(BASE, 8 * PAGE), NULL, 0);
	assert_int_equal(end_copy(&c, 1), -ENOENT);
}

/* Does a change begun meanwhile end the fill (E63, E64)? */
static void a_change_begun_meanwhile_is_noticed(void **state)
{
	struct sx *sx = *state;
	struct watch_gate *gate = &sx->watch.watch.gate;
	struct copier c;

	begin_copy(&c, sx, 2);
	rwlock_write(&gate->lock);
	atomic_store(&gate->changing, 1);
	rwlock_write_drop(&gate->lock);
	assert_int_equal(end_copy(&c, 2), PAGE);
	atomic_store(&gate->changing, 0);
}

static void a_change_before_any_page_is_eagain(void **state)
{
	struct sx *sx = *state;
	struct copier c;

	begin_copy(&c, sx, 1);
	atomic_store(&sx->watch.watch.gate.changing, 1);
	assert_int_equal(end_copy(&c, 1), -EAGAIN);
}

/* Does a source that its watch refuses give EFAULT (E27, L24b)? */
static void a_refused_source_is_efault(void **state)
{
	struct sx *sx = *state;
	struct sx_counts before;

	lay_out(sx);
	sx_map_watched(sx, SRC, 4, WATCH_MISSING);
	sx->watch.answer = WATCH_BUS;
	before = sx_count(sx);
	assert_int_equal(copy(sx, BASE, 1, SRC), -EFAULT);
	assert_int_equal(sx->watch.posted, 1);
	sx_unchanged(sx, &before);
}

int main(void)
{
#define a_case(name)                                                   \
	cmocka_unit_test_setup_teardown(name, sx_setup, sx_teardown),  \
		{ #name " (seed)", name, sx_setup_seed, sx_teardown, NULL }
	const struct CMUnitTest cases[] = {
		a_case(copy_makes_charged_dirty_pages),
		a_case(zero_costs_nothing),
		a_case(present_pages_end_a_fill),
		a_case(the_range_must_be_one_watched_vma),
		a_case(sources_are_fetched_or_refused),
		a_case(protection_decides_the_entry),
		a_case(locked_pages_are_unevictable),
		cmocka_unit_test_setup_teardown(wp_needs_its_mode, sx_setup,
						sx_teardown),
		a_case(markers_by_profile),
		a_case(changing_is_tested_in_the_profile_s_order),
		a_case(a_killed_fill_stops_after_a_page),
		a_case(bytes_of_ours_fill),
		a_case(a_limit_leaves_no_charge),
		a_case(a_refused_fill_leaves_nothing),
		a_case(a_missing_source_is_waited_for),
		a_case(the_destination_is_judged_again),
		a_case(a_filled_destination_is_noticed),
		a_case(an_unwatched_destination_is_noticed),
		a_case(a_change_begun_meanwhile_is_noticed),
		a_case(a_change_before_any_page_is_eagain),
		a_case(a_refused_source_is_efault),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
