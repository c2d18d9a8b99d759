/* SPDX-License-Identifier: MIT */
/*
 * What every interposed function shares: whether a call concerns us.
 *
 * Until the first object exists (or one was received), each test here is one
 * load and one branch, and every call goes to libc's own function. The same
 * stays true for ever where the kernel's userfaultfd is used.
 */
#ifndef PRELOAD_SHIM_H
#define PRELOAD_SHIM_H

#include "next.h"

#include "polyfault/interpose.h"
#include "polyfault/userfaultfd.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

/* A function that takes the place of libc's, and its other names. */
#define SHIM __attribute__((visibility("default")))
#if __has_attribute(copy)
#define SHIM_LIKE(target) __attribute__((copy(target)))
#else
#define SHIM_LIKE(target)
#endif
#define SHIM_ALIAS(name, target)                                            \
	extern __typeof__(target) name SHIM_LIKE(target)                    \
		__attribute__((visibility("default"), alias(#target)))

#define SHIM_PAGE ((uintptr_t)4096)

/* [a] There is or was an object of ours in this process, or nearly so. */
extern atomic_bool shim_has_objects;

static inline bool shim_is_active(void)
{
	return __builtin_expect(
		atomic_load_explicit(&shim_has_objects, memory_order_relaxed),
		0);
}

/* Whether `fd` is a descriptor of ours. */
static inline bool ours(int fd)
{
	return shim_is_active() && pf_is_userfaultfd(fd);
}

/*
 * `addr` as a mere address: where libc's headers say that a call only writes
 * there, the compiler takes a look at it for a use of unset bytes.
 */
static inline const void *shim_address(const void *addr)
{
	__asm__("" : "+r"(addr));
	return addr;
}

/* Whether the memory is partly or wholly watched. */
static inline bool watched(const void *addr, size_t len)
{
	return shim_is_active() && pf_is_watched(shim_address(addr), len);
}

/* So far above this frame a caller's variable is looked for. */
#define SHIM_STACK_BYTES ((uintptr_t)128 << 10)

/*
 * An argument in the program's memory, which may be a bad address; a caller's
 * variable, which most are, cannot be one. Returns: whether it was readable.
 */
static inline bool shim_peek(void *out, const void *from, size_t n)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	uintptr_t above = (uintptr_t)from - frame;

	if (above < SHIM_STACK_BYTES && n < SHIM_STACK_BYTES - above) {
		__builtin_memcpy(out, from, n);
		return true;
	}
	return pf_copy_from_program(out, from, n) == n;
}

/* errno is set. Returns: -1. */
static inline int shim_fail(int error)
{
	errno = error;
	return -1;
}

/*
 * A descriptor that has just come into being is known if it is ours.
 *
 * Context: any; errno is kept.
 * Returns: `fd`.
 */
int shim_adopt(int fd);

/*
 * Whether this is a child that shares the memory, and so the tables, of the
 * process, but not its descriptors (between vfork and exec): what it does to
 * descriptors must not be noted.
 *
 * Context: any; errno is kept.
 */
bool shim_in_foreign_child(void);

/*
 * The signal mask without SIGSEGV and SIGBUS, which are never really blocked.
 *
 * Context: any.
 * Returns: `mask` itself where it names neither (or is NULL), else `copy`.
 */
const sigset_t *shim_strip_mask(const sigset_t *mask, sigset_t *copy);

/*
 * This process' numbers are in the file that POLYFAULT_STATS names.
 *
 * Context: any; called again, it adds what is new.
 */
void shim_flush_stats(void);

/* The process' numbers so far belong to the parent (after a fork). */
void shim_forget_stats(void);

#endif /* PRELOAD_SHIM_H */
