/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV and SIGBUS: is the access ours to answer, or the program's own?
 *
 * The kernel delivers on whatever stack the program chose, perhaps 8 KiB of
 * alternate stack. So the handler stands on that stack with two small frames
 * and does its work on a scratch stack; and it never sleeps (bounce.c does).
 */
#include "mmu/host/host.h"

#include "base/check.h"
#include "base/heap.h"
#include "base/mem.h"
#include "base/raw.h"
#include "mmu/host/bounce.h"
#include "mmu/host/decode.h"
#include "mmu/host/disposition.h"
#include "mmu/host/state.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define SCRATCH_BYTES (32u << 10)
#define SCRATCH_STACKS 64
#define TRAP_WINDOW_NS 50000000ull
#define TRAP_PROTECTION 2 /* SEGV_ACCERR: mapped, but not so */
#define TRAP_ERROR_WRITE 2u
#define TRAP_ERROR_EXEC 16u

extern const char host_copy_nofault_insn[], host_copy_nofault_fixup[];
extern const char host_copy_fault_insn[], host_copy_fault_fixup[];
extern const char host_touch_write_insn[], host_touch_write_fixup[];
void trap_on_stack(void (*fn)(void *), void *arg, void *stack_top);

/* One trap, handed from stack to stack. */
struct trap_call {
	int sig;
	siginfo_t *info;
	ucontext_t *uc;
	enum host_verdict verdict;
	struct bounce_room *room;
};

static struct {
	struct host_trap ops;           /* [I] once installed */
	struct host *host;              /* [I] */
	uint8_t *scratch;               /* [I] SCRATCH_STACKS stacks */
	_Atomic uint64_t scratch_used;  /* [a] a bit each */
	_Atomic uint64_t taken;         /* [a] */
	_Atomic uint64_t forwarded;     /* [a] */
	bool is_installed;              /* [I] */
} trap;

/* ---- scratch stacks ---- */

/* Returns the number of a free stack; -1 when all are in use. */
static int scratch_take(void)
{
	uint64_t used = atomic_load(&trap.scratch_used);

	while (~used) {
		int n = __builtin_ctzll(~used);

		if (atomic_compare_exchange_weak(&trap.scratch_used, &used,
						 used | 1ull << n))
			return n;
	}
	return -1;
}

static void scratch_drop(int n)
{
	atomic_fetch_and(&trap.scratch_used, ~(1ull << n));
}

static void on_scratch(void (*fn)(void *), void *arg)
{
	int n = scratch_take();

	if (n < 0) {
		fn(arg);
		return;
	}
	trap_on_stack(fn, arg,
		      trap.scratch + (size_t)(n + 1) * SCRATCH_BYTES);
	scratch_drop(n);
}

/* ---- deciding ---- */

static uint64_t context_rip(const ucontext_t *uc)
{
	return (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
}

static void context_jump(ucontext_t *uc, const char *to)
{
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)to;
}

static bool is_copying(const ucontext_t *uc, const char *insn)
{
	return context_rip(uc) == (uintptr_t)insn;
}

/*
 * Where to go on when an access that we make for a system call's sake is
 * refused for good; NULL: this is not such an access.
 */
static const char *kernel_access_fixup(const ucontext_t *uc)
{
	if (is_copying(uc, host_copy_fault_insn))
		return host_copy_fault_fixup;
	if (is_copying(uc, host_touch_write_insn))
		return host_touch_write_fixup;
	return NULL;
}

static unsigned context_access(const ucontext_t *uc, va_t va)
{
	uint64_t code = (uint64_t)uc->uc_mcontext.gregs[REG_ERR];
	unsigned access = 0;

	if (!trap.host || trap.host->means.fault_code) {
		if (code & TRAP_ERROR_WRITE)
			access |= HOST_TRAP_WRITE;
		if (code & TRAP_ERROR_EXEC)
			access |= HOST_TRAP_EXEC;
	} else if (decode_is_write(uc, va)) {
		access |= HOST_TRAP_WRITE;
	}
	if (kernel_access_fixup(uc))
		access |= HOST_TRAP_KERNEL;
	return access;
}

/*
 * An access that was refused only because memory next to it was being taken
 * over: the mapping permits it now.
 */
static bool was_in_a_window(const siginfo_t *info, unsigned access)
{
	unsigned needs = access & HOST_TRAP_WRITE ? ACCESS_WRITE : ACCESS_READ;
	va_t va = (va_t)(uintptr_t)info->si_addr;
	struct mmu_mapping m;

	if (!trap.host)
		return false;
	/* The code says that protection was the cause, so it has changed since;
	 * another code may be how this system tells of protection. */
	if (info->si_code != TRAP_PROTECTION &&
	    sync_now_ns() - host_last_window_ns() > TRAP_WINDOW_NS)
		return false;
	return !host_query(trap.host, va, &m) && m.range.start <= va &&
	       (m.prot & needs);
}

/* The scratch stack is slept on only when the interrupted one cannot be. */
static void wait_here(const struct host_wait *wait)
{
	while (sync_wait_change(wait->word, wait->seen, 1000000000) ==
	       -ETIMEDOUT)
		trap.ops.tick(wait);
}

static bool is_watched_stack(const void *at, size_t n)
{
	return trap.ops.is_watched((va_t)(uintptr_t)at, n);
}

static enum host_verdict wait_or_bounce(struct trap_call *call,
					const struct host_wait *wait)
{
	if (!bounce_arm(call->uc, wait, call->room, is_watched_stack))
		wait_here(wait);
	return HOST_RETRY;
}

static enum host_verdict decide_fault(struct trap_call *call)
{
	va_t va = (va_t)(uintptr_t)call->info->si_addr;
	unsigned access = context_access(call->uc, va);
	struct host_wait wait;
	enum host_verdict verdict;

	if (!trap_is_same_process())
		trap.ops.forked();
	verdict = trap.ops.fault(va, access, &wait);
	if (verdict == HOST_WAIT)
		return wait_or_bounce(call, &wait);
	if (verdict == HOST_NOT_OURS && was_in_a_window(call->info, access))
		return HOST_RETRY;
	if (verdict != HOST_RETRY && (access & HOST_TRAP_KERNEL)) {
		context_jump(call->uc, kernel_access_fixup(call->uc));
		return HOST_RETRY;
	}
	return verdict;
}

/* bounce.S asks: its sleep was cut short, or has lasted a while. */
static void decide_tick(struct trap_call *call)
{
	struct bounce_record *record = bounce_of(call->uc);
	struct host_wait wait;

	if (!record)
		return;
	wait = bounce_wait(record);
	if (record->reason == (uint32_t)-EINTR) {
		trap.ops.withdraw(&wait);
		bounce_undo(call->uc, record);
	} else {
		trap.ops.tick(&wait);
	}
}

static void decide(void *arg)
{
	struct trap_call *call = arg;

	sync_ask_self();
	if (bounce_is_tick(call->info)) {
		decide_tick(call);
		call->verdict = HOST_RETRY;
	} else if (call->info->si_code > 0) {
		call->verdict = decide_fault(call);
	}
}

/* ---- the handler ---- */

/* The program's own business, or made it by the verdict. */
static void forward(struct trap_call *call)
{
	siginfo_t info = *call->info;

	atomic_fetch_add_explicit(&trap.forwarded, 1, memory_order_relaxed);
	switch (call->verdict) {
	case HOST_BUS:
		info.si_signo = SIGBUS;
		info.si_code = BUS_ADRERR;
		break;
	case HOST_SEGV_MAPERR:
		info.si_signo = SIGSEGV;
		info.si_code = SEGV_MAPERR;
		break;
	case HOST_SEGV_ACCERR:
		info.si_signo = SIGSEGV;
		info.si_code = SEGV_ACCERR;
		break;
	default:
		break;
	}
	disposition_deliver(info.si_signo, &info, call->uc, call->sig);
}

/* ---- any other signal that the program handles ---- */

static void decide_undo(void *arg)
{
	struct trap_call *call = arg;
	struct bounce_record *record = bounce_of(call->uc);
	struct host_wait wait = bounce_wait(record);

	sync_ask_self();
	trap.ops.withdraw(&wait);
	bounce_undo(call->uc, record);
}

/*
 * A thread that waits for a page is, to its program, at the access: the wait
 * is taken back before the handler runs, which may jump out and never return.
 */
static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct trap_call call = { sig, info, context, HOST_RETRY, NULL };

	if (busy_keeps(info, context))
		return;
	if (bounce_of(context))
		on_scratch(decide_undo, &call);
	disposition_deliver(sig, info, context, sig);
}

/* ---- SIGSEGV and SIGBUS ---- */

static void on_trap(int sig, siginfo_t *info, void *context)
{
	struct bounce_room room;
	struct trap_call call = { sig, info, context, HOST_NOT_OURS, &room };

	if (info->si_code <= 0 && !bounce_is_tick(info)) {
		/* Sent by somebody, not caused by an access. */
		on_signal(sig, info, context);
		return;
	}
	if (is_copying(context, host_copy_nofault_insn)) {
		context_jump(context, host_copy_nofault_fixup);
		return;
	}
	atomic_fetch_add_explicit(&trap.taken, 1, memory_order_relaxed);
	on_scratch(decide, &call);
	if (call.verdict != HOST_RETRY)
		forward(&call);
}

/* ---- installing ---- */

int trap_install(const struct host_trap *ops, struct mmu *mmu)
{
	void *stacks;
	int err;

	if (trap.is_installed) {
		/* A fork's child: all is in place but the mmu. */
		trap.host = host_of(mmu);
		return 0;
	}
	err = heap_map((size_t)SCRATCH_STACKS * SCRATCH_BYTES, false, &stacks);
	if (err)
		return err;
	trap.scratch = stacks;
	trap.ops = *ops;
	trap.host = host_of(mmu);
	trap.is_installed = true;
	trap_after_fork();
	return disposition_install(on_trap, on_signal);
}

bool trap_is_installed(void)
{
	return trap.is_installed;
}

void trap_forget_mmu(void)
{
	trap.host = NULL;
}

void trap_counts(uint64_t *taken, uint64_t *forwarded)
{
	*taken = atomic_load(&trap.taken);
	*forwarded = atomic_load(&trap.forwarded);
}
