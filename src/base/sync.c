/* SPDX-License-Identifier: MIT */
/*
 * Waiting on a word, waking, time and CPUs: what locks are built from.
 */
#include "base/sync.h"

#include "base/check.h"
#include "base/raw.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#define NS_PER_S ((uint64_t)1000 * 1000 * 1000)
#define CPU_WORDS 128

uint32_t sync_futex_scope = FUTEX_PRIVATE_FLAG;

void sync_share_words(void)
{
	sync_futex_scope = 0;
}

/* An absolute deadline, so that a wait begun anew does not grow longer. */
static int wait_until(_Atomic uint32_t *word, uint32_t seen,
		      const struct timespec *deadline)
{
	long ret;

	for (;;) {
		if (atomic_load(word) != seen)
			return 0;
		ret = raw_call(SYS_futex, word,
			       FUTEX_WAIT_BITSET | sync_futex_scope, seen,
			       deadline, NULL, FUTEX_BITSET_MATCH_ANY);
		if (ret == -EINTR || ret == -ETIMEDOUT)
			return atomic_load(word) != seen ? 0 : (int)ret;
		check(ret == 0 || ret == -EAGAIN);
	}
}

int sync_wait_change(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_ns)
{
	struct timespec deadline;
	uint64_t at;

	if (timeout_ns < 0)
		return wait_until(word, seen, NULL);
	at = sync_now_ns() + (uint64_t)timeout_ns;
	deadline.tv_sec = (time_t)(at / NS_PER_S);
	deadline.tv_nsec = (long)(at % NS_PER_S);
	return wait_until(word, seen, &deadline);
}

void sync_wake_all(_Atomic uint32_t *word)
{
	raw_call(SYS_futex, word, FUTEX_WAKE | sync_futex_scope, INT_MAX);
}

uint64_t sync_now_ns(void)
{
	struct timespec now;

	/* libc's takes no system call, and is async-signal-safe. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static unsigned count_cpus(void)
{
	uint64_t mask[CPU_WORDS];
	long bytes = raw_call(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	unsigned n = 0;

	for (long i = 0; i < bytes / (long)sizeof(mask[0]); i++)
		n += (unsigned)__builtin_popcountll(mask[i]);
	return n ? n : 1;
}

unsigned sync_cpus(void)
{
	static _Atomic unsigned cpus;
	unsigned n = atomic_load_explicit(&cpus, memory_order_relaxed);

	if (!n) {
		n = count_cpus();
		atomic_store(&cpus, n);
	}
	return n;
}
