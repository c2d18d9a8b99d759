/* SPDX-License-Identifier: MIT */
/*
 * The scalars that must not mix, and the range.
 *
 * A range is half-open, [start, end). A bare pair (start, len) appears only
 * at the rim, where the ABI has it; range_of() turns it into a range.
 */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_BYTES ((uint64_t)1 << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_BYTES - 1))
#define HUGE_SHIFT 21
#define HUGE_BYTES ((uint64_t)1 << HUGE_SHIFT)
/* First address that no program on x86-64 with four levels can have. */
#define TASK_BYTES ((uint64_t)0x7ffffffff000)

/* Protection bits of VMAs and accesses; equal to PROT_READ and its kin. */
#define ACCESS_READ 1u
#define ACCESS_WRITE 2u
#define ACCESS_EXEC 4u

#define must_check __attribute__((warn_unused_result))
#define no_return __attribute__((noreturn))
#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define array_len(a) (sizeof(a) / sizeof((a)[0]))

/* An address in some space. */
typedef uint64_t va_t;

/* The number of a frame (or of a table page) in an arena; 0 is none. */
struct pfn {
	uint32_t n;
};

struct range {
	va_t start;
	va_t end;
};

static inline struct range range_of(va_t start, uint64_t len_bytes)
{
	return (struct range){ start, start + len_bytes };
}

static inline uint64_t range_bytes(struct range r)
{
	return r.end - r.start;
}

static inline bool range_is_empty(struct range r)
{
	return r.start >= r.end;
}

static inline bool range_has(struct range r, va_t va)
{
	return va >= r.start && va < r.end;
}

static inline bool range_covers(struct range outer, struct range inner)
{
	return inner.start >= outer.start && inner.end <= outer.end;
}

static inline bool range_meets(struct range a, struct range b)
{
	return a.start < b.end && b.start < a.end;
}

static inline struct range range_clip(struct range r, struct range to)
{
	if (r.start < to.start)
		r.start = to.start;
	if (r.end > to.end)
		r.end = to.end;
	return r;
}

static inline va_t page_down(va_t va)
{
	return va & PAGE_MASK;
}

static inline va_t page_up(va_t va)
{
	return (va + PAGE_BYTES - 1) & PAGE_MASK;
}

static inline bool is_page_aligned(uint64_t n)
{
	return (n & (PAGE_BYTES - 1)) == 0;
}

#endif /* BASE_TYPES_H */
