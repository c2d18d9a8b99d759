/* SPDX-License-Identifier: MIT */
/* Section L: which accesses become messages, and how else they end. */
#include "conform.h"

#include "world_real.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef BUS_ADRERR
#define BUS_ADRERR 2
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* Is the thread named, and the address exact where that is offered? */
static void L22_thread_id_and_exact_address(struct world *w)
{
	uint64_t exact = w->offered & PF_UFFD_FEATURE_EXACT_ADDRESS;
	struct w_uffd *u = op_ready(w, PF_UFFD_FEATURE_THREAD_ID | exact);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_touch(w, W_STORE, at + 777);
	struct pf_uffd_msg msg = op_next(u);

	T_EQ(msg.arg.pagefault.address, exact ? at + 777 : at);
	T_EQ(msg.arg.pagefault.ptid, task->tid);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

/* In SIGBUS mode, does every access fail without a message? */
static void L24_sigbus_instead_of_messages(struct world *w)
{
	struct w_uffd *u = op_ready(w, PF_UFFD_FEATURE_SIGBUS);
	uint64_t at = op_map_watched(u, 2), src = w_map_filled(w, 1, 'a');
	struct w_outcome outcome;
	uint8_t byte = 1;

	outcome = w_load(w, at + 5, &byte, 1);
	T_EQ(outcome.end, W_BUS);
	T_EQ(outcome.at, at + 5);
	if (w_is_real(w))
		T_EQ(outcome.code, BUS_ADRERR);
	T_EQ(w_store(w, at + 6, &byte, 1).end, W_BUS);
	T_EQ(w_kernel_load(w, at, &byte, 1), -EFAULT);
	T_EQ(w_kernel_store(w, at, &byte, 1), -EFAULT);
	T_EQ(w_poll(u), 0);
	T_OK(op_copy(u, at, src, PG, 0));
	T_EQ(w_peek(w, at + 5), 'a');
}

/* With a user-mode-only object, do system calls fail? */
static void L25_user_mode_only(struct world *w)
{
	struct w_uffd *u = w_create(w, PF_UFFD_USER_MODE_ONLY);
	struct w_task *task;
	uint8_t byte = 1;
	uint64_t at;

	T_OK(op_api(u, 0));
	w_set_nonblocking(u, true);
	at = op_map_watched(u, 1);
	T_EQ(w_kernel_load(w, at, &byte, 1), -EFAULT);
	T_EQ(w_kernel_store(w, at, &byte, 1), -EFAULT);
	T_EQ(w_poll(u), 0);
	task = w_touch(w, W_LOAD, at);
	T_EQ(op_next(u).arg.pagefault.address, at);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
	T_EQ(w_kernel_load(w, at, &byte, 1), 1);
}

static void L25c_user_mode_only_and_populate(struct world *w)
{
	struct w_uffd *u = w_create(w, PF_UFFD_USER_MODE_ONLY);
	uint64_t at;

	T_OK(op_api(u, 0));
	w_set_nonblocking(u, true);
	at = op_map_watched(u, 1);
	T_EQ(madvise((void *)(uintptr_t)at, PG, MADV_POPULATE_READ), -1);
	T_EQ(errno, EFAULT);
	T_EQ(w_poll(u), 0);
}

static void L48_guard_page_is_a_segv(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 2);
	uint8_t byte;

	if (w_guard(w, at, PG))
		t_skip("no guard pages here");
	T_EQ(w_load(w, at, &byte, 1).end, W_SEGV);
	T_EQ(w_poll(u), 0);
}

/* Does a refused access come before a missing page? */
static void L60_protection_comes_first(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t none = w_map(w, PG, PROT_NONE);
	uint64_t readable = w_map(w, PG, PROT_READ);
	struct w_outcome outcome;
	uint8_t byte = 1;

	op_watch(u, none, PG);
	op_watch(u, readable, PG);
	outcome = w_load(w, none + 3, &byte, 1);
	T_EQ(outcome.end, W_SEGV);
	T_EQ(outcome.at, none + 3);
	if (w_is_real(w))
		T_EQ(outcome.code, SEGV_ACCERR);
	T_EQ(w_store(w, readable, &byte, 1).end, W_SEGV);
	T_EQ(w_poll(u), 0);
}

static int64_t lock_page(void *arg)
{
	return mlock(arg, PG) ? -errno : 0;
}

static void L61_mlock_of_a_hole(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_task(w, W_FUNCTION);

	task->call = lock_page;
	task->arg = (void *)(uintptr_t)at;
	w_start(task);
	T_EQ(op_next(u).arg.pagefault.flags, 1);
	T_OK(op_zeropage(u, at, PG, 0));
	/* It wants a page of its own: the zero page is not enough. */
	w_join(task);
	T_OK(task->result);
}

static int64_t populate_page(void *arg)
{
	return madvise(arg, PG, MADV_POPULATE_READ) ? -errno : 0;
}

static void L62_populate_of_a_hole(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_task(w, W_FUNCTION);

	task->call = populate_page;
	task->arg = (void *)(uintptr_t)at;
	w_start(task);
	T_EQ(op_next(u).arg.pagefault.address, at);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
	T_OK(task->result);
}

static void L51_system_call_writes_there(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1), src = w_map_filled(w, 1, 'a');
	struct w_task *task = w_touch(w, W_KERNEL_STORE, at + 5);
	struct pf_uffd_msg msg = op_next(u);

	T_EQ(msg.arg.pagefault.flags, 1);
	T_EQ(msg.arg.pagefault.address, at);
	T_OK(op_copy(u, at, src, PG, 0));
	w_join(task);
	T_EQ(task->result, 1);
	T_EQ(w_peek(w, at + 4), 'a');
	T_EQ(w_peek(w, at + 5), 0xee);
}

/* One message for one access, and the bytes that were filled? */
static void L90_system_call_reads_there(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1), src = w_map_filled(w, 1, 'a');
	struct w_task *task = w_touch(w, W_KERNEL_LOAD, at + 5);
	struct pf_uffd_msg msg = op_next(u);

	T_EQ(msg.arg.pagefault.flags, 0);
	T_EQ(msg.arg.pagefault.address, at);
	w_still_waits(task);
	op_silent(u);
	T_OK(op_copy(u, at, src, PG, 0));
	w_join(task);
	T_EQ(task->result, 1);
	T_EQ(task->byte, 'a');
}

static void L67_area_that_could_have_huge_pages(struct world *w)
{
	const uint64_t huge = 2 << 20;
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, 2 * huge, RW), src = w_map_filled(w, 1, 'a');
	struct w_task *task;

	at = (at + huge - 1) & ~(huge - 1);
	if (real(w)->madvise((void *)(uintptr_t)at, huge, MADV_HUGEPAGE))
		t_skip("no transparent huge pages here");
	op_watch(u, at, huge);
	task = w_touch(w, W_STORE, at + 5 * PG);
	T_EQ(op_next(u).arg.pagefault.address, at + 5 * PG);
	T_OK(op_copy(u, at + 5 * PG, src, PG, 0));
	w_join(task);
	T_TRUE(w_entry(w, at + 5 * PG).is_present);
	T_TRUE(!w_entry(w, at + 4 * PG).is_present);
}

/* Another process reads our memory. */
static void L71_access_from_another_process(struct world *w)
{
	struct w_uffd *u = op_ready(w, PF_UFFD_FEATURE_THREAD_ID);
	uint64_t at = op_map_watched(u, 1), src = w_map_filled(w, 1, 'a');
	pid_t child, self = getpid();
	struct pf_uffd_msg msg;
	int status;

	child = fork();
	if (child == 0) {
		char byte = 0;
		struct iovec here = { &byte, 1 };
		struct iovec there = { (void *)(uintptr_t)at, 1 };

		process_vm_readv(self, &here, 1, &there, 1, 0);
		_exit(byte);
	}
	msg = op_next(u);
	T_EQ(msg.arg.pagefault.address, at);
	T_EQ(msg.arg.pagefault.ptid, child);
	T_OK(op_copy(u, at, src, PG, 0));
	T_EQ(waitpid(child, &status, 0), child);
	T_EQ(WEXITSTATUS(status), 'a');
}

static void L83_neighbours_fault_ordinarily(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = w_map(w, 3 * PG, RW);
	uint8_t byte = 9;

	op_watch(u, at + PG, PG);
	T_EQ(w_store(w, at + PG - 1, &byte, 1).end, W_DONE);
	T_EQ(w_peek(w, at + 2 * PG), 0);
	T_EQ(w_poll(u), 0);
}

/* The owner runs another program: its memory is gone, the object is not. */
static void L70_owner_has_called_exec(struct world *w)
{
	uint64_t at = w_map(w, PG, RW);
	struct w_uffd *u = w_create(w, 0);
	uint64_t src = w_map_filled(w, 1, 'a');
	pid_t child;
	int fd;

	fd = dup(u->fd);
	T_TRUE(fd >= 0);
	child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (child == 0) {
		/* A fresh object of the child's, under the known number. */
		struct w_uffd *own = w_create(w, 0);

		T_EQ(dup2(own->fd, fd), fd);
		close(own->fd);
		own->fd = fd;
		T_OK(op_api(own, 0));
		op_watch(own, at, PG);
		execlp("sleep", "sleep", "9", (char *)NULL);
		_exit(1);
	}
	t_nap_ms(300);
	close(u->fd);
	u->fd = fd;
	T_EQ(op_copy(u, at, src, PG, 0), -ESRCH);
	T_EQ(op_register(u, at, PG, MISSING), -ENOMEM);
	kill(child, SIGKILL);
	T_EQ(waitpid(child, NULL, 0), child);
}

const struct conform_case fault_cases[] = {
	CASE(L22, thread_id_and_exact_address, "L22b"),
	CASE(L24, sigbus_instead_of_messages, "L24b"),
	CASE(L25, user_mode_only, "L25b"),
	CASE(L25c, user_mode_only_and_populate, ""),
	CASE(L48, guard_page_is_a_segv, ""),
	CASE(L60, protection_comes_first, "L60b"),
	CASE(L61, mlock_of_a_hole, ""),
	CASE(L62, populate_of_a_hole, ""),
	CASE(L51, system_call_writes_there, ""),
	CASE(L67, area_that_could_have_huge_pages, "L67b"),
	CASE(L70, owner_has_called_exec, ""),
	CASE(L71, access_from_another_process, ""),
	CASE(L83, neighbours_fault_ordinarily, ""),
	CASE(L90, system_call_reads_there, ""),
	{ 0 },
};
