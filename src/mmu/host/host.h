/* SPDX-License-Identifier: MIT */
/*
 * The host mmu: the real memory of this process, its traps, its signals.
 *
 *   access ──hardware──> SIGSEGV ──trap.c──> host_trap.fault()  (a space)
 *                                     │
 *            retry <── bounce.S <── wait, outside the handler
 *
 * There is one per process, because signal dispositions are the process'.
 * The room is the sole writer of host mappings and of dispositions.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "base/types.h"
#include "mmu/mmu.h"

#include <signal.h>

/* How a page is made to trap, and how its bytes get in unseen. */
enum host_revoke { HOST_REVOKE_AUTO, HOST_GUARD, HOST_PROTECT };
enum host_publish { HOST_PUBLISH_AUTO, HOST_WRITE, HOST_MOVE };

/* What this system has, found out by trying. */
struct host_means {
	bool guard_anon;     /* MADV_GUARD_INSTALL on anonymous memory */
	bool guard_seen;     /* pagemap bit 58 shows a guard */
	bool proc_mem_write; /* /proc/self/mem writes into PROT_NONE pages */
	bool pagemap;
	bool procmap_query;
	bool memfd;
	bool wipe_on_fork;
	bool fault_code;     /* the error code tells a write from a read */
	bool droppable;      /* MAP_DROPPABLE exists */
	uint64_t max_map_count;
};

struct host_choice {
	enum host_revoke revoke;
	enum host_publish publish;
};

/* What the means are. Context: may sleep; no memory of anybody changes. */
void host_find_means(struct host_means *out);

/*
 * AUTO became what the means allow; `why` strings are static.
 * Returns: 0; -ENOSYS when a forced choice is impossible here.
 */
int host_choose(const struct host_means *means, struct host_choice *choice,
		const char **why_revoke, const char **why_publish);

/* The one host mmu. Returns: 0 and *out; -ENOMEM; -errno of open(2). */
int mmu_host_create(const struct host_means *means,
		    const struct host_choice *choice,
		    struct mmu **out) must_check;

/*
 * Whether the number is one of the host mmu's own files, which must survive a
 * program that closes whatever there is. Context: trap.
 */
bool host_owns_fd(int fd);

/* ---- traps ---- */

enum host_verdict {
	HOST_RETRY,
	HOST_WAIT,
	HOST_SEGV_MAPERR,
	HOST_SEGV_ACCERR,
	HOST_BUS,
	HOST_NOT_OURS
};

#define HOST_TRAP_WRITE 1u
#define HOST_TRAP_EXEC 2u
#define HOST_TRAP_KERNEL 4u /* our own access for a system call's sake */

/* What a bounced thread waits for; copied to its stack, holds no lock. */
struct host_wait {
	_Atomic uint32_t *word;
	uint32_t seen;
	uint32_t slot;
	void *owner;
};

struct host_trap {
	/* Decides. Context: trap. */
	enum host_verdict (*fault)(va_t va, unsigned access,
				   struct host_wait *wait);
	/* Whether memory is watched, and so may be missing. Context: trap. */
	bool (*is_watched)(va_t va, size_t n);
	/* The wait is given up. Context: trap. */
	void (*withdraw)(const struct host_wait *wait);
	/*
	 * Called about once a second by a thread that waits: a chance to find
	 * that whoever should wake it is gone. Context: trap.
	 */
	void (*tick)(const struct host_wait *wait);
	/*
	 * This process is the child of a fork that nobody announced: whatever
	 * was watched is let go. Context: trap.
	 */
	void (*forked)(void);
};

/*
 * SIGSEGV and SIGBUS are ours; the program's actions for them, and for every
 * other signal, are kept and called as if we were not there.
 *
 * Returns: 0; -errno of rt_sigaction.
 */
int trap_install(const struct host_trap *trap, struct mmu *mmu) must_check;
bool trap_is_installed(void);

/* The mmu is about to be destroyed; another follows. Context: trap. */
void trap_forget_mmu(void);

/* How many SIGSEGV and SIGBUS came, and how many were the program's own. */
void trap_counts(uint64_t *taken, uint64_t *forwarded);

/* As sigaction(2) and sigprocmask(2), virtual for SIGSEGV and SIGBUS. */
int trap_sigaction(int sig, const struct sigaction *act,
		   struct sigaction *old);
int trap_sigmask(int how, const sigset_t *set, sigset_t *old);

/* Whether this process is the one that installed the trap (not its fork). */
bool trap_is_same_process(void);
/* This process is the child of a fork that was announced: all is known. */
void trap_after_fork(void);

/* ---- signals during our own calls ---- */

struct busy;

/* What a call of ours found when it began. */
struct host_mask {
	uint64_t saved;    /* the mask before, when signals are blocked */
	struct busy *busy; /* or who keeps them; see busy.c */
};

/*
 * No handler of the program's runs in this thread. Called where one of our
 * calls begins, so the thread's id is made sure of, too. May be nested.
 *
 * Context: any but the trap.
 */
void host_block_signals(struct host_mask *mask);

/* They may run again, and those that were kept do. Context: as above. */
void host_restore_signals(const struct host_mask *mask);

/*
 * Every handler of the program's is installed through trap_sigaction() from
 * now on, so signals need not be blocked for fear of them. Context: any.
 */
void host_defer_signals(void);

/* In the child of a fork, instead of host_restore_signals(). */
void host_busy_after_fork(const struct host_mask *mask);

/* ---- looking a while before sleeping (crowd.c) ---- */

/* What one kind of wait has found out. All zero to begin with. */
struct crowd {
	_Atomic uint32_t waits;  /* [a] begun */
	_Atomic uint32_t sleeps; /* [a] that came to nothing, this window */
	_Atomic bool is_vain;    /* [a] looking brought little lately */
};

/*
 * How often to look before sleeping; 0: do not. Who sleeps after looking
 * counts it in crowd->sleeps. Context: trap.
 */
uint32_t crowd_looks(struct crowd *crowd);

/* ---- the program's memory (usercopy.S) ---- */

/* Bytes copied; see mmu_ops.copy_in. */
size_t host_copy_nofault(void *dst, const void *src, size_t n);
size_t host_copy_fault(void *dst, const void *src, size_t n);

/*
 * A write access of the kernel's kind was made to the byte, which is as it
 * was; may sleep in a fault. Returns: whether it could be made.
 */
bool host_touch_write(void *byte);

/*
 * The first address of the range that is locked memory (mlock); r.end: none.
 * Cheap when none is.
 */
va_t host_find_locked(struct range r);

/* The number of mappings of this process now; 0 when unknown. */
uint64_t host_count_vmas(void);

#endif /* HOST_HOST_H */
