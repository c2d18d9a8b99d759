/* SPDX-License-Identifier: MIT */
/* Section F: ZEROPAGE. */
#include "conform.h"

static void F01_bad_arguments(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 2);
	const struct { uint64_t at, len; } bad[] = {
		{ at + 1, PG }, { at, PG - 1 }, { at, 0 },
		{ W_TASK_SIZE, PG }, { W_TASK_SIZE - PG, 2 * PG },
		{ -PG, PG },
	};

	T_EQ(w_ioctl_at(u, PF_UFFDIO_ZEROPAGE, W_BAD_POINTER), -EFAULT);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		T_EQ(op_zeropage(u, bad[i].at, bad[i].len, 0), -EINVAL);
		T_EQ(u->out, OP_UNTOUCHED);
	}
}

static void F02_unknown_modes(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);

	for (unsigned bit = 1; bit < 64; bit++)
		T_EQ(op_zeropage(u, at, PG, 1ull << bit), -EINVAL);
	T_EQ(u->out, OP_UNTOUCHED);
}

static void F03_zero_page_is_mapped(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 2);

	T_OK(op_zeropage(u, at, 2 * PG, 0));
	T_EQ(u->out, 2 * PG);
	T_EQ(w_peek(w, at), 0);
	T_EQ(w_peek(w, at + 2 * PG - 1), 0);
}

static void F16_nothing_is_allocated_or_charged(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 2);
	int64_t anon = w_count(w, at, W_ANON_PAGES);
	int64_t charged = w_count(w, at, W_CHARGED_PAGES);

	T_OK(op_zeropage(u, at, 2 * PG, 0));
	T_TRUE(w_entry(w, at).is_zero_page);
	T_EQ(w_count(w, at, W_ANON_PAGES), anon);
	T_EQ(w_count(w, at, W_CHARGED_PAGES), charged);
}

static void F04_present_page_is_refused(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 2), src = w_map_filled(w, 1, 'a');

	T_OK(op_copy(u, at, src, PG, 0));
	T_EQ(op_zeropage(u, at, PG, 0), -EEXIST);
	T_EQ(u->out, -EEXIST);
	T_EQ(w_peek(w, at), 'a');
	T_OK(op_zeropage(u, at + PG, PG, 0));
	T_EQ(op_copy(u, at + PG, src, PG, 0), -EEXIST);
	T_EQ(op_zeropage(u, at + PG, PG, 0), -EEXIST);
	T_EQ(w_peek(w, at + PG), 0);
}

static void F05_write_afterwards_is_ordinary(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task;

	T_OK(op_zeropage(u, at, PG, 0));
	task = w_touch(w, W_STORE, at + 9);
	w_join(task);
	T_EQ(task->outcome.end, W_DONE);
	T_EQ(w_poll(u), 0);
	T_EQ(w_peek(w, at + 9), 0xee);
	T_EQ(w_peek(w, at + 10), 0);
	T_TRUE(!w_entry(w, at).is_zero_page);
}

static void F06_not_registered(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, 2 * PG, RW);

	T_EQ(op_zeropage(u, at, PG, 0), -ENOENT);
	T_EQ(u->out, -ENOENT);
	T_OK(w_unmap(w, at, PG));
	T_EQ(op_zeropage(u, at, PG, 0), -ENOENT);
}

static void F07_second_page_is_present(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 2);

	T_OK(op_zeropage(u, at + PG, PG, 0));
	T_EQ(op_zeropage(u, at, 2 * PG, 0), -EAGAIN);
	T_EQ(u->out, PG);
}

static void F09_address_space_is_gone(struct world *w)
{
	uint64_t at = w_map(w, PG, RW);
	struct w_uffd *u = w_orphan(w, at);

	T_EQ(op_zeropage(u, at, PG, 0), -ESRCH);
	T_EQ(u->out, OP_UNTOUCHED);
}

static void F15_another_object_may_fill(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0), *other = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_touch(w, W_LOAD, at);

	op_next(u);
	T_OK(op_zeropage(other, at, PG, 0));
	w_still_waits(task);
	T_OK(op_wake(u, at, PG));
	w_join(task);
	T_EQ(task->byte, 0);
}

static void E50c_guard_is_refused(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);

	if (w_guard(w, at, PG))
		t_skip("no guard pages here");
	T_EQ(op_zeropage(u, at, PG, 0), -EEXIST);
	T_EQ(u->out, -EEXIST);
}

const struct conform_case zeropage_cases[] = {
	CASE(F01, bad_arguments, ""),
	CASE(F02, unknown_modes, ""),
	CASE(F03, zero_page_is_mapped, ""),
	CASE(F04, present_page_is_refused, "F04b"),
	CASE(F05, write_afterwards_is_ordinary, ""),
	CASE(F06, not_registered, ""),
	CASE(F07, second_page_is_present, ""),
	CASE(F09, address_space_is_gone, ""),
	CASE(F15, another_object_may_fill, ""),
	CASE(F16, nothing_is_allocated_or_charged, "F18"),
	CASE(E50c, guard_is_refused, ""),
	{ 0 },
};
