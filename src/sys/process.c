/* SPDX-License-Identifier: MIT */
/* The space of this process' memory, and what its traps mean. */
#include "sys/process.h"

#include "base/check.h"
#include "base/heap.h"
#include "base/raw.h"
#include "sys/handle.h"
#include "sys/sys.h"

#include <errno.h>

static struct space *_Atomic space;
static struct lock lock = LOCK_INIT(RANK_NONE);

struct space *sys_space(void)
{
	return atomic_load(&space);
}

/* ---- what the trap asks ---- */

static enum host_verdict verdict_of(enum space_outcome outcome)
{
	switch (outcome) {
	case SPACE_RETRY:
		return HOST_RETRY;
	case SPACE_WAIT:
		return HOST_WAIT;
	case SPACE_SEGV_MAPERR:
		return HOST_SEGV_MAPERR;
	case SPACE_SEGV_ACCERR:
		return HOST_SEGV_ACCERR;
	case SPACE_BUS:
		return HOST_BUS;
	case SPACE_NOMEM:
		return HOST_RETRY; /* as the kernel: until there is some */
	case SPACE_NOT_OURS:
		break;
	}
	return HOST_NOT_OURS;
}

static unsigned fault_access(unsigned trap_access)
{
	unsigned access = FAULT_READ;

	if (trap_access & HOST_TRAP_WRITE)
		access |= FAULT_WRITE;
	if (trap_access & HOST_TRAP_EXEC)
		access |= FAULT_EXEC;
	if (trap_access & HOST_TRAP_KERNEL)
		access |= FAULT_KERNEL;
	return access;
}

static enum host_verdict on_fault(va_t va, unsigned access,
				  struct host_wait *wait)
{
	struct space *s = sys_space();
	struct watch_ticket ticket = { 0 };
	enum space_outcome outcome;

	if (!s)
		return HOST_NOT_OURS;
	outcome = space_fault(s, va, fault_access(access), &ticket);
	wait->word = ticket.word;
	wait->seen = ticket.seen;
	wait->slot = ticket.slot;
	wait->owner = ticket.watch;
	return verdict_of(outcome);
}

static bool on_is_watched(va_t va, size_t n)
{
	return sys_is_watched(range_of(va, n));
}

static void on_withdraw(const struct host_wait *wait)
{
	struct watch_ticket ticket = {
		.word = wait->word,
		.seen = wait->seen,
		.slot = wait->slot,
		.watch = wait->owner,
	};

	ticket.watch->ops->withdraw(&ticket);
}

static void on_forked(void)
{
	heap_after_fork(true);
	sys_process_after_fork();
}

static void on_tick(const struct host_wait *wait)
{
	(void)wait;
	handle_reap(NULL);
}

static const struct host_trap trap_ops = {
	.fault = on_fault,
	.is_watched = on_is_watched,
	.withdraw = on_withdraw,
	.tick = on_tick,
	.forked = on_forked,
};

/* ---- making it ---- */

static int make_space(struct space **out)
{
	const struct sys_choice *choice = sys_choice();
	struct space_options options = { .profile = choice->profile };
	int err;

	if (choice->refused[0])
		return -EINVAL;
	sync_share_threads();
	err = mmu_host_create(&choice->means, &choice->host, &options.mmu);
	if (err)
		return err;
	err = space_create(&options, out);
	if (err) {
		options.mmu->ops->destroy(options.mmu);
		return err;
	}
	err = trap_install(&trap_ops, options.mmu);
	if (!err)
		err = sys_follow_forks();
	if (err)
		space_put(*out);
	return err;
}

int sys_process_space(struct space **out)
{
	struct space *made = sys_space();
	int err = 0;

	if (!made) {
		lock_take(&lock);
		made = sys_space();
		if (!made)
			err = make_space(&made);
		if (!err)
			atomic_store(&space, made);
		lock_drop(&lock);
	}
	*out = made;
	return err;
}

/* ---- interposed ---- */

struct pf_real_calls sys_real;

void sys_interposed(const struct pf_real_calls *real)
{
	sys_real = *real;
	host_defer_signals();
}

/* ---- signals ---- */

int sys_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return trap_sigaction(sig, act, old);
}

int sys_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return trap_sigmask(how, set, old);
}

/* ---- after a fork ---- */

/*
 * The tables of the parent's space are in memory that both share, so the
 * child does not touch them: it takes the traps away from its own copy of
 * each watched mapping, and begins with an empty space.
 */
void sys_process_after_fork(void)
{
	struct space *old = sys_space();
	struct range all = { 0, TASK_BYTES };
	struct vma *vma;

	lock_init(&lock, RANK_NONE);
	if (old) {
		struct mmu *mmu = old->home.mmu;

		space_each_vma(old, all, vma)
			mmu->ops->release(mmu, vma->range, vma->prot);
		trap_forget_mmu();
		/* Its files are the parent's: /proc/self/mem, too. */
		mmu->ops->destroy(mmu);
	}
	atomic_store(&space, NULL);
	handle_after_fork();
	trap_after_fork();
}
