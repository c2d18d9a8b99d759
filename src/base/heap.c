/* SPDX-License-Identifier: MIT */
/*
 * The heap: power-of-two classes cut from chunks, big blocks mapped alone.
 *
 *   chunk 1 MiB:  |b16|b16|b4096 (page-aligned)|b64|...  -> brk
 *   class i:      free list of blocks of 16 << i bytes, last in first out
 *
 * Memory is never given back to the system but for big blocks: our structures
 * come and go with a program's mappings, and their number is bounded by it.
 */
#include "base/heap.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/raw.h"
#include "base/sync.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define SMALLEST_SHIFT 4
#define BIGGEST_SHIFT 16
#define CLASSES (BIGGEST_SHIFT - SMALLEST_SHIFT + 1)
#define CHUNK_BYTES ((size_t)1 << 20)
#define FREED_BYTE 0xfd

/* A block on a free list. */
struct block {
	struct block *next; /* [H] */
};

/* [H] lock  [a] atomic */
static struct {
	struct lock lock;             /* [a] */
	char *brk;                    /* [H] first unused byte of the chunk */
	char *end;                    /* [H] of the chunk */
	struct block *free[CLASSES];  /* [H] */
	_Atomic uint64_t outstanding; /* [a] */
	_Atomic uint64_t countdown;   /* [a] to the failure; 0: none */
} heap = { .lock = LOCK_INIT(RANK_HEAP) };

static int map(size_t bytes, int sharing, void **out)
{
	long ret = raw_call(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE,
			    sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	if (ret < 0 && ret > -(long)PAGE_BYTES)
		return -ENOMEM;
	*out = (void *)ret;
	return 0;
}

int heap_map(size_t bytes, bool is_shared, void **out)
{
	if (heap_should_fail())
		return -ENOMEM;
	return map(page_up(bytes), is_shared ? MAP_SHARED : MAP_PRIVATE, out);
}

void heap_unmap(void *p, size_t bytes)
{
	long err = raw_call(SYS_munmap, p, page_up(bytes));

	check(err == 0);
}

static bool is_big(size_t n)
{
	return n > (size_t)1 << BIGGEST_SHIFT;
}

static unsigned class_of(size_t n)
{
	unsigned i = 0;

	while ((size_t)1 << (SMALLEST_SHIFT + i) < n)
		i++;
	return i;
}

static size_t class_bytes(unsigned i)
{
	return (size_t)1 << (SMALLEST_SHIFT + i);
}

/* The chunk has room for a block of that size, aligned. Locks: H held. */
static bool make_room(size_t bytes)
{
	size_t align = bytes < PAGE_BYTES ? bytes : PAGE_BYTES;
	uintptr_t at = ((uintptr_t)heap.brk + align - 1) & ~(align - 1);
	void *chunk;

	if (heap.brk && at + bytes <= (uintptr_t)heap.end) {
		heap.brk = (char *)at;
		return true;
	}
	if (map(CHUNK_BYTES, MAP_PRIVATE, &chunk))
		return false;
	heap.brk = chunk;
	heap.end = heap.brk + CHUNK_BYTES;
	return true;
}

/* Fresh blocks are zero already. Locks: H held. */
static void *cut(unsigned i)
{
	void *p;

	if (!make_room(class_bytes(i)))
		return NULL;
	p = heap.brk;
	heap.brk += class_bytes(i);
	return p;
}

/* Whether nobody wrote to a block while it was free. */
static bool is_untouched(const struct block *b, unsigned i)
{
	const unsigned char *bytes = (const unsigned char *)b;

	for (size_t n = sizeof(*b); n < class_bytes(i); n++)
		if (bytes[n] != FREED_BYTE)
			return false;
	return true;
}

static void *zalloc_small(unsigned i)
{
	struct block *b;
	void *fresh = NULL;

	lock_take(&heap.lock);
	b = heap.free[i];
	if (b)
		heap.free[i] = b->next;
	else
		fresh = cut(i);
	lock_drop(&heap.lock);
	if (!b)
		return fresh;
	check_all(is_untouched(b, i));
	mem_set(b, 0, class_bytes(i));
	return b;
}

static void *zalloc_big(size_t n)
{
	void *p;

	return map(page_up(n), MAP_PRIVATE, &p) ? NULL : p;
}

void *heap_zalloc(size_t n)
{
	void *p;

	if (heap_should_fail())
		return NULL;
	p = is_big(n) ? zalloc_big(n) : zalloc_small(class_of(n));
	if (p)
		atomic_fetch_add(&heap.outstanding, 1);
	return p;
}

static void free_small(struct block *b, unsigned i)
{
	if (PF_CHECK_LEVEL >= 3)
		mem_set(b, FREED_BYTE, class_bytes(i));
	lock_take(&heap.lock);
	b->next = heap.free[i];
	heap.free[i] = b;
	lock_drop(&heap.lock);
}

void heap_free(void *p, size_t n)
{
	uint64_t before;

	if (!p)
		return;
	before = atomic_fetch_sub(&heap.outstanding, 1);
	check(before != 0);
	if (is_big(n))
		heap_unmap(p, n);
	else
		free_small(p, class_of(n));
}

uint64_t heap_outstanding(void)
{
	return atomic_load(&heap.outstanding);
}

void heap_fail_nth(uint64_t n)
{
	atomic_store(&heap.countdown, n);
}

bool heap_should_fail(void)
{
	uint64_t n = atomic_load_explicit(&heap.countdown,
					  memory_order_relaxed);

	while (n)
		if (atomic_compare_exchange_weak(&heap.countdown, &n, n - 1))
			return n == 1;
	return false;
}

void heap_before_fork(void)
{
	lock_take(&heap.lock);
}

void heap_after_fork(bool is_child)
{
	if (is_child)
		lock_init(&heap.lock, RANK_HEAP);
	else
		lock_drop(&heap.lock);
}
