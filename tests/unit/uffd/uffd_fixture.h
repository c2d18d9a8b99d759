/* SPDX-License-Identifier: MIT */
/*
 * A soft space, an object on it, and the commands as plain functions.
 *
 * Nothing here needs a thread: a fault is space_fault(), which queues and
 * answers SPACE_WAIT instead of sleeping, so each case decides what happens
 * between queueing and waking.
 */
#ifndef UNIT_UFFD_FIXTURE_H
#define UNIT_UFFD_FIXTURE_H

#include "base/heap.h"
#include "uffd/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PAGE ((uint64_t)4096)
#define RW (ACCESS_READ | ACCESS_WRITE)
/* An output field as it was before the command. */
#define UNTOUCHED 0x5a5a5a5a5a5all

struct fx {
	const struct profile *profile;
	bool is_seed;
	struct space *space;
	struct uffd *u;
	bool is_unprivileged;
	int told;      /* last word of host.readable; -1: none */
	unsigned tells;
	uint64_t heap_before;
};

/* An argument block, each side of which may be refused. */
struct fx_block {
	void *block;
	bool is_unreadable;
	size_t unwritable_from; /* SIZE_MAX: all writable */
};

int fx_setup_seed(void **state);   /* linux-5.4 */
int fx_setup_newest(void **state); /* linux-6.18 */
int fx_teardown(void **state);

/* The case, once for each profile. */
#define FX_BOTH(f)                                                     \
	{ #f "_on_5_4", f, fx_setup_seed, fx_teardown, NULL },         \
	{ #f "_on_6_18", f, fx_setup_newest, fx_teardown, NULL }

/* Another object on the same space, handshaken. */
struct uffd *fx_other(struct fx *fx);
/* The object was released and is replaced by one not handshaken. */
void fx_renew(struct fx *fx, const struct profile *profile);
/* The handshake, which must succeed. */
void fx_ready(struct fx *fx, uint64_t features);

va_t fx_map(struct fx *fx, uint64_t pages, unsigned prot);
/* Mapped, and registered with fx->u for MISSING. */
va_t fx_map_watched(struct fx *fx, uint64_t pages);
/* A mapping of `pages` whose bytes are all `byte`. */
va_t fx_map_filled(struct fx *fx, uint64_t pages, int byte);
struct vma *fx_vma(struct fx *fx, va_t va);
/* How many VMAs meet the range. */
unsigned fx_vmas(struct fx *fx, va_t at, uint64_t pages);

int fx_ioctl(struct uffd *u, uint32_t command, const struct fx_block *block);
int fx_register(struct uffd *u, uint64_t at, uint64_t len, uint64_t mode,
		uint64_t *ioctls);
int fx_unregister(struct uffd *u, uint64_t at, uint64_t len);
int fx_wake(struct uffd *u, uint64_t at, uint64_t len);
int fx_copy(struct uffd *u, struct pf_uffdio_copy *block);
int fx_zero(struct uffd *u, struct pf_uffdio_zeropage *block);
/* COPY and ZEROPAGE of whole pages; *out, when not NULL, is the output. */
int fx_copy_pages(struct uffd *u, va_t dst, va_t src, uint64_t pages,
		  int64_t *out);
int fx_zero_pages(struct uffd *u, va_t at, uint64_t pages, int64_t *out);

/* A fault that must end queued. */
struct watch_ticket fx_fault(struct fx *fx, va_t va, unsigned access);
/* Whether whoever waits for the ticket may retry. */
bool fx_is_woken(const struct watch_ticket *ticket);
/* The one message there must be. */
struct pf_uffd_msg fx_take(struct fx *fx);
/* The byte at va, as the program would read it without faulting; or -1. */
int fx_peek(struct fx *fx, va_t va);

#endif /* UNIT_UFFD_FIXTURE_H */
