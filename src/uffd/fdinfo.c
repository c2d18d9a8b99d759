/* SPDX-License-Identifier: MIT */
/*
 * What /proc/self/fdinfo says of an object.
 */
#include "uffd/context.h"

#include "base/check.h"
#include "base/mem.h"

/* A text that grows; room was promised by the caller. */
struct text {
	char *at;
	size_t used;
	size_t room;
};

static void put_string(struct text *text, const char *s)
{
	size_t n = mem_length(s);

	check(text->used + n <= text->room);
	mem_copy(text->at + text->used, s, n);
	text->used += n;
}

static void put_number(struct text *text, uint64_t n, unsigned base)
{
	char digits[21];
	size_t i = sizeof(digits);

	digits[--i] = '\0';
	do {
		digits[--i] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	put_string(text, &digits[i]);
}

size_t uffd_fdinfo(struct uffd *uffd, char *text, size_t n)
{
	struct text t = { .at = text, .room = n };
	struct conversation *c = uffd->talk;
	uint64_t unread, total;

	lock_take(&c->lock);
	unread = atomic_load(&c->unread.count);
	total = atomic_load(&c->queued);
	lock_drop(&c->lock);

	put_string(&t, "pending:\t");
	put_number(&t, unread, 10);
	put_string(&t, "\ntotal:\t");
	put_number(&t, total, 10);
	put_string(&t, "\nAPI:\t");
	put_number(&t, PF_UFFD_API, 16);
	put_string(&t, ":");
	put_number(&t, atomic_load(&uffd->features), 16);
	put_string(&t, ":");
	put_number(&t, uffd->profile->fdinfo_ioctls, 16);
	put_string(&t, "\n");
	return t.used;
}
