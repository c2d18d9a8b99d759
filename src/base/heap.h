/* SPDX-License-Identifier: MIT */
/*
 * The heap: the one place where memory for our own structures comes from.
 *
 * It is not malloc. A program may register its own heap with us, or be in the
 * middle of malloc when it touches missing memory; so our structures live in
 * mappings of our own, in power-of-two size classes, under a futex lock. It
 * is async-signal-safe. It can be told to fail the n-th allocation, and it
 * counts what is outstanding, so tests can see a leak.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/types.h"

/*
 * `n` zeroed bytes, 16-byte aligned (page-aligned when n >= PAGE_BYTES).
 *
 * Context: trap.
 * Returns: NULL when the system has no memory, or the n-th allocation was told
 *          to fail.
 */
void *heap_zalloc(size_t n) must_check;

/* The bytes are given back; `p` may be NULL; `n` is what was asked for. */
void heap_free(void *p, size_t n);

/* Blocks handed out and not yet given back. Context: any. */
uint64_t heap_outstanding(void);

/*
 * The n-th allocation from now on fails (1 = the next one), once; 0 means
 * none does. Counts every allocation of this process; also frames, table
 * pages and charges ask it through heap_should_fail().
 *
 * Context: any; for tests.
 */
void heap_fail_nth(uint64_t n);

/* Counts one allocation-like step; true when this is the one to fail. */
bool heap_should_fail(void);

/*
 * Nobody is in the middle of an allocation until heap_after_fork(), so that
 * what a fork copies is whole. The caller allocates nothing in between.
 *
 * Locks:   takes the heap's lock / drops it, or makes it anew in the child.
 * Context: trap.
 */
void heap_before_fork(void);
void heap_after_fork(bool is_child);

/*
 * A private, zero-filled, NORESERVE mapping of at least `bytes`, or one that
 * is shared with forked children when `is_shared`.
 *
 * Context: trap.
 * Returns: 0 and the address in *out; -ENOMEM.
 */
int heap_map(size_t bytes, bool is_shared, void **out) must_check;
void heap_unmap(void *p, size_t bytes);

#endif /* BASE_HEAP_H */
