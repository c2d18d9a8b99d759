/* SPDX-License-Identifier: MIT */
/* Section G: WAKE. */
#include "conform.h"

static void G01_bad_arguments(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);

	T_EQ(w_ioctl_at(u, PF_UFFDIO_WAKE, W_BAD_POINTER), -EFAULT);
	T_EQ(op_wake(u, at + 1, PG), -EINVAL);
	T_EQ(op_wake(u, at, PG + 1), -EINVAL);
	T_EQ(op_wake(u, at, 0), -EINVAL);
	T_EQ(op_wake(u, W_TASK_SIZE, PG), -EINVAL);
	T_EQ(op_wake(u, W_TASK_SIZE - PG, 2 * PG), -EINVAL);
}

static void G02_range_need_not_be_registered_or_mapped(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, PG, RW);

	T_OK(op_wake(u, at, PG));
	T_OK(w_unmap(w, at, PG));
	T_OK(op_wake(u, at, PG));
}

/*
 * Does a waiter whose page is still missing ask again? In 5.4 an access may
 * wait only once (3.6).
 */
static void G03_unresolved_fault_asks_again(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_touch(w, W_LOAD, at);

	if (w_is_seed(w)) {
		op_next(u);
		T_OK(op_wake(u, at, PG));
		w_join(task);
		T_EQ(task->outcome.end, W_BUS);
		return;
	}
	for (int i = 0; i < 3; i++) {
		T_EQ(op_next(u).arg.pagefault.address, at);
		T_OK(op_wake(u, at, PG));
	}
	op_next(u);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
	T_EQ(task->outcome.end, W_DONE);
}

static void L11_another_page_is_not_woken(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 3);
	struct w_task *task = w_touch(w, W_LOAD, at + PG);

	op_next(u);
	T_OK(op_wake(u, at, PG));
	T_OK(op_wake(u, at + 2 * PG, PG));
	w_still_waits(task);
	op_silent(u);
	T_OK(op_zeropage(u, at, PG, 0));
	w_still_waits(task);
	T_OK(op_zeropage(u, at + PG, PG, 0));
	w_join(task);
}

static void G06_address_space_is_gone(struct world *w)
{
	uint64_t at = w_map(w, PG, RW);
	struct w_uffd *u = w_orphan(w, at);

	T_OK(op_wake(u, at, PG));
}

/* Is WAKE let through while an event is pending? */
static void G07_wake_while_an_event_is_pending(struct world *w)
{
	struct w_uffd *u = op_ready(w, PF_UFFD_FEATURE_EVENT_REMOVE &
					w->offered);
	uint64_t at = op_map_watched(u, 1);
	uint64_t more = w_map(w, PG, RW);

	w_raise(u, true);
	T_OK(op_wake(u, at, PG));
	op_watch(u, more, PG);
	T_OK(op_unregister(u, more, PG));
	T_EQ(op_zeropage(u, at, PG, 0), -EAGAIN);
	w_raise(u, false);
	T_OK(op_zeropage(u, at, PG, 0));
}

const struct conform_case wake_cases[] = {
	CASE(G01, bad_arguments, ""),
	CASE(G02, range_need_not_be_registered_or_mapped, ""),
	CASE(G03, unresolved_fault_asks_again, ""),
	CASE(L11, another_page_is_not_woken, ""),
	CASE(G06, address_space_is_gone, ""),
	CASE(G07, wake_while_an_event_is_pending, "O03f O03g O03h"),
	{ 0 },
};
