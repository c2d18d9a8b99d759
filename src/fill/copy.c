/* SPDX-License-Identifier: MIT */
/*
 * Bytes from the program's memory, in two phases; or from ours, in one.
 */
#include "fill/page.h"

#include "base/mem.h"

#include <errno.h>

static va_t copy_offset(const struct fill *fill)
{
	return fill->at - fill->req->dst.start;
}

/* First phase: inside the space, nothing is waited for. */
static size_t copy_read(void *arg, void *dst, va_t src, size_t n)
{
	return space_peek(arg, dst, src, n);
}

/* Our own memory cannot fault: the page is held from the start. */
static int copy_hold_bytes(struct fill *fill)
{
	const char *bytes = fill->req->bytes;
	int err;

	err = fill_hold(fill);
	if (err)
		return err;
	mem_copy(frame_bytes(fill->space->home.frames, fill->step.held),
		 bytes + copy_offset(fill), PAGE_BYTES);
	return 0;
}

static int copy_prepare(struct fill *fill)
{
	struct object_step *step = &fill->step;
	int err;

	if (fill->req->bytes && step->held.n == 0) {
		err = copy_hold_bytes(fill);
		if (err)
			return err;
	}
	step->from = step->held.n ? OBJECT_HELD : OBJECT_USER;
	step->src = fill->req->src + copy_offset(fill);
	step->read = copy_read;
	step->read_arg = fill->space;
	return 0;
}

/* Second phase: no lock is held, and the source may be waited for. */
static int copy_fetch(struct fill *fill)
{
	void *bytes = frame_bytes(fill->space->home.frames, fill->step.held);
	va_t src = fill->req->src + copy_offset(fill);

	if (space_copy_in(fill->space, bytes, src, PAGE_BYTES, true) <
	    PAGE_BYTES)
		return -EFAULT;
	return 0;
}

const struct fill_source fill_source_copy = {
	.name = "copy",
	.overwrites_markers = true,
	.prepare = copy_prepare,
	.fetch = copy_fetch,
};
