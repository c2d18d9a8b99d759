/* SPDX-License-Identifier: MIT */
/* Section L: reading, polling and closing the descriptor. */
#include "conform.h"

#include "world_real.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

static void L01_nothing_is_queued(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	struct pf_uffd_msg msg;

	T_EQ(w_read(u, &msg, sizeof(msg)), -EAGAIN);
}

static void L02_short_buffer_keeps_the_message(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct pf_uffd_msg msg;
	struct w_task *task;

	T_EQ(w_read(u, &msg, 31), -EINVAL);
	T_EQ(w_read(u, &msg, 0), -EINVAL);
	task = w_touch(w, W_LOAD, at);
	op_await(u);
	T_EQ(w_read(u, &msg, 31), -EINVAL);
	T_EQ(w_read(u, &msg, 0), -EINVAL);
	T_EQ(w_poll(u), POLLIN);
	T_EQ(w_read(u, &msg, 33), 32);
	T_EQ(msg.arg.pagefault.address, at);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

static void L03_poll_with_a_message(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_touch(w, W_LOAD, at);
	int pending, total;

	op_await(u);
	T_EQ(w_poll(u), POLLIN);
	op_next(u);
	T_EQ(w_poll(u), 0);
	op_counts(u, &pending, &total);
	T_EQ(pending, 0);
	T_EQ(total, 1);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

/* Is the message lost when it cannot be copied out? */
static void L04_bad_buffer_loses_the_message(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_touch(w, W_LOAD, at);
	int pending, total;

	op_await(u);
	T_EQ(w_read(u, (void *)(uintptr_t)W_BAD_POINTER, 32), -EFAULT);
	T_EQ(w_poll(u), 0);
	op_counts(u, &pending, &total);
	T_EQ(pending, 0);
	T_EQ(total, 1);
	T_OK(op_wake(u, at, PG));
	T_EQ(op_next(u).arg.pagefault.address, at);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

static void L05_message_of_a_read(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_touch(w, W_LOAD, at + 777);
	struct pf_uffd_msg want = { .event = 0x12 }, msg;

	want.arg.words[1] = at;
	op_await(u);
	memset(&msg, 0xff, sizeof(msg));
	T_EQ(w_read(u, &msg, sizeof(msg)), 32);
	T_OK(memcmp(&msg, &want, sizeof(msg)));
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

static void L08_message_of_a_write(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_touch(w, W_STORE, at + 4095);
	struct pf_uffd_msg msg = op_next(u);

	T_EQ(msg.event, 0x12);
	T_EQ(msg.arg.pagefault.flags, 1);
	T_EQ(msg.arg.pagefault.address, at);
	T_EQ(msg.arg.pagefault.ptid, 0);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
	T_EQ(w_peek(w, at + 4095), 0xee);
}

static void L09_messages_are_in_order_and_not_merged(struct world *w)
{
	static const unsigned page[5] = { 3, 0, 0, 2, 3 };
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 4);
	struct pf_uffd_msg msg[8];
	struct w_task *task[5];

	for (int i = 0; i < 5; i++) {
		task[i] = w_touch(w, W_LOAD, at + page[i] * PG);
		op_await_total(u, i + 1);
	}
	T_EQ(w_read(u, msg, 2 * 32 + 31), 2 * 32);
	T_EQ(w_read(u, msg + 2, 6 * 32), 3 * 32);
	for (int i = 0; i < 5; i++)
		T_EQ(msg[i].arg.pagefault.address, at + page[i] * PG);
	T_OK(op_zeropage(u, at, 4 * PG, 0));
	for (int i = 0; i < 5; i++)
		w_join(task[i]);
}

static void L10_all_waiters_of_the_page_wake(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1), src = w_map_filled(w, 1, 'a');
	struct w_task *task[6];

	for (int i = 0; i < 6; i++)
		task[i] = w_touch(w, W_LOAD, at + (uint64_t)i * 100);
	op_await_total(u, 6);
	op_next(u);
	T_OK(op_copy(u, at, src, PG, 0));
	for (int i = 0; i < 6; i++) {
		w_join(task[i]);
		T_EQ(task[i]->byte, 'a');
	}
	T_EQ(w_poll(u), 0);
}

static void L12_resolved_fault_withdraws_its_message(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_touch(w, W_LOAD, at);
	struct pf_uffd_msg msg;

	op_await(u);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
	T_EQ(w_poll(u), 0);
	T_EQ(w_read(u, &msg, sizeof(msg)), -EAGAIN);
}

static struct w_task *blocking_reader(struct w_uffd *u)
{
	struct w_task *task = w_task(u->world, W_READ);

	w_set_nonblocking(u, false);
	task->uffd = u;
	w_start(task);
	return task;
}

static void L14_blocking_read_returns_on_a_fault(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *reader = blocking_reader(u);
	struct w_task *task;

	w_still_waits(reader);
	task = w_touch(w, W_STORE, at);
	w_join(reader);
	T_EQ(reader->result, 32);
	T_EQ(reader->block.messages[0].arg.pagefault.address, at);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

static void L15_poll_of_a_blocking_descriptor(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_touch(w, W_LOAD, at);

	op_await(u);
	w_set_nonblocking(u, false);
	T_EQ(w_poll(u), POLLERR);
	w_set_nonblocking(u, true);
	T_EQ(w_poll(u), POLLIN);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

static void L17_epoll_is_level_triggered(struct world *w)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct w_task *task;

	real(w)->watch_elsewhere(u->fd);
	T_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, u->fd, &event));
	T_EQ(epoll_wait(epoll, &event, 1, 0), 0);
	task = w_touch(w, W_LOAD, at);
	T_EQ(epoll_wait(epoll, &event, 1, 4000), 1);
	T_EQ(event.events, EPOLLIN);
	T_EQ(epoll_wait(epoll, &event, 1, 0), 1);
	op_next(u);
	T_EQ(epoll_wait(epoll, &event, 1, 0), 0);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
	close(epoll);
}

static void L18_nowait_on_a_blocking_descriptor(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	struct pf_uffd_msg msg;
	struct iovec iov = { &msg, sizeof(msg) };

	w_set_nonblocking(u, false);
	T_EQ(real(w)->preadv2(u->fd, &iov, 1, -1, RWF_NOWAIT), -1);
	T_EQ(errno, EAGAIN);
}

static void L19_scatter_read(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	struct w_task *task = w_touch(w, W_STORE, at);
	struct pf_uffd_msg msg = { 0 };
	struct iovec iov[2] = {
		{ &msg, 16 }, { (char *)&msg + 16, 16 },
	};

	op_await(u);
	T_EQ(real(w)->readv(u->fd, iov, 2), 32);
	T_EQ(msg.event, 0x12);
	T_EQ(msg.arg.pagefault.address, at);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

/* Does the object outlive all but its last descriptor? */
static void L26_only_the_last_close_counts(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1);
	int twin = real(w)->dup(u->fd);
	struct w_task *task = w_touch(w, W_LOAD, at);

	T_TRUE(twin >= 0);
	op_next(u);
	T_OK(real(w)->close(twin));
	w_still_waits(task);
	T_OK(op_zeropage(u, at, PG, 0));
	w_join(task);
}

static void L26b_last_close_wakes_and_unregisters(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0), *other;
	uint64_t at = op_map_watched(u, 3);
	struct w_task *read = w_touch(w, W_LOAD, at);
	struct w_task *unread;

	op_next(u);
	unread = w_touch(w, W_STORE, at + PG);
	op_await(u);
	w_release(u);
	w_join(read);
	w_join(unread);
	T_EQ(read->outcome.end, W_DONE);
	T_EQ(unread->outcome.end, W_DONE);
	T_EQ(w_peek(w, at), 0);
	T_EQ(w_peek(w, at + PG), 0xee);
	T_EQ(w_peek(w, at + 2 * PG), 0);
	other = op_ready(w, 0);
	op_watch(other, at, 3 * PG);
}

static void L30_address_space_is_gone(struct world *w)
{
	uint64_t at = w_map(w, PG, RW);
	struct w_uffd *u = w_orphan(w, at);
	struct pf_uffd_msg msg;

	T_EQ(w_read(u, &msg, sizeof(msg)), -EAGAIN);
	T_EQ(w_poll(u), 0);
}

const struct conform_case read_cases[] = {
	CASE(L01, nothing_is_queued, ""),
	CASE(L02, short_buffer_keeps_the_message, "L02b L02c"),
	CASE(L03, poll_with_a_message, "L06"),
	CASE(L04, bad_buffer_loses_the_message, "L04b"),
	CASE(L05, message_of_a_read, ""),
	CASE(L08, message_of_a_write, ""),
	CASE(L09, messages_are_in_order_and_not_merged, ""),
	CASE(L10, all_waiters_of_the_page_wake, ""),
	CASE(L12, resolved_fault_withdraws_its_message, ""),
	CASE(L14, blocking_read_returns_on_a_fault, "L16"),
	CASE(L15, poll_of_a_blocking_descriptor, ""),
	CASE(L17, epoll_is_level_triggered, ""),
	CASE(L18, nowait_on_a_blocking_descriptor, ""),
	CASE(L19, scatter_read, ""),
	CASE(L26, only_the_last_close_counts, ""),
	CASE(L26b, last_close_wakes_and_unregisters, ""),
	CASE(L30, address_space_is_gone, "L31"),
	{ 0 },
};
