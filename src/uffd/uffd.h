/* SPDX-License-Identifier: MIT */
/*
 * The userfaultfd object: the conversation between faults and their handler.
 *
 *   fault ──post──> unread ──read──> read ──wake──> (gone, thread retries)
 *                      └────────────wake / withdraw──> (gone)
 *
 * Waiters, messages and their queues live in one mapping that can be shared
 * between processes (struct conversation): numbers instead of pointers,
 * futexes that work across processes, nothing on any stack. They hash by
 * page, so that posting, waking one page and waking a range do not scan all
 * waiters. A waiting thread waits for its slot's generation to change and
 * owns nothing.
 */
#ifndef UFFD_UFFD_H
#define UFFD_UFFD_H

#include "base/profile.h"
#include "base/types.h"
#include "space/space.h"

#include "polyfault/abi.h"

struct uffd;

/* What happens around an object; given at creation, all optional. */
struct uffd_host {
	/*
	 * The object has (no) message to read now. Called with no lock of
	 * the object held, possibly late: ask uffd_poll() for the truth. That
	 * there is one may be said again while it is so.
	 * Context: trap.
	 */
	void (*readable)(void *arg, bool is_readable);
	/* Whether the caller may ask for EVENT_FORK (CAP_SYS_PTRACE). */
	bool (*is_privileged)(void *arg);
	/* A fatal signal is pending for the calling thread. */
	bool (*is_killed)(void);
	void *arg;
};

struct uffd_options {
	struct space *space;
	const struct profile *profile; /* NULL: the space's */
	unsigned flags;                /* creation flags, validated here */
	struct uffd_host host;
};

/* Where an argument block is: our memory, or the program's. */
struct uffd_arg {
	/* Returns 0, or -EFAULT. */
	int (*copy_in)(void *at, void *dst, size_t n);
	int (*copy_out)(void *at, size_t offset, const void *src, size_t n);
	void *at;
};

/* An argument block in the engine's own memory, never bad. */
struct uffd_arg uffd_arg_plain(void *block);

/*
 * A new object on the space, not handshaken.
 *
 * Context: may sleep.
 * Returns: 0 and *out with one reference; -EINVAL (unknown flag); -ENOMEM.
 * Spec:    3.2; A01-A04, A17.
 */
int uffd_create(const struct uffd_options *options,
		struct uffd **out) must_check;

/*
 * The last descriptor is closed: every VMA owned is let go, every waiter
 * wakes and sees ordinary memory. Then the reference is put.
 * Spec:    3.7 release; L26b.
 */
void uffd_release(struct uffd *uffd);

/*
 * One more reference, for whoever found the object where it may be released
 * meanwhile. The memory of objects is never unmapped, so an object that was
 * put for the last time may be asked, too. It may have become another one:
 * look again, with the reference, whether it is the one that was meant.
 *
 * Context: trap.
 * Returns: false when nobody has a reference.
 */
bool uffd_try_get(struct uffd *uffd) must_check;

/*
 * One reference less; the last one lets go of the space and puts the object
 * into the pool. Signals are blocked, or this is the trap. Context: trap.
 */
void uffd_put(struct uffd *uffd);

/*
 * The command was carried out.
 *
 * Context: may sleep.
 * Returns: 0; -errno as the rows of sections B to G say. Unknown commands,
 *          and every command but API before the handshake: -EINVAL.
 * Spec:    1.12, 2.2, 3.3-3.5; rows B, C, D, E, F, G.
 */
int uffd_ioctl(struct uffd *uffd, uint32_t command,
	       const struct uffd_arg *arg) must_check;

/*
 * Up to `count` messages were taken, unread faults first, oldest first.
 * Never sleeps; the caller copies them out afterwards.
 *
 * Returns: how many (0: none queued); -EINVAL before the handshake.
 * Spec:    3.7; L01-L16.
 */
int uffd_take(struct uffd *uffd, struct pf_uffd_msg *msgs,
	      unsigned count) must_check;

/*
 * POLLIN when a message waits; POLLERR before the handshake, or when the
 * descriptor is blocking; else 0. Context: any.
 * Spec:    3.7; B03, B08, L03, L06, L15.
 */
unsigned uffd_poll(struct uffd *uffd, bool is_nonblocking);

/* Whether the handshake is done. Context: any. */
bool uffd_is_ready(const struct uffd *uffd);

/*
 * As PF_UFFDIO_COPY, with the bytes in the engine's own memory.
 *
 * Context: may sleep.
 * Returns: bytes filled (maybe fewer than asked); -errno as that command.
 */
int64_t uffd_copy_from(struct uffd *uffd, struct range dst, const void *bytes,
		       uint64_t mode) must_check;

/*
 * The map-changing state is raised / lowered: fills answer EAGAIN while it is
 * raised, and none that began before is under way.
 *
 * Locks:   takes the gate for writing.
 * Spec:    1.14; G07, O02.
 */
void uffd_raise_changing(struct uffd *uffd, bool raise);

/*
 * The object's space has exited (space_exit() was called): every waiter
 * wakes, and no message is left.
 * Spec:    3.8; L30, L50.
 */
void uffd_space_gone(struct uffd *uffd);

/*
 * A number that changes when a message is queued: for a reader who wants to
 * look a while before it sleeps. Context: trap.
 */
_Atomic uint32_t *uffd_bell(struct uffd *uffd);

/*
 * The bell differs from `seen`, which was read before uffd_take() found
 * nothing; or timeout_ns passed (negative: never), or a signal came. Threads
 * that sleep on the bell in another way are not woken.
 *
 * Context: may sleep.
 * Returns: 0; -ETIMEDOUT; -EINTR.
 */
int uffd_sleep(struct uffd *uffd, uint32_t seen, int64_t timeout_ns);

/*
 * Somebody sleeps on the bell (or no more) who does so by sync_wait_change(),
 * and may be cancelled in it. No reference is needed. Context: any.
 */
void uffd_expect(struct uffd *uffd, bool is_asleep);

/*
 * How many messages were ever queued, modulo 2^32: whether one is new. At
 * least as new as what uffd_poll() told before. Context: trap.
 */
uint32_t uffd_posted(const struct uffd *uffd);

/*
 * Waiters that were killed while they waited (a process that shared our
 * memory may be) are on no queue: their messages are withdrawn.
 *
 * Context: any. Costs a system call for each waiter. Spec: L50.
 */
void uffd_bury(struct uffd *uffd);

/*
 * The three lines of /proc/self/fdinfo about the object, without the
 * terminating zero; `n` at least 128.
 * Returns: bytes written. Spec: 3.7; M01-M04.
 */
size_t uffd_fdinfo(struct uffd *uffd, char *text, size_t n);

/* Creation flags the object was made with. */
unsigned uffd_flags(const struct uffd *uffd);

struct uffd_stats {
	uint64_t faults;       /* messages posted */
	uint64_t woken;        /* waiters woken */
	uint64_t withdrawn;    /* waiters that went away by themselves */
	uint64_t copies, zeros; /* successful fill commands */
	uint64_t bytes;        /* filled */
	uint64_t refused;      /* fill commands that filled nothing */
	/* Time from posting to waking: bucket i counts 2^i..2^(i+1) ns. */
	uint64_t wait_ns_log2[40];
};

/* What was counted since creation. Context: any. */
void uffd_read_stats(const struct uffd *uffd, struct uffd_stats *out);

/* Every invariant of the queues holds, or bug(). */
void uffd_check(struct uffd *uffd);

#endif /* UFFD_UFFD_H */
