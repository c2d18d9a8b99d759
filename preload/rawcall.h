/* SPDX-License-Identifier: MIT */
/*
 * System calls past libc.
 *
 * For what must work before libc's functions have been found, what may not be
 * a cancellation point, and what a libc function would do to the shim's own
 * tables.
 */
#ifndef PRELOAD_RAWCALL_H
#define PRELOAD_RAWCALL_H

/* The arguments of one system call, unused ones anything. */
struct raw_args {
	long number; /* [I] */
	long arg[6]; /* [I] */
};

/*
 * The call is made.
 *
 * Context: trap.
 * Returns: what the kernel says: a result, or -errno. errno is untouched.
 */
static inline long raw_syscall(const struct raw_args *call)
{
	register long r10 __asm__("r10") = call->arg[3];
	register long r8 __asm__("r8") = call->arg[4];
	register long r9 __asm__("r9") = call->arg[5];
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(call->number), "D"(call->arg[0]),
			   "S"(call->arg[1]), "d"(call->arg[2]), "r"(r10),
			   "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* raw_syscall() with the number and up to six arguments spelled out. */
#define RAW(...) raw_syscall(&RAW_PACK(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0))
#define RAW_PACK(number_, a, b, c, d, e, f, ...)                            \
	((const struct raw_args){                                           \
		(long)(number_),                                            \
		{ (long)(a), (long)(b), (long)(c), (long)(d), (long)(e),    \
		  (long)(f) } })

#endif /* PRELOAD_RAWCALL_H */
