/* SPDX-License-Identifier: MIT */
#include "native_fixture.h"

#include "base/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct native *native_of(struct mmu *mmu)
{
	return (struct native *)(void *)mmu;
}

struct range native_range(unsigned first, unsigned pages)
{
	return range_of(NATIVE_BASE + first * PAGE, pages * PAGE);
}

static unsigned page_of(va_t va)
{
	assert_true(va >= NATIVE_BASE);
	assert_true(va <= NATIVE_BASE + NATIVE_PAGES * PAGE);
	return (unsigned)((va - NATIVE_BASE) >> PAGE_SHIFT);
}

/* The error to give once, or 0. */
static int failing(struct native *n)
{
	int err = n->fail;

	n->fail = 0;
	return err;
}

static void destroy(struct mmu *mmu)
{
	(void)mmu;
}

static int arena(struct mmu *mmu, size_t bytes, void **base)
{
	(void)mmu;
	return heap_map(bytes, false, base);
}

static void shoot(struct mmu *mmu, struct range r)
{
	(void)mmu;
	(void)r;
}

static size_t copy_in(struct mmu *mmu, void *dst, va_t src, size_t n,
		      bool may_fault)
{
	struct native *native = native_of(mmu);
	size_t most = may_fault ? native->fetchable_bytes :
				  native->readable_bytes;

	(void)src;
	if (n > most)
		n = most;
	memset(dst, native->source, n);
	return n;
}

static int survey(struct mmu *mmu, struct range r, mmu_visit_fn visit,
		  void *arg)
{
	struct native *n = native_of(mmu);
	int err = failing(n);

	for (unsigned i = 0; i < n->mapping_count && !err; i++)
		if (range_meets(n->mappings[i].range, r))
			err = visit(arg, &n->mappings[i]);
	return err;
}

static int adopt(struct mmu *mmu, const struct mmu_mapping *m, struct range r,
		 mmu_found_fn found, void *arg)
{
	struct native *n = native_of(mmu);
	int err = failing(n);

	assert_true(range_covers(m->range, r));
	if (err)
		return err;
	for (va_t va = r.start; va < r.end; va += PAGE) {
		unsigned i = page_of(va);

		if (n->pages[i] == NATIVE_RESIDENT) {
			n->pages[i] = NATIVE_VISIBLE;
			found(arg, range_of(va, PAGE), MMU_HOLDS_BYTES);
		} else if (n->pages[i] == NATIVE_GUARDED) {
			found(arg, range_of(va, PAGE), MMU_HOLDS_GUARD);
		} else {
			assert_int_equal(n->pages[i], NATIVE_PLAIN);
			n->pages[i] = NATIVE_MISSING;
		}
	}
	return 0;
}

/* Whether the caller holds the lock of the leaf of va. */
static bool leaf_is_held(struct native *n, va_t va)
{
	struct slot slot;

	return table_walk(n->space->table, va, false, &slot) == 0 &&
	       slot.entry && lock_is_mine(slot.lock);
}

static int64_t provide(struct mmu *mmu, const struct mmu_fill *f)
{
	struct native *n = native_of(mmu);
	uint64_t pages = range_bytes(f->dst) >> PAGE_SHIFT;
	int err = failing(n);

	n->provides++;
	assert_true(leaf_is_held(n, f->dst.start));
	if (err)
		return err;
	if (n->most_pages && pages > n->most_pages)
		pages = n->most_pages;
	if (f->from == MMU_FROM_USER && pages > n->readable_bytes / PAGE)
		pages = n->readable_bytes / PAGE;
	if (!pages)
		return -EFAULT;
	for (uint64_t i = 0; i < pages; i++) {
		unsigned page = page_of(f->dst.start + i * PAGE);

		assert_int_equal(n->pages[page], NATIVE_MISSING);
		n->pages[page] = NATIVE_PROVIDED;
		n->byte[page] = f->from == MMU_FROM_ZERO ? 0 : n->source;
		if (f->from == MMU_FROM_BYTES)
			n->byte[page] = *(const unsigned char *)f->bytes;
	}
	return (int64_t)(pages * PAGE);
}

/* Every page of the range, in one of two states, gets a third. */
static void change(struct mmu *mmu, struct range r, const int from[2],
		   enum native_state to)
{
	struct native *n = native_of(mmu);

	for (va_t va = r.start; va < r.end; va += PAGE) {
		int is = (int)n->pages[page_of(va)];

		assert_true(is == from[0] || is == from[1]);
		n->pages[page_of(va)] = to;
	}
}

static void publish(struct mmu *mmu, const struct mmu_fill *f)
{
	const int from[2] = { NATIVE_PROVIDED, NATIVE_PROVIDED };

	assert_true(leaf_is_held(native_of(mmu), f->dst.start));
	assert_int_equal(f->prot, RW);
	change(mmu, f->dst, from, NATIVE_VISIBLE);
}

static void retract(struct mmu *mmu, const struct mmu_fill *f)
{
	const int from[2] = { NATIVE_PROVIDED, NATIVE_PROVIDED };

	change(mmu, f->dst, from, NATIVE_MISSING);
}

static int revoke(struct mmu *mmu, struct range r, unsigned prot)
{
	const int from[2] = { NATIVE_VISIBLE, NATIVE_MISSING };
	int err = failing(native_of(mmu));

	(void)prot;
	if (err)
		return err;
	native_of(mmu)->revokes++;
	change(mmu, r, from, NATIVE_MISSING);
	return 0;
}

static void release(struct mmu *mmu, struct range r, unsigned prot)
{
	const int from[2] = { NATIVE_VISIBLE, NATIVE_MISSING };

	(void)prot;
	native_of(mmu)->releases++;
	change(mmu, r, from, NATIVE_PLAIN);
}

static void release_guards(struct mmu *mmu, struct range r, unsigned prot)
{
	const int from[2] = { NATIVE_GUARDED, NATIVE_MISSING };

	(void)prot;
	change(mmu, r, from, NATIVE_GUARDED);
}

static int refresh(struct mmu *mmu, va_t va, unsigned prot, unsigned access)
{
	struct native *n = native_of(mmu);

	(void)prot;
	assert_true(is_page_aligned(va));
	assert_true(access == ACCESS_READ || access == ACCESS_WRITE);
	n->refreshes++;
	return n->is_refused ? -EACCES : 0;
}

static int protect(struct mmu *mmu, struct range r, unsigned prot)
{
	struct native *n = native_of(mmu);
	int err = failing(n);

	if (err)
		return err;
	n->protects++;
	for (va_t va = r.start; va < r.end; va += PAGE) {
		if (!n->mmu.protect_keeps_missing)
			assert_int_equal(n->pages[page_of(va)],
					 NATIVE_VISIBLE);
		n->prot[page_of(va)] = prot;
	}
	return 0;
}

static void forget(struct mmu *mmu, struct range r)
{
	const int from[2] = { NATIVE_VISIBLE, NATIVE_MISSING };

	native_of(mmu)->forgets++;
	change(mmu, r, from, NATIVE_PLAIN);
}

static const struct mmu_ops native_mmu_ops = {
	.name = "fake",
	.destroy = destroy,
	.arena = arena,
	.shoot = shoot,
	.copy_in = copy_in,
	.survey = survey,
	.adopt = adopt,
	.provide = provide,
	.publish = publish,
	.retract = retract,
	.revoke = revoke,
	.release = release,
	.release_guards = release_guards,
	.refresh = refresh,
	.protect = protect,
	.forget = forget,
};

static enum watch_answer on_fault(struct watch *watch,
				  const struct watch_fault *fault,
				  struct watch_ticket *ticket)
{
	(void)fault;
	ticket->watch = watch;
	return WATCH_WAIT;
}

static void with_ticket(const struct watch_ticket *ticket)
{
	(void)ticket;
}

static const struct watch_ops watch_ops = { on_fault, with_ticket,
					    with_ticket };

int native_setup(void **state)
{
	uint64_t heap_before = heap_outstanding();
	struct native *n = calloc(1, sizeof(*n));
	struct space_options options = { .arena_bytes = 1 << 20 };

	assert_non_null(n);
	n->mmu.ops = &native_mmu_ops;
	n->mmu.is_native = true;
	n->watch.ops = &watch_ops;
	n->heap_before = heap_before;
	n->readable_bytes = n->fetchable_bytes = (size_t)1 << 30;
	n->source = 7;
	rwlock_init(&n->watch.gate.lock, RANK_CHANGING);
	options.mmu = &n->mmu;
	assert_int_equal(space_create(&options, &n->space), 0);
	*state = n;
	return 0;
}

int native_teardown(void **state)
{
	struct native *n = *state;

	heap_fail_nth(0);
	space_check(n->space);
	space_put(n->space);
	assert_int_equal(heap_outstanding(), n->heap_before);
	free(n);
	return 0;
}

void native_map(struct native *n, unsigned first, unsigned pages)
{
	assert_true(n->mapping_count < NATIVE_MAPPINGS);
	n->mappings[n->mapping_count++] = (struct mmu_mapping){
		.range = native_range(first, pages),
		.prot = RW,
		.kind = MMU_ANON,
		.may_write = true,
	};
}

static int watch_locked(struct native *n, struct range r)
{
	struct vma *vma;
	int err;

	err = space_survey(n->space, r);
	if (err)
		return err;
	space_each_vma(n->space, r, vma) {
		err = space_clip_vma(n->space, vma, r, &vma);
		if (err)
			return err;
		err = space_arm(n->space, vma);
		if (err)
			return err;
		vma = space_set_watch(n->space, vma, &n->watch, WATCH_MISSING);
	}
	return 0;
}

int native_watch(struct native *n, unsigned first, unsigned pages)
{
	struct range r = native_range(first, pages);
	int err;

	space_begin(n->space);
	err = watch_locked(n, r);
	space_settle(n->space, r);
	space_end(n->space);
	return err;
}

struct pte native_pte(struct native *n, unsigned page)
{
	struct slot slot;

	assert_int_equal(table_walk(n->space->table,
				    NATIVE_BASE + page * PAGE, false, &slot),
			 0);
	return table_read(&slot);
}

unsigned native_vmas(struct native *n)
{
	struct vma *vma;
	unsigned count = 0;

	for (vma = space_find_vma(n->space, 0); vma;
	     vma = space_next_vma(n->space, vma))
		count++;
	return count;
}
