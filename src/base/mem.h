/* SPDX-License-Identifier: MIT */
/*
 * Bytes without libc: copies and fills that are safe anywhere.
 *
 * Much of src/ is reachable from a signal handler that interrupted libc, or
 * the dynamic linker, at any instruction; these need no symbol of theirs.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/types.h"

#define MEM_FEW_BYTES 64u

/* mem_copy() of few whole words: a string instruction takes longer. */
static inline void mem_copy_words(void *dst, const void *src, size_t n)
{
	uint64_t word;

	for (size_t i = 0; i < n; i += sizeof(word))
		__asm__ volatile("movq (%2), %0\n\tmovq %0, (%1)"
				 : "=&r"(word)
				 : "r"((char *)dst + i), "r"((const char *)src + i)
				 : "memory");
}

/*
 * `n` bytes of `dst` equal those of `src`; the areas do not overlap.
 *
 * Context: trap.
 */
static inline void mem_copy(void *dst, const void *src, size_t n)
{
	if (n <= MEM_FEW_BYTES && n % sizeof(uint64_t) == 0)
		mem_copy_words(dst, src, n);
	else
		__asm__ volatile("rep movsb"
				 : "+D"(dst), "+S"(src), "+c"(n)
				 :
				 : "memory");
}

/*
 * `n` bytes of `dst` equal `byte`.
 *
 * Context: trap.
 */
static inline void mem_set(void *dst, int byte, size_t n)
{
	__asm__ volatile("rep stosb"
			 : "+D"(dst), "+c"(n)
			 : "a"(byte)
			 : "memory");
}

/* The length of a string. Context: trap. */
static inline size_t mem_length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

/* Whether two strings are equal. Context: trap. */
static inline bool mem_same_string(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

#endif /* BASE_MEM_H */
