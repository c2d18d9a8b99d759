/* SPDX-License-Identifier: MIT */
/*
 * The life of a space: made, exited, freed with its last reference.
 */
#include "space/vma.h"

#include "base/check.h"
#include "base/heap.h"

#include <errno.h>

/* Address space, not memory: an arena is populated as it is used. */
#define ARENA_BYTES_SOFT ((uint64_t)1 << 30)
/* Table pages and pages held during a fill only. */
#define ARENA_BYTES_NATIVE ((uint64_t)1 << 28)

static uint64_t arena_bytes(const struct space_options *options)
{
	if (options->arena_bytes)
		return options->arena_bytes;
	return options->mmu->is_native ? ARENA_BYTES_NATIVE : ARENA_BYTES_SOFT;
}

static void space_init(struct space *space,
		       const struct space_options *options)
{
	bool is_native = options->mmu->is_native;

	rwlock_init(&space->map_lock, RANK_SPACE);
	RB_INIT(&space->vmas);
	space->home.mmu = options->mmu;
	space->home.group = options->group;
	space->home.profile = options->profile ? options->profile :
						 profile_default();
	/* Resident native pages are the host's to count. */
	space->home.anon_pages = is_native ? NULL : &space->counts.anon_pages;
	atomic_init(&space->refs, 1);
}

int space_create(const struct space_options *options, struct space **out)
{
	struct frame_arena *frames;
	struct space *space;
	int err;

	space = heap_zalloc(sizeof(*space));
	if (!space)
		return -ENOMEM;
	space_init(space, options);

	err = frame_arena_create(options->mmu, arena_bytes(options), &frames);
	if (err)
		goto out_space;
	space->home.frames = frames;
	err = table_create(frames, &space->table);
	if (err)
		goto out_frames;
	*out = space;
	return 0;

out_frames:
	frame_arena_destroy(frames);
out_space:
	heap_free(space, sizeof(*space));
	return err;
}

void space_get(struct space *space)
{
	check(atomic_load(&space->refs) > 0);
	atomic_fetch_add(&space->refs, 1);
}

static void space_free(struct space *space)
{
	struct mmu *mmu = space->home.mmu;

	check(RB_EMPTY(&space->vmas));
	check(atomic_load(&space->counts.anon_pages) == 0);
	table_destroy(space->table);
	frame_arena_destroy(space->home.frames);
	mmu->ops->destroy(mmu);
	heap_free(space, sizeof(*space));
}

void space_put(struct space *space)
{
	check(atomic_load(&space->refs) > 0);
	if (atomic_fetch_sub(&space->refs, 1) > 1)
		return;
	if (!atomic_load(&space->is_dead))
		space_exit(space);
	space_free(space);
}

void space_exit(struct space *space)
{
	struct vma *vma;

	space_begin(space);
	atomic_store(&space->is_dead, 1);
	while ((vma = vma_tree_first(space)) != NULL) {
		space_disarm(space, vma);
		vma_zap(space, vma, vma->range, false);
		vma_remove(space, vma);
	}
	space_end(space);
}

void space_begin(struct space *space)
{
	rwlock_write(&space->map_lock);
}

void space_end(struct space *space)
{
	if (PF_CHECK_LEVEL >= 3)
		space_check_locked(space);
	rwlock_write_drop(&space->map_lock);
}
