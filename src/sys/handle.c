/* SPDX-License-Identifier: MIT */
/* Descriptor numbers and the objects behind them. */
#include "sys/handle.h"

#include "base/check.h"
#include "base/raw.h"
#include "mmu/host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Out of the way of programs that count their descriptors. */
#define HANDLE_FD_FLOOR 700

static struct handle handles[HANDLE_OBJECTS];
static struct lock lock = LOCK_INIT(RANK_HANDLE);
static _Atomic uint32_t highest; /* slots ever used */
static _Atomic uint64_t created;
static struct uffd_stats past;

/* Slot number plus one of each descriptor; pages are touched as needed. */
static _Atomic uint16_t by_fd[HANDLE_FDS];

struct handle *handle_of(int fd)
{
	uint16_t n;

	if (fd < 0 || fd >= HANDLE_FDS)
		return NULL;
	n = atomic_load_explicit(&by_fd[fd], memory_order_acquire);
	return n ? &handles[n - 1] : NULL;
}

void handle_note(int fd, struct handle *handle)
{
	handle_forget(fd);
	if (fd < 0 || fd >= HANDLE_FDS)
		return;
	atomic_fetch_add(&handle->fds, 1);
	atomic_store(&handle->some_fd, fd);
	atomic_store(&by_fd[fd], (uint16_t)(handle - handles + 1));
}

void handle_forget(int fd)
{
	struct handle *handle = handle_of(fd);

	if (!handle)
		return;
	atomic_store(&by_fd[fd], 0);
	atomic_fetch_sub(&handle->fds, 1);
}

/* ---- opening ---- */

static struct handle *take_slot(void)
{
	struct handle *found = NULL;

	for (uint32_t i = 0; i < HANDLE_OBJECTS && !found; i++) {
		if (handles[i].uffd || handles[i].our_end)
			continue;
		found = &handles[i];
		if (i >= atomic_load(&highest))
			atomic_store(&highest, i + 1);
	}
	return found;
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	return raw_call(SYS_fstat, fd, &st) ? 0 : st.st_ino;
}

static int move_high(int fd)
{
	long high = raw_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, HANDLE_FD_FLOOR);

	if (high < 0)
		return fd;
	raw_call(SYS_close, fd);
	return (int)high;
}

int handle_open(int flags, struct handle **out)
{
	int type = SOCK_SEQPACKET | SOCK_CLOEXEC;
	int ends[2];
	struct handle *handle;
	long err = raw_call(SYS_socketpair, AF_UNIX, type, 0, ends);

	if (err)
		return (int)err;
	if (!(flags & O_CLOEXEC))
		raw_call(SYS_fcntl, ends[0], F_SETFD, 0);
	if (flags & O_NONBLOCK)
		raw_call(SYS_fcntl, ends[0], F_SETFL, O_RDWR | O_NONBLOCK);
	lock_take(&lock);
	handle = take_slot();
	if (!handle) {
		lock_drop(&lock);
		raw_call(SYS_close, ends[0]);
		raw_call(SYS_close, ends[1]);
		return -ENOMEM;
	}
	handle->our_end = move_high(ends[1]);
	handle->inode = inode_of(ends[0]);
	handle->has_token = false;
	atomic_store(&handle->is_nonblocking, flags & O_NONBLOCK);
	atomic_store(&handle->sleepers, 0);
	atomic_store(&handle->is_exposed, false);
	atomic_store(&handle->is_foreign, false);
	atomic_store(&handle->fds, 0);
	lock_init(&handle->token_lock, RANK_NONE);
	lock_drop(&lock);
	*out = handle;
	return ends[0];
}

void handle_attach(struct handle *handle, struct uffd *uffd)
{
	atomic_fetch_add(&created, 1);
	handle->uffd = uffd;
}

void handle_abandon(struct handle *handle)
{
	raw_call(SYS_close, handle->our_end);
	handle->our_end = 0;
}

/* ---- the token ---- */

/* Whether the token has to come or go, and which. */
enum token_move { TOKEN_STAYS, TOKEN_COMES, TOKEN_GOES };

static enum token_move token_move(struct handle *handle)
{
	bool has_message = handle->uffd &&
			   (uffd_poll(handle->uffd, true) & POLLIN);
	bool is_watched = atomic_load(&handle->is_exposed) ||
			  atomic_load(&handle->sleepers) > 0;

	if (handle->has_token)
		return has_message ? TOKEN_STAYS : TOKEN_GOES;
	return has_message && is_watched ? TOKEN_COMES : TOKEN_STAYS;
}

static void token_put(struct handle *handle)
{
	long sent = raw_call(SYS_sendto, handle->our_end, "", 1,
			     MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);

	handle->has_token = sent == 1;
}

static void token_take(struct handle *handle)
{
	char byte;
	int fd = atomic_load(&handle->some_fd);

	if (handle_of(fd) != handle)
		return;
	raw_call(SYS_recvfrom, fd, &byte, 1, MSG_DONTWAIT, NULL, NULL);
	handle->has_token = false;
}

/* Without the lock: is there nothing to do, most likely? */
static bool is_settled(struct handle *handle)
{
	return token_move(handle) == TOKEN_STAYS;
}

void handle_settle(struct handle *handle)
{
	enum token_move move;
	bool had;

	if (is_settled(handle))
		return;
	lock_take(&handle->token_lock);
	do {
		had = handle->has_token;
		move = token_move(handle);
		if (move == TOKEN_COMES)
			token_put(handle);
		else if (move == TOKEN_GOES)
			token_take(handle);
	} while (move != TOKEN_STAYS && handle->has_token != had);
	lock_drop(&handle->token_lock);
}

void handle_settle_calmly(struct handle *handle)
{
	struct host_mask mask;

	if (is_settled(handle))
		return;
	host_block_signals(&mask);
	handle_settle(handle);
	host_restore_signals(&mask);
}

/* ---- closing ---- */

/* Whether every copy of the program's end is closed. */
static bool is_hung_up(const struct handle *handle)
{
	char byte;
	long got = raw_call(SYS_recvfrom, handle->our_end, &byte, 1,
			    MSG_PEEK | MSG_DONTWAIT, NULL, NULL);

	return got == 0 || got == -ECONNRESET || got == -ENOTCONN;
}

static void add_stats(const struct uffd_stats *s)
{
	past.faults += s->faults;
	past.woken += s->woken;
	past.withdrawn += s->withdrawn;
	past.copies += s->copies;
	past.zeros += s->zeros;
	past.bytes += s->bytes;
	past.refused += s->refused;
	for (unsigned i = 0; i < array_len(past.wait_ns_log2); i++)
		past.wait_ns_log2[i] += s->wait_ns_log2[i];
}

/* Whoever takes the object out of its slot releases it. */
static struct uffd *detach_if_gone(struct handle *handle)
{
	struct uffd *uffd = NULL;
	struct uffd_stats stats;

	lock_take(&lock);
	if (handle->uffd && !handle->is_foreign && is_hung_up(handle)) {
		uffd = handle->uffd;
		uffd_read_stats(uffd, &stats);
		add_stats(&stats);
		handle->uffd = NULL;
		raw_call(SYS_close, handle->our_end);
		handle->our_end = 0;
	}
	lock_drop(&lock);
	return uffd;
}

static void reap_one(struct handle *handle)
{
	struct uffd *uffd;

	if (!handle->uffd)
		return;
	uffd = detach_if_gone(handle);
	if (uffd)
		uffd_release(uffd);
}

void handle_reap(struct handle *only)
{
	if (only) {
		reap_one(only);
		return;
	}
	for (uint32_t i = 0; i < atomic_load(&highest); i++)
		if (atomic_load(&handles[i].fds) == 0)
			reap_one(&handles[i]);
}

/* ---- looking around ---- */

bool handle_recognise(int fd)
{
	uint64_t inode = inode_of(fd);

	if (!inode)
		return false;
	for (uint32_t i = 0; i < atomic_load(&highest); i++) {
		if (!handles[i].uffd || handles[i].inode != inode)
			continue;
		handle_note(fd, &handles[i]);
		return true;
	}
	return false;
}

bool handle_is_internal(int fd)
{
	for (uint32_t i = 0; i < atomic_load(&highest); i++)
		if (handles[i].our_end == fd && fd > 0)
			return true;
	return false;
}

void handle_each(void (*fn)(void *arg, struct handle *handle), void *arg)
{
	for (uint32_t i = 0; i < atomic_load(&highest); i++)
		if (handles[i].uffd && !handles[i].is_foreign)
			fn(arg, &handles[i]);
}

void handle_after_fork(void)
{
	lock_init(&lock, RANK_HANDLE);
	for (uint32_t i = 0; i < atomic_load(&highest); i++) {
		struct handle *handle = &handles[i];

		if (!handle->uffd)
			continue;
		atomic_store(&handle->is_foreign, true);
		raw_call(SYS_close, handle->our_end);
		handle->our_end = -1;
		lock_init(&handle->token_lock, RANK_NONE);
	}
}

struct uffd_stats *handle_past_stats(void)
{
	return &past;
}

uint64_t handle_created(void)
{
	return atomic_load(&created);
}
