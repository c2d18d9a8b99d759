/* SPDX-License-Identifier: MIT */
/*
 * Which memory belongs to an object: REGISTER and UNREGISTER.
 *
 * Both look at every VMA of the range before they change the first, under the
 * map lock held for writing; only memory for splitting VMAs can run out in
 * between, and then the earlier ones stay changed (C31).
 */
#include "uffd/command.h"

#include "base/check.h"

#include <errno.h>

_Static_assert(PF_UFFDIO_REGISTER_MODE_MISSING == WATCH_MISSING &&
		       PF_UFFDIO_REGISTER_MODE_WP == WATCH_WP &&
		       PF_UFFDIO_REGISTER_MODE_MINOR == WATCH_MINOR,
	       "modes are handed to the space as they are");

/*
 * What each kind of memory can be watched for. Shared memory and huge pages
 * have no object operations yet, so they are refused like regular files.
 */
static const unsigned modes_of_kind[] = {
	[VMA_ANON] = WATCH_MISSING,
	[VMA_SHMEM] = 0,
	[VMA_HUGETLB] = 0,
	[VMA_FILE] = 0,
	[VMA_SPECIAL] = 0,
	[VMA_STACK] = WATCH_MISSING,
};

static bool is_supported(const struct vma *vma, unsigned modes)
{
	check((size_t)vma->kind < array_len(modes_of_kind));
	if (!vma->ops || vma->is_shared)
		return false;
	return modes_of_kind[vma->kind] &&
	       !(modes & ~modes_of_kind[vma->kind]);
}

/*
 * Why nothing is mapped in the range. Older generations tell whether
 * anything is mapped above it, which in the host world takes a survey.
 */
static int nothing_mapped(const struct uffd *uffd, struct range r)
{
	struct space *space = uffd->space;
	bool is_last;
	int err;

	if (!uffd->profile->hole_above_is_enomem)
		return -EINVAL;
	r.end = TASK_BYTES;
	err = space_survey(space, r);
	if (err)
		return -ENOMEM;
	is_last = !space_find_vma(space, r.start);
	space_settle(space, r);
	return is_last ? -ENOMEM : -EINVAL;
}

static bool is_mapped(struct space *space, struct range r)
{
	struct vma *vma = space_find_vma(space, r.start);

	return vma && vma->range.start < r.end;
}

/*
 * Gives the part of the VMA in the range to `watch` with `modes` (NULL and
 * 0: to nobody).
 * Returns: 0; -ENOMEM.
 */
static int set_part(struct space *space, struct vma *vma, struct range r,
		    struct watch *watch, unsigned modes)
{
	unsigned gained = modes & ~vma->modes;
	struct vma *part;
	int err;

	check(!watch == !modes);
	err = space_clip_vma(space, vma, r, &part);
	if (err)
		return err;
	if (!watch)
		space_disarm(space, part);
	else if (gained & WATCH_MISSING)
		err = space_arm(space, part);
	if (err) {
		/* Set to what it is: merged again with what it was cut from. */
		(void)space_set_watch(space, part, part->watch, part->modes);
		return err;
	}
	(void)space_set_watch(space, part, watch, modes);
	return 0;
}

/* ---- REGISTER ---- */

static int check_register(struct uffd *uffd, struct range r, unsigned modes)
{
	struct vma *vma;

	space_each_vma(uffd->space, r, vma) {
		if (!is_supported(vma, modes))
			return -EINVAL;
		if (!vma->may_write)
			return -EPERM;
		if (vma->watch && vma->watch != &uffd->watch)
			return -EBUSY;
	}
	return 0;
}

static int change_register(struct uffd *uffd, struct range r, unsigned modes)
{
	struct space *space = uffd->space;
	struct vma *vma;
	int err;

	while (!range_is_empty(r) && is_mapped(space, r)) {
		vma = space_find_vma(space, r.start);
		struct range part = range_clip(vma->range, r);
		bool is_done = vma->watch && (vma->modes & modes) == modes;

		if (!is_done) {
			err = set_part(space, vma, part, &uffd->watch, modes);
			if (err)
				return err;
		}
		r.start = part.end;
	}
	return 0;
}

static int register_locked(struct uffd *uffd, struct range r, unsigned modes)
{
	int err;

	if (atomic_load(&uffd->space->is_dead))
		return -ENOMEM;
	err = space_survey(uffd->space, r);
	if (err)
		return -ENOMEM;
	if (!is_mapped(uffd->space, r))
		return nothing_mapped(uffd, r);
	err = check_register(uffd, r, modes);
	if (err)
		return err;
	return change_register(uffd, r, modes);
}

/* What the program may do with the range, by what it asked for. */
static uint64_t range_ioctls(const struct uffd *uffd, uint64_t modes)
{
	uint64_t ioctls = uffd->profile->range_ioctls;

	if (!(modes & PF_UFFDIO_REGISTER_MODE_WP))
		ioctls &= ~(1ull << PF_UFFD_BIT_WRITEPROTECT);
	if (!(modes & PF_UFFDIO_REGISTER_MODE_MINOR))
		ioctls &= ~(1ull << PF_UFFD_BIT_CONTINUE);
	return ioctls;
}

int command_register(struct uffd *uffd, const struct uffd_arg *arg)
{
	const size_t out = offsetof(struct pf_uffdio_register, ioctls);
	struct pf_uffdio_register block;
	struct range r;
	int err;

	err = arg_in(arg, &block, out);
	if (err)
		return err;
	if (!block.mode || (block.mode & ~uffd->profile->register_modes))
		return -EINVAL;
	err = range_decode(uffd, block.range.start, block.range.len, &r);
	if (err)
		return err;

	space_begin(uffd->space);
	/* Released while it was on its way here: nobody would let go again. */
	err = atomic_load(&uffd->is_released) ? -EBADF : 0;
	if (!err)
		err = register_locked(uffd, r, (unsigned)block.mode);
	space_settle(uffd->space, r);
	space_end(uffd->space);
	if (err)
		return err;

	block.ioctls = range_ioctls(uffd, block.mode);
	return arg_out(arg, out, &block.ioctls, sizeof(block.ioctls));
}

/* ---- UNREGISTER ---- */

static int check_unregister(struct uffd *uffd, struct range r)
{
	struct vma *vma;
	bool is_foreign;

	space_each_vma(uffd->space, r, vma) {
		if (!is_supported(vma, 0))
			return -EINVAL;
		is_foreign = vma->watch && vma->watch != &uffd->watch;
		if (is_foreign && !uffd->profile->foreign_unregister_ok)
			return -EINVAL;
	}
	return 0;
}

/*
 * The waiters woken are the owner's, who need not be the caller. They find
 * the map lock taken, so they see the range without its owner.
 */
static int unregister_part(struct space *space, struct vma *vma,
			   struct range part)
{
	struct uffd *owner = uffd_of_watch(vma->watch);
	bool had_missing = vma->modes & WATCH_MISSING;
	int err;

	err = set_part(space, vma, part, NULL, 0);
	if (err)
		return err;
	if (had_missing)
		uffd_wake(owner, part);
	return 0;
}

static int change_unregister(struct space *space, struct range r)
{
	struct vma *vma;
	int err;

	while (!range_is_empty(r) && is_mapped(space, r)) {
		vma = space_find_vma(space, r.start);
		struct range part = range_clip(vma->range, r);

		if (vma->watch) {
			err = unregister_part(space, vma, part);
			if (err)
				return err;
		}
		r.start = part.end;
	}
	return 0;
}

static int unregister_locked(struct uffd *uffd, struct range r)
{
	int err;

	if (atomic_load(&uffd->space->is_dead))
		return -ENOMEM;
	err = space_survey(uffd->space, r);
	if (err)
		return -ENOMEM;
	if (!is_mapped(uffd->space, r))
		return nothing_mapped(uffd, r);
	err = check_unregister(uffd, r);
	if (err)
		return err;
	return change_unregister(uffd->space, r);
}

int command_unregister(struct uffd *uffd, const struct uffd_arg *arg)
{
	struct pf_uffdio_range block;
	struct range r;
	int err;

	err = arg_in(arg, &block, sizeof(block));
	if (err)
		return err;
	err = range_decode(uffd, block.start, block.len, &r);
	if (err)
		return err;

	space_begin(uffd->space);
	err = unregister_locked(uffd, r);
	space_settle(uffd->space, r);
	space_end(uffd->space);
	return err;
}
