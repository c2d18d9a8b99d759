/* SPDX-License-Identifier: MIT */
/*
 * Changes that the program makes to its mappings.
 *
 * Where nothing is watched the call goes straight to the kernel. Where
 * something is, the map lock is held over our own bookkeeping and the real
 * call, so no fill and no fault sees the one without the other.
 *
 *   1 VMAs are cut at the ends      may be refused, undone
 *   2 the real call                 may be refused, undone
 *   3 what we knew is forgotten     cannot fail
 */
#include "sys/sys.h"

#include "base/check.h"
#include "base/raw.h"
#include "sys/change.h"
#include "sys/handle.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

void change_begin_always(struct change *change)
{
	change->space = sys_space();
	host_block_signals(&change->mask);
	space_begin(change->space);
}

bool change_begin(struct change *change, struct range r)
{
	if (!sys_is_watched(r))
		return false;
	change_begin_always(change);
	return true;
}

void change_end(struct change *change)
{
	space_end(change->space);
	host_restore_signals(&change->mask);
}

struct range pages_of(va_t addr, size_t len)
{
	struct range r = { page_down(addr), page_up(addr + len) };

	if (addr > TASK_BYTES || len > TASK_BYTES - addr)
		r.end = r.start;
	return r;
}

void forget_cut(struct space *space, struct range r)
{
	if (space_unmap_locked(space, r))
		bug("the ends are cut");
}

int sys_forget_range(struct range r)
{
	struct change change;
	int err;

	if (!change_begin(&change, r))
		return 0;
	err = space_unmap_locked(change.space, r);
	change_end(&change);
	return err;
}

/* ---- mmap, munmap ---- */

/* What is watched there is replaced, or stays if the call is refused. */
static long map_over(struct range over, const long *arg)
{
	struct change change;
	long at;

	if (!change_begin(&change, over))
		return raw_call(SYS_mmap, arg[0], arg[1], arg[2], arg[3],
				arg[4], arg[5]);
	at = space_cut(change.space, over);
	if (!at) {
		at = raw_call(SYS_mmap, arg[0], arg[1], arg[2], arg[3],
			      arg[4], arg[5]);
		if (is_error(at))
			space_uncut(change.space, over);
		else
			forget_cut(change.space, over);
	}
	change_end(&change);
	return at;
}

long sys_mmap(void *addr, size_t len, int prot, int flags, int fd,
	      off_t offset)
{
	const long arg[6] = { (long)(uintptr_t)addr, (long)len, prot, flags,
			      fd, offset };
	struct range over = pages_of((va_t)(uintptr_t)addr, len);
	bool replaces = (flags & MAP_FIXED) && !(flags & MAP_FIXED_NOREPLACE);
	long at;

	if (fd >= 0 && !(flags & MAP_ANONYMOUS) && handle_of(fd))
		return -ENODEV;
	if (replaces && !range_is_empty(over))
		return map_over(over, arg);
	at = raw_call(SYS_mmap, arg[0], arg[1], arg[2], arg[3], arg[4],
		      arg[5]);
	/* Where something was unmapped behind our back. */
	if (!is_error(at))
		sys_forget_range(pages_of((va_t)at, len));
	return at;
}

int sys_munmap(va_t addr, size_t len)
{
	struct range r = pages_of(addr, len);
	struct change change;
	int err;

	if (range_is_empty(r) || !is_page_aligned(addr) ||
	    !change_begin(&change, r))
		return (int)raw_call(SYS_munmap, addr, len);
	err = space_cut(change.space, r);
	if (!err) {
		err = (int)raw_call(SYS_munmap, addr, len);
		if (err)
			space_uncut(change.space, r);
		else
			forget_cut(change.space, r);
	}
	change_end(&change);
	return err;
}

/* ---- calls that go part by part ---- */

struct part_ops {
	/* For a part that traps where it is missing / for any other. */
	int (*watched)(struct space *space, struct range part, int arg);
	int (*plain)(struct range part, int arg);
	bool passes_holes; /* -ENOMEM is told at the end only */
};

/* The part of the range that begins it. */
static struct range first_part(struct space *space, struct range r,
			       bool *is_watched)
{
	struct vma *vma = space_find_vma(space, r.start);

	*is_watched = vma && vma->range.start <= r.start && vma->watch &&
		      !vma_never_traps(vma);
	if (!vma)
		return r;
	if (vma->range.start > r.start)
		return range_clip((struct range){ r.start, vma->range.start },
				  r);
	return range_clip(vma->range, r);
}

/* As the kernel: mapping by mapping, up to the first that refuses. */
static int each_part(struct range r, const struct part_ops *ops, int arg)
{
	struct space *space = sys_space();
	bool is_watched;
	int err = 0;
	int hole = 0;

	while (!err && !range_is_empty(r)) {
		struct range part = first_part(space, r, &is_watched);

		err = is_watched ? ops->watched(space, part, arg)
				 : ops->plain(part, arg);
		if (err == -ENOMEM && ops->passes_holes) {
			hole = err;
			err = 0;
		}
		r.start = part.end;
	}
	return err ? err : hole;
}

/* ---- mprotect ---- */

static int protect_watched(struct space *space, struct range part, int prot)
{
	return space_protect_locked(space, part, (unsigned)prot);
}

static int protect_plain(struct range part, int prot)
{
	return (int)raw_call(SYS_mprotect, part.start, range_bytes(part),
			     prot);
}

static const struct part_ops protecting = { protect_watched, protect_plain,
					    false };

int sys_mprotect(va_t addr, size_t len, int prot)
{
	struct range r = pages_of(addr, len);
	struct change change;
	int err;

	if (range_is_empty(r) || !is_page_aligned(addr) || (prot & ~7) ||
	    !change_begin(&change, r))
		return (int)raw_call(SYS_mprotect, addr, len, prot);
	err = each_part(r, &protecting, prot);
	change_end(&change);
	return err;
}

/* ---- madvise ---- */

static int advise_plain(struct range part, int advice)
{
	return (int)raw_call(SYS_madvise, part.start, range_bytes(part),
			     advice);
}

/* The memory before the first that is locked; -EINVAL: and there is one. */
static int before_locked(struct range *part)
{
	va_t end = part->end;

	part->end = host_find_locked(*part);
	return part->end < end ? -EINVAL : 0;
}

static int discard_watched(struct space *space, struct range part, int advice)
{
	int locked = 0;
	int err = 0;

	if (advice == MADV_DONTNEED)
		locked = before_locked(&part);
	if (!range_is_empty(part))
		err = space_discard_locked(space, part);
	return err ? err : locked;
}

/* Lazily: never is soon enough. */
static int free_watched(struct space *space, struct range part, int advice)
{
	(void)space;
	(void)advice;
	return before_locked(&part);
}

static int guard_watched(struct space *space, struct range part, int advice)
{
	bool is_install = advice == MADV_GUARD_INSTALL;
	int locked = is_install ? before_locked(&part) : 0;
	int err = 0;

	if (!range_is_empty(part))
		err = space_guard_locked(space, part, is_install);
	return err ? err : locked;
}

static const struct part_ops discarding = { discard_watched, advise_plain,
					    true };
static const struct part_ops freeing = { free_watched, advise_plain, true };
static const struct part_ops guarding = { guard_watched, advise_plain, true };

static int advise_parts(struct range r, const struct part_ops *ops, int advice)
{
	struct change change;
	int err;

	if (!change_begin(&change, r))
		return advise_plain(r, advice);
	err = each_part(r, ops, advice);
	change_end(&change);
	return err;
}

int sys_madvise(va_t addr, size_t len, int advice)
{
	struct range r = pages_of(addr, len);

	if (range_is_empty(r) || !is_page_aligned(addr) || !sys_is_watched(r))
		return (int)raw_call(SYS_madvise, addr, len, advice);
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
		return advise_parts(r, &discarding, advice);
	case MADV_FREE:
		return advise_parts(r, &freeing, advice);
	case MADV_GUARD_INSTALL:
	case MADV_GUARD_REMOVE:
		return advise_parts(r, &guarding, advice);
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		if (sys_fault_in(r, advice == MADV_POPULATE_WRITE))
			return -EFAULT;
		break;
	default:
		break;
	}
	return (int)raw_call(SYS_madvise, addr, len, advice);
}
