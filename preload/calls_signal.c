/* SPDX-License-Identifier: MIT */
/*
 * Signals: SIGSEGV and SIGBUS are how faults arrive, so the program's actions
 * and masks for them are kept by the library and never become real.
 */
#include "calls.h"

/* libc's own signals (cancellation, set*id) are nobody's to touch. */
#define FIRST_INTERNAL 32
#define LAST_INTERNAL 33
#define INTERNAL_BITS                                                       \
	((1ul << (FIRST_INTERNAL - 1)) | (1ul << (LAST_INTERNAL - 1)))

/* [a] Signals that shall interrupt calls when set by signal(). */
static _Atomic uint64_t interrupting;

static bool is_internal(int sig)
{
	return sig >= FIRST_INTERNAL && sig <= LAST_INTERNAL;
}

SHIM int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	const struct next_calls *real = next();

	if (is_internal(sig))
		return real->sigaction(sig, act, old);
	return pf_sigaction(sig, act, old);
}

SHIM_ALIAS(__sigaction, sigaction);

static sighandler_t set_handler(int sig, sighandler_t handler, int flags)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = flags };
	struct sigaction old;

	if (handler == SIG_ERR || sig < 1 || sig >= NSIG) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (!(flags & SA_NODEFER))
		sigaddset(&act.sa_mask, sig);
	if (sigaction(sig, &act, &old) < 0)
		return SIG_ERR;
	return old.sa_handler;
}

SHIM sighandler_t signal(int sig, sighandler_t handler)
{
	uint64_t bit = sig > 0 && sig < NSIG ? 1ull << (sig - 1) : 0;
	bool interrupts = (atomic_load(&interrupting) & bit) != 0;

	return set_handler(sig, handler, interrupts ? 0 : SA_RESTART);
}

SHIM_ALIAS(bsd_signal, signal);
SHIM_ALIAS(ssignal, signal);

SHIM sighandler_t sysv_signal(int sig, sighandler_t handler)
{
	return set_handler(sig, handler,
			   (int)(SA_RESETHAND | SA_NODEFER));
}

SHIM_ALIAS(__sysv_signal, sysv_signal);

SHIM int siginterrupt(int sig, int is_on)
{
	struct sigaction act;

	if (sigaction(sig, NULL, &act) < 0)
		return -1;
	if (is_on) {
		act.sa_flags &= ~SA_RESTART;
		atomic_fetch_or(&interrupting, 1ull << (sig - 1));
	} else {
		act.sa_flags |= SA_RESTART;
		atomic_fetch_and(&interrupting, ~(1ull << (sig - 1)));
	}
	return sigaction(sig, &act, NULL);
}

/* ---- masks ---- */

SHIM int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;

	(void)next();
	if (set) {
		copy = *set;
		copy.__val[0] &= ~INTERNAL_BITS;
		set = &copy;
	}
	return pf_sigmask(how, set, old);
}

SHIM int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	int saved = errno;
	int result = 0;

	if (sigprocmask(how, set, old) < 0)
		result = errno;
	errno = saved;
	return result;
}

SHIM int sigsuspend(const sigset_t *mask)
{
	sigset_t copy;

	return next()->sigsuspend(shim_strip_mask(mask, &copy));
}

SHIM_ALIAS(__sigsuspend, sigsuspend);

SHIM int pthread_attr_setsigmask_np(pthread_attr_t *attr, const sigset_t *mask)
{
	sigset_t copy;

	return next()->pthread_attr_setsigmask_np(
		attr, shim_strip_mask(mask, &copy));
}

static int mask_one(int how, int sig, sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	if (sigaddset(&set, sig) < 0)
		return -1;
	return sigprocmask(how, &set, old);
}

SHIM int sighold(int sig)
{
	return mask_one(SIG_BLOCK, sig, NULL);
}

SHIM int sigrelse(int sig)
{
	return mask_one(SIG_UNBLOCK, sig, NULL);
}

SHIM int sigignore(int sig)
{
	return set_handler(sig, SIG_IGN, 0) == SIG_ERR ? -1 : 0;
}

SHIM sighandler_t sigset(int sig, sighandler_t handler)
{
	struct sigaction before;
	sighandler_t was;
	sigset_t old;

	if (handler == SIG_HOLD) {
		if (sigaction(sig, NULL, &before) < 0 ||
		    mask_one(SIG_BLOCK, sig, &old) < 0)
			return SIG_ERR;
		return sigismember(&old, sig) ? SIG_HOLD : before.sa_handler;
	}
	was = set_handler(sig, handler, 0);
	if (was == SIG_ERR || mask_one(SIG_UNBLOCK, sig, &old) < 0)
		return SIG_ERR;
	return sigismember(&old, sig) ? SIG_HOLD : was;
}

static int low_mask(int how, int mask, int *old)
{
	sigset_t set, was;

	sigemptyset(&set);
	set.__val[0] = (unsigned)mask;
	if (sigprocmask(how, &set, &was) < 0)
		return -1;
	*old = (int)was.__val[0];
	return 0;
}

SHIM int sigblock(int mask)
{
	int old;

	return low_mask(SIG_BLOCK, mask, &old) ? -1 : old;
}

SHIM int sigsetmask(int mask)
{
	int old;

	return low_mask(SIG_SETMASK, mask, &old) ? -1 : old;
}

/* ---- the system calls' own layouts ---- */

struct kernel_action {
	void (*handler)(int);   /* [I] */
	unsigned long flags;    /* [I] */
	void (*restorer)(void); /* [I] */
	uint64_t mask;          /* [I] */
};

long signal_raw_action(int sig, const void *act, void *old, size_t mask_bytes)
{
	struct sigaction to = { 0 }, from = { 0 };
	struct kernel_action in, out = { 0 };

	if (mask_bytes != sizeof(in.mask))
		return shim_fail(EINVAL);
	if (act) {
		if (pf_copy_from_program(&in, act, sizeof(in)) != sizeof(in))
			return shim_fail(EFAULT);
		to.sa_handler = in.handler;
		to.sa_flags = (int)in.flags;
		to.sa_mask.__val[0] = in.mask;
	}
	if (sigaction(sig, act ? &to : NULL, &from) < 0)
		return -1;
	out.handler = from.sa_handler;
	out.flags = (unsigned)from.sa_flags;
	out.mask = from.sa_mask.__val[0];
	if (old && pf_copy_to_program(old, &out, sizeof(out)) != sizeof(out))
		return shim_fail(EFAULT);
	return 0;
}

long signal_raw_mask(int how, const void *set, void *old, size_t mask_bytes)
{
	sigset_t to = { 0 }, from;

	if (mask_bytes != sizeof(uint64_t))
		return shim_fail(EINVAL);
	if (set && pf_copy_from_program(&to, set, mask_bytes) != mask_bytes)
		return shim_fail(EFAULT);
	if (sigprocmask(how, set ? &to : NULL, &from) < 0)
		return -1;
	if (old && pf_copy_to_program(old, &from, mask_bytes) != mask_bytes)
		return shim_fail(EFAULT);
	return 0;
}
