/* SPDX-License-Identifier: MIT */
/*
 * System calls without libc: no errno, no cancellation, no interposer.
 *
 * Every raw_*() returns what the kernel returned: a result, or -errno. They
 * are async-signal-safe and do not touch thread-local storage, so the trap
 * may use them in threads that share their parent's.
 */
#ifndef BASE_RAW_H
#define BASE_RAW_H

#include "base/types.h"

/*
 * The system call `nr` was made with six arguments.
 *
 * Context: trap.
 * Returns: the kernel's result, -errno included.
 */
static inline long raw_call6(long nr, long a, long b, long c, long d, long e,
			     long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/* Arguments of any scalar or pointer type, zero where left out. */
#define raw_arg(x) ((long)(uintptr_t)(x))
#define raw_call(...) raw_call_pick(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define raw_call_pick(nr, a, b, c, d, e, f, ...)                      \
	raw_call6((nr), raw_arg(a), raw_arg(b), raw_arg(c), raw_arg(d), \
		  raw_arg(e), raw_arg(f))

#endif /* BASE_RAW_H */
