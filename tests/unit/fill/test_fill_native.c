/* SPDX-License-Identifier: MIT */
/*
 * Filling pages in the program's own mapping, on a pretended mmu, which
 * insists that the leaf's lock is held while it touches them.
 */
#include "../space/native_fixture.h"

#include "base/heap.h"
#include "fill/fill.h"

#include <errno.h>

static int64_t fill(struct native *n, enum fill_kind kind, unsigned first,
		    unsigned pages)
{
	struct fill_request req = {
		.kind = kind,
		.dst = native_range(first, pages),
		.src = 0x1000,
		.gate = &n->watch.gate,
	};

	return fill_run(n->space, &req);
}

static void lay_out(struct native *n)
{
	native_map(n, 0, NATIVE_PAGES);
	n->pages[9] = NATIVE_RESIDENT;
	assert_int_equal(native_watch(n, 0, NATIVE_PAGES), 0);
}

/* Is a run one step, that does not cross a leaf? */
static void runs_stop_at_leaves_and_present_pages(void **state)
{
	struct native *n = *state;

	lay_out(n);
	assert_int_equal(fill(n, FILL_COPY, 0, 9), 9 * PAGE);
	assert_int_equal(n->provides, 2);
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(n->pages[i], NATIVE_VISIBLE);
		assert_int_equal(n->byte[i], 7);
		assert_true(native_pte(n, i).bits & PTE_NATIVE);
	}
	assert_int_equal(fill(n, FILL_COPY, 9, 2), -EEXIST);
	assert_int_equal(fill(n, FILL_ZERO, 9, 2), -EEXIST);
	assert_int_equal(fill(n, FILL_ZERO, 10, 6), 6 * PAGE);
	assert_int_equal(n->byte[10], 0);
	assert_int_equal(n->provides, 3);
}

/* Is a step that came out short carried on? */
static void short_steps_are_carried_on(void **state)
{
	struct native *n = *state;

	lay_out(n);
	n->most_pages = 3;
	assert_int_equal(fill(n, FILL_COPY, 2, 7), 7 * PAGE);
	assert_int_equal(n->provides, 3);
}

/* Does a source that would fault go through a page of ours? */
static void a_faulting_source_is_fetched(void **state)
{
	struct native *n = *state;

	lay_out(n);
	n->readable_bytes = 0;
	n->source = 9;
	assert_int_equal(fill(n, FILL_COPY, 0, 3), 3 * PAGE);
	assert_int_equal(n->byte[2], 9);
	assert_int_equal(frame_read_counts(n->space->home.frames).used, 0);
	n->fetchable_bytes = PAGE - 1;
	assert_int_equal(fill(n, FILL_COPY, 3, 3), -EFAULT);
	assert_int_equal(n->pages[3], NATIVE_MISSING);
	/* The source is judged before the entry. */
	assert_int_equal(fill(n, FILL_COPY, 9, 1), -EFAULT);
	assert_int_equal(frame_read_counts(n->space->home.frames).used, 0);
}

/* Are refusals of the mmu told, and nothing left behind? */
static void refusals_leave_nothing(void **state)
{
	static const int errors[] = { -ENOMEM, -ENOENT };
	struct native *n = *state;
	int64_t done = -ENOMEM;
	uint64_t nth;

	lay_out(n);
	for (unsigned i = 0; i < array_len(errors); i++) {
		n->fail = errors[i];
		assert_int_equal(fill(n, FILL_COPY, 0, 1), errors[i]);
		assert_true(pte_is_none(native_pte(n, 0)));
	}
	n->readable_bytes = 0;
	for (nth = 1; done == -ENOMEM; nth++) {
		heap_fail_nth(nth);
		done = fill(n, FILL_COPY, 0, 1);
		heap_fail_nth(0);
	}
	assert_int_equal(done, PAGE);
	assert_true(nth > 2);
}

/* Is a live stack left alone? */
static void a_stack_is_not_filled(void **state)
{
	struct native *n = *state;

	native_map(n, 0, 4);
	n->mappings[0].kind = MMU_STACK;
	assert_int_equal(native_watch(n, 0, 4), 0);
	assert_int_equal(fill(n, FILL_COPY, 0, 1), -EEXIST);
	assert_int_equal(n->provides, 0);
}

int main(void)
{
#define a_case(name) \
	cmocka_unit_test_setup_teardown(name, native_setup, native_teardown)
	const struct CMUnitTest cases[] = {
		a_case(runs_stop_at_leaves_and_present_pages),
		a_case(short_steps_are_carried_on),
		a_case(a_faulting_source_is_fetched),
		a_case(refusals_leave_nothing),
		a_case(a_stack_is_not_filled),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
