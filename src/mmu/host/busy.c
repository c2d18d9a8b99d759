/* SPDX-License-Identifier: MIT */
/*
 * Signals during our own calls.
 *
 * A handler of the program's that ran while its thread holds one of our
 * locks, and then met missing memory, would wait for itself. Two remedies:
 *
 *   block   every signal is blocked for the time: two system calls
 *   defer   where every handler of the program's is behind ours (the preload
 *           shim sees to that), ours looks here first: is the thread busy?
 *           Then the signal is kept, everything is blocked from here on, and
 *           when the call ends the signal is sent again. Costs nothing while
 *           none comes.
 *
 * Who is busy is found by thread id in a table: thread-local storage may be
 * shared with another thread, and the stack may be anyone's.
 */
#include "mmu/host/host.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/raw.h"
#include "base/sync.h"
#include "mmu/host/disposition.h"

#include <sys/syscall.h>

#define BUSY_SLOTS 512

/* A thread on its way out: it keeps the slot, but no more signals. */
#define BUSY_LEAVING 0x80000000u

/*
 * Guards: [a] atomic; [T] only the thread itself, and its own handlers. A free
 * slot has depth 0 and keeps nothing.
 */
struct busy {
	_Atomic uint32_t tid; /* [a] 0: free; with BUSY_LEAVING */
	uint32_t depth;       /* [T] calls within calls */
	volatile bool is_kept; /* [T] a signal is kept, all are blocked */
	uint64_t mask;        /* [T] as it was before */
	siginfo_t info;       /* [T] the signal */
};

static struct busy table[BUSY_SLOTS];
static _Atomic bool is_deferring;

static uint64_t our_mask(void)
{
	return ~(1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1));
}

static uint64_t change_mask(uint64_t mask)
{
	uint64_t old = 0;

	raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &old, sizeof(mask));
	return old;
}

static struct busy *busy_of(uint32_t tid)
{
	struct busy *b = &table[tid % BUSY_SLOTS];

	return atomic_load_explicit(&b->tid, memory_order_relaxed) == tid
		       ? b
		       : NULL;
}

/* A slot for the thread; NULL when there is none at its place. */
static struct busy *busy_claim(uint32_t tid)
{
	struct busy *b = &table[tid % BUSY_SLOTS];
	uint32_t none = 0;

	if (atomic_load_explicit(&b->tid, memory_order_relaxed) == tid)
		return b;
	return atomic_compare_exchange_strong(&b->tid, &none, tid) ? b : NULL;
}

void host_defer_signals(void)
{
	atomic_store(&is_deferring, true);
}

void host_block_signals(struct host_mask *mask)
{
	/* Another thread may have been on this stack, with this storage. */
	uint32_t tid = sync_ask_self();
	struct busy *b = NULL;

	if (atomic_load_explicit(&is_deferring, memory_order_relaxed) &&
	    trap_is_installed())
		b = busy_claim(tid);
	mask->busy = b;
	if (b)
		b->depth++;
	else
		mask->saved = change_mask(our_mask());
}

/* The kept signal is delivered as the old mask comes back. */
static void send_again(const siginfo_t *info, uint64_t mask)
{
	raw_call(SYS_rt_tgsigqueueinfo, raw_call(SYS_getpid),
		 raw_call(SYS_gettid), info->si_signo, info);
	change_mask(mask);
}

/*
 * After the slot says that the thread is leaving no signal is kept any more,
 * and until it is free nobody else has it; so what was kept is seen here.
 */
static void leave(struct busy *b)
{
	uint32_t tid = atomic_load_explicit(&b->tid, memory_order_relaxed);
	siginfo_t info;
	uint64_t mask;

	atomic_store(&b->tid, tid | BUSY_LEAVING);
	if (!b->is_kept) {
		atomic_store_explicit(&b->tid, 0, memory_order_release);
		return;
	}
	info = b->info;
	mask = b->mask;
	b->is_kept = false;
	atomic_store(&b->tid, 0);
	send_again(&info, mask);
}

void host_restore_signals(const struct host_mask *mask)
{
	struct busy *b = mask->busy;

	if (!b) {
		change_mask(mask->saved);
		return;
	}
	if (--b->depth == 0)
		leave(b);
}

bool busy_keeps(const siginfo_t *info, ucontext_t *uc)
{
	uint64_t *mask = (uint64_t *)(void *)&uc->uc_sigmask;
	struct busy *b;

	if (!atomic_load_explicit(&is_deferring, memory_order_relaxed))
		return false;
	b = busy_of((uint32_t)raw_call(SYS_gettid));
	if (!b)
		return false;
	check(!b->is_kept);
	b->mask = *mask;
	b->info = *info;
	b->is_kept = true;
	*mask = our_mask();
	return true;
}

void host_busy_after_fork(const struct host_mask *mask)
{
	struct busy *b = mask->busy;
	bool was_kept = b && b->is_kept;
	uint64_t saved = b ? b->mask : mask->saved;

	mem_set(table, 0, sizeof(table));
	if (!b || was_kept)
		change_mask(saved);
}
