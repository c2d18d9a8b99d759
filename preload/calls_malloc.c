/* SPDX-License-Identifier: MIT */
/*
 * free and realloc of blocks that have a mapping to themselves: libc unmaps
 * or moves them with calls of its own that no shim sees. What is watched
 * there is let go first.
 */
#include "calls.h"

/* Smaller blocks never have a mapping to themselves. */
#define SMALLEST_MAPPED ((size_t)64 << 10)
/* In the word before a block of glibc's: it is a mapping. */
#define IS_MAPPED ((size_t)2)
#define FLAG_BITS ((size_t)7)

/* Nothing in the mapping that holds the block is watched any more. */
static __attribute__((noinline)) void let_go(void *block)
{
	const size_t *chunk = (const size_t *)block - 2;
	uintptr_t start = (uintptr_t)chunk - chunk[0];
	size_t len = chunk[0] + (chunk[1] & ~FLAG_BITS);
	int saved = errno;

	if (pf_is_watched((void *)start, len))
		(void)pf_unwatch((void *)start, len);
	errno = saved;
}

static inline bool is_mapping(void *block)
{
	size_t word;

	if (!block || !next_malloc_is_glibc())
		return false;
	word = ((const size_t *)block)[-1];
	return (word & IS_MAPPED) && word >= SMALLEST_MAPPED;
}

SHIM void free(void *block)
{
	if (shim_is_active() && is_mapping(block))
		let_go(block);
	next()->free(block);
}

SHIM void *realloc(void *block, size_t n)
{
	if (shim_is_active() && is_mapping(block))
		let_go(block);
	return next()->realloc(block, n);
}
