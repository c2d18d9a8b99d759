/* SPDX-License-Identifier: MIT */
/*
 * Two tables of signal actions: the real one, where SIGSEGV and SIGBUS are
 * ours and every handler is behind ours, and the one the program sees.
 */
#include "mmu/host/disposition.h"

#include "base/mem.h"
#include "base/raw.h"
#include "base/sync.h"
#include "mmu/host/state.h"

#include <errno.h>
#include <sys/syscall.h>

#define SIGNALS 64
#define KERNEL_SA_RESTORER 0x04000000ul
/* libc's own, for cancellation and set*id; it relies on their exact context. */
#define LIBC_SIGNAL_FIRST 32
#define LIBC_SIGNAL_LAST 33

/* The kernel's struct sigaction. */
struct action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

void disposition_restore(void);
__asm__(".text\n"
	".hidden disposition_restore\n"
	".globl disposition_restore\n"
	".type disposition_restore, @function\n"
	"	nop\n"
	"disposition_restore:\n"
	"	mov $15, %rax\n"
	"	syscall\n"
	".size disposition_restore, . - disposition_restore\n");

static struct {
	_Atomic bool is_installed;     /* [a] */
	disposition_fn on_trap;        /* [I] */
	disposition_fn on_signal;      /* [I] */
	struct lock lock;              /* guards `actions` against writers */
	struct action actions[SIGNALS + 1]; /* [L] what the program set */
} table;

/* Whether this thread believes to have SIGSEGV, SIGBUS blocked. */
static __thread uint64_t believed_blocked
	__attribute__((tls_model("initial-exec")));

static uint64_t bit_of(int sig)
{
	return 1ull << (sig - 1);
}

static uint64_t trap_bits(void)
{
	return bit_of(SIGSEGV) | bit_of(SIGBUS);
}

static bool is_trap(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS;
}

/* Ours to virtualise: not libc's, and the kernel lets it be changed. */
static bool is_virtual(int sig)
{
	return sig >= 1 && sig <= SIGNALS && sig != SIGKILL && sig != SIGSTOP &&
	       (sig < LIBC_SIGNAL_FIRST || sig > LIBC_SIGNAL_LAST);
}

static long real_action(int sig, const struct action *act, struct action *old)
{
	return raw_call(SYS_rt_sigaction, sig, act, old, sizeof(uint64_t));
}

static bool is_function(const struct action *act)
{
	return act->handler != SIG_DFL && act->handler != SIG_IGN;
}

/* The action that the kernel shall have for what the program wants. */
static struct action action_behind(int sig, const struct action *wanted)
{
	struct action real = *wanted;
	unsigned long kept = SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT |
			     SA_ONSTACK;

	real.restorer = disposition_restore;
	real.mask = ~trap_bits();
	if (is_trap(sig)) {
		real.handler = (void (*)(int))(uintptr_t)table.on_trap;
		real.flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER |
			     SA_RESTART | KERNEL_SA_RESTORER;
	} else if (is_function(wanted)) {
		real.handler = (void (*)(int))(uintptr_t)table.on_signal;
		real.flags = (wanted->flags & kept) | SA_SIGINFO |
			     KERNEL_SA_RESTORER;
	} else {
		real.flags = (wanted->flags & kept) | KERNEL_SA_RESTORER;
	}
	return real;
}

static int set_virtual(int sig, const struct action *wanted)
{
	struct action real = action_behind(sig, wanted);
	long err;

	table.actions[sig] = *wanted;
	err = real_action(sig, &real, NULL);
	return (int)err;
}

int disposition_install(disposition_fn on_trap, disposition_fn on_signal)
{
	struct action act;
	int err = 0;

	table.on_trap = on_trap;
	table.on_signal = on_signal;
	lock_init(&table.lock, RANK_NONE);
	for (int sig = 1; sig <= SIGNALS && !err; sig++) {
		if (!is_virtual(sig) || real_action(sig, NULL, &act))
			continue;
		table.actions[sig] = act;
		if (is_trap(sig) || is_function(&act))
			err = set_virtual(sig, &act);
	}
	atomic_store(&table.is_installed, true);
	return err;
}

/* ---- delivering ---- */

static void set_mask(uint64_t mask)
{
	raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
}

/* A signal at its default, for good: the process is about to end by it. */
static void die_of(int sig, const siginfo_t *info, int really)
{
	struct action dfl = { .handler = SIG_DFL,
			      .flags = KERNEL_SA_RESTORER,
			      .restorer = disposition_restore };

	real_action(sig, &dfl, NULL);
	if (sig == really && info->si_code > 0)
		return; /* the access is made again and kills */
	set_mask(0);
	raw_call(SYS_tgkill, raw_call(SYS_getpid), raw_call(SYS_gettid), sig);
}

/*
 * Whether the program would have this thread's signal blocked: a fault then
 * ends it. Inside its own handler that is told by LIBC_SIGNAL_FIRST being
 * blocked, a bit that travels with the mask wherever the handler returns or
 * jumps to.
 */
static bool is_believed_blocked(int sig, uint64_t mask)
{
	if (sig == SIGSEGV && (mask & bit_of(LIBC_SIGNAL_FIRST)))
		return true;
	return believed_blocked & bit_of(sig);
}

void disposition_deliver(int sig, siginfo_t *info, ucontext_t *uc, int really)
{
	struct action act = table.actions[sig];
	uint64_t before = *(const uint64_t *)(const void *)&uc->uc_sigmask;
	uint64_t mask = before | act.mask;

	if (act.handler == SIG_IGN && info->si_code <= 0)
		return;
	if (is_trap(sig) && (!is_function(&act) ||
			     (info->si_code > 0 &&
			      is_believed_blocked(sig, before)))) {
		die_of(sig, info, really);
		return;
	}
	if (!is_function(&act))
		return;
	if (!(act.flags & SA_NODEFER))
		mask |= bit_of(sig == SIGSEGV ? LIBC_SIGNAL_FIRST : sig);
	if (act.flags & SA_RESETHAND)
		table.actions[sig].handler = SIG_DFL;
	if ((act.flags & SA_RESETHAND) && !is_trap(sig))
		set_virtual(sig, &table.actions[sig]);
	set_mask(mask & ~trap_bits());
	((disposition_fn)(uintptr_t)act.handler)(sig, info, uc);
}

/* ---- the program's calls ---- */

static void to_libc(const struct action *from, struct sigaction *to)
{
	mem_set(to, 0, sizeof(*to));
	to->sa_handler = from->handler;
	to->sa_flags = (int)(from->flags & ~KERNEL_SA_RESTORER);
	*(uint64_t *)(void *)&to->sa_mask = from->mask;
}

static struct action from_libc(const struct sigaction *from)
{
	return (struct action){
		.handler = from->sa_handler,
		.flags = (unsigned)from->sa_flags | KERNEL_SA_RESTORER,
		.restorer = disposition_restore,
		.mask = *(const uint64_t *)(const void *)&from->sa_mask,
	};
}

static int pass_action(int sig, const struct sigaction *act,
		       struct sigaction *old)
{
	struct action wanted, had;
	long err;

	if (act)
		wanted = from_libc(act);
	err = real_action(sig, act ? &wanted : NULL, old ? &had : NULL);
	if (!err && old)
		to_libc(&had, old);
	return (int)err;
}

int trap_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct host_mask mask;
	struct action wanted, had;
	int err = 0;

	if (!atomic_load(&table.is_installed) || !is_virtual(sig))
		return pass_action(sig, act, old);
	if (act)
		wanted = from_libc(act);
	host_block_signals(&mask);
	lock_take(&table.lock);
	had = table.actions[sig];
	if (act)
		err = set_virtual(sig, &wanted);
	lock_drop(&table.lock);
	host_restore_signals(&mask);
	if (!err && old)
		to_libc(&had, old);
	return err;
}

int trap_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	uint64_t believed = believed_blocked;
	uint64_t want = 0, had = 0;
	long err;

	if (set) {
		want = *(const uint64_t *)(const void *)set;
		if (how == SIG_BLOCK)
			believed |= want & trap_bits();
		else if (how == SIG_UNBLOCK)
			believed &= ~want;
		else
			believed = want & trap_bits();
		if (how != SIG_UNBLOCK)
			want &= ~trap_bits();
	}
	err = raw_call(SYS_rt_sigprocmask, how, set ? &want : NULL, &had,
		       sizeof(had));
	if (err)
		return (int)err;
	if (old)
		*(uint64_t *)(void *)old = had | believed_blocked;
	believed_blocked = believed;
	return 0;
}
