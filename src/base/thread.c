/* SPDX-License-Identifier: MIT */
/*
 * The calling thread's id, cached where that is sound.
 *
 * The cache must not outlive a fork, and forks are not always seen by libc's
 * hooks. So each cached id carries an epoch, kept in a page that the kernel
 * wipes in a forked child; where it cannot, nothing is cached.
 */
#include "base/thread.h"

#include "base/raw.h"
#include "base/sync.h"

#include <sys/mman.h>
#include <sys/syscall.h>

static _Atomic bool is_shared;
static _Atomic uint32_t last_epoch;
static _Atomic(_Atomic uint32_t *) epoch_page;

bool thread_is_shared(void)
{
	return atomic_load_explicit(&is_shared, memory_order_relaxed);
}

/*
 * The cache, one word so that threads which share it never see halves of two:
 *
 *   bits  0..23  thread id     (the kernel's are below 2^22)
 *         24..56 stack block   address of the stack at work, in 16 KiB
 *         57..63 epoch         low bits
 *
 * Threads made by raw clone share their parent's storage but not its stack;
 * so once that may happen an id is believed only on the stack block it was
 * cached on.
 */
static THREAD_LOCAL _Atomic uint64_t cached;

#define TID_BITS 24
#define TID_MASK ((1ull << TID_BITS) - 1)
#define STACK_BITS 33
#define STACK_BLOCK_SHIFT 14

static uint64_t stack_block(void)
{
	uint64_t at = (uintptr_t)__builtin_frame_address(0);

	if (!thread_is_shared())
		return 0;
	return at >> STACK_BLOCK_SHIFT & ((1ull << STACK_BITS) - 1);
}

static uint64_t cache_key(uint32_t epoch)
{
	return stack_block() << TID_BITS |
	       (uint64_t)epoch << (TID_BITS + STACK_BITS);
}

/* The same epoch, and the same stack block or one next to it: calls nest. */
static bool is_believed(uint64_t word, uint32_t epoch)
{
	uint64_t step = cache_key(epoch) - (word & ~TID_MASK);
	const uint64_t block = 1ull << TID_BITS;

	return step + block <= 2 * block;
}

void sync_share_threads(void)
{
	atomic_store(&is_shared, true);
}

static uint32_t ask_tid(void)
{
	return (uint32_t)raw_call(SYS_gettid);
}

/* The page exists from here on, or ids are asked for each time. */
static _Atomic uint32_t *make_epoch_page(void)
{
	_Atomic uint32_t *other = NULL;
	long ret = raw_call(SYS_mmap, NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1);
	_Atomic uint32_t *page = (void *)ret;

	if (ret < 0 && ret > -(long)PAGE_BYTES)
		return NULL;
	if (raw_call(SYS_madvise, page, PAGE_BYTES, MADV_WIPEONFORK) != 0) {
		raw_call(SYS_munmap, page, PAGE_BYTES);
		return NULL;
	}
	if (atomic_compare_exchange_strong(&epoch_page, &other, page))
		return page;
	raw_call(SYS_munmap, page, PAGE_BYTES);
	return other;
}

static uint32_t current_epoch(_Atomic uint32_t *page)
{
	uint32_t epoch = atomic_load(page);
	uint32_t fresh;

	if (epoch)
		return epoch;
	fresh = atomic_fetch_add(&last_epoch, 1) + 1;
	if (atomic_compare_exchange_strong(page, &epoch, fresh))
		return fresh;
	return epoch;
}

uint32_t sync_ask_self(void)
{
	_Atomic uint32_t *page = atomic_load(&epoch_page);
	uint32_t tid = ask_tid();

	if (!page)
		page = make_epoch_page();
	if (page)
		atomic_store_explicit(&cached,
				      cache_key(current_epoch(page)) | tid,
				      memory_order_relaxed);
	return tid;
}

uint32_t sync_self(void)
{
	_Atomic uint32_t *page =
		atomic_load_explicit(&epoch_page, memory_order_acquire);
	uint64_t word = atomic_load_explicit(&cached, memory_order_relaxed);
	uint32_t tid = (uint32_t)(word & TID_MASK);
	uint32_t epoch;

	if (!page || !tid)
		return sync_ask_self();
	epoch = atomic_load_explicit(page, memory_order_relaxed);
	if (!epoch || !is_believed(word, epoch))
		return sync_ask_self();
	return tid;
}
