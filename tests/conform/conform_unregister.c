/* SPDX-License-Identifier: MIT */
/* Section D: unregistering ranges. */
#include "conform.h"

#include "world_real.h"

#include <fcntl.h>
#include <unistd.h>

static void D01_bad_arguments(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 2);

	T_EQ(w_ioctl_at(u, PF_UFFDIO_UNREGISTER, W_BAD_POINTER), -EFAULT);
	T_EQ(op_unregister(u, at + 1, PG), -EINVAL);
	T_EQ(op_unregister(u, at, PG + 1), -EINVAL);
	T_EQ(op_unregister(u, at, 0), -EINVAL);
	T_EQ(op_unregister(u, W_TASK_SIZE, PG), -EINVAL);
	T_EQ(op_unregister(u, W_TASK_SIZE - PG, 2 * PG), -EINVAL);
}

static void D02_nothing_is_mapped(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at;

	T_EQ(op_unregister(u, W_TASK_SIZE - PG, PG),
	     w_is_seed(w) ? -ENOMEM : -EINVAL);
	at = w_map(w, 2 * PG, RW);
	T_OK(w_unmap(w, at, PG));
	T_EQ(op_unregister(u, at, PG), -EINVAL);
}

static void D03_mapped_but_not_registered(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	T_OK(op_unregister(u, w_map(w, PG, RW), PG));
}

static void D04_unsupported_mapping_in_the_range(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, 2 * PG, RW);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	void *second = (void *)(uintptr_t)(at + PG);
	struct w_task *task;

	T_TRUE(real(w)->mmap(second, PG, PROT_READ, MAP_PRIVATE | MAP_FIXED,
			     fd, 0) == second);
	close(fd);
	op_watch(u, at, PG);
	T_EQ(op_unregister(u, at, 2 * PG), -EINVAL);
	task = w_touch(w, W_LOAD, at);
	op_next(u);
	T_OK(op_unregister(u, at, PG));
	w_join(task);
}

/* May an object unregister what belongs to another? */
static void D05_range_of_another_object(struct world *w)
{
	struct w_uffd *owner = op_ready(w, 0), *other = op_ready(w, 0);
	uint64_t at = op_map_watched(owner, 1);
	struct w_task *task = w_touch(w, W_LOAD, at);

	op_next(owner);
	if (w_is_seed(w)) {
		T_OK(op_unregister(other, at, PG));
		w_join(task);
		T_EQ(op_zeropage(owner, at, PG, 0), -ENOENT);
		return;
	}
	T_EQ(op_unregister(other, at, PG), -EINVAL);
	w_still_waits(task);
	T_OK(op_zeropage(owner, at, PG, 0));
	w_join(task);
}

static void D05b_own_and_foreign_ranges(struct world *w)
{
	struct w_uffd *first = op_ready(w, 0), *second = op_ready(w, 0);
	uint64_t at = w_map(w, 2 * PG, RW);
	int own, foreign;

	op_watch(first, at, PG);
	op_watch(second, at + PG, PG);
	own = w_is_seed(w) ? -ENOENT : 0;
	foreign = w_is_seed(w) ? 0 : -EINVAL;
	T_EQ(op_unregister(first, at, 2 * PG), foreign);
	T_EQ(op_zeropage(first, at, PG, 0), own);
	T_EQ(op_zeropage(second, at + PG, PG, 0), own);
}

static void D06_delivered_waiter_wakes(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_touch(w, W_LOAD, at);

	op_next(u);
	T_OK(op_unregister(u, at, PG));
	w_join(task);
	T_EQ(task->outcome.end, W_DONE);
	T_EQ(task->byte, 0);
}

static void D07_part_of_a_range(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 3);
	struct w_task *task;

	T_OK(op_unregister(u, at + PG, PG));
	T_EQ(w_peek(w, at + PG), 0);
	T_EQ(op_zeropage(u, at + PG, PG, 0), -ENOENT);
	task = w_touch(w, W_LOAD, at + 2 * PG);
	T_EQ(op_next(u).arg.pagefault.address, at + 2 * PG);
	T_OK(op_zeropage(u, at + 2 * PG, PG, 0));
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

static void D09_address_space_is_gone(struct world *w)
{
	uint64_t at = w_map(w, PG, RW);
	struct w_uffd *u = w_orphan(w, at);

	T_EQ(op_unregister(u, at, PG), -ENOMEM);
}

static void D10_unread_waiter_wakes_and_its_message_goes(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_touch(w, W_STORE, at);
	int pending, total;

	op_await(u);
	T_OK(op_unregister(u, at, PG));
	w_join(task);
	T_EQ(w_poll(u), 0);
	op_counts(u, &pending, &total);
	T_EQ(pending, 0);
	T_EQ(total, 0);
	T_EQ(w_peek(w, at), 0xee);
}

const struct conform_case unregister_cases[] = {
	CASE(D01, bad_arguments, ""),
	CASE(D02, nothing_is_mapped, ""),
	CASE(D03, mapped_but_not_registered, ""),
	CASE(D04, unsupported_mapping_in_the_range, ""),
	CASE(D05, range_of_another_object, ""),
	CASE(D05b, own_and_foreign_ranges, ""),
	CASE(D06, delivered_waiter_wakes, ""),
	CASE(D07, part_of_a_range, ""),
	CASE(D09, address_space_is_gone, ""),
	CASE(D10, unread_waiter_wakes_and_its_message_goes, ""),
	{ 0 },
};
