/* SPDX-License-Identifier: MIT */
/*
 * poll, select: where one of our descriptors takes part, the library waits,
 * for it knows what the socket underneath does not (POLLERR before the
 * handshake and on blocking descriptors; a fault resolved before it was read).
 */
#include "calls.h"

#include <string.h>
#include <sys/time.h>
#include <time.h>

#define PEEK_COUNT 32
#define MOST_SELECTED 1024
#define NSEC_PER_SEC 1000000000ll

/* The program's array may be a bad address: it is looked at with care. */
static bool any_is_ours(const struct pollfd *fds, nfds_t count)
{
	struct pollfd some[PEEK_COUNT];

	while (count > 0) {
		nfds_t n = count < PEEK_COUNT ? count : PEEK_COUNT;
		size_t bytes = n * sizeof(some[0]);

		if (!shim_peek(some, fds, bytes))
			return false;
		for (nfds_t i = 0; i < n; i++)
			if (some[i].fd >= 0 && pf_is_userfaultfd(some[i].fd))
				return true;
		fds += n;
		count -= n;
	}
	return false;
}

SHIM int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	if (shim_is_active() && any_is_ours(shim_address(fds), count))
		return pf_poll(fds, count, timeout);
	return next()->poll(fds, count, timeout);
}

SHIM_ALIAS(__poll, poll);

SHIM int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room)
{
	if (room / sizeof(*fds) < count)
		abort();
	return poll(fds, count, timeout);
}

SHIM int ppoll(struct pollfd *fds, nfds_t count,
	       const struct timespec *timeout, const sigset_t *mask)
{
	sigset_t copy;

	mask = shim_strip_mask(mask, &copy);
	if (shim_is_active() && any_is_ours(shim_address(fds), count))
		return pf_ppoll(fds, count, timeout, mask);
	return next()->ppoll(fds, count, timeout, mask);
}

SHIM int __ppoll_chk(struct pollfd *fds, nfds_t count,
		     const struct timespec *timeout, const sigset_t *mask,
		     size_t room)
{
	if (room / sizeof(*fds) < count)
		abort();
	return ppoll(fds, count, timeout, mask);
}

/* ---- select, in terms of ppoll ---- */

#define SELECT_IN (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define SELECT_OUT (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)

struct selection {
	int count;                          /* [I] */
	fd_set *set[3];                     /* [I] in, out, exceptions */
	struct pollfd fds[MOST_SELECTED];   /* [I] what they name */
	nfds_t used;                        /* [I] */
	bool has_ours;                      /* [I] */
};

static const struct {
	short ask, answer;
} select_events[3] = {
	{ POLLIN | POLLRDNORM | POLLRDBAND, SELECT_IN },
	{ POLLOUT | POLLWRNORM | POLLWRBAND, SELECT_OUT },
	{ POLLPRI, POLLPRI },
};

static void collect(struct selection *sel)
{
	sel->used = 0;
	sel->has_ours = false;
	for (int fd = 0; fd < sel->count; fd++) {
		short events = 0;

		for (int i = 0; i < 3; i++)
			if (sel->set[i] && FD_ISSET(fd, sel->set[i]))
				events = (short)(events |
						 select_events[i].ask);
		if (!events)
			continue;
		sel->fds[sel->used].fd = fd;
		sel->fds[sel->used++].events = events;
		sel->has_ours |= pf_is_userfaultfd(fd);
	}
}

/* The sets say what became ready. Returns: how many bits; -1, EBADF. */
static int spread(struct selection *sel)
{
	int bits = 0;

	for (nfds_t i = 0; i < sel->used; i++)
		if (sel->fds[i].revents & POLLNVAL)
			return shim_fail(EBADF);
	for (nfds_t i = 0; i < sel->used; i++) {
		const struct pollfd *one = &sel->fds[i];

		for (int k = 0; k < 3; k++) {
			if (!sel->set[k] || !FD_ISSET(one->fd, sel->set[k]))
				continue;
			if (one->revents & select_events[k].answer)
				bits++;
			else
				FD_CLR(one->fd, sel->set[k]);
		}
	}
	return bits;
}

static __attribute__((noinline)) int
select_ours(struct selection *sel, const struct timespec *timeout,
	    const sigset_t *mask)
{
	int result = pf_ppoll(sel->fds, sel->used, timeout, mask);

	return result < 0 ? result : spread(sel);
}

static bool concerns_us(struct selection *sel, int count, fd_set **set)
{
	if (count < 0 || count > MOST_SELECTED)
		return false;
	sel->count = count;
	memcpy(sel->set, set, sizeof(sel->set));
	collect(sel);
	return sel->has_ours;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* select() tells how much of the time was not needed. */
static void reduce(struct timeval *timeout, int64_t started_ns)
{
	int64_t left = timeout->tv_sec * NSEC_PER_SEC +
		       timeout->tv_usec * 1000 - (now_ns() - started_ns);

	if (left < 0)
		left = 0;
	timeout->tv_sec = left / NSEC_PER_SEC;
	timeout->tv_usec = left % NSEC_PER_SEC / 1000;
}

static __attribute__((noinline)) int select_active(int count, fd_set **set,
						   struct timeval *timeout)
{
	struct selection sel;
	struct timespec wait;
	int64_t started;
	int result;

	if (!concerns_us(&sel, count, set))
		return next()->select(count, set[0], set[1], set[2], timeout);
	if (!timeout)
		return select_ours(&sel, NULL, NULL);
	wait.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000;
	wait.tv_nsec = timeout->tv_usec % 1000000 * 1000;
	started = now_ns();
	result = select_ours(&sel, &wait, NULL);
	reduce(timeout, started);
	return result;
}

SHIM int select(int count, fd_set *in, fd_set *out, fd_set *bad,
		struct timeval *timeout)
{
	fd_set *set[3] = { in, out, bad };

	if (shim_is_active())
		return select_active(count, set, timeout);
	return next()->select(count, in, out, bad, timeout);
}

SHIM_ALIAS(__select, select);

struct pselect_wait {
	const struct timespec *timeout; /* [I] */
	const sigset_t *mask;           /* [I] */
};

static __attribute__((noinline)) int
pselect_active(int count, fd_set **set, const struct pselect_wait *wait)
{
	struct selection sel;

	if (concerns_us(&sel, count, set))
		return select_ours(&sel, wait->timeout, wait->mask);
	return next()->pselect(count, set[0], set[1], set[2], wait->timeout,
			       wait->mask);
}

SHIM int pselect(int count, fd_set *in, fd_set *out, fd_set *bad,
		 const struct timespec *timeout, const sigset_t *mask)
{
	fd_set *set[3] = { in, out, bad };
	sigset_t copy;
	const struct pselect_wait wait = { timeout,
					   shim_strip_mask(mask, &copy) };

	if (shim_is_active())
		return pselect_active(count, set, &wait);
	return next()->pselect(count, in, out, bad, timeout, wait.mask);
}
