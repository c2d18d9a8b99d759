/* SPDX-License-Identifier: MIT */
/*
 * COPY and ZEROPAGE: argument blocks around the fill engine.
 *
 *   changing? -> block -> range, mode -> alive? -> fill -> output -> wake
 */
#include "uffd/command.h"

#include "fill/fill.h"
#include "uffd/queue.h"

#include <errno.h>

/* One fill command, decoded; `out` is where its output field is. */
struct order {
	enum fill_kind kind;
	uint64_t dst;
	uint64_t src;
	uint64_t len;
	uint64_t mode;
	const void *bytes; /* not NULL: instead of src */
	size_t out;
};

/* -EAGAIN while changing; newer generations leave it in the output too. */
static int refuse_changing(struct uffd *uffd, const struct uffd_arg *arg,
			   size_t out)
{
	const int64_t answer = -EAGAIN;

	if (!atomic_load(&uffd->watch.gate.changing))
		return 0;
	if (!uffd->profile->fills_report_eagain)
		return -EAGAIN;
	return arg_out(arg, out, &answer, sizeof(answer)) ? -EFAULT : -EAGAIN;
}

static int check_source(const struct uffd *uffd, const struct order *order)
{
	if (order->kind != FILL_COPY || order->bytes)
		return 0;
	if (order->src + order->len <= order->src)
		return -EINVAL;
	if (!uffd->profile->copy_src_is_bounded)
		return 0;
	return order->src >= TASK_BYTES || order->len > TASK_BYTES - order->src
		       ? -EINVAL
		       : 0;
}

/* Write-protecting copies exist where such a registration exists. */
static uint64_t known_modes(const struct uffd *uffd, enum fill_kind kind)
{
	if (kind == FILL_ZERO)
		return PF_UFFDIO_ZEROPAGE_MODE_DONTWAKE;
	if (uffd->profile->register_modes & PF_UFFDIO_REGISTER_MODE_WP)
		return PF_UFFDIO_COPY_MODE_DONTWAKE | PF_UFFDIO_COPY_MODE_WP;
	return PF_UFFDIO_COPY_MODE_DONTWAKE;
}

/* Returns: 0 and *dst; -EINVAL; -ESRCH. */
static int decide(const struct uffd *uffd, const struct order *order,
		  struct range *dst)
{
	int err;

	err = check_source(uffd, order);
	if (err)
		return err;
	err = range_decode(uffd, order->dst, order->len, dst);
	if (err)
		return err;
	if (order->mode & ~known_modes(uffd, order->kind))
		return -EINVAL;
	return atomic_load(&uffd->space->is_dead) ? -ESRCH : 0;
}

static void count_fill(struct uffd *uffd, enum fill_kind kind, int64_t done)
{
	struct conversation *c = uffd->talk;

	if (done <= 0) {
		atomic_fetch_add(&c->refused, 1);
		return;
	}
	atomic_fetch_add(kind == FILL_COPY ? &c->copies : &c->zeros, 1);
	atomic_fetch_add(&c->bytes, (uint64_t)done);
}

/* One page, and somebody waits for it: the usual case. */
static bool is_awaited(struct uffd *uffd, struct range dst)
{
	struct conversation *c = uffd->talk;
	bool has;

	if (range_bytes(dst) != PAGE_BYTES || !atomic_load(&c->queued))
		return false;
	lock_take(&c->lock);
	has = queue_has(c, dst.start);
	lock_drop(&c->lock);
	return has;
}

static int64_t fill(struct uffd *uffd, const struct order *order,
		    struct range dst)
{
	const struct fill_request req = {
		.kind = order->kind,
		.dst = dst,
		.src = order->src,
		.bytes = order->bytes,
		.wants_wp = order->kind == FILL_COPY &&
			    (order->mode & PF_UFFDIO_COPY_MODE_WP),
		.is_awaited = is_awaited(uffd, dst),
		.gate = &uffd->watch.gate,
		.is_killed = uffd->host.is_killed,
	};
	int64_t done = fill_run(uffd->space, &req);

	count_fill(uffd, order->kind, done);
	return done;
}

_Static_assert(PF_UFFDIO_COPY_MODE_DONTWAKE ==
		       PF_UFFDIO_ZEROPAGE_MODE_DONTWAKE,
	       "one test serves both");

static void wake_filled(struct uffd *uffd, const struct order *order,
			int64_t done)
{
	if (!(order->mode & PF_UFFDIO_COPY_MODE_DONTWAKE))
		uffd_wake(uffd, range_of(order->dst, (uint64_t)done));
}

/* A failed store of the answer leaves the work done and nobody woken. */
static int run(struct uffd *uffd, const struct order *order,
	       const struct uffd_arg *arg)
{
	struct range dst;
	int64_t done;
	int err;

	err = decide(uffd, order, &dst);
	if (err)
		return err;
	done = fill(uffd, order, dst);
	err = arg_out(arg, order->out, &done, sizeof(done));
	if (err)
		return err;
	if (done < 0)
		return (int)done;
	wake_filled(uffd, order, done);
	return (uint64_t)done == order->len ? 0 : -EAGAIN;
}

int command_copy(struct uffd *uffd, const struct uffd_arg *arg)
{
	const size_t out = offsetof(struct pf_uffdio_copy, copy);
	struct pf_uffdio_copy block;
	struct order order = { .kind = FILL_COPY, .out = out };
	int err;

	err = refuse_changing(uffd, arg, out);
	if (err)
		return err;
	err = arg_in(arg, &block, out);
	if (err)
		return err;
	order.dst = block.dst;
	order.src = block.src;
	order.len = block.len;
	order.mode = block.mode;
	return run(uffd, &order, arg);
}

int command_zeropage(struct uffd *uffd, const struct uffd_arg *arg)
{
	const size_t out = offsetof(struct pf_uffdio_zeropage, zeropage);
	struct pf_uffdio_zeropage block;
	struct order order = { .kind = FILL_ZERO, .out = out };
	int err;

	err = refuse_changing(uffd, arg, out);
	if (err)
		return err;
	err = arg_in(arg, &block, out);
	if (err)
		return err;
	order.dst = block.range.start;
	order.len = block.range.len;
	order.mode = block.mode;
	return run(uffd, &order, arg);
}

int64_t uffd_copy_from(struct uffd *uffd, struct range dst, const void *bytes,
		       uint64_t mode)
{
	const struct order order = {
		.kind = FILL_COPY,
		.dst = dst.start,
		.len = range_bytes(dst),
		.mode = mode,
		.bytes = bytes,
	};
	int64_t done;
	int err;

	if (!uffd_is_ready(uffd) || !bytes)
		return -EINVAL;
	if (atomic_load(&uffd->watch.gate.changing))
		return -EAGAIN;
	err = decide(uffd, &order, &dst);
	if (err)
		return err;
	done = fill(uffd, &order, dst);
	if (done > 0)
		wake_filled(uffd, &order, done);
	return done;
}
