/* SPDX-License-Identifier: MIT */
/*
 * The program's memory as a system call meets it.
 *
 * The kernel gives EFAULT for a page that traps, where its own userfaultfd
 * would have the call wait; so pages are brought in before the call.
 */
#include "sys/sys.h"

#include "base/mem.h"
#include "sys/handle.h"
#include "sys/process.h"

#include <errno.h>

bool sys_is_watched(struct range r)
{
	struct space *space = sys_space();

	return space && range_meets(r, space->watched);
}

static bool touch(va_t va, bool is_write)
{
	char byte;

	if (is_write)
		return host_touch_write((void *)(uintptr_t)va);
	return host_copy_fault(&byte, (const void *)(uintptr_t)va, 1) == 1;
}

/* The part of the range that is watched and begins first; empty: none. */
static struct range next_watched(struct range r)
{
	struct space *space = sys_space();
	struct range found = { r.end, r.end };
	struct vma *vma;
	unsigned reader;

	reader = rwlock_read(&space->map_lock);
	vma = space_find_vma(space, r.start);
	if (vma && vma->range.start < r.end)
		found = range_clip(vma->range, r);
	rwlock_read_drop(&space->map_lock, reader);
	return found;
}

static int fault_in(struct range r, bool is_write)
{
	struct range part;

	for (part = next_watched(r); !range_is_empty(part);
	     part = next_watched((struct range){ part.end, r.end })) {
		for (va_t va = part.start; va < part.end;
		     va = page_down(va) + PAGE_BYTES)
			if (!touch(va, is_write))
				return -EFAULT;
		if (part.end >= r.end)
			break;
	}
	return 0;
}

/*
 * As in a system call, a signal that comes meanwhile waits for its end.
 * Spec: L21, L92.
 */
int sys_fault_in(struct range r, bool is_write)
{
	struct host_mask mask;
	int err;

	if (!sys_is_watched(r))
		return 0;
	host_block_signals(&mask);
	err = fault_in(r, is_write);
	host_restore_signals(&mask);
	return err;
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

static void add_handle(void *arg, struct handle *handle)
{
	struct uffd_stats stats;

	uffd_read_stats(handle->uffd, &stats);
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
