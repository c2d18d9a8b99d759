/* SPDX-License-Identifier: MIT */
/*
 * The host world's side of a space, on a mmu that is only pretended: survey,
 * arming, faults, and the verbs on watched ranges.
 */
#include "native_fixture.h"

#include "base/heap.h"

#include <errno.h>

/* Does a survey tell what is there, and settling forget it again? */
static void survey_brings_mappings_in(void **state)
{
	struct native *n = *state;
	struct vma *vma;

	native_map(n, 0, 4);
	native_map(n, 6, 4);
	n->mappings[1].kind = MMU_FILE;
	space_begin(n->space);
	assert_int_equal(space_survey(n->space, native_range(2, 14)), 0);
	assert_int_equal(native_vmas(n), 2);
	vma = space_find_vma(n->space, NATIVE_BASE);
	assert_int_equal(vma->range.start, NATIVE_BASE + 2 * PAGE);
	assert_ptr_equal(vma->ops, &object_native);
	assert_true(vma->is_surveyed);
	vma = space_next_vma(n->space, vma);
	assert_int_equal(vma->kind, VMA_FILE);
	assert_null(vma->ops);
	space_settle(n->space, native_range(2, 14));
	assert_int_equal(native_vmas(n), 0);
	space_end(n->space);
}

/* Are resident pages present, others missing, strangers not ours? */
static void arming_keeps_what_is_there(void **state)
{
	struct native *n = *state;
	struct watch_ticket ticket;

	native_map(n, 0, 8);
	n->pages[3] = NATIVE_RESIDENT;
	assert_int_equal(native_watch(n, 0, 6), 0);
	assert_int_equal(native_vmas(n), 1);
	assert_int_equal(n->pages[2], NATIVE_MISSING);
	assert_true(pte_is_none(native_pte(n, 2)));
	assert_true(native_pte(n, 3).bits & PTE_NATIVE);
	assert_int_equal(space_fault(n->space, NATIVE_BASE + 2 * PAGE,
				     FAULT_READ, &ticket),
			 SPACE_WAIT);
	assert_int_equal(space_fault(n->space, NATIVE_BASE + 3 * PAGE + 1,
				     FAULT_WRITE, &ticket),
			 SPACE_RETRY);
	assert_int_equal(n->refreshes, 1);
	n->is_refused = true;
	assert_int_equal(space_fault(n->space, NATIVE_BASE + 3 * PAGE,
				     FAULT_READ, &ticket),
			 SPACE_SEGV_ACCERR);
	assert_int_equal(space_fault(n->space, NATIVE_BASE + 7 * PAGE,
				     FAULT_READ, &ticket),
			 SPACE_NOT_OURS);
}

/* Is a stack watched in name only? */
static void a_stack_is_never_revoked(void **state)
{
	struct native *n = *state;
	struct watch_ticket ticket;

	native_map(n, 0, 4);
	n->mappings[0].kind = MMU_STACK;
	assert_int_equal(native_watch(n, 0, 4), 0);
	assert_int_equal(n->pages[0], NATIVE_PLAIN);
	assert_int_equal(space_fault(n->space, NATIVE_BASE, FAULT_READ,
				     &ticket),
			 SPACE_NOT_OURS);
	space_begin(n->space);
	assert_int_equal(space_discard_locked(n->space, native_range(0, 4)),
			 0);
	space_end(n->space);
	assert_int_equal(n->revokes, 0);
}

/* Is a registration refused for memory undone, whichever allocation? */
static void refused_arming_is_undone(void **state)
{
	struct native *n = *state;
	uint64_t nth;
	int err = -ENOMEM;

	native_map(n, 0, 6);
	for (nth = 1; err; nth++) {
		n->pages[1] = n->pages[5] = NATIVE_RESIDENT;
		heap_fail_nth(nth);
		err = native_watch(n, 0, 6);
		heap_fail_nth(0);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(native_vmas(n), 0);
		assert_int_equal(n->pages[0], NATIVE_PLAIN);
		assert_true(pte_is_none(native_pte(n, 1)));
	}
	assert_true(nth > 4);
	assert_true(native_pte(n, 5).bits & PTE_PRESENT);
}

static void a_refused_adoption_is_told(void **state)
{
	struct native *n = *state;

	native_map(n, 0, 4);
	n->fail = -EINVAL;
	assert_int_equal(native_watch(n, 0, 4), -EINVAL);
	assert_int_equal(native_vmas(n), 0);
	assert_false(space_is_watched(n->space, native_range(0, 4)));
}

/* Do the program's own guards refuse accesses, and outlive the watch? */
static void the_programs_guards_stay(void **state)
{
	struct native *n = *state;
	struct watch_ticket ticket;
	struct vma *vma;

	native_map(n, 0, 6);
	n->pages[1] = n->pages[2] = n->pages[5] = NATIVE_GUARDED;
	assert_int_equal(native_watch(n, 0, 6), 0);
	assert_int_equal(space_fault(n->space, NATIVE_BASE + 2 * PAGE,
				     FAULT_READ, &ticket),
			 SPACE_SEGV_MAPERR);
	space_begin(n->space);
	vma = space_find_vma(n->space, NATIVE_BASE);
	space_disarm(n->space, vma);
	space_set_watch(n->space, vma, NULL, 0);
	space_settle(n->space, native_range(0, 6));
	space_end(n->space);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(n->pages[i], i == 1 || i == 2 || i == 5 ?
						      NATIVE_GUARDED :
						      NATIVE_PLAIN);
}

/* Is a range between two watched ones not watched? */
static void what_is_watched_is_exact(void **state)
{
	struct native *n = *state;

	native_map(n, 0, 16);
	assert_int_equal(native_watch(n, 1, 2), 0);
	assert_int_equal(native_watch(n, 8, 2), 0);
	assert_false(space_is_watched(n->space, native_range(0, 1)));
	assert_true(space_is_watched(n->space, native_range(0, 2)));
	assert_true(space_is_watched(n->space, native_range(2, 1)));
	assert_false(space_is_watched(n->space, native_range(3, 5)));
	assert_true(space_is_watched(n->space, native_range(3, 6)));
	assert_true(space_is_watched(n->space, native_range(9, 1)));
	assert_false(space_is_watched(n->space, native_range(10, 6)));
	assert_int_equal(space_unmap(n->space, native_range(8, 1)), 0);
	assert_false(space_is_watched(n->space, native_range(3, 6)));
	assert_int_equal(space_unmap(n->space, native_range(1, 9)), 0);
	assert_false(space_is_watched(n->space, native_range(0, 16)));
}

/* Is the part that a failed call may have had whole again? */
static void a_cut_is_undone(void **state)
{
	struct native *n = *state;

	native_map(n, 0, 8);
	assert_int_equal(native_watch(n, 0, 8), 0);
	space_begin(n->space);
	assert_int_equal(space_cut(n->space, native_range(2, 3)), 0);
	assert_int_equal(native_vmas(n), 3);
	space_uncut(n->space, native_range(2, 3));
	assert_int_equal(native_vmas(n), 1);
	space_disarm_range(n->space, native_range(0, 8));
	assert_int_equal(n->pages[3], NATIVE_PLAIN);
	space_rearm_range(n->space, native_range(0, 8));
	assert_int_equal(n->pages[3], NATIVE_MISSING);
	space_end(n->space);
	assert_int_equal(native_vmas(n), 1);
}

/* Is what the program unmapped or replaced behind our back let go? */
static void survey_loses_what_is_gone(void **state)
{
	struct native *n = *state;
	struct vma *vma;

	native_map(n, 0, 10);
	n->pages[4] = NATIVE_RESIDENT;
	assert_int_equal(native_watch(n, 0, 10), 0);
	n->mapping_count = 0;
	native_map(n, 0, 3);
	native_map(n, 5, 2);
	n->mappings[1].is_shared = true;
	native_map(n, 7, 3);
	n->mappings[2].kind = MMU_STACK;
	n->mappings[2].prot = 0;
	space_begin(n->space);
	assert_int_equal(space_survey(n->space, native_range(0, 12)), 0);
	assert_int_equal(native_vmas(n), 3);
	vma = space_find_vma(n->space, NATIVE_BASE);
	assert_int_equal(vma->range.end, NATIVE_BASE + 3 * PAGE);
	vma = space_next_vma(n->space, vma);
	assert_true(vma->is_shared && !vma->watch);
	vma = space_next_vma(n->space, vma);
	assert_ptr_equal(vma->watch, &n->watch);
	assert_int_equal(vma->range.start, NATIVE_BASE + 7 * PAGE);
	space_settle(n->space, native_range(0, 12));
	space_end(n->space);
	assert_int_equal(native_vmas(n), 2);
	assert_true(pte_is_none(native_pte(n, 4)));
	assert_int_equal(n->pages[4], NATIVE_PLAIN);
	assert_int_equal(n->forgets, 2);
}

/* Does disarming give ordinary memory back? */
static void disarming_releases(void **state)
{
	struct native *n = *state;
	struct vma *vma;

	native_map(n, 0, 4);
	n->pages[1] = NATIVE_RESIDENT;
	assert_int_equal(native_watch(n, 0, 4), 0);
	space_begin(n->space);
	vma = space_find_vma(n->space, NATIVE_BASE);
	space_disarm(n->space, vma);
	space_set_watch(n->space, vma, NULL, 0);
	space_settle(n->space, native_range(0, 4));
	space_end(n->space);
	assert_int_equal(n->pages[0], NATIVE_PLAIN);
	assert_int_equal(n->pages[1], NATIVE_PLAIN);
	assert_true(pte_is_none(native_pte(n, 1)));
}

/* Does protection reach present runs only, where missing must be kept? */
static void protect_by_runs_or_whole(void **state)
{
	struct native *n = *state;

	native_map(n, 0, 8);
	n->pages[1] = n->pages[2] = n->pages[5] = NATIVE_RESIDENT;
	assert_int_equal(native_watch(n, 0, 8), 0);
	space_begin(n->space);
	assert_int_equal(space_protect_locked(n->space, native_range(0, 8),
					      ACCESS_READ),
			 0);
	assert_int_equal(n->protects, 2);
	assert_false(native_pte(n, 1).bits & PTE_WRITABLE);
	n->mmu.protect_keeps_missing = true;
	assert_int_equal(space_protect_locked(n->space, native_range(0, 8),
					      RW),
			 0);
	assert_int_equal(n->protects, 3);
	n->fail = -EACCES;
	assert_int_equal(space_protect_locked(n->space, native_range(0, 4), 0),
			 -EACCES);
	assert_int_equal(native_vmas(n), 1);
	assert_int_equal(space_find_vma(n->space, NATIVE_BASE)->prot, RW);
	/* Parts that are not ours are the caller's business. */
	assert_int_equal(space_protect_locked(n->space, native_range(8, 4), 0),
			 0);
	space_end(n->space);
}

/* Does discarding make pages missing, and only ours? */
static void discard_revokes(void **state)
{
	struct native *n = *state;

	native_map(n, 0, 8);
	n->pages[1] = n->pages[7] = NATIVE_RESIDENT;
	assert_int_equal(native_watch(n, 0, 4), 0);
	space_begin(n->space);
	n->fail = -ENOMEM;
	assert_int_equal(space_discard_locked(n->space, native_range(0, 8)),
			 -ENOMEM);
	assert_true(pte_is_present(native_pte(n, 1)));
	assert_int_equal(space_discard_locked(n->space, native_range(0, 8)),
			 0);
	space_end(n->space);
	assert_int_equal(n->pages[1], NATIVE_MISSING);
	assert_int_equal(n->pages[7], NATIVE_RESIDENT);
	assert_true(pte_is_none(native_pte(n, 1)));
}

/* Does unmapping forget the part, and keep the rest watched? */
static void unmap_forgets(void **state)
{
	struct native *n = *state;

	native_map(n, 0, 8);
	assert_int_equal(native_watch(n, 0, 8), 0);
	space_begin(n->space);
	assert_int_equal(space_unmap_locked(n->space, native_range(2, 2)), 0);
	space_end(n->space);
	assert_int_equal(native_vmas(n), 2);
	assert_int_equal(n->forgets, 1);
	assert_int_equal(n->pages[2], NATIVE_PLAIN);
	assert_int_equal(n->pages[4], NATIVE_MISSING);
}

int main(void)
{
#define a_case(name) \
	cmocka_unit_test_setup_teardown(name, native_setup, native_teardown)
	const struct CMUnitTest cases[] = {
		a_case(survey_brings_mappings_in),
		a_case(arming_keeps_what_is_there),
		a_case(a_stack_is_never_revoked),
		a_case(refused_arming_is_undone),
		a_case(a_refused_adoption_is_told),
		a_case(the_programs_guards_stay),
		a_case(what_is_watched_is_exact),
		a_case(a_cut_is_undone),
		a_case(survey_loses_what_is_gone),
		a_case(disarming_releases),
		a_case(protect_by_runs_or_whole),
		a_case(discard_revokes),
		a_case(unmap_forgets),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
