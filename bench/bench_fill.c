/* SPDX-License-Identifier: MIT */
/* Filling from outside a fault: page by page, and in large requests. */
#include "bench.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_RANGE (16ull << 20)
#define BULK_RANGE (64ull << 20)
#define BULK (2ull << 20)
#define PASSES 4

static char *full_buffer(size_t len)
{
	char *buffer = aligned_alloc(BENCH_PAGE, len);

	if (!buffer)
		err(1, "no memory");
	memset(buffer, 0x5a, len);
	return buffer;
}

/* One pass over the range, in requests of `step`; `src` NULL: zeroes. */
static double fill_range(const struct bench_memory *m, const char *src,
			 size_t step)
{
	double start = bench_now_ns();

	for (size_t at = 0; at < m->len; at += step) {
		if (src)
			bench_copy(m, at, src, step);
		else
			bench_zeropage(m, at, step);
	}
	return (bench_now_ns() - start) / (double)(m->len / step);
}

/* Discarded between passes, so page tables and free frames are warm. */
static double fill_recycled(const struct bench_real *on, const char *src,
			    size_t range, size_t step)
{
	struct bench_memory m;
	double times[PASSES];

	bench_watch(&m, on, range, 0);
	fill_range(&m, src, step);
	for (int i = 0; i < PASSES; i++) {
		bench_discard(&m);
		times[i] = fill_range(&m, src, step);
	}
	return bench_median(times, PASSES);
}

static double copy_pages(const struct bench_real *on)
{
	return fill_recycled(on, full_buffer(BENCH_PAGE), SMALL_RANGE,
			     BENCH_PAGE);
}

static double zero_pages(const struct bench_real *on)
{
	return fill_recycled(on, NULL, SMALL_RANGE, BENCH_PAGE);
}

static double bulk_recycled(const struct bench_real *on)
{
	return fill_recycled(on, full_buffer(BULK), BULK_RANGE, BULK);
}

/* New memory for each pass; the first one warms nothing but the library. */
static double bulk_cold(const struct bench_real *on)
{
	const char *src = full_buffer(BULK);
	struct bench_memory m;
	double times[PASSES];

	bench_watch(&m, on, BULK, 0);
	fill_range(&m, src, BULK);
	bench_unmap(&m);
	m.len = BULK_RANGE;
	for (int i = 0; i < PASSES; i++) {
		bench_map(&m);
		times[i] = fill_range(&m, src, BULK);
		bench_unmap(&m);
	}
	return bench_median(times, PASSES);
}

const struct bench_case bench_fill_cases[] = {
	{ "COPY 4 KiB", bench_soft_copy, copy_pages, BENCH_PAGE },
	{ "ZEROPAGE 4 KiB", bench_soft_zeropage, zero_pages, 0 },
	{ "COPY 2 MiB, recycled frames", bench_soft_bulk_recycled,
	  bulk_recycled, BULK },
	{ "COPY 2 MiB, cold frames", bench_soft_bulk_cold, bulk_cold, BULK },
	{ NULL, NULL, NULL, 0 },
};
