/* SPDX-License-Identifier: MIT */
/*
 * Descriptor numbers and the objects behind them.
 *
 * A descriptor is one end of a socket pair; the other end is ours, so that we
 * are told when the last copy of the program's end is closed. Messages never
 * travel in it. A token (one byte) in it means "there is something to read",
 * for whoever sleeps in the kernel's poll; it is put there only while somebody
 * may sleep so (sleepers, or is_exposed).
 */
#ifndef SYS_HANDLE_H
#define SYS_HANDLE_H

#include "base/sync.h"
#include "uffd/uffd.h"

#define HANDLE_OBJECTS 1024
#define HANDLE_FDS (1 << 20)

/* Guards: [H] handles' lock, [t] token lock, [I] immutable, [a] atomic. */
struct handle {
	struct uffd *_Atomic uffd;  /* [a] NULL: slot is free */
	int our_end;                /* [I] our end of the pair */
	uint64_t inode;             /* [I] of the program's end */
	_Atomic int some_fd;        /* [a] a number of the program's end */
	_Atomic uint32_t fds;       /* [a] numbers in the table */
	_Atomic uint32_t sleepers;  /* [a] threads that may sleep in poll */
	_Atomic bool is_exposed;    /* [a] watched by what we do not see */
	_Atomic bool is_foreign;    /* [a] belongs to the process we forked from */
	struct lock token_lock;     /* RANK_NONE; a leaf of all locks */
	_Atomic bool has_token;     /* [t] read without as a hint */
	_Atomic bool is_nonblocking; /* [a] O_NONBLOCK, as last set */
};

/* The object of a descriptor; NULL: not ours. A few ns. Context: trap. */
struct handle *handle_of(int fd);

/*
 * A new descriptor for the object, O_NONBLOCK and O_CLOEXEC from `flags`.
 * Returns: the number, and *out; -EMFILE, -ENFILE, -ENOMEM.
 */
int handle_open(int flags, struct handle **out);

/* The object can be reached through its handle from now on. */
void handle_attach(struct handle *handle, struct uffd *uffd);

/* Nothing was attached, nothing will be: the slot is free again. */
void handle_abandon(struct handle *handle);

/* The number is (no longer) one of the handle's. */
void handle_note(int fd, struct handle *handle);
void handle_forget(int fd);

/* The descriptor arrived from elsewhere; whether it is one of ours. */
bool handle_recognise(int fd);

/*
 * Objects whose last descriptor is gone are released. `only` NULL: all are
 * looked at. Context: trap.
 */
void handle_reap(struct handle *only);

/*
 * The token is there if and only if it has to be. Signals are blocked, or
 * this is the trap.
 */
void handle_settle(struct handle *handle);

/* The same where signals are not blocked. */
void handle_settle_calmly(struct handle *handle);

/* Whether the number is one of our internal descriptors. */
bool handle_is_internal(int fd);

/* In the child of a fork: none of the objects is this process'. */
void handle_after_fork(void);

/* Every object was visited that exists. */
void handle_each(void (*fn)(void *arg, struct handle *handle), void *arg);

/* What released objects had counted. */
struct uffd_stats *handle_past_stats(void);
uint64_t handle_created(void);

#endif /* SYS_HANDLE_H */
