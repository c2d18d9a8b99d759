/* SPDX-License-Identifier: MIT */
/* Descriptor numbers and the objects behind them. */
#include "sys/handle.h"

#include "base/check.h"
#include "base/raw.h"
#include "mmu/host/host.h"
#include "sys/pair.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static struct handle handles[HANDLE_OBJECTS];
static struct lock lock = LOCK_INIT(RANK_HANDLE);
static _Atomic uint32_t highest; /* slots ever used */
static _Atomic uint64_t created;
static struct uffd_stats past;

/* Slot number plus one of each descriptor; pages are touched as needed. */
static _Atomic uint16_t by_fd[HANDLE_FDS];
static _Atomic int highest_fd; /* no greater number was ever in the table */

static uint16_t number_of(const struct handle *handle)
{
	return (uint16_t)(handle - handles + 1);
}

struct handle *handle_of(int fd)
{
	uint16_t n;

	if (fd < 0 || fd >= HANDLE_FDS)
		return NULL;
	n = atomic_load_explicit(&by_fd[fd], memory_order_acquire);
	return n ? &handles[n - 1] : NULL;
}

/*
 * Slot and object may change hands between any two of these lines. If, with
 * the reference, both still are what they were, the object is the number's.
 */
int handle_hold(int fd, struct uffd **out)
{
	struct handle *handle = handle_of(fd);
	struct uffd *uffd;

	if (!handle)
		return -EBADF;
	if (atomic_load(&handle->is_foreign))
		return -ESRCH;
	uffd = handle->uffd;
	if (!uffd || !uffd_try_get(uffd))
		return -EBADF;
	if (handle->uffd == uffd && handle_of(fd) == handle) {
		*out = uffd;
		return 0;
	}
	uffd_put(uffd);
	return -EBADF;
}

unsigned handle_poll(struct handle *handle)
{
	struct uffd *uffd = handle->uffd;

	if (atomic_load(&handle->is_foreign))
		return 0;
	return uffd ? uffd_poll(uffd, handle->is_nonblocking) : POLLNVAL;
}

/* ---- the token ---- */

/* What has to be done about the token. */
enum token_move { TOKEN_STAYS, TOKEN_COMES, TOKEN_COMES_AGAIN, TOKEN_GOES };

/* In a child the socket is the parent's, and so are the tokens in it. */
static enum token_move token_move(struct handle *handle)
{
	struct uffd *uffd = handle->uffd;
	bool is_exposed = atomic_load(&handle->is_exposed);

	if (atomic_load(&handle->is_foreign))
		return TOKEN_STAYS;
	if (!uffd || !(uffd_poll(uffd, true) & POLLIN))
		return handle->has_token ? TOKEN_GOES : TOKEN_STAYS;
	if (!handle->has_token)
		return is_exposed || atomic_load(&handle->sleepers) > 0
			       ? TOKEN_COMES
			       : TOKEN_STAYS;
	/* Who waits for edges has to see one for each message. */
	return is_exposed && handle->told != uffd_posted(uffd)
		       ? TOKEN_COMES_AGAIN
		       : TOKEN_STAYS;
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	return raw_call(SYS_fstat, fd, &st) ? 0 : st.st_ino;
}

/*
 * A number to take the token by; -1: there is none. Under the token lock it
 * stays one, for handle_forget() takes that, too. The inode is looked at in
 * case the program closed the number by a system call that nobody saw.
 */
static int token_fd(struct handle *handle)
{
	int fd = handle->some_fd;

	if (handle_of(fd) != handle) {
		fd = atomic_load(&handle->fds) ? atomic_load(&highest_fd) : -1;
		while (fd >= 0 && handle_of(fd) != handle)
			fd--;
		handle->some_fd = fd;
	}
	return fd >= 0 && inode_of(fd) == handle->inode ? fd : -1;
}

static void token_put(struct handle *handle)
{
	struct uffd *uffd = handle->uffd;
	long sent;

	if (uffd)
		atomic_store(&handle->told, uffd_posted(uffd));
	if (handle->our_end < 0)
		return;
	sent = raw_call(SYS_sendto, handle->our_end, "", 1,
			MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
	if (sent == 1)
		handle->has_token = true;
}

/* Returns: whether there was one. */
static bool token_take_one(int fd)
{
	char byte;

	return raw_call(SYS_recvfrom, fd, &byte, 1, MSG_DONTWAIT, NULL,
			NULL) == 1;
}

static void token_take(struct handle *handle)
{
	int fd = token_fd(handle);

	if (fd < 0)
		return;
	while (token_take_one(fd))
		;
	handle->has_token = false;
}

/* A token more makes the edge; that there is one of them is enough. */
static void token_put_again(struct handle *handle)
{
	int fd = token_fd(handle);

	token_put(handle);
	if (fd >= 0)
		(void)token_take_one(fd);
}

/* Without the lock: is there nothing to do, most likely? */
static bool is_settled(struct handle *handle)
{
	return token_move(handle) == TOKEN_STAYS;
}

/* Returns: whether something changed. */
static bool settle_once(struct handle *handle)
{
	bool had = handle->has_token;

	switch (token_move(handle)) {
	case TOKEN_STAYS:
		return false;
	case TOKEN_COMES:
		token_put(handle);
		break;
	case TOKEN_COMES_AGAIN:
		token_put_again(handle);
		return true;
	case TOKEN_GOES:
		token_take(handle);
		break;
	}
	return handle->has_token != had;
}

void handle_settle(struct handle *handle)
{
	if (is_settled(handle))
		return;
	lock_take(&handle->token_lock);
	while (settle_once(handle))
		;
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

/* ---- numbers ---- */

static void raise_highest_fd(int fd)
{
	int was = atomic_load(&highest_fd);

	while (was < fd &&
	       !atomic_compare_exchange_weak(&highest_fd, &was, fd))
		;
}

void handle_note(int fd, struct handle *handle)
{
	uint16_t none = 0;

	handle_forget(fd);
	if (fd < 0 || fd >= HANDLE_FDS)
		return;
	raise_highest_fd(fd);
	lock_take(&handle->token_lock);
	if (atomic_compare_exchange_strong(&by_fd[fd], &none,
					   number_of(handle))) {
		atomic_fetch_add(&handle->fds, 1);
		handle->some_fd = fd;
	}
	lock_drop(&handle->token_lock);
	/* A token that could not be taken for want of a number can be now. */
	handle_settle(handle);
}

/*
 * Who sleeps in the kernel on the last number would keep the object alive,
 * and would sleep for ever: a token in the socket wakes it.
 */
static void rouse_sleepers(struct handle *handle)
{
	if (atomic_load(&handle->sleepers) > 0 && !handle->has_token &&
	    !atomic_load(&handle->is_foreign))
		token_put(handle);
}

/* Of two that forget a number one finds it there. */
void handle_forget(int fd)
{
	struct handle *handle = handle_of(fd);
	uint16_t n;

	if (!handle)
		return;
	n = number_of(handle);
	lock_take(&handle->token_lock);
	if (atomic_compare_exchange_strong(&by_fd[fd], &n, 0) &&
	    atomic_fetch_sub(&handle->fds, 1) == 1)
		rouse_sleepers(handle);
	lock_drop(&handle->token_lock);
}

/* Numbers that were closed unseen must not name the slot's next object. */
static void forget_all(struct handle *handle)
{
	uint16_t n = number_of(handle);

	for (int fd = atomic_load(&highest_fd); fd >= 0; fd--) {
		uint16_t seen = n;

		atomic_compare_exchange_strong(&by_fd[fd], &seen, 0);
	}
	atomic_store(&handle->fds, 0);
}

/* ---- opening ---- */

static struct handle *take_slot(void)
{
	for (uint32_t i = 0; i < HANDLE_OBJECTS; i++) {
		if (handles[i].is_taken)
			continue;
		handles[i].is_taken = true;
		if (i >= atomic_load(&highest))
			atomic_store(&highest, i + 1);
		return &handles[i];
	}
	return NULL;
}

static void give_slot(struct handle *handle)
{
	handle->our_end = -1;
	handle->is_taken = false;
}

static void set_up(struct handle *handle, const int ends[2], int flags)
{
	lock_take(&handle->token_lock);
	handle->our_end = pair_move_high(ends[1]);
	handle->inode = inode_of(ends[0]);
	handle->some_fd = -1;
	handle->has_token = false;
	atomic_store(&handle->is_nonblocking, flags & O_NONBLOCK);
	atomic_store(&handle->is_exposed, false);
	atomic_store(&handle->is_foreign, false);
	atomic_store(&handle->fds, 0);
	lock_drop(&handle->token_lock);
}

int handle_open(int flags, struct handle **out)
{
	struct handle *handle;
	int ends[2];
	int err = pair_make(ends);

	if (err)
		return err;
	if (!(flags & O_CLOEXEC))
		raw_call(SYS_fcntl, ends[0], F_SETFD, 0);
	lock_take(&lock);
	handle = take_slot();
	if (handle)
		set_up(handle, ends, flags);
	lock_drop(&lock);
	if (!handle) {
		raw_call(SYS_close, ends[0]);
		raw_call(SYS_close, ends[1]);
		return -ENOMEM;
	}
	*out = handle;
	return ends[0];
}

void handle_attach(struct handle *handle, struct uffd *uffd, int fd)
{
	atomic_fetch_add(&created, 1);
	handle->uffd = uffd;
	handle_note(fd, handle);
	if (!handle->is_nonblocking)
		raw_call(SYS_fcntl, fd, F_SETFL, O_RDWR);
}

void handle_abandon(struct handle *handle)
{
	lock_take(&lock);
	raw_call(SYS_close, handle->our_end);
	give_slot(handle);
	lock_drop(&lock);
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

/*
 * The slot's object is out of reach, and the slot is free. The parent's goes
 * with its last number here; it is the parent's to release.
 */
static struct uffd *detach(struct handle *handle)
{
	struct uffd *uffd = handle->uffd;
	bool is_foreign = atomic_load(&handle->is_foreign);
	struct uffd_stats stats;

	if (!is_foreign) {
		uffd_read_stats(uffd, &stats);
		add_stats(&stats);
		raw_call(SYS_close, handle->our_end);
	}
	handle->uffd = NULL;
	if (atomic_load(&handle->fds))
		forget_all(handle);
	give_slot(handle);
	return is_foreign ? NULL : uffd;
}

/* Whoever takes the object out of its slot releases it. */
static struct uffd *detach_if_gone(struct handle *handle)
{
	struct uffd *uffd = NULL;
	bool is_gone;

	lock_take(&lock);
	lock_take(&handle->token_lock);
	if (handle->uffd) {
		is_gone = atomic_load(&handle->is_foreign)
				  ? atomic_load(&handle->fds) == 0
				  : is_hung_up(handle);
		if (is_gone)
			uffd = detach(handle);
	}
	lock_drop(&handle->token_lock);
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

static struct handle *find_inode(uint64_t inode)
{
	for (uint32_t i = 0; i < atomic_load(&highest); i++)
		if (handles[i].uffd && handles[i].inode == inode)
			return &handles[i];
	return NULL;
}

/* While the number is open, its object is not released. */
bool handle_recognise(int fd)
{
	uint64_t inode = atomic_load(&highest) ? inode_of(fd) : 0;
	struct handle *handle;

	if (!inode)
		return false;
	lock_take(&lock);
	handle = find_inode(inode);
	lock_drop(&lock);
	if (handle)
		handle_note(fd, handle);
	return handle != NULL;
}

/* The slot whose end of the pair the number is; NULL: none. */
static struct handle *owner_of(int fd)
{
	for (uint32_t i = 0; i < atomic_load(&highest); i++)
		if (handles[i].our_end == fd && fd > 0)
			return &handles[i];
	return NULL;
}

bool handle_is_internal(int fd)
{
	return owner_of(fd) != NULL;
}

int handle_make_way(int fd, bool *was_ours)
{
	struct handle *handle;
	int high = 0;

	lock_take(&lock);
	handle = owner_of(fd);
	*was_ours = handle != NULL;
	if (handle) {
		lock_take(&handle->token_lock);
		high = pair_copy_high(fd);
		if (high >= 0)
			handle->our_end = high;
		lock_drop(&handle->token_lock);
	}
	lock_drop(&lock);
	return high < 0 ? high : 0;
}

/*
 * Without the lock: in the child of a fork the shim asks for figures before
 * our own handler has run, while a thread of the parent may seem to hold it.
 */
void handle_each(void (*fn)(void *arg, struct uffd *uffd), void *arg)
{
	struct host_mask mask;

	host_block_signals(&mask);
	for (uint32_t i = 0; i < atomic_load(&highest); i++) {
		struct uffd *uffd = handles[i].uffd;

		if (!uffd || handles[i].is_foreign || !uffd_try_get(uffd))
			continue;
		if (handles[i].uffd == uffd)
			fn(arg, uffd);
		uffd_put(uffd);
	}
	host_restore_signals(&mask);
}

/*
 * Another thread may have been at work on a slot, and is not here to finish;
 * what has no object is free. Our ends are the parent's alone, or it would
 * never hear that it was closed.
 */
void handle_after_fork(void)
{
	lock_init(&lock, RANK_HANDLE);
	for (uint32_t i = 0; i < atomic_load(&highest); i++) {
		struct handle *handle = &handles[i];

		lock_init(&handle->token_lock, RANK_NONE);
		if (handle->our_end > 0)
			raw_call(SYS_close, handle->our_end);
		handle->our_end = -1;
		if (handle->uffd)
			atomic_store(&handle->is_foreign, true);
		else
			handle->is_taken = false;
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
