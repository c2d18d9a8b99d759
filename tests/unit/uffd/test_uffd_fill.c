/* SPDX-License-Identifier: MIT */
/*
 * What do COPY, ZEROPAGE and WAKE answer, what do they leave in the output
 * field, and whom do they wake? Rows E, F and G, for anonymous memory.
 */
#include "uffd_fixture.h"

#define DONTWAKE PF_UFFDIO_COPY_MODE_DONTWAKE
/* Nothing is ever mapped there, and every generation allows the address. */
#define LOW_HOLE 0x100000ull

static int ready_setup(void **state, int (*setup)(void **state))
{
	int err = setup(state);

	fx_ready(*state, 0);
	return err;
}

static int setup_seed(void **state)
{
	return ready_setup(state, fx_setup_seed);
}

static int setup_newest(void **state)
{
	return ready_setup(state, fx_setup_newest);
}

#define BOTH(f)                                              \
	{ #f "_on_5_4", f, setup_seed, fx_teardown, NULL },  \
	{ #f "_on_6_18", f, setup_newest, fx_teardown, NULL }

/* ---- what is refused before the engine ---- */

static void E01_F01_G01_bad_pointer(void **state)
{
	struct fx *fx = *state;
	struct fx_block bad = { .is_unreadable = true };

	assert_int_equal(fx_ioctl(fx->u, PF_UFFDIO_COPY, &bad), -EFAULT);
	assert_int_equal(fx_ioctl(fx->u, PF_UFFDIO_ZEROPAGE, &bad), -EFAULT);
	assert_int_equal(fx_ioctl(fx->u, PF_UFFDIO_WAKE, &bad), -EFAULT);
}

static void refused_copy(struct fx *fx, struct pf_uffdio_copy block)
{
	assert_int_equal(fx_copy(fx->u, &block), -EINVAL);
	assert_true(block.copy == UNTOUCHED);
}

static void E02_E05_ranges_that_do_not_exist(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 1, 1);
	va_t at = fx_map_watched(fx, 1);

	refused_copy(fx, (struct pf_uffdio_copy){ at, src, 0, 0, 0 });
	refused_copy(fx, (struct pf_uffdio_copy){ at, src, 1, 0, 0 });
	refused_copy(fx, (struct pf_uffdio_copy){ at, src, PAGE + 1, 0, 0 });
	refused_copy(fx, (struct pf_uffdio_copy){ at + 1, src, PAGE, 0, 0 });
	refused_copy(fx,
		     (struct pf_uffdio_copy){ TASK_BYTES, src, PAGE, 0, 0 });
	refused_copy(fx, (struct pf_uffdio_copy){ TASK_BYTES - PAGE, src,
						  2 * PAGE, 0, 0 });
	assert_int_equal(fx_peek(fx, at), -1);
}

static void E06_sources_beyond_the_space(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);
	int64_t out;

	/* E06, E06c: newer generations look before they copy. */
	if (fx->is_seed) {
		assert_int_equal(fx_copy_pages(fx->u, at, TASK_BYTES, 1, &out),
				 -EFAULT);
		assert_int_equal(out, -EFAULT);
	} else {
		refused_copy(fx, (struct pf_uffdio_copy){ at, TASK_BYTES, PAGE,
							  0, 0 });
		refused_copy(fx, (struct pf_uffdio_copy){ at, TASK_BYTES - 1,
							  PAGE, 0, 0 });
	}
	/* E06b */
	refused_copy(fx, (struct pf_uffdio_copy){ at, UINT64_MAX - 10, PAGE, 0,
						  0 });
}

static void E07_F02_modes_that_do_not_exist(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 1, 1);
	va_t at = fx_map_watched(fx, 1);
	unsigned i;

	for (i = 1; i < 64; i++) {
		struct pf_uffdio_zeropage zero = {
			.range = { at, PAGE }, .mode = 1ull << i,
		};

		refused_copy(fx, (struct pf_uffdio_copy){ at, src, PAGE,
							  1ull << i, 0 });
		assert_int_equal(fx_zero(fx->u, &zero), -EINVAL);
		assert_true(zero.zeropage == UNTOUCHED);
	}
}

static void F01_ranges_that_do_not_exist(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);
	struct pf_uffdio_zeropage blocks[] = {
		{ { at + 1, PAGE }, 0, 0 },
		{ { at, PAGE - 1 }, 0, 0 },
		{ { at, 0 }, 0, 0 },
		{ { TASK_BYTES, PAGE }, 0, 0 },
	};
	size_t i;

	for (i = 0; i < array_len(blocks); i++) {
		assert_int_equal(fx_zero(fx->u, &blocks[i]), -EINVAL);
		assert_true(blocks[i].zeropage == UNTOUCHED);
	}
}

static void E21_F09_G06_space_has_exited(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 1, 1);
	va_t at = fx_map_watched(fx, 1);
	int64_t out;

	space_exit(fx->space);
	uffd_space_gone(fx->u);
	assert_int_equal(fx_copy_pages(fx->u, at, src, 1, &out), -ESRCH);
	assert_true(out == UNTOUCHED);
	assert_int_equal(fx_zero_pages(fx->u, at, 1, &out), -ESRCH);
	assert_true(out == UNTOUCHED);
	assert_int_equal(fx_wake(fx->u, at, PAGE), 0);
}

/* ---- COPY ---- */

static void copy_fills_and_wakes(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 2, 0x42);
	va_t at = fx_map_watched(fx, 2);
	struct watch_ticket ticket = fx_fault(fx, at + PAGE + 5, FAULT_READ);
	struct uffd_stats stats;
	int64_t out;

	assert_int_equal(fx_copy_pages(fx->u, at, src, 2, &out), 0);
	assert_int_equal(out, 2 * PAGE);
	assert_true(fx_is_woken(&ticket));
	assert_int_equal(fx_peek(fx, at), 0x42);
	assert_int_equal(fx_peek(fx, at + 2 * PAGE - 1), 0x42);
	assert_int_equal(fx->told, 0);

	uffd_read_stats(fx->u, &stats);
	assert_int_equal(stats.copies, 1);
	assert_int_equal(stats.bytes, 2 * PAGE);
	assert_int_equal(stats.faults, 1);
	assert_int_equal(stats.woken, 1);
	assert_int_equal(stats.refused, 0);
}

static void E14_source_need_not_be_aligned(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 2, 7);
	va_t at = fx_map_watched(fx, 1);

	assert_int_equal(fx_copy_pages(fx->u, at, src + 123, 1, NULL), 0);
	assert_int_equal(fx_peek(fx, at + PAGE - 1), 7);
}

static void copy_answers(struct fx *fx, va_t dst, va_t src, uint64_t pages,
			 int err)
{
	int64_t out;

	assert_int_equal(fx_copy_pages(fx->u, dst, src, pages, &out), err);
	assert_int_equal(out, err);
}

static void E08_E10_ranges_not_in_one_registered_VMA(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 4, 1);
	va_t plain = fx_map(fx, 1, RW);
	va_t at = fx_map(fx, 4, RW);

	copy_answers(fx, LOW_HOLE, src, 1, -ENOENT);
	copy_answers(fx, plain, src, 1, -ENOENT); /* E08b */
	assert_int_equal(fx_register(fx->u, at, 2 * PAGE, 1, NULL), 0);
	copy_answers(fx, at, src, 3, -ENOENT); /* E09 */
	assert_int_equal(space_protect(fx->space, range_of(at + PAGE, PAGE),
				       ACCESS_READ),
			 0);
	copy_answers(fx, at, src, 2, -ENOENT); /* E10 */
	assert_int_equal(fx_peek(fx, at), -1);
}

static void E11_E12_source_not_mapped(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 2, 9);
	va_t at = fx_map_watched(fx, 4);
	int64_t out;

	assert_int_equal(space_unmap(fx->space, range_of(src + PAGE, PAGE)),
			 0);
	copy_answers(fx, at, LOW_HOLE, 1, -EFAULT);
	copy_answers(fx, at, src + 8, 1, -EFAULT); /* E12b */
	assert_int_equal(fx_peek(fx, at), -1);
	assert_int_equal(fx_copy_pages(fx->u, at, src, 2, &out), -EAGAIN);
	assert_int_equal(out, PAGE); /* E12 */
	assert_int_equal(fx_peek(fx, at), 9);
}

static void E28_source_never_touched(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map(fx, 1, RW);
	va_t none = fx_map(fx, 1, 0);
	va_t at = fx_map_watched(fx, 2);

	assert_int_equal(fx_copy_pages(fx->u, at, src, 1, NULL), 0);
	assert_int_equal(fx_peek(fx, at), 0);
	copy_answers(fx, at + PAGE, none, 1, -EFAULT); /* E28b */
}

static void E13_E15_pages_that_are_present(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 2, 3);
	va_t at = fx_map_watched(fx, 2);
	int64_t out;

	assert_int_equal(fx_copy_pages(fx->u, at + PAGE, src, 1, NULL), 0);
	copy_answers(fx, at + PAGE, src, 1, -EEXIST);
	assert_int_equal(fx_copy_pages(fx->u, at, src, 2, &out), -EAGAIN);
	assert_int_equal(out, PAGE);
}

static void E17_unwritable_output_fills_but_wakes_nobody(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 1, 5);
	va_t at = fx_map_watched(fx, 1);
	struct watch_ticket ticket = fx_fault(fx, at, FAULT_READ);
	struct pf_uffdio_copy block = { at, src, PAGE, 0, UNTOUCHED };
	struct fx_block bad = { .block = &block, .unwritable_from = 32 };

	assert_int_equal(fx_ioctl(fx->u, PF_UFFDIO_COPY, &bad), -EFAULT);
	assert_int_equal(fx_peek(fx, at), 5);
	assert_false(fx_is_woken(&ticket));
	assert_int_equal(fx_wake(fx->u, at, PAGE), 0);
	assert_true(fx_is_woken(&ticket));
}

static void E18_F15_another_object_fills_but_wakes_only_its_own(void **state)
{
	struct fx *fx = *state;
	struct uffd *other = fx_other(fx);
	va_t src = fx_map_filled(fx, 1, 6);
	va_t at = fx_map_watched(fx, 2);
	struct watch_ticket ticket = fx_fault(fx, at, FAULT_READ);

	assert_int_equal(fx_copy_pages(other, at, src, 1, NULL), 0);
	assert_false(fx_is_woken(&ticket));
	assert_int_equal(fx_zero_pages(other, at + PAGE, 1, NULL), 0);
	assert_int_equal(fx_peek(fx, at), 6);
	assert_int_equal(fx_peek(fx, at + PAGE), 0);
	uffd_release(other);
	assert_false(fx_is_woken(&ticket));
}

static void E20_memory_that_is_not_writable(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 1, 8);
	va_t at = fx_map_watched(fx, 2);
	struct watch_ticket ticket;

	assert_int_equal(space_protect(fx->space, range_of(at, PAGE),
				       ACCESS_READ),
			 0);
	assert_int_equal(space_protect(fx->space, range_of(at + PAGE, PAGE),
				       0),
			 0);
	assert_int_equal(fx_copy_pages(fx->u, at, src, 1, NULL), 0);
	assert_int_equal(space_fault(fx->space, at, FAULT_WRITE, &ticket),
			 SPACE_SEGV_ACCERR);
	assert_int_equal(fx_copy_pages(fx->u, at + PAGE, src, 1, NULL), 0);
}

static void E60_E62_who_is_woken_by_a_partial_copy(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 4, 1);
	va_t at = fx_map_watched(fx, 4);
	struct watch_ticket first = fx_fault(fx, at, FAULT_READ);
	struct watch_ticket third = fx_fault(fx, at + 2 * PAGE, FAULT_READ);
	struct watch_ticket last = fx_fault(fx, at + 3 * PAGE, FAULT_READ);
	struct pf_uffdio_copy block = { at + 2 * PAGE, src, 2 * PAGE, DONTWAKE,
					0 };

	assert_int_equal(fx_copy_pages(fx->u, at + PAGE, src, 1, NULL), 0);
	assert_int_equal(fx_copy_pages(fx->u, at, src, 4, NULL), -EAGAIN);
	assert_true(fx_is_woken(&first));
	assert_false(fx_is_woken(&third));
	copy_answers(fx, at, src, 4, -EEXIST); /* E61 */
	assert_false(fx_is_woken(&third));
	assert_int_equal(fx_copy(fx->u, &block), 0); /* E62 */
	assert_false(fx_is_woken(&third));
	assert_false(fx_is_woken(&last));
}

/* Do refused fills leave nothing charged, in use or counted? */
static void E72_E93_failures_leave_nothing_behind(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 1, 1);
	va_t at = fx_map_watched(fx, 1);
	struct uffd_stats stats;
	unsigned n;
	int err = -ENOMEM;

	for (n = 1; err == -ENOMEM && n < 20; n++) {
		uint64_t frames = frame_read_counts(fx->space->home.frames)
					  .used;

		heap_fail_nth(n);
		err = fx_copy_pages(fx->u, at, src, 1, NULL);
		heap_fail_nth(0);
		if (err)
			assert_int_equal(
				frame_read_counts(fx->space->home.frames).used,
				frames);
	}
	assert_int_equal(err, 0);
	assert_true(n > 2);
	uffd_read_stats(fx->u, &stats);
	assert_int_equal(stats.refused, n - 2);
}

static void copy_from_our_own_memory(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 2);
	struct watch_ticket ticket = fx_fault(fx, at, FAULT_READ);
	char bytes[4096];

	memset(bytes, 0x5c, sizeof(bytes));
	assert_int_equal(uffd_copy_from(fx->u, range_of(at, PAGE), bytes,
					DONTWAKE),
			 PAGE);
	assert_int_equal(fx_peek(fx, at), 0x5c);
	assert_false(fx_is_woken(&ticket));
	assert_int_equal(uffd_copy_from(fx->u, range_of(at, PAGE), bytes, 0),
			 -EEXIST);
	assert_int_equal(uffd_copy_from(fx->u, range_of(at + 1, PAGE), bytes,
					0),
			 -EINVAL);
	uffd_raise_changing(fx->u, true);
	assert_int_equal(uffd_copy_from(fx->u, range_of(at + PAGE, PAGE),
					bytes, 0),
			 -EAGAIN);
	uffd_raise_changing(fx->u, false);
	assert_int_equal(uffd_copy_from(fx->u, range_of(at + PAGE, PAGE),
					bytes, 0),
			 PAGE);
}

/* ---- ZEROPAGE ---- */

static void F03_F04_F05_zero_pages(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 1, 1);
	va_t at = fx_map_watched(fx, 1);
	uint64_t frames = frame_read_counts(fx->space->home.frames).used;
	struct watch_ticket ticket;
	int64_t out;

	assert_int_equal(fx_zero_pages(fx->u, at, 1, &out), 0);
	assert_int_equal(out, PAGE);
	assert_int_equal(frame_read_counts(fx->space->home.frames).used,
			 frames);
	assert_int_equal(fx_zero_pages(fx->u, at, 1, &out), -EEXIST);
	assert_int_equal(out, -EEXIST);
	copy_answers(fx, at, src, 1, -EEXIST); /* F04b */
	assert_int_equal(space_fault(fx->space, at, FAULT_WRITE, &ticket),
			 SPACE_RETRY);
	assert_int_equal(fx->told, -1);
}

static void F06_F07_zero_pages_refused(void **state)
{
	struct fx *fx = *state;
	va_t plain = fx_map(fx, 1, RW);
	va_t at = fx_map_watched(fx, 2);
	int64_t out;

	assert_int_equal(fx_zero_pages(fx->u, plain, 1, &out), -ENOENT);
	assert_int_equal(out, -ENOENT);
	assert_int_equal(fx_zero_pages(fx->u, at + PAGE, 1, NULL), 0);
	assert_int_equal(fx_zero_pages(fx->u, at, 2, &out), -EAGAIN);
	assert_int_equal(out, PAGE);
}

/* ---- the changing state ---- */

static void O02_changing_precedes_everything(void **state)
{
	struct fx *fx = *state;
	struct pf_uffdio_copy block = { .dst = 1, .mode = UINT64_MAX };
	struct fx_block unwritable = { .block = &block, .unwritable_from = 0 };
	struct pf_uffdio_zeropage zero = { .mode = 77 };

	uffd_raise_changing(fx->u, true);
	assert_int_equal(fx_copy(fx->u, &block), -EAGAIN);
	assert_true(block.copy == (fx->is_seed ? UNTOUCHED : -EAGAIN));
	assert_int_equal(fx_zero(fx->u, &zero), -EAGAIN);
	assert_true(zero.zeropage == (fx->is_seed ? UNTOUCHED : -EAGAIN));
	assert_int_equal(fx_ioctl(fx->u, PF_UFFDIO_COPY, &unwritable),
			 fx->is_seed ? -EAGAIN : -EFAULT); /* O02b */
	uffd_raise_changing(fx->u, false);
	assert_int_equal(fx_copy(fx->u, &block), -EINVAL);
}

static void O14b_two_changes_end_one_by_one(void **state)
{
	struct fx *fx = *state;
	va_t src = fx_map_filled(fx, 1, 1);
	va_t at = fx_map_watched(fx, 1);

	uffd_raise_changing(fx->u, true);
	uffd_raise_changing(fx->u, true);
	uffd_raise_changing(fx->u, false);
	assert_int_equal(fx_copy_pages(fx->u, at, src, 1, NULL),
			 fx->is_seed ? 0 : -EAGAIN);
	uffd_raise_changing(fx->u, false);
}

static void G07_O03_commands_that_ignore_a_change(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);
	struct watch_ticket ticket = fx_fault(fx, at, FAULT_READ);

	uffd_raise_changing(fx->u, true);
	assert_int_equal(fx_wake(fx->u, at, PAGE), 0);
	assert_true(fx_is_woken(&ticket));
	assert_int_equal(fx_unregister(fx->u, at, PAGE), 0);
	assert_int_equal(fx_register(fx->u, at, PAGE, 1, NULL), 0);
	uffd_raise_changing(fx->u, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(E01_F01_G01_bad_pointer),
		BOTH(E02_E05_ranges_that_do_not_exist),
		BOTH(E06_sources_beyond_the_space),
		BOTH(E07_F02_modes_that_do_not_exist),
		BOTH(F01_ranges_that_do_not_exist),
		BOTH(E21_F09_G06_space_has_exited),
		BOTH(copy_fills_and_wakes),
		BOTH(E14_source_need_not_be_aligned),
		BOTH(E08_E10_ranges_not_in_one_registered_VMA),
		BOTH(E11_E12_source_not_mapped),
		BOTH(E28_source_never_touched),
		BOTH(E13_E15_pages_that_are_present),
		BOTH(E17_unwritable_output_fills_but_wakes_nobody),
		BOTH(E18_F15_another_object_fills_but_wakes_only_its_own),
		BOTH(E20_memory_that_is_not_writable),
		BOTH(E60_E62_who_is_woken_by_a_partial_copy),
		BOTH(E72_E93_failures_leave_nothing_behind),
		BOTH(copy_from_our_own_memory),
		BOTH(F03_F04_F05_zero_pages),
		BOTH(F06_F07_zero_pages_refused),
		BOTH(O02_changing_precedes_everything),
		BOTH(O14b_two_changes_end_one_by_one),
		BOTH(G07_O03_commands_that_ignore_a_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
