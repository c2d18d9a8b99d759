/* SPDX-License-Identifier: MIT */
/*
 * Descriptor numbers and the objects behind them.
 *
 * A descriptor is one end of a socket pair; the other end is ours, so that we
 * are told when the last copy of the program's end is closed. Messages never
 * travel in it. A token (one byte) in it means "there is something to read",
 * for whoever sleeps in the kernel's poll; it is put there only while somebody
 * may sleep so (sleepers, or is_exposed).
 *
 *   number ──by_fd──> slot (struct handle) ──uffd──> object
 *      │                  │ our_end
 *      └── socket pair ───┘
 *
 * Any thread may close the last number at any time. Slots are static and the
 * memory of objects is never unmapped, so looking is always safe, and what
 * was seen may be out of date; who wants more than a look holds the object
 * (handle_hold).
 */
#ifndef SYS_HANDLE_H
#define SYS_HANDLE_H

#include "base/sync.h"
#include "uffd/uffd.h"

#define HANDLE_OBJECTS 1024
#define HANDLE_FDS (1 << 20)

/*
 * Guards: [H] handles' lock, [t] token lock, [a] atomic. With two letters:
 * written under both, read under either; with an a, read without as a hint.
 */
struct handle {
	struct uffd *_Atomic uffd;  /* [Hta] NULL: none yet, or none any more */
	bool is_taken;              /* [H] not free for another object */
	_Atomic int our_end;        /* [Hta] our end of the pair, or -1 */
	uint64_t inode;             /* [H] of the program's end */
	int some_fd;                /* [t] a number of the program's end */
	_Atomic uint32_t fds;       /* [ta] numbers in the table */
	_Atomic uint32_t sleepers;  /* [a] threads that may sleep in poll; never
				     * reset, so that a late one that leaves
				     * the slot's former object does no harm */
	_Atomic bool is_exposed;    /* [a] watched by what we do not see */
	_Atomic bool is_foreign;    /* [a] belongs to the process we forked from */
	struct lock token_lock;     /* RANK_NONE; a leaf of all locks */
	_Atomic bool has_token;     /* [ta] */
	_Atomic uint32_t told;      /* [ta] uffd_posted() at the last token */
	_Atomic bool is_nonblocking; /* [a] O_NONBLOCK, as last set */
};

/* The slot of a descriptor; NULL: not ours. A few ns. Context: trap. */
struct handle *handle_of(int fd);

/*
 * The descriptor's object, with a reference that uffd_put() gives back. Some
 * 10 ns. Signals are blocked from before until after that.
 *
 * Returns: 0 and *out; -EBADF (not ours, any more); -ESRCH (the parent's).
 */
int handle_hold(int fd, struct uffd **out) must_check;

/*
 * What poll is to say: as uffd_poll(); 0 for the parent's; POLLNVAL when the
 * object is gone. Needs no reference. Context: any.
 */
unsigned handle_poll(struct handle *handle);

/*
 * A new descriptor for the object, O_NONBLOCK and O_CLOEXEC from `flags`.
 * Where one number is left, it is the program's: ours may lie beyond its
 * limit.
 * Returns: the number, and *out; -EMFILE, -ENFILE, -ENOMEM.
 * Spec:    A15.
 */
int handle_open(int flags, struct handle **out);

/* The object can be reached by the number that handle_open() gave. */
void handle_attach(struct handle *handle, struct uffd *uffd, int fd);

/* Nothing was attached, nothing will be: the slot is free again. */
void handle_abandon(struct handle *handle);

/*
 * The number is (no longer) one of the handle's. A number is forgotten before
 * it is closed, and is not used by us afterwards; who sleeps on the last one
 * comes back. Signals are blocked.
 */
void handle_note(int fd, struct handle *handle);
void handle_forget(int fd);

/*
 * The descriptor arrived from elsewhere; whether it is one of ours. Signals
 * are blocked.
 */
bool handle_recognise(int fd);

/*
 * Objects whose last descriptor is gone are released. `only` NULL: all are
 * looked at. Context: trap.
 */
void handle_reap(struct handle *only);

/*
 * The token is there if and only if it has to be, and where we do not see who
 * watches, each new message has made a new edge. Signals are blocked, or this
 * is the trap.
 */
void handle_settle(struct handle *handle);

/* The same where signals are not blocked. */
void handle_settle_calmly(struct handle *handle);

/* Whether the number is one of our internal descriptors. */
bool handle_is_internal(int fd);

/*
 * The program wants that very number for something else: none of our internal
 * descriptors depends on it. When one did, *was_ours, and the number is still
 * open for the program's call to replace.
 *
 * Signals are blocked. Returns: 0; -EMFILE (there is no other number).
 */
int handle_make_way(int fd, bool *was_ours);

/* In the child of a fork: none of the objects is this process'. */
void handle_after_fork(void);

/* Every object was visited that exists. */
void handle_each(void (*fn)(void *arg, struct uffd *uffd), void *arg);

/* What released objects had counted. */
struct uffd_stats *handle_past_stats(void);
uint64_t handle_created(void);

#endif /* SYS_HANDLE_H */
