/* SPDX-License-Identifier: MIT */
/*
 * Commands and messages of the soft world: blocks that lie in a space,
 * readers who sleep on the bell.
 */
#include "sys/softworld.h"

#include "base/mem.h"

#include <errno.h>

/* An argument block at an address of the space. */
struct block {
	struct space *space;
	va_t va;
};

static int block_in(void *at, void *dst, size_t n)
{
	const struct block *b = at;

	return space_copy_in(b->space, dst, b->va, n, true) == n ? 0 : -EFAULT;
}

static int block_out(void *at, size_t offset, const void *src, size_t n)
{
	const struct block *b = at;
	va_t va = b->va + offset;

	return space_copy_out(b->space, va, src, n, true) == n ? 0 : -EFAULT;
}

int soft_uffd_ioctl_at(struct soft_uffd *u, uint32_t command, va_t at)
{
	struct block block = { .space = u->space->space, .va = at };
	const struct uffd_arg arg = {
		.copy_in = block_in,
		.copy_out = block_out,
		.at = &block,
	};

	return uffd_ioctl(u->uffd, command, &arg);
}

/* When a wait ends: 0 at once, UINT64_MAX never. */
static uint64_t deadline_of(const struct soft_uffd *u, int timeout_ms)
{
	if (timeout_ms > 0)
		return sync_now_ns() + (uint64_t)timeout_ms * 1000000u;
	if (timeout_ms == 0 || atomic_load(&u->is_nonblocking))
		return 0;
	return UINT64_MAX;
}

/* Returns: 0: look again; -EAGAIN: the time is over. */
static int sleep_until(struct soft_uffd *u, uint32_t seen, uint64_t deadline)
{
	int64_t left = -1;

	if (deadline != UINT64_MAX) {
		uint64_t now = deadline ? sync_now_ns() : 0;

		if (now >= deadline)
			return -EAGAIN;
		left = (int64_t)(deadline - now);
	}
	uffd_sleep(u->uffd, seen, left);
	return 0;
}

int soft_uffd_read(struct soft_uffd *u, struct pf_uffd_msg *msgs,
		   unsigned count, int timeout_ms)
{
	uint64_t deadline = deadline_of(u, timeout_ms);

	if (!count)
		return -EINVAL;
	for (;;) {
		uint32_t seen = atomic_load(uffd_bell(u->uffd));
		int n = uffd_take(u->uffd, msgs, count);

		if (n)
			return n;
		n = sleep_until(u, seen, deadline);
		if (n)
			return n;
	}
}

int64_t soft_uffd_read_bytes(struct soft_uffd *u, void *buf, size_t n)
{
	struct pf_uffd_msg msgs[16];
	size_t room = n / sizeof(msgs[0]);
	size_t done = 0;
	int timeout_ms = -1;

	while (done < room || !room) {
		size_t want = room - done;
		int got;

		if (want > array_len(msgs))
			want = array_len(msgs);
		if (!buf && want)
			want = 1;
		got = soft_uffd_read(u, msgs, (unsigned)want, timeout_ms);
		if (got < 0)
			return done ? (int64_t)(done * sizeof(msgs[0])) : got;
		if (!buf)
			return -EFAULT;
		mem_copy((char *)buf + done * sizeof(msgs[0]), msgs,
			 (size_t)got * sizeof(msgs[0]));
		done += (size_t)got;
		timeout_ms = 0;
	}
	return (int64_t)(done * sizeof(msgs[0]));
}
