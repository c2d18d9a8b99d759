/* SPDX-License-Identifier: MIT */
/*
 * frame: numbers, references, the zero page, counts, and running out.
 */
#include "frame/frame.h"

#include "base/check.h"
#include "base/heap.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "../dies.h"

#define FRAMES 8

/* What is freed by the teardown, which sees that nothing is left. */
struct world {
	struct mmu *mmu;
	struct frame_arena *arena;
	struct charge_group *group;
	uint64_t heap_before;
};

static int make_world(void **state)
{
	static struct world world;

	world.heap_before = heap_outstanding();
	world.group = charge_create(NULL, CHARGE_NO_LIMIT);
	*state = &world;
	return !world.group || mmu_soft_create(&world.mmu) ||
	       frame_arena_create(world.mmu, FRAMES * PAGE_BYTES - 1,
				  &world.arena);
}

static int drop_world(void **state)
{
	struct world *world = *state;

	frame_arena_destroy(world->arena);
	world->mmu->ops->destroy(world->mmu);
	charge_destroy(world->group);
	return heap_outstanding() == world->heap_before ? 0 : -1;
}

static void assert_in_use(struct frame_arena *arena, uint64_t used,
			  uint64_t tables)
{
	struct frame_counts counts = frame_read_counts(arena);

	assert_int_equal(counts.total, FRAMES);
	assert_int_equal(counts.used, used);
	assert_int_equal(counts.tables, tables);
}

/* Are there exactly as many frames as were asked for, all different? */
static void an_arena_holds_what_it_should(void **state)
{
	struct frame_arena *arena = ((struct world *)*state)->arena;
	struct pfn pfns[FRAMES];

	for (unsigned i = 0; i < FRAMES; i++) {
		pfns[i] = frame_alloc(arena, 0);
		assert_true(pfns[i].n > FRAME_ZERO_PAGE.n);
		memset(frame_bytes(arena, pfns[i]), (int)i + 1, PAGE_BYTES);
	}
	assert_in_use(arena, FRAMES, 0);
	assert_int_equal(frame_alloc(arena, 0).n, 0);
	assert_int_equal(frame_alloc(arena, FRAME_TABLE).n, 0);
	assert_in_use(arena, FRAMES, 0);
	for (unsigned i = 0; i < FRAMES; i++) {
		uint8_t *bytes = frame_bytes(arena, pfns[i]);

		assert_int_equal(bytes[0], i + 1);
		assert_int_equal(bytes[PAGE_BYTES - 1], i + 1);
		assert_true(is_page_aligned((uintptr_t)bytes));
		frame_put(arena, pfns[i]);
	}
	assert_in_use(arena, 0, 0);
}

static void freed_frames_are_used_again_last_first(void **state)
{
	struct frame_arena *arena = ((struct world *)*state)->arena;
	struct pfn a = frame_alloc(arena, 0);
	struct pfn b = frame_alloc(arena, FRAME_ANON);

	frame_put(arena, a);
	frame_put(arena, b);
	assert_int_equal(frame_alloc(arena, 0).n, b.n);
	assert_int_equal(frame_alloc(arena, 0).n, a.n);
	assert_int_equal(frame_meta(arena, b)->flags, 0);
	frame_put(arena, a);
	frame_put(arena, b);
}

/* Is a table page zero also when the frame held something before? */
static void table_pages_are_zero(void **state)
{
	struct frame_arena *arena = ((struct world *)*state)->arena;
	static const uint8_t zeros[PAGE_BYTES];
	struct pfn pfn = frame_alloc(arena, 0);
	struct pfn table;

	memset(frame_bytes(arena, pfn), 0xff, PAGE_BYTES);
	frame_put(arena, pfn);
	for (unsigned i = 0; i < 2; i++) {
		table = frame_alloc(arena, FRAME_TABLE);
		assert_in_use(arena, 0, i + 1);
		assert_memory_equal(frame_bytes(arena, table), zeros,
				    PAGE_BYTES);
	}
	frame_put(arena, table);
	frame_put(arena, pfn);
	assert_in_use(arena, 0, 0);
}

static void the_last_reference_frees_and_pays_back(void **state)
{
	struct world *world = *state;
	struct pfn pfn = frame_alloc(world->arena, FRAME_ANON);

	assert_int_equal(charge_try(world->group, 1), 0);
	charge_commit(world->group, 1);
	frame_meta(world->arena, pfn)->group = world->group;
	frame_get(world->arena, pfn);
	frame_put(world->arena, pfn);
	assert_in_use(world->arena, 1, 0);
	assert_int_equal(charge_read(world->group).charged_pages, 1);
	frame_put(world->arena, pfn);
	assert_in_use(world->arena, 0, 0);
	assert_int_equal(charge_read(world->group).charged_pages, 0);
}

static void the_zero_page_is_never_freed(void **state)
{
	struct frame_arena *arena = ((struct world *)*state)->arena;
	static const uint8_t zeros[PAGE_BYTES];

	for (unsigned i = 0; i < 3; i++)
		frame_put(arena, FRAME_ZERO_PAGE);
	frame_get(arena, FRAME_ZERO_PAGE);
	assert_in_use(arena, 0, 0);
	assert_memory_equal(frame_bytes(arena, FRAME_ZERO_PAGE), zeros,
			    PAGE_BYTES);
	assert_true(frame_meta(arena, FRAME_ZERO_PAGE)->flags &
		    FRAME_UPTODATE);
}

static void lists_are_counted(void **state)
{
	struct frame_arena *arena = ((struct world *)*state)->arena;
	struct pfn a = frame_alloc(arena, 0);
	struct pfn b = frame_alloc(arena, 0);

	frame_set_lru(arena, a, FRAME_LRU_ACTIVE);
	frame_set_lru(arena, b, FRAME_LRU_UNEVICTABLE);
	assert_int_equal(frame_read_counts(arena).active, 1);
	assert_int_equal(frame_read_counts(arena).unevictable, 1);
	frame_set_lru(arena, b, FRAME_LRU_ACTIVE);
	frame_set_lru(arena, b, FRAME_LRU_ACTIVE);
	assert_int_equal(frame_read_counts(arena).active, 2);
	assert_int_equal(frame_read_counts(arena).unevictable, 0);
	frame_set_lru(arena, a, FRAME_LRU_NONE);
	frame_put(arena, b);
	assert_int_equal(frame_read_counts(arena).active, 0);
	frame_put(arena, a);
}

/* Does each step of making an arena fail cleanly? */
static void running_out_leaves_nothing_behind(void **state)
{
	struct world *world = *state;
	uint64_t before = heap_outstanding();
	struct frame_arena *arena;
	struct mmu *mmu;
	unsigned n;

	heap_fail_nth(1);
	assert_int_equal(frame_alloc(world->arena, 0).n, 0);
	assert_in_use(world->arena, 0, 0);
	heap_fail_nth(1);
	assert_int_equal(mmu_soft_create(&mmu), -ENOMEM);
	assert_int_equal(mmu_soft_create(&mmu), 0);
	for (n = 1;; n++) {
		heap_fail_nth(n);
		if (frame_arena_create(mmu, PAGE_BYTES, &arena) == 0)
			break;
		assert_int_equal(heap_outstanding(), before + 1);
	}
	heap_fail_nth(0);
	assert_int_equal(n, 3);
	frame_arena_destroy(arena);
	mmu->ops->destroy(mmu);
	assert_int_equal(heap_outstanding(), before);
}

static void too_large_an_arena_is_refused(void **state)
{
	struct world *world = *state;
	struct frame_arena *arena;

	assert_int_equal(frame_arena_create(world->mmu, (uint64_t)1 << 60,
					    &arena), -ENOMEM);
	assert_int_equal(frame_arena_create(world->mmu, UINT64_MAX, &arena),
			 -ENOMEM);
	/* Lazily populated: much more than there is memory is fine. */
	assert_int_equal(frame_arena_create(world->mmu, (uint64_t)1 << 37,
					    &arena), 0);
	frame_arena_destroy(arena);
}

static void *take_and_give(void *arg)
{
	struct frame_arena *arena = arg;
	struct pfn pfn;
	uint32_t *bytes;

	for (uint32_t i = 0; i < 20000; i++) {
		pfn = frame_alloc(arena, i % 5 ? 0 : FRAME_TABLE);
		if (!pfn.n)
			continue;
		bytes = frame_bytes(arena, pfn);
		check(i % 5 || bytes[7] == 0);
		bytes[7] = i | pfn.n << 16;
		frame_get(arena, pfn);
		frame_set_lru(arena, pfn, FRAME_LRU_ACTIVE);
		frame_put(arena, pfn);
		check(bytes[7] == (i | pfn.n << 16));
		frame_put(arena, pfn);
	}
	return NULL;
}

/* Is a frame never two threads' at once? */
static void racing_threads_share_the_frames(void **state)
{
	struct frame_arena *arena = ((struct world *)*state)->arena;
	pthread_t threads[4];
	struct pfn spare[FRAMES - 3];

	for (unsigned i = 0; i < FRAMES - 3; i++)
		spare[i] = frame_alloc(arena, 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, take_and_give, arena);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < FRAMES - 3; i++)
		frame_put(arena, spare[i]);
	assert_in_use(arena, 0, 0);
	assert_int_equal(frame_read_counts(arena).active, 0);
}

static void put_twice(void *arena)
{
	struct pfn pfn = frame_alloc(arena, 0);

	frame_put(arena, pfn);
	frame_put(arena, pfn);
}

static void get_a_free_one(void *arena)
{
	struct pfn pfn = frame_alloc(arena, 0);

	frame_put(arena, pfn);
	frame_get(arena, pfn);
}

static void free_a_mapped_one(void *arena)
{
	struct pfn pfn = frame_alloc(arena, 0);

	frame_meta(arena, pfn)->mapcount++;
	frame_put(arena, pfn);
}

static void look_at_none(void *arena)
{
	frame_bytes(arena, (struct pfn){ 0 });
}

static void look_past_the_end(void *arena)
{
	frame_meta(arena, (struct pfn){ FRAMES + 2 });
}

static void destroy_in_use(void *arena)
{
	if (frame_alloc(arena, 0).n)
		frame_arena_destroy(arena);
}

static void misuse_is_noticed(void **state)
{
	struct frame_arena *arena = ((struct world *)*state)->arena;

	assert_true(dies(put_twice, arena));
	assert_true(dies(get_a_free_one, arena));
	assert_true(dies(free_a_mapped_one, arena));
	assert_true(dies(look_at_none, arena));
	assert_true(dies(look_past_the_end, arena));
	assert_true(dies(destroy_in_use, arena));
}

#define frame_test(fn) \
	cmocka_unit_test_setup_teardown(fn, make_world, drop_world)

int main(void)
{
	const struct CMUnitTest cases[] = {
		frame_test(an_arena_holds_what_it_should),
		frame_test(freed_frames_are_used_again_last_first),
		frame_test(table_pages_are_zero),
		frame_test(the_last_reference_frees_and_pays_back),
		frame_test(the_zero_page_is_never_freed),
		frame_test(lists_are_counted),
		frame_test(running_out_leaves_nothing_behind),
		frame_test(too_large_an_arena_is_refused),
		frame_test(racing_threads_share_the_frames),
		frame_test(misuse_is_noticed),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
