/* SPDX-License-Identifier: MIT */
/*
 * Getting bytes into missing pages without anybody seeing them half done.
 *
 *   write   the pages become PROT_NONE instead of guarded, the bytes go in
 *           through /proc/self/mem, which ignores protection; then the
 *           program's protection comes back. The mapping is whole again.
 *   move    the bytes are put into pages elsewhere, which mremap then puts in
 *           the place of the missing ones, inaccessible as yet. Needs no
 *           /proc/self/mem; leaves mappings split.
 *
 * Zero pages need no bytes: taking the trap away is all.
 */
#include "mmu/host/state.h"

#include "base/check.h"
#include "base/heap.h"
#include "base/raw.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define STAGING_SLOTS 64
#define STAGING_PAGES 64
#define STAGING_BYTES (STAGING_PAGES * PAGE_BYTES)
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/*
 * Places where pages get their bytes. They are mapped for good: a mapping
 * made for the moment could land where the program has just unmapped
 * something, and make an address good that must be bad.
 */
struct host_staging {
	void *base;            /* [I] STAGING_SLOTS places */
	_Atomic uint64_t used; /* [a] a bit each */
};

int staging_create(struct host_staging **out)
{
	struct host_staging *staging = heap_zalloc(sizeof(*staging));

	if (!staging)
		return -ENOMEM;
	if (heap_map(STAGING_SLOTS * STAGING_BYTES, false, &staging->base)) {
		heap_free(staging, sizeof(*staging));
		return -ENOMEM;
	}
	*out = staging;
	return 0;
}

void staging_destroy(struct host_staging *staging)
{
	if (!staging)
		return;
	heap_unmap(staging->base, STAGING_SLOTS * STAGING_BYTES);
	heap_free(staging, sizeof(*staging));
}

static va_t staging_place(const struct host_staging *staging, unsigned n)
{
	return (va_t)(uintptr_t)staging->base + n * STAGING_BYTES;
}

/* The number of a free place; -1: all are in use. */
static int staging_take(struct host_staging *staging)
{
	uint64_t used = atomic_load(&staging->used);

	while (~used) {
		int n = __builtin_ctzll(~used);

		if (atomic_compare_exchange_weak(&staging->used, &used,
						 used | 1ull << n))
			return n;
	}
	return -1;
}

/* The place is empty, accessible to us, and free. */
static void staging_drop(struct host_staging *staging, unsigned n)
{
	struct range place = range_of(staging_place(staging, n),
				      STAGING_BYTES);

	host_mprotect(place, ACCESS_READ | ACCESS_WRITE);
	host_advise(place, MADV_DONTNEED);
	atomic_fetch_and(&staging->used, ~(1ull << n));
}

/* ---- write ---- */

/* Missing (guarded, say) to closed: inaccessible, but writable from behind. */
static int close_pages(struct host *h, struct range r, unsigned prot)
{
	int err;

	if (!host_is_guarding(h))
		return 0;
	err = prot ? host_mprotect(r, 0) : 0;
	if (err)
		return err;
	host_advise(r, MADV_GUARD_REMOVE);
	return 0;
}

/* Closed to missing again. */
static void unclose_pages(struct host *h, struct range r, unsigned prot)
{
	if (range_is_empty(r))
		return;
	if (!host_is_guarding(h)) {
		host_advise(r, MADV_DONTNEED);
		return;
	}
	host_install_guards(r);
	if (prot)
		host_mprotect(r, prot);
}

static int64_t write_pages(struct host *h, const struct mmu_fill *f)
{
	const void *from = f->from == MMU_FROM_BYTES
				   ? f->bytes
				   : (const void *)(uintptr_t)f->src;
	struct range rest = f->dst;
	long done;
	int err = close_pages(h, f->dst, f->prot);

	if (err)
		return err;
	done = raw_call(SYS_pwrite64, h->mem_fd, from, range_bytes(f->dst),
			f->dst.start);
	if (done < 0)
		err = done == -EFAULT ? -EFAULT : -ENOMEM;
	else
		rest.start += page_down((uint64_t)done);
	unclose_pages(h, rest, f->prot);
	if (rest.start > f->dst.start)
		return (int64_t)(rest.start - f->dst.start);
	return err ? err : -EFAULT;
}

/* Provided pages are inaccessible, by whichever way they came. */
static void open_pages(struct host *h, const struct mmu_fill *f)
{
	if (!f->prot)
		return;
	if (host_is_guarding(h))
		host_mprotect(f->dst, f->prot);
	else
		host_open(h, f->dst, f->prot);
}

/* ---- move ---- */

static size_t stage_bytes(va_t at, const struct mmu_fill *f)
{
	void *to = (void *)(uintptr_t)at;

	if (f->from == MMU_FROM_BYTES)
		return host_copy_nofault(to, f->bytes, range_bytes(f->dst));
	return host_copy_nofault(to, (const void *)(uintptr_t)f->src,
				 range_bytes(f->dst));
}

/*
 * The pages change places; where they were stays mapped. Without
 * MREMAP_DONTUNMAP (Linux 5.7) the place is mapped anew at once.
 * Returns: 0; -ENOMEM.
 */
static int move_in(struct range from, va_t dst)
{
	uint64_t bytes = range_bytes(from);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	long at = raw_call(SYS_mremap, from.start, bytes, bytes,
			   flags | MREMAP_DONTUNMAP, dst);

	if (at != -EINVAL)
		return at < 0 && at > -4096 ? -ENOMEM : 0;
	at = raw_call(SYS_mremap, from.start, bytes, bytes, flags, dst);
	if (at < 0 && at > -4096)
		return -ENOMEM;
	raw_call(SYS_mmap, from.start, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0);
	return 0;
}

/*
 * Whether the system lets this process map as much again. A move that is
 * refused for that reason has already unmapped where it was to go.
 */
static bool may_map_more(uint64_t bytes)
{
	long at = raw_call(SYS_mmap, 0, bytes, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at < 0 && at > -4096)
		return false;
	raw_call(SYS_munmap, at, bytes);
	return true;
}

/* Returns: bytes in place, inaccessible; -EFAULT, -ENOMEM. */
static int64_t move_from(struct range place, const struct mmu_fill *f)
{
	uint64_t done = page_down(stage_bytes(place.start, f));
	int err;

	if (!done)
		return -EFAULT;
	if (!may_map_more(done))
		return -ENOMEM;
	place.end = place.start + done;
	err = host_mprotect(place, 0);
	if (!err)
		err = move_in(place, f->dst.start);
	return err ? err : (int64_t)done;
}

static int64_t move_pages(struct host *h, const struct mmu_fill *whole)
{
	struct mmu_fill part = *whole;
	int n = staging_take(h->staging);
	int64_t done;

	if (n < 0)
		return -ENOMEM;
	if (range_bytes(part.dst) > STAGING_BYTES)
		part.dst.end = part.dst.start + STAGING_BYTES;
	done = move_from(range_of(staging_place(h->staging, (unsigned)n),
				  STAGING_BYTES),
			 &part);
	staging_drop(h->staging, (unsigned)n);
	return done;
}

/* ---- zero ---- */

/* The zero page itself, so that the page counts as present to the kernel. */
static void touch_pages(struct range r)
{
	char byte;

	for (va_t va = r.start; va < r.end; va += PAGE_BYTES)
		host_copy_nofault(&byte, (const void *)(uintptr_t)va, 1);
}

static void zero_publish(struct host *h, const struct mmu_fill *f)
{
	if (host_is_guarding(h))
		host_advise(f->dst, MADV_GUARD_REMOVE);
	else if (f->prot)
		host_open(h, f->dst, f->prot);
	/* Who waits there will touch it, and knows whether to write. */
	if ((f->prot & ACCESS_READ) && !f->is_awaited)
		touch_pages(f->dst);
}

/* ---- the three calls ---- */

int64_t host_provide(struct mmu *mmu, const struct mmu_fill *f)
{
	struct host *h = host_of(mmu);

	/* Where a thread just trapped by our doing, it is ours. */
	if (!f->is_awaited && !host_is_ours(mmu, f->dst))
		return -ENOENT;
	if (f->from == MMU_FROM_ZERO)
		return (int64_t)range_bytes(f->dst);
	return h->choice.publish == HOST_WRITE ? write_pages(h, f)
					       : move_pages(h, f);
}

void host_publish_pages(struct mmu *mmu, const struct mmu_fill *f)
{
	struct host *h = host_of(mmu);

	if (f->from == MMU_FROM_ZERO)
		zero_publish(h, f);
	else
		open_pages(h, f);
}

void host_retract(struct mmu *mmu, const struct mmu_fill *f)
{
	if (f->from != MMU_FROM_ZERO)
		unclose_pages(host_of(mmu), f->dst, f->prot);
}
