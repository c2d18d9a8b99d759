/* SPDX-License-Identifier: MIT */
/* Section C: registering ranges. */
#include "conform.h"

#include "polyfault/embed.h"
#include "world_real.h"

#include <alloca.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

#define WP PF_UFFDIO_REGISTER_MODE_WP
#define MINOR PF_UFFDIO_REGISTER_MODE_MINOR

/* Is the page watched? Its touch gives a message then. */
static void expect_watched(struct w_uffd *u, uint64_t va)
{
	struct w_task *task = w_touch(u->world, W_LOAD, va);

	T_EQ(op_next(u).arg.pagefault.address, va);
	T_OK(op_zeropage(u, va, PG, 0));
	w_join(task);
	T_EQ(task->outcome.end, W_DONE);
}

static void expect_ordinary(struct w_uffd *u, uint64_t va)
{
	struct w_task *task = w_touch(u->world, W_LOAD, va);

	w_join(task);
	T_EQ(task->outcome.end, W_DONE);
	T_EQ(w_poll(u), 0);
}

static void C01_bad_pointer(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	T_EQ(w_ioctl_at(u, PF_UFFDIO_REGISTER, W_BAD_POINTER), -EFAULT);
}

static void C02_no_mode(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	T_EQ(op_register(u, w_map(w, PG, RW), PG, 0), -EINVAL);
}

static void C03_unknown_modes(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, PG, RW);

	for (unsigned bit = w_is_seed(w) ? 1 : 3; bit < 64; bit++)
		T_EQ(op_register(u, at, PG, 1ull << bit | MISSING), -EINVAL);
	expect_ordinary(u, at);
}

static void C04_start_is_not_aligned(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, 2 * PG, RW);

	T_EQ(op_register(u, at + 1, PG, MISSING), -EINVAL);
	T_EQ(op_register(u, at + 2048, PG, MISSING), -EINVAL);
}

static void C05_length_is_not_aligned(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, 2 * PG, RW);

	T_EQ(op_register(u, at, PG + 1, MISSING), -EINVAL);
	T_EQ(op_register(u, at, PG - 1, MISSING), -EINVAL);
	T_EQ(op_register(u, at, 0, MISSING), -EINVAL);
}

static void C06_range_is_too_high(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	T_EQ(op_register(u, W_TASK_SIZE, PG, MISSING), -EINVAL);
	T_EQ(op_register(u, W_TASK_SIZE - PG, 2 * PG, MISSING), -EINVAL);
	T_EQ(op_register(u, PG, W_TASK_SIZE, MISSING), -EINVAL);
	T_EQ(op_register(u, -PG, PG, MISSING), -EINVAL);
	T_EQ(op_register(u, -(2 * PG), 4 * PG, MISSING), -EINVAL);
}

static void C06d_address_0_with_nothing_there(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	T_EQ(op_register(u, 0, PG, MISSING), -EINVAL);
}

static void C07_range_is_a_hole_below_a_mapping(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, 3 * PG, RW);

	T_OK(w_unmap(w, at, 2 * PG));
	T_EQ(op_register(u, at, 2 * PG, MISSING), -EINVAL);
}

static void C07b_range_is_a_hole_above_everything(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	T_EQ(op_register(u, W_TASK_SIZE - PG, PG, MISSING),
	     w_is_seed(w) ? -ENOMEM : -EINVAL);
}

static void C08_holes_inside_do_not_matter(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, 5 * PG, RW);

	T_OK(w_unmap(w, at + PG, PG));
	T_OK(w_unmap(w, at + 4 * PG, PG));
	op_watch(u, at, 5 * PG);
	expect_watched(u, at);
	expect_watched(u, at + 2 * PG);
	expect_watched(u, at + 3 * PG);
}

static void C08b_range_may_begin_in_a_hole(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, 3 * PG, RW);

	T_OK(w_unmap(w, at, PG));
	op_watch(u, at, 3 * PG);
	expect_watched(u, at + PG);
}

/* A mapping of this program's own file. */
static uint64_t map_file(struct world *w, int flags)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	void *p = real(w)->mmap(NULL, PG, PROT_READ, flags, fd, 0);

	T_TRUE(p != MAP_FAILED);
	close(fd);
	return (uint64_t)(uintptr_t)p;
}

static void C09_regular_files_are_refused(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	T_EQ(op_register(u, map_file(w, MAP_PRIVATE), PG, MISSING), -EINVAL);
	T_EQ(op_register(u, map_file(w, MAP_SHARED), PG, MISSING), -EINVAL);
	T_EQ(op_register(u, map_file(w, MAP_SHARED), PG, WP), -EINVAL);
}

static void C10_one_refused_mapping_refuses_the_range(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, 2 * PG, RW);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	void *second = (void *)(uintptr_t)(at + PG);

	T_TRUE(real(w)->mmap(second, PG, PROT_READ, MAP_PRIVATE | MAP_FIXED,
			     fd, 0) == second);
	close(fd);
	T_EQ(op_register(u, at, 2 * PG, MISSING), -EINVAL);
	expect_ordinary(u, at);
}

static void C15_range_of_another_object_is_busy(struct world *w)
{
	struct w_uffd *first = op_ready(w, 0);
	struct w_uffd *second = op_ready(w, 0);
	uint64_t at = op_map_watched(first, 2);

	T_EQ(op_register(second, at, 2 * PG, MISSING), -EBUSY);
	T_EQ(op_register(second, at + PG, PG, MISSING), -EBUSY);
	expect_watched(first, at);
}

static void C15b_partly_busy_changes_nothing(struct world *w)
{
	struct w_uffd *first = op_ready(w, 0);
	struct w_uffd *second = op_ready(w, 0);
	uint64_t at = w_map(w, 2 * PG, RW);

	op_watch(first, at + PG, PG);
	T_EQ(op_register(second, at, 2 * PG, MISSING), -EBUSY);
	expect_ordinary(second, at);
	expect_watched(first, at + PG);
}

static void C15c_neighbours_may_belong_to_others(struct world *w)
{
	struct w_uffd *first = op_ready(w, 0);
	struct w_uffd *second = op_ready(w, 0);
	uint64_t at = w_map(w, 2 * PG, RW);

	op_watch(first, at, PG);
	op_watch(second, at + PG, PG);
	expect_watched(first, at);
	expect_watched(second, at + PG);
}

static void C16_same_again_is_allowed(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 2);

	op_watch(u, at, 2 * PG);
	op_watch(u, at + PG, PG);
	expect_watched(u, at);
	expect_watched(u, at + PG);
}

static void C17_minor_is_not_for_anonymous_memory(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, PG, RW);

	T_EQ(op_register(u, at, PG, MINOR), -EINVAL);
	T_EQ(op_register(u, at, PG, MINOR | MISSING), -EINVAL);
	expect_ordinary(u, at);
}

/* Which commands does the answer promise? */
static void C18a_answer_lists_the_commands(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t least = 0x1c, most = w_is_seed(w) ? 0x1c : 0x13c;

	op_watch(u, w_map(w, PG, RW), PG);
	if (w->kind == W_KERNEL)
		T_EQ(u->out, most);
	T_EQ((uint64_t)u->out & least, least);
	T_EQ((uint64_t)u->out & ~most, 0);
}

static void C20_vdso_and_vvar_are_refused(struct world *w)
{
	uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
	struct w_uffd *u = op_ready(w, 0);

	T_TRUE(vdso);
	T_EQ(op_register(u, vdso, PG, MISSING), -EINVAL);
	/* The page below it is vvar. */
	T_EQ(op_register(u, vdso - PG, PG, MISSING), -EINVAL);
}

static void C20c_stack_is_accepted(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	volatile char *room = alloca(64 * PG);
	uint64_t at;

	for (unsigned i = 0; i < 64; i++)
		room[(63 - i) * PG] = (char)i;
	at = ((uint64_t)(uintptr_t)room + PG) & ~(PG - 1);
	op_watch(u, at, 2 * PG);
	T_EQ(room[2 * PG], 61);
	T_OK(op_unregister(u, at, 2 * PG));
}

static void C20d_heap_is_accepted(struct world *w)
{
	char *end = sbrk(0);
	uint64_t at = ((uint64_t)(uintptr_t)end + PG - 1) & ~(PG - 1);
	struct w_uffd *u = op_ready(w, 0);

	T_OK(brk((char *)(uintptr_t)at + 2 * PG));
	op_watch(u, at, PG);
	expect_watched(u, at);
	T_OK(op_unregister(u, at, PG));
}

static void C20e_droppable_is_refused(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	void *p = real(w)->mmap(NULL, PG, RW, MAP_DROPPABLE | MAP_ANONYMOUS,
				-1, 0);

	if (p == MAP_FAILED)
		t_skip("no MAP_DROPPABLE here");
	T_EQ(op_register(u, (uint64_t)(uintptr_t)p, PG, MISSING), -EINVAL);
}

static void C20f_protection_does_not_matter(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	op_watch(u, w_map(w, PG, PROT_NONE), PG);
	op_watch(u, w_map(w, PG, PROT_READ), PG);
}

/* Does the registration stay when the answer cannot be stored? */
static void C21_unwritable_answer_still_registers(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, PG, RW);
	struct pf_uffdio_register reg = { { at, PG }, MISSING, 0 };

	T_EQ(w_ioctl_at(u, PF_UFFDIO_REGISTER,
			op_block(w, &reg, sizeof(reg), 8)), -EFAULT);
	expect_watched(u, at);
}

/* It has a file of no length, so that a fill is beyond its end (1.3, 1.4). */
static void C22_private_dev_zero_is_anonymous(struct world *w)
{
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	struct w_uffd *u = op_ready(w, 0);
	void *p = real(w)->mmap(NULL, PG, RW, MAP_PRIVATE, fd, 0);
	uint64_t at = (uint64_t)(uintptr_t)p;
	struct w_task *task;

	T_TRUE(p != MAP_FAILED);
	close(fd);
	T_EQ(op_register(u, at, PG, MINOR), -EINVAL);
	op_watch(u, at, PG);
	task = w_touch(w, W_LOAD, at);
	T_EQ(op_next(u).arg.pagefault.address, at);
	T_OK(op_unregister(u, at, PG));
	w_join(task);
	T_EQ(task->byte, 0);
}

static void C22d_system_v_memory_is_refused(struct world *w)
{
	int id = shmget(IPC_PRIVATE, PG, 0600);
	struct w_uffd *u = op_ready(w, 0);
	void *p = shmat(id, NULL, 0);
	void *q = shmat(id, NULL, SHM_RDONLY);

	T_OK(shmctl(id, IPC_RMID, NULL));
	T_EQ(op_register(u, (uint64_t)(uintptr_t)p, PG, MISSING), -EINVAL);
	T_EQ(op_register(u, (uint64_t)(uintptr_t)q, PG, MISSING), -EINVAL);
	shmdt(p);
	shmdt(q);
}

static void C23_middle_of_a_mapping(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, 3 * PG, RW);
	int64_t before;

	/* A neighbour of another protection keeps the count exact. */
	T_OK(w_protect(w, at, 3 * PG, RW));
	before = w_count(w, at, W_VMAS);
	op_watch(u, at + PG, PG);
	if (before >= 0)
		T_EQ(w_count(w, at, W_VMAS), before + 2);
	expect_ordinary(u, at);
	expect_watched(u, at + PG);
	expect_ordinary(u, at + 2 * PG);
}

static void C24_locked_range_is_accepted(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map_filled(w, 2, 7);

	T_OK(mlock((void *)(uintptr_t)at, 2 * PG));
	op_watch(u, at, 2 * PG);
	T_EQ(w_peek(w, at), 7);
	T_EQ(w_peek(w, at + PG), 8);
}

static void C26_failed_call_leaves_the_answer_alone(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	T_EQ(op_register(u, w_map(w, PG, RW), PG, 0), -EINVAL);
	T_EQ(u->out, OP_UNTOUCHED);
	T_EQ(op_register(u, W_TASK_SIZE, PG, MISSING), -EINVAL);
	T_EQ(u->out, OP_UNTOUCHED);
}

static void C27_address_space_is_gone(struct world *w)
{
	uint64_t at = w_map(w, PG, RW);
	struct w_uffd *u = w_orphan(w, at);

	T_EQ(op_register(u, at, PG, MISSING), -ENOMEM);
}

/* Do equal neighbours merge, and does unregistering merge back? */
static void C30_equal_neighbours_merge(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0), *other = op_ready(w, 0);
	uint64_t at = w_map(w, 8 * PG, RW);
	int64_t whole = w_count(w, at, W_VMAS);

	op_watch(u, at + 2 * PG, 2 * PG);
	T_EQ(w_count(w, at, W_VMAS), whole + 2);
	op_watch(u, at + 4 * PG, PG);
	T_EQ(w_count(w, at, W_VMAS), whole + 2);
	op_watch(other, at + 5 * PG, PG);
	T_EQ(w_count(w, at, W_VMAS), whole + 3);
	T_OK(op_unregister(other, at + 5 * PG, PG));
	T_OK(op_unregister(u, at, 5 * PG));
	T_EQ(w_count(w, at, W_VMAS), whole);
}

/* Does an allocation that fails half-way give ENOMEM? */
static void C31_failing_allocations_give_enomem(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	int err = -ENOMEM;
	uint64_t n, at;

	for (n = 1; err && n < 100; n++) {
		at = w_map(w, 5 * PG, RW);
		T_OK(w_unmap(w, at + 2 * PG, PG));
		pf_fail_nth(n);
		err = op_register(u, at + PG, 3 * PG, MISSING);
		pf_fail_nth(0);
		T_TRUE(err == 0 || err == -ENOMEM);
		T_OK(w_unmap(w, at, 5 * PG));
	}
	T_OK(err);
	T_TRUE(n > 2);
}

const struct conform_case register_cases[] = {
	CASE(C01, bad_pointer, ""),
	CASE(C02, no_mode, ""),
	CASE(C03, unknown_modes, ""),
	CASE(C04, start_is_not_aligned, ""),
	CASE(C05, length_is_not_aligned, "C05b"),
	CASE(C06, range_is_too_high, "C06b C06c"),
	CASE(C06d, address_0_with_nothing_there, ""),
	CASE(C07, range_is_a_hole_below_a_mapping, ""),
	CASE(C07b, range_is_a_hole_above_everything, ""),
	CASE(C08, holes_inside_do_not_matter, ""),
	CASE(C08b, range_may_begin_in_a_hole, ""),
	CASE(C09, regular_files_are_refused, "C09c"),
	CASE(C10, one_refused_mapping_refuses_the_range, ""),
	CASE(C15, range_of_another_object_is_busy, ""),
	CASE(C15b, partly_busy_changes_nothing, ""),
	CASE(C15c, neighbours_may_belong_to_others, ""),
	CASE(C16, same_again_is_allowed, ""),
	CASE(C17, minor_is_not_for_anonymous_memory, "C17b"),
	CASE(C18a, answer_lists_the_commands, ""),
	CASE(C20, vdso_and_vvar_are_refused, "C20b"),
	CASE(C20c, stack_is_accepted, ""),
	CASE(C20d, heap_is_accepted, ""),
	CASE(C20e, droppable_is_refused, ""),
	CASE(C20f, protection_does_not_matter, "C20g"),
	CASE(C21, unwritable_answer_still_registers, ""),
	CASE(C22, private_dev_zero_is_anonymous, "C22b"),
	CASE(C22d, system_v_memory_is_refused, "C22e"),
	CASE(C23, middle_of_a_mapping, ""),
	CASE(C24, locked_range_is_accepted, ""),
	CASE(C26, failed_call_leaves_the_answer_alone, ""),
	CASE(C27, address_space_is_gone, ""),
	CASE(C30, equal_neighbours_merge, "C30b C30c"),
	CASE(C31, failing_allocations_give_enomem, ""),
	{ 0 },
};
