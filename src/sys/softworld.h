/* SPDX-License-Identifier: MIT */
/*
 * The soft world: spaces that stand on software page tables, their objects,
 * and readers who sleep.
 *
 * Everything is reached by handle; nothing is a descriptor. For the verbs that
 * need nothing from this room, this door shows those of space and uffd. A space
 * lives until it was destroyed and the last object on it closed:
 *
 *   soft_space ──1──> space <──1── uffd        charge group: after the space
 *       ^────────1──── soft_uffd ───^
 */
#ifndef SYS_SOFTWORLD_H
#define SYS_SOFTWORLD_H

#include "base/types.h"
#include "space/space.h"
#include "uffd/uffd.h"

struct soft_uffd;

/* Guards: [I] immutable, [L] lock. */
struct soft_space {
	struct lock lock;           /* RANK_HANDLE */
	struct space *space;        /* [I] one reference */
	struct charge_group *group; /* [I] pays for the space */
	bool is_unprivileged;       /* [I] */
	uint32_t refs;              /* [L] the handle and each object */
	struct soft_uffd *objects;  /* [L] not yet closed */
};

/* Guards: [I] immutable, [L] space->lock, [a] atomic. */
struct soft_uffd {
	struct soft_space *space;       /* [I] one reference */
	struct uffd *uffd;              /* [I] its only reference */
	_Atomic bool is_nonblocking;    /* [a] */
	struct soft_uffd *next;         /* [L] */
};

struct soft_config {
	const struct profile *profile; /* NULL: the newest */
	uint64_t limit_pages;          /* 0: none */
	uint64_t arena_bytes;          /* 0: a default */
	bool is_unprivileged;
};

/*
 * An empty space with a mmu and a charge group of its own.
 *
 * Context: may sleep.
 * Returns: 0 and *out; -ENOMEM (nothing is kept).
 */
int soft_space_create(const struct soft_config *config,
		      struct soft_space **out) must_check;

/*
 * The space has exited and every waiter of its objects retries, to find
 * nothing mapped. A second call does nothing.
 *
 * Locks:   takes space->lock.
 * Spec:    3.8; E21, G06, L30, L31.
 */
void soft_space_exit(struct soft_space *space);

/* The space has exited; it is freed once no object refers to it. */
void soft_space_destroy(struct soft_space *space);

/*
 * Every invariant of the space and of its objects holds, or bug().
 *
 * Locks:   takes space->lock.
 */
void soft_space_check(struct soft_space *space);

#define SOFT_ENTRY_PRESENT 1u
#define SOFT_ENTRY_WRITABLE 2u
#define SOFT_ENTRY_DIRTY 4u
#define SOFT_ENTRY_ZERO 8u       /* the shared zero page */
#define SOFT_ENTRY_EXCLUSIVE 16u /* its frame has one owner */
#define SOFT_ENTRY_WP 32u        /* set in the entry, or a marker */
#define SOFT_ENTRY_GUARD 64u
#define SOFT_ENTRY_POISON 128u

struct soft_entry {
	unsigned flags; /* SOFT_ENTRY_* */
	uint64_t frame; /* its number, when present */
};

/*
 * What the page table has for an address now.
 *
 * Returns: 0 and *out; -EINVAL (beyond the space).
 */
int soft_space_entry(struct soft_space *space, va_t va,
		     struct soft_entry *out) must_check;

struct soft_counts {
	uint64_t anon_pages;    /* resident anonymous pages */
	uint64_t charged_pages; /* of the space's group */
	uint64_t frames;        /* in use */
	uint64_t table_pages;
	uint64_t vmas;
};

/* The counts now. Locks: takes the map lock. */
void soft_space_read_counts(struct soft_space *space,
			    struct soft_counts *out);

/*
 * Returns: 0 and *out; -EINVAL, -ENOMEM as uffd_create().
 * Spec:    A01, A03, A03b, A17.
 */
int soft_uffd_create(struct soft_space *space, unsigned flags,
		     struct soft_uffd **out) must_check;

/* The object is released and the handle is gone. Spec: L26b. */
void soft_uffd_close(struct soft_uffd *u);

/* As uffd_ioctl(), with the argument block at an address of the space. */
int soft_uffd_ioctl_at(struct soft_uffd *u, uint32_t command,
		       va_t at) must_check;

/*
 * At least one message was taken, after waiting for it at most timeout_ms
 * (negative: as long as it takes, or not at all when nonblocking).
 *
 * Context: may sleep.
 * Returns: how many; -EINVAL (no handshake, or no room); -EAGAIN.
 * Spec:    L01, L09, L14.
 */
int soft_uffd_read(struct soft_uffd *u, struct pf_uffd_msg *msgs,
		   unsigned count, int timeout_ms) must_check;

/*
 * As read(2): whole messages into n bytes, waiting only for the first.
 *
 * Context: may sleep.
 * Returns: bytes; -EINVAL, -EAGAIN as above; -EFAULT (no buffer), and one
 *          message is lost.
 * Spec:    3.7; L01-L04, L09, L16.
 */
int64_t soft_uffd_read_bytes(struct soft_uffd *u, void *buf,
			     size_t n) must_check;

#endif /* SYS_SOFTWORLD_H */
