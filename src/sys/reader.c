/* SPDX-License-Identifier: MIT */
/*
 * Reading messages and waiting for them.
 *
 * Whoever is about to sleep says so first (sleepers), then looks once more,
 * then sleeps in the kernel's own recv or poll on the descriptor; whoever
 * queues a message looks for sleepers afterwards and puts a token there. So
 * one of the two always sees the other, and nobody pays for a token while
 * nobody sleeps.
 */
#include "sys/sys.h"

#include "base/mem.h"
#include "base/raw.h"
#include "base/sync.h"
#include "mmu/host/host.h"
#include "sys/handle.h"
#include "sys/process.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define READ_BATCH 16
#define BELL_SLICE_NS 1000000000ull

/* ---- looking a while before sleeping ---- */

static struct crowd crowd;

static bool has_message(struct handle *handle)
{
	return uffd_poll(handle->uffd, true) & POLLIN;
}

/* Whether a message came while we looked. */
static bool look_a_while(struct handle *handle)
{
	_Atomic uint32_t *bell = uffd_bell(handle->uffd);
	uint32_t seen = atomic_load(bell);
	uint32_t budget, looks;

	if (has_message(handle))
		return true;
	budget = crowd_looks(&crowd);
	for (looks = budget; looks; looks--) {
		if (atomic_load_explicit(bell, memory_order_acquire) != seen)
			return has_message(handle);
		sync_relax();
	}
	if (budget)
		atomic_fetch_add(&crowd.sleeps, 1);
	return false;
}

static void begin_sleep(struct handle *handle)
{
	atomic_fetch_add(&handle->sleepers, 1);
	handle_settle_calmly(handle);
}

static void end_sleep(struct handle *handle)
{
	atomic_fetch_sub(&handle->sleepers, 1);
}

/* ---- read ---- */

static uint64_t iov_bytes(const struct iovec *iov, int count)
{
	uint64_t n = 0;

	for (int i = 0; i < count; i++)
		n += iov[i].iov_len;
	return n;
}

/* Bytes at `offset` of the vector; short at a bad address. */
static size_t iov_put(const struct iovec *iov, uint64_t offset,
		      const void *bytes, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t part, got;

		while (offset >= iov->iov_len)
			offset -= iov++->iov_len;
		part = iov->iov_len - offset;
		if (part > n - done)
			part = n - done;
		got = host_copy_fault((char *)iov->iov_base + offset,
				      (const char *)bytes + done, part);
		done += got;
		offset += got;
		if (got < part)
			break;
	}
	return done;
}

static int take_messages(struct handle *handle, struct pf_uffd_msg *msgs,
			 unsigned count)
{
	struct host_mask mask;
	int got;

	host_block_signals(&mask);
	got = uffd_take(handle->uffd, msgs, count);
	host_restore_signals(&mask);
	return got;
}

/* Sleeps as a read does: signals, cancellation, O_NONBLOCK are recv's. */
static int wait_for_message(struct handle *handle, int fd, bool may_wait)
{
	char byte;
	long got;

	begin_sleep(handle);
	if (may_wait && sys_real.recv) {
		got = sys_real.recv(fd, &byte, 1, MSG_PEEK);
		if (got < 0)
			got = -errno;
	} else {
		got = raw_call(SYS_recvfrom, fd, &byte, 1,
			       MSG_PEEK | (may_wait ? 0 : MSG_DONTWAIT), NULL,
			       NULL);
	}
	end_sleep(handle);
	return got < 0 ? (int)got : 0;
}

ssize_t sys_read(int fd, const struct iovec *iov, int count, bool may_wait)
{
	struct handle *handle = handle_of(fd);
	struct pf_uffd_msg msgs[READ_BATCH];
	uint64_t room = iov_bytes(iov, count);
	uint64_t done = 0;

	if (!handle || !uffd_is_ready(handle->uffd) || room < sizeof(*msgs))
		return -EINVAL;
	for (;;) {
		uint64_t fit = (room - done) / sizeof(*msgs);
		unsigned want = fit < READ_BATCH ? (unsigned)fit : READ_BATCH;
		int got = want ? take_messages(handle, msgs, want) : 0;
		size_t bytes = (size_t)got * sizeof(*msgs);
		int err;

		if (got < 0)
			return done ? (ssize_t)done : got;
		if (iov_put(iov, done, msgs, bytes) < bytes)
			return done ? (ssize_t)done : -EFAULT;
		done += bytes;
		if (done && (unsigned)got < READ_BATCH)
			return (ssize_t)done;
		if (got)
			continue;
		if (may_wait && !handle->is_nonblocking && look_a_while(handle))
			continue;
		err = wait_for_message(handle, fd, may_wait);
		if (err)
			return err;
	}
}

/* ---- poll ---- */

static short revents_of(int fd, short events)
{
	struct handle *handle = handle_of(fd);
	unsigned now = uffd_poll(handle->uffd, handle->is_nonblocking);

	return (short)(now & ((unsigned)(unsigned short)events | POLLERR));
}

int sys_poll_now(int fd)
{
	struct handle *handle = handle_of(fd);

	if (!handle)
		return -EBADF;
	handle_settle_calmly(handle);
	return (int)uffd_poll(handle->uffd, handle->is_nonblocking);
}

struct poll_call {
	struct pollfd *fds;
	nfds_t count;
	unsigned ours;
	struct handle *first; /* the only one, when ours == 1 */
};

/* Readiness of ours, from the objects themselves. Returns how many. */
static int fill_ours(const struct poll_call *call)
{
	int ready = 0;

	for (nfds_t i = 0; i < call->count; i++) {
		struct pollfd *p = &call->fds[i];

		if (!handle_of(p->fd))
			continue;
		p->revents = revents_of(p->fd, p->events);
		ready += p->revents != 0;
	}
	return ready;
}

static int count_ready(const struct poll_call *call)
{
	int ready = 0;

	for (nfds_t i = 0; i < call->count; i++)
		ready += call->fds[i].revents != 0;
	return ready;
}

static void each_ours(const struct poll_call *call,
		      void (*fn)(struct handle *handle))
{
	for (nfds_t i = 0; i < call->count; i++)
		if (handle_of(call->fds[i].fd))
			fn(handle_of(call->fds[i].fd));
}

static long real_ppoll(const struct poll_call *call,
		       const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec left;
	int got;

	if (sys_real.ppoll) {
		got = sys_real.ppoll(call->fds, call->count, timeout, mask);
		return got < 0 ? -errno : got;
	}
	if (timeout)
		left = *timeout;
	return raw_call(SYS_ppoll, call->fds, call->count,
			timeout ? &left : NULL, mask, sizeof(uint64_t));
}

/* Time left until `end`, never negative; NULL when there is no end. */
static const struct timespec *left_until(uint64_t end, struct timespec *left)
{
	uint64_t now = sync_now_ns();
	uint64_t ns = end > now ? end - now : 0;

	if (!end)
		return NULL;
	left->tv_sec = (time_t)(ns / 1000000000u);
	left->tv_nsec = (long)(ns % 1000000000u);
	return left;
}

static long sleep_once(const struct poll_call *call,
		       const struct timespec *left, const sigset_t *mask)
{
	static const struct timespec at_once;
	long got;

	each_ours(call, begin_sleep);
	if (fill_ours(call))
		left = &at_once;
	got = real_ppoll(call, left, mask);
	each_ours(call, end_sleep);
	return got;
}

/*
 * Nothing but one of our descriptors: slept for on the object's bell, which
 * costs the one who rings it no token. In slices, since only a wait with a
 * timeout is ended by every signal, as poll is. A cancellation point.
 */
static int sleep_on_bell(struct handle *handle, uint32_t seen, uint64_t end)
{
	uint64_t now = sync_now_ns();
	uint64_t ns = BELL_SLICE_NS;
	int type, err;

	if (end && end <= now)
		return 0;
	if (end && end - now < ns)
		ns = end - now;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	err = uffd_sleep(handle->uffd, seen, (int64_t)ns);
	pthread_setcanceltype(type, NULL);
	return err == -EINTR ? err : 0;
}

static int poll_alone(const struct poll_call *call, uint64_t end)
{
	struct handle *handle = call->first;
	int err;

	for (;;) {
		uint32_t seen = atomic_load(uffd_bell(handle->uffd));

		if (handle_of(call->fds[0].fd) != handle)
			return -EBADF;
		if (fill_ours(call))
			return 1;
		if (end && sync_now_ns() >= end)
			return 0;
		if (look_a_while(handle))
			continue;
		err = sleep_on_bell(handle, seen, end);
		if (err)
			return err;
	}
}

static void survey_call(struct poll_call *call)
{
	for (nfds_t i = 0; i < call->count; i++) {
		struct handle *handle = handle_of(call->fds[i].fd);

		if (!handle)
			continue;
		call->first = handle;
		call->ours++;
	}
}

int sys_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	      const sigset_t *mask)
{
	struct poll_call call = { .fds = fds, .count = count };
	struct timespec left;
	uint64_t end = 0;
	bool may_sleep = !timeout || timeout->tv_sec || timeout->tv_nsec;
	long got;

	survey_call(&call);
	if (!call.ours)
		return (int)real_ppoll(&call, timeout, mask);
	if (timeout)
		end = sync_now_ns() + (uint64_t)timeout->tv_sec * 1000000000u +
		      (uint64_t)timeout->tv_nsec;
	if (count == 1 && may_sleep && !mask)
		return poll_alone(&call, end);
	for (;;) {
		got = sleep_once(&call, left_until(end, &left), mask);
		if (got < 0)
			return (int)got;
		fill_ours(&call);
		got = count_ready(&call);
		if (got || (end && sync_now_ns() >= end))
			return (int)got;
	}
}
