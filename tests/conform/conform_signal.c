/* SPDX-License-Identifier: MIT */
/* Section L: waits that signals and deaths interrupt. */
#include "conform.h"

#include "world_real.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static _Atomic int handled;

static void on_signal(int sig)
{
	(void)sig;
	handled++;
}

static void handle(struct world *w, int flags)
{
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = flags };

	T_OK(real(w)->sigaction(SIGUSR1, &action, NULL));
}

static void await_handled(int n)
{
	int64_t end = t_now_ms() + 4000;

	while (handled < n && t_now_ms() < end)
		t_nap_ms(1);
	T_EQ(handled, n);
}

static struct w_task *blocking_reader(struct w_uffd *u)
{
	struct w_task *task = w_task(u->world, W_READ);

	w_set_nonblocking(u, false);
	task->uffd = u;
	w_start(task);
	w_still_waits(task);
	return task;
}

static void L13_signal_ends_a_blocking_read(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	struct w_task *reader;

	handle(w, 0);
	reader = blocking_reader(u);
	T_OK(pthread_kill(reader->thread, SIGUSR1));
	w_join(reader);
	T_EQ(reader->result, -EINTR);
	T_EQ(handled, 1);
}

static void L13b_restarted_read_goes_on(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *reader, *task;

	handle(w, SA_RESTART);
	reader = blocking_reader(u);
	T_OK(pthread_kill(reader->thread, SIGUSR1));
	await_handled(1);
	w_still_waits(reader);
	task = w_touch(w, W_LOAD, at);
	w_join(reader);
	T_EQ(reader->result, 32);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

/* Does the handler run while the fault is unresolved, and the fault return? */
static void L20_handler_runs_during_a_fault(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task;
	int pending, total;

	handle(w, 0);
	task = w_touch(w, W_LOAD, at);
	T_EQ(op_next(u).arg.pagefault.address, at);
	T_OK(pthread_kill(task->thread, SIGUSR1));
	await_handled(1);
	T_EQ(op_next(u).arg.pagefault.address, at);
	op_silent(u);
	op_counts(u, &pending, &total);
	T_EQ(total, 1);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
	T_EQ(task->outcome.end, W_DONE);
}

/* With its first message unread, is there exactly one afterwards? */
static void L93_one_signal_one_more_message(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task;
	int pending, total;

	handle(w, SA_RESTART);
	task = w_touch(w, W_STORE, at);
	op_await(u);
	T_OK(pthread_kill(task->thread, SIGUSR1));
	await_handled(1);
	op_await(u);
	op_counts(u, &pending, &total);
	T_EQ(total, 1);
	op_next(u);
	op_silent(u);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

/* Is a system call's wait left alone by a signal, whose handler comes late? */
static void L21_handler_waits_for_the_system_call(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1), src = w_map_filled(w, 1, 'a');
	struct w_task *task;

	handle(w, SA_RESTART);
	task = w_touch(w, W_KERNEL_LOAD, at);
	op_await(u);
	T_OK(pthread_kill(task->thread, SIGUSR1));
	w_still_waits(task);
	T_EQ(handled, 0);
	T_OK(op_copy(u, at, src, PG, 0));
	w_join(task);
	T_EQ(task->result, 1);
	T_EQ(task->byte, 'a');
	T_EQ(handled, 1);
}

static void L91_waiting_system_call_asks_again_and_again(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	int64_t end = t_now_ms() + 4000;
	struct pf_uffd_msg msg;
	struct w_task *task;
	int more = 0;

	handle(w, SA_RESTART);
	task = w_touch(w, W_KERNEL_LOAD, at);
	op_next(u);
	T_OK(pthread_kill(task->thread, SIGUSR1));
	/* It withdraws and asks without end: some reads come too late. */
	while (more < 3 && t_now_ms() < end)
		more += w_read(u, &msg, sizeof(msg)) == 32;
	T_EQ(more, 3);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

static int touch_in_child(void *arg)
{
	return *(volatile uint8_t *)arg;
}

/* A process that shares our memory faults, and is killed in its wait. */
static void L50_killed_waiter_takes_its_message_along(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	char *stack = malloc(65536);
	pid_t child;

	child = clone(touch_in_child, stack + 65536,
		      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
			      SIGCHLD, (void *)(uintptr_t)at);
	T_TRUE(child > 0);
	op_await(u);
	T_OK(kill(child, SIGKILL));
	T_EQ(waitpid(child, NULL, 0), child);
	op_await_total(u, 0);
	T_EQ(w_poll(u), 0);
	free(stack);
}

const struct conform_case signal_cases[] = {
	CASE(L13, signal_ends_a_blocking_read, ""),
	CASE(L13b, restarted_read_goes_on, ""),
	CASE(L20, handler_runs_during_a_fault, ""),
	CASE(L21, handler_waits_for_the_system_call, "L21b L92"),
	CASE(L50, killed_waiter_takes_its_message_along, ""),
	CASE(L91, waiting_system_call_asks_again_and_again, ""),
	CASE(L93, one_signal_one_more_message, ""),
	{ 0 },
};
