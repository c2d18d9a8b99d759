/* SPDX-License-Identifier: MIT */
/*
 * Changes that the program makes to its mappings.
 *
 * Where nothing is watched the call goes straight to the kernel. Where
 * something is, the map lock is held over our own bookkeeping and the real
 * call, so no fill and no fault sees the one without the other.
 */
#include "sys/sys.h"

#include "base/raw.h"
#include "sys/handle.h"
#include "sys/process.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

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
#define MREMAP_KEEPS_OLD 4 /* MREMAP_DONTUNMAP */

/* The space, with the map lock held and signals blocked; NULL: not needed. */
struct change {
	struct space *space;
	struct host_mask mask;
};

static bool change_begin(struct change *change, struct range r)
{
	if (!sys_is_watched(r))
		return false;
	change->space = sys_space();
	host_block_signals(&change->mask);
	space_begin(change->space);
	return true;
}

static void change_end(struct change *change)
{
	space_end(change->space);
	host_restore_signals(&change->mask);
}

static bool is_error(long ret)
{
	return ret < 0 && ret > -4096;
}

static struct range pages_of(va_t addr, size_t len)
{
	return (struct range){ page_down(addr), page_up(addr + len) };
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

long sys_mmap(void *addr, size_t len, int prot, int flags, int fd,
	      off_t offset)
{
	struct range over = pages_of((va_t)(uintptr_t)addr, len);
	struct change change;
	bool replaces = (flags & MAP_FIXED) && len &&
			!(flags & MAP_FIXED_NOREPLACE);
	long at;

	if (fd >= 0 && !(flags & MAP_ANONYMOUS) && handle_of(fd))
		return -ENODEV;
	replaces = replaces && change_begin(&change, over);
	at = raw_call(SYS_mmap, addr, len, prot, flags, fd, offset);
	if (replaces) {
		if (!is_error(at) && space_unmap_locked(change.space, over))
			at = -ENOMEM;
		change_end(&change);
	} else if (!is_error(at)) {
		/* Where something was unmapped behind our back. */
		sys_forget_range(pages_of((va_t)at, len));
	}
	return at;
}

int sys_munmap(va_t addr, size_t len)
{
	struct range r = pages_of(addr, len);
	struct change change;
	bool is_followed = len && is_page_aligned(addr) &&
			   change_begin(&change, r);
	int err = is_followed ? space_unmap_locked(change.space, r) : 0;

	if (!err)
		err = (int)raw_call(SYS_munmap, addr, len);
	if (is_followed)
		change_end(&change);
	return err;
}

/* ---- mprotect ---- */

/* `fn` for each part of the range that nobody watches. */
static int each_unwatched(struct space *space, struct range r,
			  int (*fn)(struct range part, long arg), long arg)
{
	struct vma *vma;
	va_t at = r.start;
	int err = 0;

	space_each_vma(space, r, vma) {
		if (!err && vma->range.start > at)
			err = fn((struct range){ at, vma->range.start }, arg);
		at = vma->range.end;
	}
	if (!err && at < r.end)
		err = fn((struct range){ at, r.end }, arg);
	return err;
}

static int protect_part(struct range part, long prot)
{
	return (int)raw_call(SYS_mprotect, part.start, range_bytes(part),
			     prot);
}

int sys_mprotect(va_t addr, size_t len, int prot)
{
	struct range r = pages_of(addr, len);
	struct change change;
	int err;

	if (!len || !is_page_aligned(addr) || (prot & ~7) ||
	    !change_begin(&change, r))
		return (int)raw_call(SYS_mprotect, addr, len, prot);
	err = space_protect_locked(change.space, r, (unsigned)prot);
	if (!err)
		err = each_unwatched(change.space, r, protect_part, prot);
	change_end(&change);
	return err;
}

/* ---- madvise ---- */

static int advise_part(struct range part, long advice)
{
	return (int)raw_call(SYS_madvise, part.start, range_bytes(part),
			     advice);
}

static int discard(struct range r)
{
	struct change change;
	int err;

	if (!change_begin(&change, r))
		return advise_part(r, MADV_DONTNEED);
	err = space_discard_locked(change.space, r);
	if (!err)
		err = each_unwatched(change.space, r, advise_part,
				     MADV_DONTNEED);
	change_end(&change);
	return err;
}

static int guard(struct range r, bool install)
{
	struct host_mask mask;
	int err;

	host_block_signals(&mask);
	err = space_guard(sys_space(), r, install);
	host_restore_signals(&mask);
	return err;
}

int sys_madvise(va_t addr, size_t len, int advice)
{
	struct range r = pages_of(addr, len);

	if (!len || !is_page_aligned(addr) || !sys_is_watched(r))
		return (int)raw_call(SYS_madvise, addr, len, advice);
	switch (advice) {
	case MADV_DONTNEED:
		return discard(r);
	case MADV_FREE:
		/* Lazily: never is soon enough. */
		return 0;
	case MADV_GUARD_INSTALL:
	case MADV_GUARD_REMOVE:
		return guard(r, advice == MADV_GUARD_INSTALL);
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

/* ---- mremap ---- */

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

/* The part that a watched mapping grew by is watched as it is. */
static int grow_watched(struct space *space, struct range old, va_t new_end)
{
	struct vma *last = space_find_vma(space, old.end - 1);
	struct range part = { old.end, new_end };
	struct vma *vma;
	int err;

	if (!last || !last->watch || last->range.end != old.end)
		return 0;
	err = space_survey(space, part);
	if (err)
		return err;
	vma = space_find_vma(space, part.start);
	if (vma && range_covers(vma->range, part)) {
		err = space_arm(space, vma);
		if (!err)
			space_set_watch(space, vma, last->watch, last->modes);
	}
	space_settle(space, part);
	return err;
}

/* In place: shorter, or longer where there is room. */
static long remap_in_place(struct space *space, struct range old, va_t end)
{
	long at = raw_call(SYS_mremap, old.start, range_bytes(old),
			   end - old.start, 0, 0);

	if (is_error(at))
		return at;
	if (end < old.end && space_unmap_locked(space, (struct range){ end, old.end }))
		return -ENOMEM;
	if (end > old.end && grow_watched(space, old, end))
		return -ENOMEM;
	return at;
}

/* Elsewhere: nobody watches the new place (no EVENT_REMAP). */
static long remap_moving(struct space *space, struct range old, size_t new_len,
			 int flags, va_t new_addr)
{
	struct range over = pages_of(new_addr, new_len);
	int err = let_go(space, old);
	long at;

	if (!err && (flags & MREMAP_FIXED))
		err = space_unmap_locked(space, over);
	if (err)
		return err;
	at = raw_call(SYS_mremap, old.start, range_bytes(old), new_len, flags,
		      new_addr);
	return at;
}

long sys_mremap(va_t addr, size_t old_len, size_t new_len, int flags,
		va_t new_addr)
{
	struct range old = pages_of(addr, old_len);
	struct range over = pages_of(new_addr, new_len);
	bool is_watched = sys_is_watched(old) ||
			  ((flags & MREMAP_FIXED) && sys_is_watched(over));
	struct change change;
	long at = -ENOMEM;

	if (!old_len || !new_len || !is_page_aligned(addr) || !is_watched)
		return raw_call(SYS_mremap, addr, old_len, new_len, flags,
				new_addr);
	change.space = sys_space();
	host_block_signals(&change.mask);
	space_begin(change.space);
	if (!(flags & (MREMAP_FIXED | MREMAP_KEEPS_OLD)))
		at = remap_in_place(change.space, old,
				    old.start + page_up(new_len));
	if (is_error(at) && (flags & MREMAP_MAYMOVE))
		at = remap_moving(change.space, old, new_len, flags, new_addr);
	change_end(&change);
	return at;
}
