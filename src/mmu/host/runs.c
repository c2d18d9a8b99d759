/* SPDX-License-Identifier: MIT */
/*
 * Strategy protect, bounded: the runs that are open now.
 *
 * Every accessible run in an inaccessible range costs the kernel up to two
 * mappings, and there are not many (vm.max_map_count). So opened runs are
 * remembered in the order they were opened, and when there are too many the
 * oldest is closed again. Its bytes stay; the next access traps and reopens
 * it. It works as a translation cache does, and nobody but the clock notices.
 *
 *   tail (oldest)                       head (newest, grows while sequential)
 *     v                                   v
 *   | r0 | r1 | r2 | ...            | rn |
 */
#include "mmu/host/state.h"

#include "base/check.h"
#include "base/heap.h"

#include <errno.h>

/* Of the mappings that the system allows, in eighths, for two each. */
#define RUNS_SHARE 3
#define RUNS_LEAST 8

struct host_runs {
	struct lock lock;    /* RANK_HOST */
	uint64_t budget;     /* [I] */
	uint64_t head;       /* [L] runs ever pushed */
	uint64_t tail;       /* [L] runs ever closed */
	struct range ring[]; /* [L] by number modulo budget; may be empty */
};

static size_t runs_bytes(uint64_t budget)
{
	return sizeof(struct host_runs) + budget * sizeof(struct range);
}

int runs_create(uint64_t max_map_count, struct host_runs **out)
{
	uint64_t budget = max_map_count * RUNS_SHARE / 8;
	struct host_runs *runs;

	if (budget < RUNS_LEAST)
		budget = RUNS_LEAST;
	runs = heap_zalloc(runs_bytes(budget));
	if (!runs)
		return -ENOMEM;
	lock_init(&runs->lock, RANK_HOST);
	runs->budget = budget;
	*out = runs;
	return 0;
}

void runs_destroy(struct host_runs *runs)
{
	if (runs)
		heap_free(runs, runs_bytes(runs->budget));
}

static struct range *run_at(struct host_runs *runs, uint64_t n)
{
	return &runs->ring[n % runs->budget];
}

static void close_oldest(struct host_runs *runs)
{
	struct range *run = run_at(runs, runs->tail);

	check(runs->tail < runs->head);
	if (!range_is_empty(*run))
		host_mprotect(*run, 0);
	runs->tail++;
}

/* Sequential fills make one run, not many. */
static bool grows_newest(struct host_runs *runs, struct range r)
{
	struct range *newest;

	if (runs->head == runs->tail)
		return false;
	newest = run_at(runs, runs->head - 1);
	if (range_is_empty(*newest) || newest->end != r.start)
		return false;
	newest->end = r.end;
	return true;
}

void runs_opened(struct host_runs *runs, struct range r)
{
	lock_take(&runs->lock);
	if (!grows_newest(runs, r)) {
		if (runs->head - runs->tail == runs->budget)
			close_oldest(runs);
		*run_at(runs, runs->head++) = r;
	}
	lock_drop(&runs->lock);
}

/* What is left of a run outside r; a run cut in two keeps its greater part,
 * the other is simply no longer a candidate for closing. */
static struct range run_without(struct range run, struct range r)
{
	struct range before = { run.start, r.start };
	struct range after = { r.end, run.end };

	if (!range_meets(run, r))
		return run;
	if (before.start >= before.end)
		return after;
	if (after.start >= after.end)
		return before;
	return range_bytes(before) > range_bytes(after) ? before : after;
}

void runs_forget(struct host_runs *runs, struct range r)
{
	lock_take(&runs->lock);
	for (uint64_t n = runs->tail; n < runs->head; n++) {
		struct range *run = run_at(runs, n);

		if (!range_is_empty(*run))
			*run = run_without(*run, r);
	}
	lock_drop(&runs->lock);
}
