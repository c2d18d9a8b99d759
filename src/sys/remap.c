/* SPDX-License-Identifier: MIT */
/*
 * mremap of watched memory, and memory that is let go.
 *
 * A mapping is moved as ordinary memory: disarmed before the call, under the
 * map lock, and armed again as it is if the call is refused.
 */
#include "sys/sys.h"

#include "base/raw.h"
#include "sys/change.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#define REMAP_FLAGS (MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)

/* What is asked for, in pages. */
struct remap {
	struct range old;
	struct range over; /* empty: where there is room */
	size_t new_bytes;
	int flags;
	va_t new_addr;
};

static bool is_moving(int flags)
{
	return flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
}

/* ---- letting go ---- */

/* What is watched in the range becomes ordinary; map lock held. */
static int let_go(struct space *space, struct range r)
{
	struct vma *vma;
	int err;

	space_each_vma(space, r, vma) {
		err = space_clip_vma(space, vma, r, &vma);
		if (err)
			return err;
		space_disarm(space, vma);
		vma = space_set_watch(space, vma, NULL, 0);
	}
	space_settle(space, r);
	return 0;
}

int sys_unwatch(struct range r)
{
	struct change change;
	int err;

	r = (struct range){ page_down(r.start), page_up(r.end) };
	if (!change_begin(&change, r))
		return 0;
	err = let_go(change.space, r);
	change_end(&change);
	return err;
}

/* ---- in place ---- */

static long remap_for_real(const struct remap *remap, int flags)
{
	return raw_call(SYS_mremap, remap->old.start,
			range_bytes(remap->old), remap->new_bytes, flags,
			remap->new_addr);
}

static int watch_grown(struct space *space, const struct vma *like,
		       struct range part)
{
	struct vma *vma;
	int err;

	err = space_survey(space, part);
	if (err)
		return err;
	vma = space_find_vma(space, part.start);
	if (!vma || !range_covers(vma->range, part))
		return 0;
	err = space_arm(space, vma);
	if (!err)
		space_set_watch(space, vma, like->watch, like->modes);
	return err;
}

/* The part that a watched mapping grew by is watched as it is. */
static int grow_watched(struct space *space, struct range old, va_t new_end)
{
	struct vma *last = space_find_vma(space, old.end - 1);
	struct range part = { old.end, new_end };
	int err;

	if (!last || !last->watch || last->range.end != old.end)
		return 0;
	/* What it grew from may be closed just now. */
	raw_call(SYS_mprotect, part.start, range_bytes(part), last->prot);
	err = watch_grown(space, last, part);
	space_settle(space, part);
	return err;
}

/*
 * The last page alone is made to grow: what is before it may be several
 * mappings by our doing.
 */
static long grow(struct space *space, const struct remap *remap, va_t end)
{
	va_t last = remap->old.end - PAGE_BYTES;
	long at = raw_call(SYS_mremap, last, PAGE_BYTES, end - last, 0, 0);

	if (is_error(at))
		return at;
	if (!grow_watched(space, remap->old, end))
		return (long)remap->old.start;
	raw_call(SYS_mremap, last, end - last, PAGE_BYTES, 0, 0);
	return -ENOMEM;
}

static long shrink(struct space *space, const struct remap *remap, va_t end)
{
	struct range tail = { end, remap->old.end };
	long at = space_cut(space, tail);

	if (at)
		return at;
	at = remap_for_real(remap, 0);
	if (is_error(at))
		space_uncut(space, tail);
	else
		forget_cut(space, tail);
	return at;
}

static long remap_in_place(struct space *space, const struct remap *remap)
{
	va_t end = remap->old.start + remap->new_bytes;

	if (end > remap->old.end)
		return grow(space, remap, end);
	if (end < remap->old.end)
		return shrink(space, remap, end);
	return remap_for_real(remap, 0);
}

/* ---- elsewhere: nobody watches the new place (no EVENT_REMAP) ---- */

static int cut_both(struct space *space, const struct remap *remap)
{
	int err = space_cut(space, remap->old);

	if (err || range_is_empty(remap->over))
		return err;
	err = space_cut(space, remap->over);
	if (err)
		space_uncut(space, remap->old);
	return err;
}

static void after_move(struct space *space, const struct remap *remap, va_t at)
{
	if (!range_is_empty(remap->over))
		forget_cut(space, remap->over);
	else /* where something was unmapped behind our back */
		(void)!space_unmap_locked(space,
					  range_of(at, remap->new_bytes));
	/* Kept, the old mapping is empty: all of it is missing. */
	if (remap->flags & MREMAP_DONTUNMAP)
		space_rearm_range(space, remap->old);
	else
		forget_cut(space, remap->old);
}

static long remap_moving(struct space *space, const struct remap *remap)
{
	long at = cut_both(space, remap);

	if (at)
		return at;
	space_disarm_range(space, remap->old);
	at = remap_for_real(remap, remap->flags);
	if (!is_error(at)) {
		after_move(space, remap, (va_t)at);
		return at;
	}
	space_rearm_range(space, remap->old);
	space_uncut(space, remap->old);
	if (!range_is_empty(remap->over))
		space_uncut(space, remap->over);
	return at;
}

/* ---- the call ---- */

/* What the kernel refuses at a glance is left to it. */
static bool is_sound(const struct remap *remap)
{
	if (range_is_empty(remap->old) || !remap->new_bytes ||
	    (remap->flags & ~REMAP_FLAGS))
		return false;
	if (is_moving(remap->flags) && !(remap->flags & MREMAP_MAYMOVE))
		return false;
	if (!(remap->flags & MREMAP_FIXED))
		return true;
	return is_page_aligned(remap->new_addr) &&
	       !range_is_empty(remap->over) &&
	       !range_meets(remap->over, remap->old);
}

long sys_mremap(va_t addr, size_t old_len, size_t new_len, int flags,
		va_t new_addr)
{
	struct remap remap = {
		.old = pages_of(addr, old_len),
		.new_bytes = page_up(new_len),
		.flags = flags,
		.new_addr = new_addr,
	};
	struct change change;
	long at = -ENOMEM;

	if (flags & MREMAP_FIXED)
		remap.over = pages_of(new_addr, new_len);
	if (!is_page_aligned(addr) || !is_sound(&remap) ||
	    (!sys_is_watched(remap.old) && !sys_is_watched(remap.over)))
		return raw_call(SYS_mremap, addr, old_len, new_len, flags,
				new_addr);
	change_begin_always(&change);
	if (!is_moving(flags))
		at = remap_in_place(change.space, &remap);
	if (is_error(at) && (flags & MREMAP_MAYMOVE))
		at = remap_moving(change.space, &remap);
	change_end(&change);
	return at;
}
