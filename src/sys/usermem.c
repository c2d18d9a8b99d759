/* SPDX-License-Identifier: MIT */
/*
 * The program's memory as a system call meets it.
 *
 * The kernel gives EFAULT for a page that traps, where its own userfaultfd
 * would have the call wait; so pages are brought in before the call.
 */
#include "sys/sys.h"

#include "base/mem.h"
#include "base/raw.h"
#include "sys/handle.h"
#include "sys/process.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

bool sys_is_watched(struct range r)
{
	struct space *space = sys_space();

	return space && space_is_watched(space, r);
}

static bool touch(va_t va, bool is_write)
{
	char byte;

	if (is_write)
		return host_touch_write((void *)(uintptr_t)va);
	return host_copy_fault(&byte, (const void *)(uintptr_t)va, 1) == 1;
}

/* A part of a range that is watched, and what may be done there. */
struct touchable {
	struct range range;
	unsigned prot;
};

/* The part of the range that is watched and begins first; empty: none. */
static struct touchable next_watched(struct range r)
{
	struct space *space = sys_space();
	struct touchable found = { { r.end, r.end }, 0 };
	struct vma *vma;
	unsigned reader;

	reader = rwlock_read(&space->map_lock);
	vma = space_find_vma(space, r.start);
	if (vma && vma->range.start < r.end) {
		found.range = range_clip(vma->range, r);
		found.prot = vma->prot;
	}
	rwlock_read_drop(&space->map_lock, reader);
	return found;
}

static bool touch_all(struct range r, bool is_write)
{
	for (va_t va = r.start; va < r.end; va = page_down(va) + PAGE_BYTES)
		if (!touch(va, is_write))
			return false;
	return true;
}

static bool touch_to_read(const struct touchable *part)
{
	return touch_all(part->range, false);
}

static bool touch_to_write(const struct touchable *part)
{
	return touch_all(part->range, true);
}

/* What nobody may access is not populated; the kernel says what of it. */
static bool touch_to_lock(const struct touchable *part)
{
	if (!part->prot)
		return true;
	return touch_all(part->range, part->prot & ACCESS_WRITE);
}

/*
 * As in a system call, a signal that comes meanwhile waits for its end.
 * Spec: L21, L92.
 */
static int fault_in(struct range r, bool (*touch_part)(const struct touchable *))
{
	struct host_mask mask;
	int err = 0;

	if (!sys_is_watched(r))
		return 0;
	host_block_signals(&mask);
	while (!err && !range_is_empty(r)) {
		struct touchable part = next_watched(r);

		if (!range_is_empty(part.range) && !touch_part(&part))
			err = -EFAULT;
		r.start = part.range.end;
	}
	host_restore_signals(&mask);
	return err;
}

int sys_fault_in(struct range r, bool is_write)
{
	return fault_in(r, is_write ? touch_to_write : touch_to_read);
}

/*
 * Guards would stand in the way of locking. A mapping whose pages are locked
 * as they come has them all at once. Spec: L61.
 */
static int lock_range(struct range r)
{
	return fault_in(r, touch_to_lock) ? -ENOMEM : 0;
}

int sys_mlock2(va_t addr, size_t len, int flags)
{
	struct range r = { page_down(addr), page_up(addr + len) };
	int err = r.end > r.start ? lock_range(r) : 0;

	if (err)
		return err;
	/* The older call is known everywhere. */
	return (int)(flags ? raw_call(SYS_mlock2, addr, len, flags)
			   : raw_call(SYS_mlock, addr, len));
}

int sys_mlockall(int flags)
{
	struct range all = { 0, TASK_BYTES };

	/* What cannot be had is no error here. */
	if (flags & MCL_CURRENT)
		(void)!lock_range(all);
	return (int)raw_call(SYS_mlockall, flags);
}

size_t sys_copy_user(void *dst, const void *src, size_t n)
{
	struct host_mask mask;
	size_t done;

	host_block_signals(&mask);
	done = host_copy_fault(dst, src, n);
	host_restore_signals(&mask);
	return done;
}

/* ---- what was counted ---- */

static void add_object(struct pf_stats *out, const struct uffd_stats *s)
{
	out->faults += s->faults;
	out->fills += s->copies + s->zeros;
	out->bytes += s->bytes;
	out->woken += s->woken;
	for (unsigned i = 0; i < array_len(out->wait_ns_log2); i++)
		out->wait_ns_log2[i] += s->wait_ns_log2[i];
}

static void add_handle(void *arg, struct uffd *uffd)
{
	struct uffd_stats stats;

	uffd_read_stats(uffd, &stats);
	add_object(arg, &stats);
}

void sys_read_stats(struct pf_stats *out)
{
	mem_set(out, 0, sizeof(*out));
	out->objects = handle_created();
	add_object(out, handle_past_stats());
	handle_each(add_handle, out);
	trap_counts(&out->traps, &out->forwarded);
	out->vmas_peak = host_count_vmas();
}
