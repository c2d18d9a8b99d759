/* SPDX-License-Identifier: MIT */
/*
 * Which pages hold something: /proc/self/pagemap, one word a page.
 *
 * Bit 63: present (the zero page too); 62: swapped, or any other entry that
 * is not present; 58: a guard marker.
 */
#include "mmu/host/state.h"

#include "base/raw.h"

#include <errno.h>
#include <sys/syscall.h>

#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)
#define PAGEMAP_GUARD (1ull << 58)
#define PAGEMAP_WINDOW 256

static bool holds_something(uint64_t entry)
{
	return (entry & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) &&
	       !(entry & PAGEMAP_GUARD);
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

int host_run(struct host *h, struct range r, bool *is_present, va_t *end)
{
	uint64_t entries[PAGEMAP_WINDOW];
	va_t at = r.start;
	bool is_first = true;

	if (h->pagemap_fd < 0)
		return -ENOSYS;
	while (at < r.end) {
		size_t want = window_of((struct range){ at, r.end });
		long got = read_entries(h, at, entries, want);

		if (got <= 0)
			return -EIO;
		for (long i = 0; i < got; i++, at += PAGE_BYTES) {
			if (is_first)
				*is_present = holds_something(entries[i]);
			is_first = false;
			if (holds_something(entries[i]) != *is_present)
				goto out_found;
		}
	}
out_found:
	*end = at;
	return 0;
}

bool host_page_is_guard(struct host *h, va_t va)
{
	uint64_t entry = 0;

	if (!h->means.guard_seen || h->pagemap_fd < 0)
		return false;
	return read_entries(h, va, &entry, 1) == 1 && (entry & PAGEMAP_GUARD);
}
