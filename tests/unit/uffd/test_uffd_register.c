/* SPDX-License-Identifier: MIT */
/*
 * Which memory can be registered, what changes, and what is refused first?
 * Rows C and D, for private anonymous memory.
 */
#include "uffd_fixture.h"

#define MISSING PF_UFFDIO_REGISTER_MODE_MISSING
#define LOW 0x1000ull

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

static int reg(struct fx *fx, va_t at, uint64_t pages)
{
	return fx_register(fx->u, at, pages * PAGE, MISSING, NULL);
}

static int unreg(struct fx *fx, va_t at, uint64_t pages)
{
	return fx_unregister(fx->u, at, pages * PAGE);
}

static bool is_watched(struct fx *fx, va_t va)
{
	struct vma *vma = fx_vma(fx, va);

	return vma && vma->watch;
}

/* ---- REGISTER ---- */

static void C01_bad_pointer(void **state)
{
	struct fx *fx = *state;
	struct fx_block bad = { .is_unreadable = true };

	assert_int_equal(fx_ioctl(fx->u, PF_UFFDIO_REGISTER, &bad), -EFAULT);
}

static void C02_C03_modes_that_do_not_exist(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map(fx, 1, RW);
	unsigned i;

	assert_int_equal(fx_register(fx->u, at, PAGE, 0, NULL), -EINVAL);
	for (i = 0; i < 64; i++) {
		if (fx->profile->register_modes & 1ull << i)
			continue;
		assert_int_equal(fx_register(fx->u, at, PAGE, 1ull << i, NULL),
				 -EINVAL);
		assert_int_equal(fx_register(fx->u, at, PAGE,
					     MISSING | 1ull << i, NULL),
				 -EINVAL);
	}
	assert_false(is_watched(fx, at));
}

static const struct {
	uint64_t start, len;
} bad_ranges[] = {
	{ LOW * 100 + 1, PAGE },           /* C04 */
	{ LOW * 100, PAGE + 1 },           /* C05 */
	{ LOW * 100, 0 },                  /* C05b */
	{ TASK_BYTES, PAGE },              /* C06 */
	{ TASK_BYTES - PAGE, 2 * PAGE },   /* C06b */
	{ UINT64_MAX - PAGE + 1, PAGE },   /* C06c */
	{ LOW * 100, UINT64_MAX - PAGE + 1 },
	{ 0, UINT64_MAX - PAGE + 1 },
};

static void C04_C05_C06_ranges_that_do_not_exist(void **state)
{
	struct fx *fx = *state;
	uint64_t ioctls;
	size_t i;

	for (i = 0; i < array_len(bad_ranges); i++) {
		assert_int_equal(fx_register(fx->u, bad_ranges[i].start,
					     bad_ranges[i].len, MISSING,
					     &ioctls),
				 -EINVAL);
		assert_true((int64_t)ioctls == UNTOUCHED); /* C26 */
		assert_int_equal(fx_unregister(fx->u, bad_ranges[i].start,
					       bad_ranges[i].len),
				 -EINVAL); /* D01 */
		assert_int_equal(fx_wake(fx->u, bad_ranges[i].start,
					 bad_ranges[i].len),
				 -EINVAL); /* G01 */
	}
}

static void C06_low_addresses(void **state)
{
	struct fx *fx = *state;
	struct space_map_request req = {
		.at = LOW, .len_bytes = PAGE, .prot = RW, .flags = SPACE_FIXED,
	};

	assert_int_equal(space_map(fx->space, &req), LOW);
	assert_int_equal(reg(fx, LOW, 1), fx->is_seed ? -EINVAL : 0);
}

static void C06d_address_0_with_nothing_mapped(void **state)
{
	struct fx *fx = *state;

	(void)fx_map(fx, 1, RW);
	assert_int_equal(reg(fx, 0, 1), -EINVAL);
}

static void C07_hole_below_a_mapping(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map(fx, 4, RW);

	assert_int_equal(space_unmap(fx->space, range_of(at, 2 * PAGE)), 0);
	assert_int_equal(reg(fx, at, 2), -EINVAL);
}

static void C07b_hole_with_nothing_above(void **state)
{
	struct fx *fx = *state;
	va_t last = TASK_BYTES - PAGE;

	assert_int_equal(reg(fx, last, 1), fx->is_seed ? -ENOMEM : -EINVAL);
}

static void C08_holes_in_the_range(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map(fx, 7, RW);

	/* 0 . 2 . 4 5 . */
	assert_int_equal(space_unmap(fx->space, range_of(at + PAGE, PAGE)), 0);
	assert_int_equal(space_unmap(fx->space, range_of(at + 3 * PAGE, PAGE)),
			 0);
	assert_int_equal(space_unmap(fx->space, range_of(at + 6 * PAGE, PAGE)),
			 0);
	assert_int_equal(reg(fx, at + PAGE, 6), 0); /* C08b */
	assert_false(is_watched(fx, at));
	assert_true(is_watched(fx, at + 2 * PAGE));
	assert_true(is_watched(fx, at + 5 * PAGE));
}

/* Kinds come from surveys of the host; here a VMA is made to be of one. */
static void C09_C10_kinds_that_cannot_be_registered(void **state)
{
	static const enum vma_kind kinds[] = {
		VMA_SHMEM, VMA_HUGETLB, VMA_FILE, VMA_SPECIAL,
	};
	struct fx *fx = *state;
	va_t at = fx_map(fx, 3, RW);
	struct vma *vma, *part;
	size_t i;

	space_begin(fx->space);
	vma = space_find_vma(fx->space, at);
	assert_int_equal(space_clip_vma(fx->space, vma,
					range_of(at + 2 * PAGE, PAGE), &part),
			 0);
	space_end(fx->space);
	for (i = 0; i < array_len(kinds); i++) {
		part->kind = kinds[i];
		assert_int_equal(reg(fx, at, 3), -EINVAL);
		assert_false(is_watched(fx, at));
		assert_int_equal(unreg(fx, at, 3), -EINVAL); /* D04 */
	}
	part->kind = VMA_STACK; /* C20c */
	assert_int_equal(reg(fx, at, 3), 0);
	assert_int_equal(unreg(fx, at, 3), 0);
	part->kind = VMA_ANON;
	part->is_shared = true;
	assert_int_equal(reg(fx, at, 3), -EINVAL);
	part->is_shared = false;
}

static void C11_memory_that_may_never_be_written(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map(fx, 1, ACCESS_READ);
	struct vma *vma = fx_vma(fx, at);

	vma->may_write = false;
	assert_int_equal(reg(fx, at, 1), -EPERM);
	vma->kind = VMA_FILE;
	assert_int_equal(reg(fx, at, 1), -EINVAL);
	vma->kind = VMA_ANON;
	vma->may_write = true;
	assert_int_equal(reg(fx, at, 1), 0);
}

static void C15_range_of_another_object(void **state)
{
	struct fx *fx = *state;
	struct uffd *other = fx_other(fx);
	va_t at = fx_map(fx, 4, RW);

	assert_int_equal(fx_register(other, at + PAGE, PAGE, MISSING, NULL),
			 0);
	assert_int_equal(reg(fx, at + PAGE, 1), -EBUSY);
	assert_int_equal(reg(fx, at, 4), -EBUSY); /* C15b */
	assert_false(is_watched(fx, at));
	assert_false(is_watched(fx, at + 2 * PAGE));
	assert_int_equal(reg(fx, at + 2 * PAGE, 2), 0); /* C15c */
	assert_ptr_not_equal(fx_vma(fx, at + PAGE)->watch,
			     fx_vma(fx, at + 2 * PAGE)->watch);
	assert_int_equal(fx_vmas(fx, at, 4), 3); /* C30b */
	uffd_release(other);
	assert_false(is_watched(fx, at + PAGE));
	assert_int_equal(fx_vmas(fx, at, 4), 2);
}

static void C16_same_range_same_mode_again_is_a_no_op(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 2);
	uint64_t ioctls = 0;

	assert_int_equal(fx_register(fx->u, at, PAGE, MISSING, &ioctls), 0);
	assert_int_equal(ioctls, 0x1c);
	assert_int_equal(fx_vmas(fx, at, 2), 1);
}

/* WP and MINOR commands are not in this build, so 0x13c reads 0x1c. */
static void C18a_ioctls_of_anonymous_memory(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map(fx, 1, RW);
	uint64_t ioctls = 0;

	assert_int_equal(fx_register(fx->u, at, PAGE, MISSING, &ioctls), 0);
	assert_int_equal(ioctls, 0x1c);
}

static void C20f_unreadable_and_read_only_memory(void **state)
{
	struct fx *fx = *state;
	va_t none = fx_map(fx, 1, 0), ro;

	assert_int_equal(reg(fx, none, 1), 0);
	ro = fx_map(fx, 1, ACCESS_READ);
	assert_int_equal(reg(fx, ro, 1), 0);
}

static void C21_unwritable_answer_leaves_the_range_registered(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map(fx, 1, RW);
	struct pf_uffdio_register block = {
		.range = { at, PAGE }, .mode = MISSING,
	};
	struct fx_block bad = { .block = &block, .unwritable_from = 24 };

	assert_int_equal(fx_ioctl(fx->u, PF_UFFDIO_REGISTER, &bad), -EFAULT);
	assert_true(is_watched(fx, at));
}

static void C23_C30_splits_and_merges(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map(fx, 5, RW);

	assert_int_equal(reg(fx, at + 2 * PAGE, 1), 0);
	assert_int_equal(fx_vmas(fx, at, 5), 3);
	assert_int_equal(reg(fx, at + PAGE, 1), 0);
	assert_int_equal(fx_vmas(fx, at, 5), 3);
	assert_int_equal(reg(fx, at, 5), 0);
	assert_int_equal(fx_vmas(fx, at, 5), 1);
	assert_int_equal(unreg(fx, at + PAGE, 2), 0); /* D07 */
	assert_int_equal(fx_vmas(fx, at, 5), 3);
	assert_int_equal(unreg(fx, at, 5), 0); /* C30c */
	assert_int_equal(fx_vmas(fx, at, 5), 1);
}

static void C24_locked_memory(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map(fx, 1, RW);

	fx_vma(fx, at)->is_locked = true;
	assert_int_equal(reg(fx, at, 1), 0);
}

static void C27_D09_space_has_exited(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);

	space_exit(fx->space);
	uffd_space_gone(fx->u);
	assert_int_equal(reg(fx, at, 1), -ENOMEM);
	assert_int_equal(unreg(fx, at, 1), -ENOMEM);
	assert_int_equal(fx_register(fx->u, at, 0, MISSING, NULL), -EINVAL);
}

/* Does a failed split leave the VMAs before it registered, and no more? */
static void C31_splitting_fails_half_way(void **state)
{
	struct fx *fx = *state;
	struct uffd_arg arg;
	unsigned n;
	int err;

	for (n = 1; n < 20; n++) {
		va_t at = fx_map(fx, 8, RW);
		struct pf_uffdio_register block = {
			.range = { at, 5 * PAGE }, .mode = MISSING,
		};

		assert_int_equal(space_protect(fx->space,
					       range_of(at + 2 * PAGE, 6 * PAGE),
					       ACCESS_READ),
				 0);
		arg = uffd_arg_plain(&block);
		heap_fail_nth(n);
		err = uffd_ioctl(fx->u, PF_UFFDIO_REGISTER, &arg);
		heap_fail_nth(0);
		space_check(fx->space);
		assert_false(is_watched(fx, at + 5 * PAGE));
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(space_unmap(fx->space,
					     range_of(at, 8 * PAGE)),
				 0);
	}
	assert_true(n > 1 && n < 20);
}

/* ---- UNREGISTER ---- */

static void D01_bad_pointer(void **state)
{
	struct fx *fx = *state;
	struct fx_block bad = { .is_unreadable = true };

	assert_int_equal(fx_ioctl(fx->u, PF_UFFDIO_UNREGISTER, &bad), -EFAULT);
}

static void D02_nothing_mapped(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map(fx, 2, RW);

	assert_int_equal(space_unmap(fx->space, range_of(at, PAGE)), 0);
	assert_int_equal(unreg(fx, at, 1), -EINVAL);
	assert_int_equal(space_unmap(fx->space, range_of(at + PAGE, PAGE)), 0);
	assert_int_equal(unreg(fx, at, 1), fx->is_seed ? -ENOMEM : -EINVAL);
}

static void D03_mapped_but_not_registered(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map(fx, 2, RW);

	assert_int_equal(unreg(fx, at, 2), 0);
}

static void D05_range_of_another_object(void **state)
{
	struct fx *fx = *state;
	struct uffd *other = fx_other(fx);
	va_t at = fx_map_watched(fx, 2);
	struct watch_ticket mine, theirs;
	int expected = fx->is_seed ? 0 : -EINVAL;

	assert_int_equal(unreg(fx, at + PAGE, 1), 0);
	assert_int_equal(fx_register(other, at + PAGE, PAGE, MISSING, NULL),
			 0);
	mine = fx_fault(fx, at, FAULT_READ);
	theirs = fx_fault(fx, at + PAGE, FAULT_READ);

	assert_int_equal(unreg(fx, at + PAGE, 1), expected);
	assert_int_equal(is_watched(fx, at + PAGE), !fx->is_seed);
	assert_int_equal(fx_is_woken(&theirs), fx->is_seed);
	assert_false(fx_is_woken(&mine));

	/* D05b: own and foreign ones in one range. */
	if (!fx->is_seed) {
		assert_int_equal(unreg(fx, at, 2), -EINVAL);
		assert_true(is_watched(fx, at));
		assert_false(fx_is_woken(&mine));
	}
	uffd_release(other);
	assert_true(fx_is_woken(&theirs));
}

static void D06_waiter_whose_message_was_read(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 2);
	struct watch_ticket in = fx_fault(fx, at, FAULT_READ);
	struct watch_ticket out = fx_fault(fx, at + PAGE, FAULT_READ);

	(void)fx_take(fx);
	assert_int_equal(unreg(fx, at, 1), 0);
	assert_true(fx_is_woken(&in));
	assert_false(fx_is_woken(&out));
	assert_int_equal(space_fault(fx->space, at, FAULT_READ, &in),
			 SPACE_RETRY);
	assert_int_equal(fx_peek(fx, at), 0);
}

static void D10_waiter_whose_message_is_unread(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);
	struct watch_ticket ticket = fx_fault(fx, at, FAULT_WRITE);
	struct pf_uffd_msg msg;

	assert_int_equal(fx->told, 1);
	assert_int_equal(unreg(fx, at, 1), 0);
	assert_true(fx_is_woken(&ticket));
	assert_int_equal(uffd_take(fx->u, &msg, 1), 0);
	assert_int_equal(fx->told, 0);
}

/* Allocation failure in the split of UNREGISTER changes nothing. */
static void D07_splitting_fails(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 3);
	unsigned n;
	int err = -ENOMEM;

	for (n = 1; err && n < 20; n++) {
		heap_fail_nth(n);
		err = unreg(fx, at + PAGE, 1);
		heap_fail_nth(0);
		assert_true(!err || err == -ENOMEM);
		assert_int_equal(is_watched(fx, at + PAGE), err != 0);
	}
	assert_int_equal(err, 0);
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(C01_bad_pointer),
		BOTH(C02_C03_modes_that_do_not_exist),
		BOTH(C04_C05_C06_ranges_that_do_not_exist),
		BOTH(C06_low_addresses),
		BOTH(C06d_address_0_with_nothing_mapped),
		BOTH(C07_hole_below_a_mapping),
		BOTH(C07b_hole_with_nothing_above),
		BOTH(C08_holes_in_the_range),
		BOTH(C09_C10_kinds_that_cannot_be_registered),
		BOTH(C11_memory_that_may_never_be_written),
		BOTH(C15_range_of_another_object),
		BOTH(C16_same_range_same_mode_again_is_a_no_op),
		BOTH(C18a_ioctls_of_anonymous_memory),
		BOTH(C20f_unreadable_and_read_only_memory),
		BOTH(C21_unwritable_answer_leaves_the_range_registered),
		BOTH(C23_C30_splits_and_merges),
		BOTH(C24_locked_memory),
		BOTH(C27_D09_space_has_exited),
		BOTH(C31_splitting_fails_half_way),
		BOTH(D01_bad_pointer),
		BOTH(D02_nothing_mapped),
		BOTH(D03_mapped_but_not_registered),
		BOTH(D05_range_of_another_object),
		BOTH(D06_waiter_whose_message_was_read),
		BOTH(D10_waiter_whose_message_is_unread),
		BOTH(D07_splitting_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
