/* SPDX-License-Identifier: MIT */
/*
 * Anonymous memory whose bytes live in the program's own mapping.
 *
 * There is no frame to take and nobody to charge: the kernel below does both
 * when the mmu writes the bytes in place. A step may span a run of pages,
 * because changing the protection of a run costs what a page costs.
 */
#include "object/object.h"

#include "base/check.h"

#include <errno.h>

/* Entry of a page whose bytes are in the program's mapping. */
static struct pte native_entry(unsigned prot)
{
	uint64_t bits = PTE_PRESENT | PTE_NATIVE | PTE_DIRTY | PTE_ACCESSED;

	if (prot & ACCESS_WRITE)
		bits |= PTE_WRITABLE;
	return (struct pte){ bits };
}

static int native_reserve(struct object_step *step)
{
	check(step->home->mmu->is_native);
	return 0;
}

/* A page of the arena for a source that has to be copied with faults. */
static int native_hold(struct object_step *step)
{
	step->held = frame_alloc(step->home->frames, 0);
	return step->held.n ? -ENODATA : -ENOMEM;
}

/* The step in the mmu's words. */
static struct mmu_fill native_fill(const struct object_step *step)
{
	struct mmu_fill fill = {
		.dst = step->dst,
		.prot = step->prot,
		.is_awaited = step->is_awaited,
		.src = step->src,
		.from = MMU_FROM_USER,
	};

	if (step->from == OBJECT_ZERO)
		fill.from = MMU_FROM_ZERO;
	if (step->from == OBJECT_HELD) {
		fill.from = MMU_FROM_BYTES;
		fill.dst.end = fill.dst.start + PAGE_BYTES;
		fill.bytes = frame_bytes(step->home->frames, step->held);
	}
	return fill;
}

static int native_provide(struct object_step *step)
{
	struct mmu *mmu = step->home->mmu;
	struct mmu_fill fill = native_fill(step);
	int64_t done = mmu->ops->provide(mmu, &fill);

	if (done == -EFAULT)
		return native_hold(step);
	if (done < 0)
		return (int)done;
	check(done > 0 && is_page_aligned((uint64_t)done));
	step->dst.end = step->dst.start + (uint64_t)done;
	return 0;
}

static struct pte native_commit(struct object_step *step, va_t va)
{
	check(range_has(step->dst, va));
	return native_entry(step->prot);
}

static void native_finish(struct object_step *step)
{
	struct mmu *mmu = step->home->mmu;
	struct mmu_fill fill = native_fill(step);

	mmu->ops->publish(mmu, &fill);
	if (step->from == OBJECT_HELD) {
		frame_put(step->home->frames, step->held);
		step->held = (struct pfn){ 0 };
	}
}

static void native_unreserve(struct object_step *step)
{
	struct mmu *mmu = step->home->mmu;
	struct mmu_fill fill = native_fill(step);

	mmu->ops->retract(mmu, &fill);
}

/* Missing native pages are either watched, or no business of ours. */
static int native_demand(const struct object_home *home, bool is_write,
			 unsigned prot, struct pte *out)
{
	(void)home;
	(void)is_write;
	*out = native_entry(prot);
	return 0;
}

static int native_unshare(const struct object_home *home, struct pte old,
			  struct pte *out)
{
	(void)home;
	*out = (struct pte){ old.bits | PTE_WRITABLE | PTE_DIRTY };
	return 0;
}

static void native_drop(const struct object_home *home, struct pte pte)
{
	(void)home;
	check(!pte_is_present(pte) || (pte.bits & PTE_NATIVE));
}

const struct object_ops object_native = {
	.name = "native",
	.batch_pages = 512,
	.holds_leaf = true,
	.reserve = native_reserve,
	.provide = native_provide,
	.commit = native_commit,
	.finish = native_finish,
	.unreserve = native_unreserve,
	.demand = native_demand,
	.unshare = native_unshare,
	.drop = native_drop,
};
