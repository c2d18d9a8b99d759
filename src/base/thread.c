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

static THREAD_LOCAL uint32_t cached_tid;
static THREAD_LOCAL uint32_t cached_epoch;

bool thread_is_shared(void)
{
	return atomic_load_explicit(&is_shared, memory_order_relaxed);
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

static uint32_t cache_self(void)
{
	_Atomic uint32_t *page = atomic_load(&epoch_page);

	if (!page)
		page = make_epoch_page();
	if (!page) {
		sync_share_threads();
		return ask_tid();
	}
	cached_epoch = current_epoch(page);
	cached_tid = ask_tid();
	return cached_tid;
}

uint32_t sync_self(void)
{
	_Atomic uint32_t *page;

	if (thread_is_shared())
		return ask_tid();
	page = atomic_load_explicit(&epoch_page, memory_order_acquire);
	if (page && cached_epoch &&
	    atomic_load_explicit(page, memory_order_relaxed) == cached_epoch)
		return cached_tid;
	return cache_self();
}
