/* SPDX-License-Identifier: MIT */
/* Section E: COPY, the rows in which someone waits or races. */
#include "conform.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A COPY that waits: its source is a missing page of another object. The
 * first `resident` pages of the source are there.
 */
struct stall {
	struct w_uffd *u;     /* owns dst */
	struct w_uffd *from;  /* owns the missing source pages */
	uint64_t dst, src, fill;
	struct w_task *copy;
	struct pf_uffd_msg msg;
};

static struct stall stall(struct world *w, uint64_t resident, uint64_t watch)
{
	struct stall s;
	uint64_t pages = resident + 1;

	s.u = op_ready(w, watch & w->offered);
	s.from = op_ready(w, 0);
	s.dst = op_map_watched(s.u, pages);
	s.fill = w_map_filled(w, 1, 'z');
	s.src = w_map_filled(w, pages, 'a');
	T_OK(w_discard(w, s.src + resident * PG, PG));
	op_watch(s.from, s.src + resident * PG, PG);
	s.copy = op_copy_in_thread(s.u, s.dst, s.src, pages);
	s.msg = op_next(s.from);
	T_EQ(s.msg.arg.pagefault.address, s.src + resident * PG);
	return s;
}

static void resolve(struct stall *s)
{
	T_OK(op_copy(s->from, s->msg.arg.pagefault.address, s->fill, PG, 0));
	w_join(s->copy);
}

/* Does COPY wait for its own source, holding no lock, and complete? */
static void E24_source_is_a_missing_page(struct world *w)
{
	struct stall s = stall(w, 0, 0);
	uint64_t other;

	T_EQ(s.msg.arg.pagefault.flags, 0);
	w_still_waits(s.copy);
	other = w_map(w, 4 * PG, RW);
	op_watch(s.u, other, 4 * PG);
	T_OK(w_unmap(w, other, 4 * PG));
	resolve(&s);
	T_OK(s.copy->result);
	T_EQ(s.copy->block.copy.copy, PG);
	T_EQ(w_peek(w, s.dst), 'z');
}

static void E25_destination_is_unmapped_meanwhile(struct world *w)
{
	struct stall s = stall(w, 0, 0);

	T_OK(w_unmap(w, s.dst, PG));
	resolve(&s);
	T_EQ(s.copy->result, -ENOENT);
	T_EQ(s.copy->block.copy.copy, -ENOENT);
}

static void E26_destination_is_filled_meanwhile(struct world *w)
{
	struct stall s = stall(w, 0, 0);

	T_OK(op_copy(s.u, s.dst, s.fill, PG, 0));
	resolve(&s);
	T_EQ(s.copy->result, -EEXIST);
	T_EQ(s.copy->block.copy.copy, -EEXIST);
}

static void E26b_destination_is_unregistered_meanwhile(struct world *w)
{
	struct stall s = stall(w, 0, 0);

	T_OK(op_unregister(s.u, s.dst, PG));
	resolve(&s);
	T_EQ(s.copy->result, -ENOENT);
}

static void E27_source_belongs_to_a_user_mode_only_object(struct world *w)
{
	struct w_uffd *only = w_create(w, PF_UFFD_USER_MODE_ONLY);
	struct w_uffd *u = op_ready(w, 0);
	uint64_t src, dst = op_map_watched(u, 1);

	T_OK(op_api(only, 0));
	w_set_nonblocking(only, true);
	src = op_map_watched(only, 1);
	T_EQ(op_copy(u, dst, src, PG, 0), -EFAULT);
	T_EQ(u->out, -EFAULT);
	op_silent(only);
}

static void E67_source_is_in_the_same_object(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 2), fill = w_map_filled(w, 1, 'z');
	struct w_task *copy = op_copy_in_thread(u, at, at + PG, 1);

	T_EQ(op_next(u).arg.pagefault.address, at + PG);
	T_OK(op_copy(u, at + PG, fill, PG, 0));
	w_join(copy);
	T_OK(copy->result);
	T_EQ(w_peek(w, at), 'z');
}

static void E68_source_is_the_destination(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 1), fill = w_map_filled(w, 1, 'z');
	struct w_task *copy = op_copy_in_thread(u, at, at, 1);

	T_EQ(op_next(u).arg.pagefault.address, at);
	T_OK(op_copy(u, at, fill, PG, 0));
	w_join(copy);
	T_EQ(copy->result, -EEXIST);
	T_EQ(w_peek(w, at), 'z');
}

/* Two waiters on two pages, of which only the first can be filled. */
struct pair {
	struct w_uffd *u;
	uint64_t dst, src;
	struct w_task *task[2];
};

static struct pair pair(struct world *w)
{
	struct pair p;

	p.u = op_ready(w, 0);
	p.dst = op_map_watched(p.u, 2);
	p.src = w_map_filled(w, 2, 'a');
	T_OK(w_unmap(w, p.src + PG, PG));
	p.task[0] = w_touch(w, W_LOAD, p.dst);
	op_next(p.u);
	p.task[1] = w_touch(w, W_LOAD, p.dst + PG);
	op_next(p.u);
	return p;
}

static void E60_partial_copy_wakes_the_filled_part(struct world *w)
{
	struct pair p = pair(w);

	T_EQ(op_copy(p.u, p.dst, p.src, 2 * PG, 0), -EAGAIN);
	T_EQ(p.u->out, PG);
	w_join(p.task[0]);
	T_EQ(p.task[0]->byte, 'a');
	w_still_waits(p.task[1]);
}

static void E61_failed_copy_wakes_nobody(struct world *w)
{
	struct pair p = pair(w);

	T_EQ(op_copy(p.u, p.dst, p.src + PG, PG, 0), -EFAULT);
	w_still_waits(p.task[0]);
	w_still_waits(p.task[1]);
	op_silent(p.u);
}

static void E62_partial_copy_with_dontwake(struct world *w)
{
	struct pair p = pair(w);

	T_EQ(op_copy(p.u, p.dst, p.src, 2 * PG, 1), -EAGAIN);
	T_EQ(p.u->out, PG);
	w_still_waits(p.task[0]);
	T_OK(op_wake(p.u, p.dst, PG));
	w_join(p.task[0]);
	w_still_waits(p.task[1]);
}

static void E63_event_comes_while_copy_waits_after_progress(struct world *w)
{
	struct stall s = stall(w, 2, PF_UFFD_FEATURE_EVENT_REMOVE);

	w_raise(s.u, true);
	resolve(&s);
	T_EQ(s.copy->result, -EAGAIN);
	T_EQ(s.copy->block.copy.copy, 2 * PG);
	w_raise(s.u, false);
	T_EQ(w_peek(w, s.dst + PG), 'b');
}

static void E64_event_comes_while_copy_waits(struct world *w)
{
	struct stall s = stall(w, 0, PF_UFFD_FEATURE_EVENT_REMOVE);

	w_raise(s.u, true);
	resolve(&s);
	T_EQ(s.copy->result, -EAGAIN);
	T_EQ(s.copy->block.copy.copy, -EAGAIN);
	w_raise(s.u, false);
	T_OK(op_copy(s.u, s.dst, s.fill, PG, 0));
}

/* Is EAGAIN answered before the arguments are looked at? */
static void O02_copy_while_an_event_is_unread(struct world *w)
{
	struct w_uffd *u = op_ready(w, PF_UFFD_FEATURE_EVENT_REMOVE &
					w->offered);
	uint64_t at = op_map_watched(u, 1), src = w_map_filled(w, 1, 'a');
	int64_t out = w_is_seed(w) ? OP_UNTOUCHED : -EAGAIN;

	w_raise(u, true);
	T_EQ(op_copy(u, at, src, PG, 0), -EAGAIN);
	T_EQ(u->out, out);
	T_EQ(op_copy(u, at + 1, src, 77, 1ull << 60), -EAGAIN);
	T_EQ(op_zeropage(u, at, PG, 0), -EAGAIN);
	T_EQ(u->out, out);
	T_EQ(w_ioctl_at(u, PF_UFFDIO_COPY, W_BAD_POINTER),
	     w_is_seed(w) ? -EAGAIN : -EFAULT);
	w_raise(u, false);
	T_OK(op_copy(u, at, src, PG, 0));
}

#define RACE_PAGES 512
#define RACERS 4

struct race {
	struct w_uffd *u;
	uint64_t dst, src;
};

/* Returns: how many pages this racer filled. */
static int64_t race(void *arg)
{
	const struct race *r = arg;
	int64_t won = 0;

	for (uint64_t i = 0; i < RACE_PAGES; i++) {
		struct pf_uffdio_copy copy = { r->dst + i * PG, r->src, PG,
					       0, 0 };
		int err = w_ioctl(r->u, PF_UFFDIO_COPY, &copy);

		T_TRUE(err == 0 || err == -EEXIST);
		won += err == 0;
	}
	return won;
}

static void E66_each_page_is_filled_once(struct world *w)
{
	struct race r = { .u = op_ready(w, 0) };
	struct w_task *task[RACERS];
	int64_t won = 0;

	r.dst = op_map_watched(r.u, RACE_PAGES);
	r.src = w_map_filled(w, 1, 'a');
	for (int i = 0; i < RACERS; i++) {
		task[i] = w_task(w, W_FUNCTION);
		task[i]->call = race;
		task[i]->arg = &r;
		w_start(task[i]);
	}
	for (int i = 0; i < RACERS; i++) {
		w_join(task[i]);
		won += task[i]->result;
	}
	T_EQ(won, RACE_PAGES);
	for (uint64_t i = 0; i < RACE_PAGES; i++)
		T_EQ(w_peek(w, r.dst + i * PG), 'a');
}

#define STORM_PAGES 32
#define STORM_MS 300

/* Pages are dropped, filled and read by different threads at once. */
struct storm {
	struct w_uffd *u;
	uint64_t at, src;
	_Atomic bool is_over;
	_Atomic int loaders;
};

/* Returns: how many pages were seen with anything but their content. */
static int64_t storm_load(void *arg)
{
	struct storm *s = arg;
	static _Thread_local uint8_t page[PG];
	int64_t wrong = 0;

	for (uint64_t i = 0; !s->is_over; i++) {
		uint64_t va = s->at + i % STORM_PAGES * PG;

		T_EQ(w_load(s->u->world, va, page, PG).end, W_DONE);
		for (size_t k = 0; k < PG; k++)
			if (page[k] != 'a') {
				wrong++;
				break;
			}
	}
	s->loaders--;
	return wrong;
}

/* Answers every message until the last loader has gone. */
static int64_t storm_fill(void *arg)
{
	struct storm *s = arg;
	struct pf_uffd_msg msg;

	while (s->loaders) {
		struct pf_uffdio_copy copy = { .src = s->src, .len = PG };
		struct pf_uffdio_range range = { .len = PG };

		if (w_poll(s->u) != POLLIN ||
		    w_read(s->u, &msg, sizeof(msg)) != sizeof(msg)) {
			sched_yield();
			continue;
		}
		copy.dst = range.start = msg.arg.pagefault.address;
		if (w_ioctl(s->u, PF_UFFDIO_COPY, &copy) == -EEXIST)
			T_OK(w_ioctl(s->u, PF_UFFDIO_WAKE, &range));
	}
	return 0;
}

static struct w_task *storm_task(struct storm *s, int64_t (*call)(void *))
{
	struct w_task *task = w_task(s->u->world, W_FUNCTION);

	task->call = call;
	task->arg = s;
	w_start(task);
	return task;
}

/* Is a page only ever missing or whole, whoever drops it meanwhile? */
static void S54_dropped_pages_are_missing_or_whole(struct world *w)
{
	int64_t end = t_now_ms() + STORM_MS;
	struct storm s = { .u = op_ready(w, 0), .loaders = 3 };
	struct w_task *loader[3], *filler;

	s.at = op_map_watched(s.u, STORM_PAGES);
	s.src = w_map_filled(w, 1, 'a');
	filler = storm_task(&s, storm_fill);
	for (int i = 0; i < 3; i++)
		loader[i] = storm_task(&s, storm_load);
	while (t_now_ms() < end) {
		T_OK(w_discard(w, s.at, STORM_PAGES * PG));
		t_nap_ms(1);
	}
	s.is_over = true;
	for (int i = 0; i < 3; i++)
		w_join(loader[i]);
	w_join(filler);
	for (int i = 0; i < 3; i++)
		T_EQ(loader[i]->result, 0);
}

/* A process that shares our memory copies, and is killed while it does. */
static void E70_killed_copier_leaves_a_prefix(struct world *w)
{
	const uint64_t pages = 32768;
	struct w_uffd *u = op_ready(w, 0);
	uint64_t src = w_map(w, pages * PG, RW), done = 0;
	uint64_t dst = op_map_watched(u, pages);
	struct pf_uffdio_copy copy = { dst, src, pages * PG, 0, 0 };
	pid_t child;

	child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (child == 0) {
		w_ioctl(u, PF_UFFDIO_COPY, &copy);
		_exit(0);
	}
	while (!w_entry(w, dst + 64 * PG).is_present)
		;
	kill(child, SIGKILL);
	T_EQ(waitpid(child, NULL, 0), child);
	while (done < pages && w_entry(w, dst + done * PG).is_present)
		done++;
	T_TRUE(done >= 64);
	for (uint64_t i = done; i < pages; i++)
		T_TRUE(!w_entry(w, dst + i * PG).is_present);
}

const struct conform_case copy_wait_cases[] = {
	CASE(E24, source_is_a_missing_page, "E24b E24c"),
	CASE(E25, destination_is_unmapped_meanwhile, ""),
	CASE(E26, destination_is_filled_meanwhile, ""),
	CASE(E26b, destination_is_unregistered_meanwhile, ""),
	CASE(E27, source_belongs_to_a_user_mode_only_object, ""),
	CASE(E60, partial_copy_wakes_the_filled_part, ""),
	CASE(E61, failed_copy_wakes_nobody, ""),
	CASE(E62, partial_copy_with_dontwake, ""),
	CASE(E63, event_comes_while_copy_waits_after_progress, ""),
	CASE(E64, event_comes_while_copy_waits, ""),
	CASE(E66, each_page_is_filled_once, ""),
	CASE(E67, source_is_in_the_same_object, "E67b"),
	CASE(E68, source_is_the_destination, ""),
	CASE(E70, killed_copier_leaves_a_prefix, ""),
	CASE(S54, dropped_pages_are_missing_or_whole, ""),
	CASE(O02, copy_while_an_event_is_unread, "O02b O02c O03"),
	{ 0 },
};
