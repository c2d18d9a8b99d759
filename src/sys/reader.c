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
#define NS_PER_S 1000000000ull
#define BELL_SLICE_NS NS_PER_S
/* Waits that are longer than that have no end. */
#define LONGEST_WAIT_S ((time_t)(INT64_MAX / (int64_t)NS_PER_S / 2))
/* So many of ours in one poll are followed; more are exposed for good. */
#define MOST_FOLLOWED 64

/*
 * No reference to the object is held while a thread sleeps, so that one that
 * is cancelled, or leaves by longjmp from a signal handler, keeps nothing
 * from being released. A jump leaves a count of sleepers raised, which costs
 * tokens that nobody needs and nothing else.
 */

/* ---- looking a while before sleeping ---- */

static struct crowd crowd;

static bool has_message(struct handle *handle)
{
	struct uffd *uffd = handle->uffd;

	return uffd && (uffd_poll(uffd, true) & POLLIN);
}

/* Whether a message came while we looked, or the object went. */
static bool look_a_while(struct handle *handle)
{
	struct uffd *uffd = handle->uffd;
	_Atomic uint32_t *bell;
	uint32_t seen, budget, looks;

	if (!uffd)
		return true;
	bell = uffd_bell(uffd);
	seen = atomic_load(bell);
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

/* Also what is left to do when the sleeper is cancelled. */
static void end_sleep(void *handle)
{
	atomic_fetch_sub(&((struct handle *)handle)->sleepers, 1);
}

/* Whoever slept on the last number may have kept the object from release. */
static void reap_calmly(struct handle *handle)
{
	struct host_mask mask;

	if (atomic_load(&handle->fds) > 0)
		return;
	host_block_signals(&mask);
	handle_reap(handle);
	host_restore_signals(&mask);
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

/* A child's read of its parent's object: as of one whose memory is gone. */
static int take_messages(int fd, struct pf_uffd_msg *msgs, unsigned count)
{
	struct host_mask mask;
	struct uffd *uffd;
	int got;

	host_block_signals(&mask);
	got = handle_hold(fd, &uffd);
	if (!got) {
		got = uffd_take(uffd, msgs, count);
		uffd_put(uffd);
	}
	host_restore_signals(&mask);
	return got == -ESRCH ? -EAGAIN : got;
}

/* libc's recv is a cancellation point; -errno. */
static __attribute__((noinline)) long peek(int fd, bool may_wait)
{
	char byte;
	long got;

	if (!may_wait || !sys_real.recv)
		return raw_call(SYS_recvfrom, fd, &byte, 1,
				MSG_PEEK | (may_wait ? 0 : MSG_DONTWAIT), NULL,
				NULL);
	got = sys_real.recv(fd, &byte, 1, MSG_PEEK);
	return got < 0 ? -errno : got;
}

/*
 * Sleeps as a read does: signals, cancellation, O_NONBLOCK are recv's. Who
 * closes the last number after we said that we sleep puts a token there; who
 * did before is seen here.
 */
static int wait_for_message(struct handle *handle, int fd, bool may_wait)
{
	volatile long got = -EBADF; /* kept by the clean-up's setjmp */

	begin_sleep(handle);
	pthread_cleanup_push(end_sleep, handle);
	if (handle_of(fd) == handle)
		got = peek(fd, may_wait);
	pthread_cleanup_pop(1);
	reap_calmly(handle);
	if (got == -ENOTSOCK)
		return -EBADF; /* closed, and the number used again */
	return got < 0 ? (int)got : 0;
}

/* Nothing is queued. Returns: 0, look again; -errno, as read. */
static int wait_awake_or_asleep(int fd, bool may_wait)
{
	struct handle *handle = handle_of(fd);

	if (!handle)
		return -EBADF;
	if (may_wait && !handle->is_nonblocking && look_a_while(handle))
		return 0;
	return wait_for_message(handle, fd, may_wait);
}

ssize_t sys_read(int fd, const struct iovec *iov, int count, bool may_wait)
{
	struct pf_uffd_msg msgs[READ_BATCH];
	uint64_t room = iov_bytes(iov, count);
	uint64_t done = 0;

	if (room < sizeof(*msgs))
		return -EINVAL;
	for (;;) {
		uint64_t fit = (room - done) / sizeof(*msgs);
		unsigned want = fit < READ_BATCH ? (unsigned)fit : READ_BATCH;
		int got = want ? take_messages(fd, msgs, want) : 0;
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
		err = wait_awake_or_asleep(fd, may_wait);
		if (err)
			return err;
	}
}

/* ---- poll ---- */

int sys_poll_now(int fd)
{
	struct handle *handle = handle_of(fd);

	if (!handle)
		return -EBADF;
	handle_settle_calmly(handle);
	return (int)handle_poll(handle);
}

/* One of ours in the program's array, as it was when the sleep began. */
struct followed {
	struct handle *handle;
	nfds_t at;
	bool is_hidden; /* from the kernel: its socket is the parent's */
};

struct poll_call {
	struct pollfd *fds;
	nfds_t count;
	unsigned ours;
	unsigned asleep;
	struct followed list[MOST_FOLLOWED]; /* `asleep` of them */
};

/* Readiness of ours, from the objects themselves. Returns how many. */
static int fill_ours(const struct poll_call *call)
{
	int ready = 0;

	for (nfds_t i = 0; i < call->count; i++) {
		struct pollfd *p = &call->fds[i];
		struct handle *handle = handle_of(p->fd);
		unsigned wanted = (unsigned short)p->events | POLLERR |
				  POLLNVAL;

		if (!handle)
			continue;
		p->revents = (short)(handle_poll(handle) & wanted);
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
	left->tv_sec = (time_t)(ns / NS_PER_S);
	left->tv_nsec = (long)(ns % NS_PER_S);
	return left;
}

static void fall_asleep(struct poll_call *call)
{
	for (nfds_t i = 0; i < call->count; i++) {
		struct pollfd *p = &call->fds[i];
		struct handle *handle = handle_of(p->fd);
		struct followed *one = &call->list[call->asleep];

		if (!handle)
			continue;
		if (call->asleep == MOST_FOLLOWED) {
			sys_expose(p->fd);
			continue;
		}
		*one = (struct followed){ .handle = handle, .at = i };
		call->asleep++;
		one->is_hidden = atomic_load(&handle->is_foreign);
		if (one->is_hidden)
			p->fd = ~p->fd;
		else
			begin_sleep(handle);
	}
}

/*
 * Also what is left to do when the sleeper is cancelled. A number that was
 * closed by another thread meanwhile is no descriptor.
 */
static void wake_up(void *arg)
{
	struct poll_call *call = arg;

	while (call->asleep > 0) {
		struct followed *one = &call->list[--call->asleep];
		struct pollfd *p = &call->fds[one->at];

		if (one->is_hidden) {
			p->fd = ~p->fd;
			continue;
		}
		end_sleep(one->handle);
		if (handle_of(p->fd) == one->handle)
			continue;
		p->revents = POLLNVAL;
		reap_calmly(one->handle);
	}
}

static long sleep_once(struct poll_call *call, const struct timespec *left,
		       const sigset_t *mask)
{
	static const struct timespec at_once;
	long got;

	fall_asleep(call);
	pthread_cleanup_push(wake_up, call);
	got = real_ppoll(call, fill_ours(call) ? &at_once : left, mask);
	pthread_cleanup_pop(1);
	return got;
}

static void nobody_sleeps(void *uffd)
{
	uffd_expect(uffd, false);
}

/*
 * Nothing but one of our descriptors: slept for on the object's bell, which
 * costs the one who rings it no token. In slices, since only a wait with a
 * timeout is ended by every signal, as poll is. A cancellation point.
 */
static int sleep_on_bell(struct uffd *uffd, uint32_t seen, uint64_t end)
{
	_Atomic uint32_t *bell = uffd_bell(uffd);
	uint64_t now = sync_now_ns();
	uint64_t left = end > now ? end - now : 0;
	int type, err = 0;

	if (!end || left > BELL_SLICE_NS)
		left = BELL_SLICE_NS;
	uffd_expect(uffd, true);
	pthread_cleanup_push(nobody_sleeps, uffd);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	err = sync_wait_change(bell, seen, (int64_t)left);
	pthread_setcanceltype(type, NULL);
	pthread_cleanup_pop(1);
	return err == -EINTR ? err : 0;
}

/*
 * The bell is read before anything is looked at. An object that is released
 * rings it, and may have become another one's by then: hence the second look
 * at the slot.
 */
static int poll_alone(const struct poll_call *call, uint64_t end)
{
	struct pollfd *p = &call->fds[0];
	struct handle *handle = call->list[0].handle;

	for (;;) {
		struct uffd *uffd = handle->uffd;
		uint32_t seen = uffd ? atomic_load(uffd_bell(uffd)) : 0;
		int err;

		if (!uffd || handle->uffd != uffd ||
		    handle_of(p->fd) != handle) {
			p->revents = POLLNVAL;
			return 1;
		}
		if (fill_ours(call))
			return 1;
		if (end && sync_now_ns() >= end)
			return 0;
		if (look_a_while(handle))
			continue;
		err = sleep_on_bell(uffd, seen, end);
		if (err)
			return err;
	}
}

/* How many of ours there are; the first of them is the list's first. */
static void survey_call(struct poll_call *call)
{
	for (nfds_t i = 0; i < call->count; i++) {
		struct handle *handle = handle_of(call->fds[i].fd);

		if (handle && !call->ours++)
			call->list[0].handle = handle;
	}
}

static bool is_invalid(const struct timespec *t)
{
	return t->tv_sec < 0 || t->tv_nsec < 0 ||
	       t->tv_nsec >= (long)NS_PER_S;
}

/* 0: never. */
static uint64_t end_of(const struct timespec *timeout)
{
	if (!timeout || timeout->tv_sec > LONGEST_WAIT_S)
		return 0;
	return sync_now_ns() + (uint64_t)timeout->tv_sec * NS_PER_S +
	       (uint64_t)timeout->tv_nsec;
}

/* One of ours and nothing else, to be waited for, and no child's. */
static bool is_alone(const struct poll_call *call,
		     const struct timespec *timeout, const sigset_t *mask)
{
	bool may_sleep = !timeout || timeout->tv_sec || timeout->tv_nsec;

	return call->count == 1 && may_sleep && !mask &&
	       !atomic_load(&call->list[0].handle->is_foreign);
}

int sys_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	      const sigset_t *mask)
{
	struct poll_call call;
	struct timespec left;
	uint64_t end;
	long got;

	call.fds = fds;
	call.count = count;
	call.ours = 0;
	call.asleep = 0;
	survey_call(&call);
	if (!call.ours)
		return (int)real_ppoll(&call, timeout, mask);
	if (timeout && is_invalid(timeout))
		return -EINVAL;
	end = end_of(timeout);
	if (is_alone(&call, timeout, mask))
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
