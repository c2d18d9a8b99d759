/* SPDX-License-Identifier: MIT */
#include "space_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the watch ---- */

static struct fake_watch *fake_of(struct watch *watch)
{
	return (struct fake_watch *)(void *)watch;
}

static enum watch_answer on_fault(struct watch *watch,
				  const struct watch_fault *fault,
				  struct watch_ticket *ticket)
{
	struct fake_watch *fake = fake_of(watch);

	lock_take(&fake->lock);
	fake->last = *fault;
	lock_drop(&fake->lock);
	if (fake->answer == WATCH_WAIT)
		*ticket = (struct watch_ticket){
			.word = &fake->word,
			.seen = atomic_load(&fake->word),
			.watch = watch,
		};
	atomic_fetch_add(&fake->posted, 1);
	if (fake->during)
		fake->during(fake->arg);
	return fake->answer;
}

static void withdraw(const struct watch_ticket *ticket)
{
	atomic_fetch_add(&fake_of(ticket->watch)->withdrawn, 1);
}

static void announce(const struct watch_ticket *ticket)
{
	atomic_fetch_add(&fake_of(ticket->watch)->announced, 1);
}

static const struct watch_ops fake_ops = {
	.on_fault = on_fault,
	.withdraw = withdraw,
	.announce = announce,
};

void fake_watch_init(struct fake_watch *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->watch.ops = &fake_ops;
	fake->answer = WATCH_WAIT;
	rwlock_init(&fake->watch.gate.lock, RANK_CHANGING);
	lock_init(&fake->lock, RANK_QUEUE);
}

void fake_watch_wake(struct fake_watch *fake)
{
	atomic_fetch_add(&fake->word, 1);
	sync_wake_all(&fake->word);
}

void fake_watch_await(struct fake_watch *fake, uint32_t n)
{
	uint64_t end = sync_now_ns() + 10000000000u;

	while (atomic_load(&fake->announced) < n) {
		assert_true(sync_now_ns() < end);
		usleep(200);
	}
}

/* ---- the space ---- */

struct space *sx_space(const char *profile, struct charge_group *group)
{
	struct space_options options = {
		.profile = profile_find(profile),
		.group = group,
		.arena_bytes = 64u << 20,
	};
	struct space *space;

	assert_int_equal(mmu_soft_create(&options.mmu), 0);
	assert_int_equal(space_create(&options, &space), 0);
	return space;
}

static int setup(void **state, const char *profile)
{
	uint64_t heap_before = heap_outstanding();
	struct sx *sx = calloc(1, sizeof(*sx));

	assert_non_null(sx);
	sx->heap_before = heap_before;
	sx->group = charge_create(NULL, CHARGE_NO_LIMIT);
	assert_non_null(sx->group);
	sx->space = sx_space(profile, sx->group);
	fake_watch_init(&sx->watch);
	*state = sx;
	return 0;
}

int sx_setup(void **state)
{
	return setup(state, "linux-6.18");
}

int sx_setup_seed(void **state)
{
	return setup(state, "linux-5.4");
}

int sx_teardown(void **state)
{
	struct sx *sx = *state;

	heap_fail_nth(0);
	space_check(sx->space);
	space_put(sx->space);
	assert_int_equal(charge_read(sx->group).charged_pages, 0);
	assert_int_equal(charge_read(sx->group).pending_pages, 0);
	charge_destroy(sx->group);
	assert_int_equal(heap_outstanding(), sx->heap_before);
	free(sx);
	return 0;
}

void sx_map(struct sx *sx, va_t at, uint64_t pages, unsigned prot)
{
	struct space_map_request req = {
		.at = at,
		.len_bytes = pages * PAGE,
		.prot = prot,
		.flags = SPACE_FIXED,
	};

	assert_int_equal(space_map(sx->space, &req), at);
}

void sx_watch(struct sx *sx, struct range r, struct watch *watch,
	      unsigned modes)
{
	struct vma *vma;

	space_begin(sx->space);
	space_each_vma(sx->space, r, vma) {
		assert_int_equal(space_clip_vma(sx->space, vma, r, &vma), 0);
		if (watch)
			assert_int_equal(space_arm(sx->space, vma), 0);
		else
			space_disarm(sx->space, vma);
		vma = space_set_watch(sx->space, vma, watch, modes);
	}
	space_end(sx->space);
}

void sx_map_watched(struct sx *sx, va_t at, uint64_t pages, unsigned modes)
{
	sx_map(sx, at, pages, RW);
	sx_watch(sx, range_of(at, pages * PAGE), &sx->watch.watch, modes);
}

void sx_write(struct sx *sx, va_t at, uint64_t pages, int byte)
{
	char bytes[PAGE_BYTES];

	memset(bytes, byte, sizeof(bytes));
	for (uint64_t i = 0; i < pages; i++)
		assert_int_equal(space_copy_out(sx->space, at + i * PAGE, bytes,
						PAGE, true),
				 PAGE);
}

bool sx_holds(struct sx *sx, va_t at, int byte)
{
	unsigned char bytes[PAGE_BYTES];

	if (space_copy_in(sx->space, bytes, at, PAGE, false) != PAGE)
		return false;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		if (bytes[i] != byte)
			return false;
	return true;
}

struct pte sx_entry(struct sx *sx, va_t va)
{
	struct slot slot;

	assert_int_equal(table_walk(sx->space->table, va, false, &slot), 0);
	return table_read(&slot);
}

unsigned sx_vmas(struct sx *sx)
{
	struct vma *vma;
	unsigned n = 0;

	for (vma = space_find_vma(sx->space, 0); vma;
	     vma = space_next_vma(sx->space, vma))
		n++;
	return n;
}

struct sx_counts sx_count(struct sx *sx)
{
	struct frame_counts frames = frame_read_counts(sx->space->home.frames);
	struct charge_counts charges = charge_read(sx->group);

	return (struct sx_counts){
		.used = frames.used,
		.active = frames.active,
		.unevictable = frames.unevictable,
		.charged = charges.charged_pages,
		.pending = charges.pending_pages,
		.anon = atomic_load(&sx->space->counts.anon_pages),
		.heap = heap_outstanding(),
	};
}

void sx_unchanged(struct sx *sx, const struct sx_counts *before)
{
	struct sx_counts now = sx_count(sx);

	assert_int_equal(now.used, before->used);
	assert_int_equal(now.active, before->active);
	assert_int_equal(now.unevictable, before->unevictable);
	assert_int_equal(now.charged, before->charged);
	assert_int_equal(now.pending, before->pending);
	assert_int_equal(now.anon, before->anon);
	assert_int_equal(now.heap, before->heap);
}
