/* SPDX-License-Identifier: MIT */
/*
 * epoll with our descriptors in it.
 *
 * The kernel's epoll watches the socket underneath, whose readiness the
 * library keeps exact; what a socket cannot say is added here: EPOLLERR of a
 * blocking or un-handshaken object. And an event whose message is gone by the
 * time we look is not handed on.
 */
#include "calls.h"

#include <string.h>
#include <time.h>

#define MOST_WATCHES 256
#define FREE 0
#define CLAIMED (-1)
#define NSEC_PER_MSEC 1000000ll
#define NSEC_PER_SEC 1000000000ll
#define TELL_ONCE ((uint32_t)EPOLLET | (uint32_t)EPOLLONESHOT)

/* One of our descriptors in one epoll set. */
struct watch {
	atomic_int epfd_plus_1;  /* [a] FREE, CLAIMED while it is changed */
	atomic_int fd;           /* [a] */
	atomic_uint events;      /* [a] */
	_Atomic uint64_t data;   /* [a] */
	atomic_bool was_told;    /* [a] EPOLLERR, where once is enough */
};

static struct watch watches[MOST_WATCHES];
static atomic_int watches_used; /* [a] all in use are below */

static bool is_for(struct watch *watch, int epfd)
{
	return atomic_load(&watch->epfd_plus_1) == epfd + 1;
}

static struct watch *find_watch(int epfd, int fd)
{
	int used = atomic_load(&watches_used);

	for (int i = 0; i < used; i++)
		if (is_for(&watches[i], epfd) &&
		    atomic_load(&watches[i].fd) == fd)
			return &watches[i];
	return NULL;
}

static void set_watch(struct watch *watch, int fd,
		      const struct epoll_event *event)
{
	atomic_store(&watch->fd, fd);
	atomic_store(&watch->events, event->events);
	atomic_store(&watch->data, event->data.u64);
	atomic_store(&watch->was_told, false);
}

static void add_watch(int epfd, int fd, const struct epoll_event *event)
{
	for (int i = 0; i < MOST_WATCHES; i++) {
		int was = FREE;

		if (!atomic_compare_exchange_strong(&watches[i].epfd_plus_1,
						    &was, CLAIMED))
			continue;
		set_watch(&watches[i], fd, event);
		atomic_store(&watches[i].epfd_plus_1, epfd + 1);
		was = atomic_load(&watches_used);
		while (was <= i && !atomic_compare_exchange_weak(
					   &watches_used, &was, i + 1))
			;
		return;
	}
}

void poll_forget(int fd)
{
	int used = atomic_load_explicit(&watches_used, memory_order_relaxed);

	for (int i = 0; i < used; i++)
		if (is_for(&watches[i], fd) ||
		    atomic_load(&watches[i].fd) == fd)
			atomic_store(&watches[i].epfd_plus_1, FREE);
}

static __attribute__((noinline)) int
epoll_ctl_ours(int epfd, int op, int fd, struct epoll_event *event)
{
	struct watch *watch;

	if (op == EPOLL_CTL_ADD)
		pf_note_polled_elsewhere(fd);
	if (next()->epoll_ctl(epfd, op, fd, event))
		return -1;
	watch = find_watch(epfd, fd);
	if (op == EPOLL_CTL_DEL && watch)
		atomic_store(&watch->epfd_plus_1, FREE);
	else if (op == EPOLL_CTL_MOD && watch)
		set_watch(watch, fd, event);
	else if (op == EPOLL_CTL_ADD)
		add_watch(epfd, fd, event);
	return 0;
}

SHIM int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (ours(fd))
		return epoll_ctl_ours(epfd, op, fd, event);
	return next()->epoll_ctl(epfd, op, fd, event);
}

/* One epoll_wait() on a set that has a descriptor of ours in it. */
struct epoll_call {
	int epfd;                   /* [I] */
	struct epoll_event *events; /* [I] */
	int most;                   /* [I] */
	int64_t deadline_ns;        /* [I] -1: none */
	const sigset_t *mask;       /* [I] */
};

/* Errors that the socket underneath does not show. Returns: how many. */
static int report_errors(const struct epoll_call *call)
{
	int used = atomic_load(&watches_used);
	int n = 0;

	for (int i = 0; i < used && n < call->most; i++) {
		struct watch *watch = &watches[i];
		int fd = atomic_load(&watch->fd);

		if (!is_for(watch, call->epfd) || !pf_is_userfaultfd(fd) ||
		    !(pf_poll_now(fd) & POLLERR))
			continue;
		if ((atomic_load(&watch->events) & TELL_ONCE) &&
		    atomic_exchange(&watch->was_told, true))
			continue;
		call->events[n].events = EPOLLERR;
		call->events[n++].data.u64 = atomic_load(&watch->data);
	}
	return n;
}

/*
 * Whether the event is of one of ours and its message has gone. One-shot
 * watches are disarmed by now: there the program must hear of it.
 */
static bool is_stale(int epfd, const struct epoll_event *event)
{
	int used = atomic_load(&watches_used);

	if (event->events & ~(uint32_t)EPOLLIN)
		return false;
	for (int i = 0; i < used; i++) {
		struct watch *watch = &watches[i];
		int fd = atomic_load(&watch->fd);

		if (is_for(watch, epfd) &&
		    atomic_load(&watch->data) == event->data.u64 &&
		    !(atomic_load(&watch->events) & (uint32_t)EPOLLONESHOT) &&
		    pf_is_userfaultfd(fd))
			return !(pf_poll_now(fd) & POLLIN);
	}
	return false;
}

static int drop_stale(const struct epoll_call *call,
		      struct epoll_event *events, int n)
{
	int kept = 0;

	for (int i = 0; i < n; i++)
		if (!is_stale(call->epfd, &events[i]))
			events[kept++] = events[i];
	return kept;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* Milliseconds until the deadline, rounded up; -1: for ever. */
static int time_left_ms(const struct epoll_call *call)
{
	int64_t left;

	if (call->deadline_ns < 0)
		return -1;
	left = call->deadline_ns - now_ns();
	if (left <= 0)
		return 0;
	left = (left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
	return left > INT32_MAX ? INT32_MAX : (int)left;
}

static __attribute__((noinline)) int wait_ours(const struct epoll_call *call)
{
	int saved = errno;

	for (;;) {
		int errors = report_errors(call);
		int timeout = errors ? 0 : time_left_ms(call);
		int n = 0;

		if (errors < call->most)
			n = next()->epoll_pwait(call->epfd,
						call->events + errors,
						call->most - errors, timeout,
						call->mask);
		if (n < 0 && !errors)
			return -1;
		n = n < 0 ? 0 : drop_stale(call, call->events + errors, n);
		errno = saved;
		if (errors + n > 0 || timeout == 0)
			return errors + n;
	}
}

static bool has_ours(int epfd)
{
	int used = atomic_load_explicit(&watches_used, memory_order_relaxed);

	for (int i = 0; i < used; i++)
		if (is_for(&watches[i], epfd))
			return true;
	return false;
}

/* The program's array, faulted in. Returns: whether this wait is for us. */
static bool concerns_us(int epfd, struct epoll_event *events, int most)
{
	size_t n;

	if (!shim_is_active() || most <= 0 ||
	    (size_t)most > INT32_MAX / sizeof(*events))
		return false;
	n = (size_t)most * sizeof(*events);
	if (pf_is_watched(events, n))
		(void)pf_fault_in(events, n, true);
	return has_ours(epfd);
}

SHIM int epoll_pwait(int epfd, struct epoll_event *events, int most,
		     int timeout, const sigset_t *mask)
{
	struct epoll_call call = { epfd, events, most, -1, NULL };
	sigset_t copy;

	call.mask = shim_strip_mask(mask, &copy);
	if (!concerns_us(epfd, events, most))
		return next()->epoll_pwait(epfd, events, most, timeout,
					   call.mask);
	if (timeout >= 0)
		call.deadline_ns = now_ns() + timeout * NSEC_PER_MSEC;
	return wait_ours(&call);
}

SHIM int epoll_wait(int epfd, struct epoll_event *events, int most,
		    int timeout)
{
	if (!shim_is_active())
		return next()->epoll_wait(epfd, events, most, timeout);
	return epoll_pwait(epfd, events, most, timeout, NULL);
}

SHIM int epoll_pwait2(int epfd, struct epoll_event *events, int most,
		      const struct timespec *timeout, const sigset_t *mask)
{
	struct epoll_call call = { epfd, events, most, -1, NULL };
	sigset_t copy;

	call.mask = shim_strip_mask(mask, &copy);
	if (!concerns_us(epfd, events, most))
		return next()->epoll_pwait2(epfd, events, most, timeout,
					    call.mask);
	if (timeout)
		call.deadline_ns = now_ns() +
				   timeout->tv_sec * NSEC_PER_SEC +
				   timeout->tv_nsec;
	return wait_ours(&call);
}
