/* SPDX-License-Identifier: MIT */
/*
 * Which pages hold something, in the best way that the system has:
 *
 *   PAGEMAP_SCAN   (Linux 6.7; guards are told from 6.15 on) tells runs, and
 *                  skips where nothing is
 *   pagemap        a word a page. Bit 63: present (the zero page too); 62:
 *                  swapped, or any other entry that is not present; 58: a
 *                  guard marker
 *   the bytes      a page holds something when a byte of it is not zero. A
 *                  page of zeros that the program wrote counts as missing;
 *                  docs/limits.md
 */
#include "mmu/host/state.h"

#include "base/raw.h"

#include <errno.h>
#include <sys/syscall.h>

#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)
#define PAGEMAP_GUARD (1ull << 58)
#define PAGEMAP_WINDOW 256

/* PAGEMAP_SCAN, _IOWR('f', 16, 96 bytes). */
#define SCAN_NR 0xc0606610u
#define SCAN_PRESENT 8u
#define SCAN_SWAPPED 16u
#define SCAN_GUARD 256u
#define SCAN_REGIONS 32

struct scan_region {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};

struct scan_arg {
	uint64_t size;
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end;
	uint64_t regions;
	uint64_t regions_most;
	uint64_t pages_most;
	uint64_t inverted;
	uint64_t all_of;
	uint64_t any_of;
	uint64_t tells;
};

/* ---- runs of equal pages, from pages or pieces that come rising ---- */

struct run {
	struct range range;
	enum mmu_held held;
	host_run_fn visit;
	void *arg;
};

static int run_end(struct run *run)
{
	if (range_is_empty(run->range))
		return 0;
	return run->visit(run->arg, run->range, run->held);
}

/* The piece comes next. Returns: 0; what visit returned. */
static int run_add(struct run *run, struct range piece, enum mmu_held held)
{
	int err;

	if (range_is_empty(piece))
		return 0;
	if (run->range.end == piece.start && run->held == held) {
		run->range.end = piece.end;
		return 0;
	}
	err = run_end(run);
	run->range = piece;
	run->held = held;
	return err;
}

/* ---- PAGEMAP_SCAN ---- */

static enum mmu_held scan_held(uint64_t categories)
{
	return categories & SCAN_GUARD ? MMU_HOLDS_GUARD : MMU_HOLDS_BYTES;
}

/* Some regions from `at` on. Returns: how many; -errno. */
static long scan_some(struct host *h, struct range r,
		      struct scan_region *regions, va_t *walk_end)
{
	uint64_t tells = SCAN_PRESENT | SCAN_SWAPPED;
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = r.start,
		.end = r.end,
		.regions = (uint64_t)(uintptr_t)regions,
		.regions_most = SCAN_REGIONS,
	};
	long n;

	/* Without guards in the kernel there is no such category. */
	if (h->means.guard_anon)
		tells |= SCAN_GUARD;
	arg.any_of = arg.tells = tells;
	n = raw_call(SYS_ioctl, h->pagemap_fd, SCAN_NR, &arg);
	*walk_end = arg.walk_end;
	return n;
}

/* Returns: 0; -ENOTTY and kin: no such ioctl, nothing was visited. */
static int scan_runs(struct host *h, struct range r, struct run *run)
{
	struct scan_region regions[SCAN_REGIONS];
	va_t at = r.start;
	int err = 0;

	while (!err && at < r.end) {
		va_t end;
		long n = scan_some(h, (struct range){ at, r.end }, regions,
				   &end);

		if (n < 0)
			return at == r.start ? (int)n : -EIO;
		for (long i = 0; i < n && !err; i++) {
			struct range full = { regions[i].start,
					      regions[i].end };

			err = run_add(run, (struct range){ at, full.start },
				      MMU_HOLDS_NOTHING);
			if (!err)
				err = run_add(run, full,
					scan_held(regions[i].categories));
			at = full.end;
		}
		if (!err)
			err = run_add(run, (struct range){ at, end },
				      MMU_HOLDS_NOTHING);
		at = end;
	}
	return err;
}

/* ---- a word a page ---- */

static enum mmu_held word_held(uint64_t entry)
{
	if (entry & PAGEMAP_GUARD)
		return MMU_HOLDS_GUARD;
	if (entry & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED))
		return MMU_HOLDS_BYTES;
	return MMU_HOLDS_NOTHING;
}

static long read_entries(struct host *h, va_t at, uint64_t *entries, size_t n)
{
	long got = raw_call(SYS_pread64, h->pagemap_fd, entries,
			    n * sizeof(*entries),
			    (at >> PAGE_SHIFT) * sizeof(*entries));

	return got < 0 ? got : got / (long)sizeof(*entries);
}

static size_t window_of(struct range r)
{
	uint64_t pages = range_bytes(r) >> PAGE_SHIFT;

	return pages < PAGEMAP_WINDOW ? (size_t)pages : PAGEMAP_WINDOW;
}

static int word_runs(struct host *h, struct range r, struct run *run)
{
	uint64_t entries[PAGEMAP_WINDOW];
	va_t at = r.start;
	int err = 0;

	while (!err && at < r.end) {
		size_t want = window_of((struct range){ at, r.end });
		long got = read_entries(h, at, entries, want);

		if (got <= 0)
			return -EIO;
		for (long i = 0; i < got && !err; i++, at += PAGE_BYTES)
			err = run_add(run, range_of(at, PAGE_BYTES),
				      word_held(entries[i]));
	}
	return err;
}

/* ---- the bytes ---- */

static enum mmu_held page_held(va_t va)
{
	uint64_t words[64];
	size_t n = sizeof(words);

	for (size_t at = 0; at < PAGE_BYTES; at += n) {
		const void *from = (const void *)(uintptr_t)(va + at);

		if (host_copy_nofault(words, from, n) != n)
			return MMU_HOLDS_GUARD;
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (words[i])
				return MMU_HOLDS_BYTES;
	}
	return MMU_HOLDS_NOTHING;
}

static int byte_runs(struct range r, struct run *run)
{
	int err = 0;

	for (va_t at = r.start; !err && at < r.end; at += PAGE_BYTES)
		err = run_add(run, range_of(at, PAGE_BYTES), page_held(at));
	return err;
}

/* ---- whatever there is ---- */

int host_each_run(struct host *h, struct range r, host_run_fn visit, void *arg)
{
	struct run run = { .visit = visit, .arg = arg };
	int err;

	if (h->pagemap_fd < 0)
		err = byte_runs(r, &run);
	else
		err = scan_runs(h, r, &run);
	if (err == -ENOTTY || err == -EINVAL)
		err = word_runs(h, r, &run);
	return err ? err : run_end(&run);
}

bool host_page_is_guard(struct host *h, va_t va)
{
	uint64_t entry = 0;

	if (!h->means.guard_seen || h->pagemap_fd < 0)
		return false;
	return read_entries(h, va, &entry, 1) == 1 && (entry & PAGEMAP_GUARD);
}
