/* SPDX-License-Identifier: MIT */
/*
 * Anonymous memory by itself: the stages of a step, what each costs, and what
 * is left when one of them is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/heap.h"
#include "object/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RW (ACCESS_READ | ACCESS_WRITE)
#define AT ((va_t)0x10000)

struct ox {
	struct object_home home;
	_Atomic uint64_t anon_pages;
	size_t readable_bytes;
};

static const struct object_ops *const ops = &object_anon;

static int setup(void **state)
{
	struct ox *ox = calloc(1, sizeof(*ox));

	assert_non_null(ox);
	assert_int_equal(mmu_soft_create(&ox->home.mmu), 0);
	assert_int_equal(frame_arena_create(ox->home.mmu, 1 << 20,
					    &ox->home.frames),
			 0);
	ox->home.group = charge_create(NULL, CHARGE_NO_LIMIT);
	ox->home.profile = profile_default();
	ox->home.anon_pages = &ox->anon_pages;
	ox->readable_bytes = PAGE_BYTES;
	*state = ox;
	return 0;
}

static uint64_t used(const struct ox *ox)
{
	return frame_read_counts(ox->home.frames).used;
}

static uint64_t charged(const struct ox *ox)
{
	return charge_read(ox->home.group).charged_pages;
}

static void assert_empty(const struct ox *ox)
{
	struct frame_counts frames = frame_read_counts(ox->home.frames);

	assert_int_equal(frames.used, 0);
	assert_int_equal(frames.active + frames.unevictable, 0);
	assert_int_equal(charged(ox), 0);
	assert_int_equal(charge_read(ox->home.group).pending_pages, 0);
	assert_int_equal(ox->anon_pages, 0);
}

static int teardown(void **state)
{
	struct ox *ox = *state;

	heap_fail_nth(0);
	assert_empty(ox);
	frame_arena_destroy(ox->home.frames);
	charge_destroy(ox->home.group);
	ox->home.mmu->ops->destroy(ox->home.mmu);
	free(ox);
	return 0;
}

static size_t read_source(void *arg, void *dst, va_t src, size_t n)
{
	const struct ox *ox = arg;

	assert_int_equal(src, 0x5000);
	memset(dst, 6, ox->readable_bytes);
	return n < ox->readable_bytes ? n : ox->readable_bytes;
}

static struct object_step step_of(struct ox *ox, enum object_from from)
{
	return (struct object_step){
		.home = &ox->home,
		.dst = range_of(AT, PAGE_BYTES),
		.prot = RW,
		.from = from,
		.src = 0x5000,
		.read = read_source,
		.read_arg = ox,
	};
}

static struct pte fill(struct object_step *step)
{
	struct pte pte;

	assert_int_equal(ops->reserve(step), 0);
	assert_int_equal(ops->provide(step), 0);
	pte = ops->commit(step, AT);
	ops->finish(step);
	return pte;
}

/* Is a step from the program's memory paid, owned, listed and let go? */
static void a_copied_page_is_owned(void **state)
{
	struct ox *ox = *state;
	struct object_step step = step_of(ox, OBJECT_USER);
	struct pte pte = fill(&step);
	struct frame *meta = frame_meta(ox->home.frames, pte_pfn(pte));

	assert_int_equal(pte.bits & 0xfff, PTE_PRESENT | PTE_WRITABLE |
						   PTE_DIRTY | PTE_ACCESSED);
	assert_int_equal(meta->flags,
			 FRAME_ANON | FRAME_EXCLUSIVE | FRAME_UPTODATE);
	assert_int_equal(meta->lru, FRAME_LRU_ACTIVE);
	assert_int_equal(meta->mapcount, 1);
	assert_int_equal(charged(ox), 1);
	assert_int_equal(ox->anon_pages, 1);
	assert_int_equal(((char *)frame_bytes(ox->home.frames,
					      pte_pfn(pte)))[4095],
			 6);
	ops->drop(&ox->home, pte);
}

/* Is a short source handed out uncharged, and its page used (1.3, 1.7)? */
static void a_short_source_holds_an_uncharged_page(void **state)
{
	struct ox *ox = *state;
	struct object_step step = step_of(ox, OBJECT_USER);
	struct pfn held;
	struct pte pte;

	ox->readable_bytes = 100;
	assert_int_equal(ops->reserve(&step), 0);
	assert_int_equal(ops->provide(&step), -ENODATA);
	held = step.held;
	assert_int_not_equal(held.n, 0);
	assert_int_equal(step.frame.n, 0);
	assert_int_equal(charge_read(ox->home.group).pending_pages, 0);
	step.from = OBJECT_HELD;
	pte = fill(&step);
	assert_int_equal(pte_pfn(pte).n, held.n);
	assert_int_equal(step.held.n, 0);
	ops->drop(&ox->home, pte);
}

/* Is what was reserved given back? */
static void unreserve_undoes(void **state)
{
	static const enum object_from from[] = { OBJECT_USER, OBJECT_ZERO };
	struct ox *ox = *state;
	struct object_step step;

	for (unsigned i = 0; i < array_len(from); i++) {
		step = step_of(ox, from[i]);
		assert_int_equal(ops->reserve(&step), 0);
		assert_int_equal(ops->provide(&step), 0);
		ops->unreserve(&step);
		assert_empty(ox);
	}
}

/* Does a charge refused take the page with it, held or not? */
static void a_refused_charge_leaves_nothing(void **state)
{
	struct ox *ox = *state;
	struct object_step step = step_of(ox, OBJECT_USER);

	charge_set_limit(ox->home.group, 0);
	assert_int_equal(ops->reserve(&step), 0);
	assert_int_equal(ops->provide(&step), -ENOMEM);
	assert_empty(ox);
	step = step_of(ox, OBJECT_HELD);
	step.held = frame_alloc(ox->home.frames, 0);
	assert_int_equal(ops->reserve(&step), 0);
	assert_int_equal(ops->provide(&step), -ENOMEM);
	assert_int_equal(step.held.n, 0);
}

/* Do protection, profile and watch decide the entry's bits? */
static void entries_follow_protection_and_profile(void **state)
{
	struct ox *ox = *state;
	struct object_step step = step_of(ox, OBJECT_USER);
	struct pte pte;

	step.prot = ACCESS_READ;
	pte = fill(&step);
	assert_int_equal(pte.bits & (PTE_DIRTY | PTE_WRITABLE), PTE_DIRTY);
	ops->drop(&ox->home, pte);
	ox->home.profile = profile_find("linux-5.4");
	pte = fill(&step);
	assert_int_equal(pte.bits & (PTE_DIRTY | PTE_WRITABLE), 0);
	ops->drop(&ox->home, pte);
	step.prot = RW;
	step.wants_wp = true;
	step.is_locked = true;
	pte = fill(&step);
	assert_int_equal(pte.bits & (PTE_DIRTY | PTE_WRITABLE | PTE_WP),
			 PTE_DIRTY | PTE_WP);
	assert_int_equal(frame_read_counts(ox->home.frames).unevictable, 1);
	ops->drop(&ox->home, pte);
}

/* Are zeros free, demanded or filled, until they are written? */
static void zeros_are_free_until_written(void **state)
{
	struct ox *ox = *state;
	struct object_step step = step_of(ox, OBJECT_ZERO);
	struct pte zero = fill(&step);
	struct pte read, mine, same;

	assert_int_equal(ops->demand(&ox->home, false, RW, &read), 0);
	assert_int_equal(read.bits, zero.bits);
	assert_true(zero.bits & PTE_ZERO);
	assert_empty(ox);
	assert_int_equal(ops->unshare(&ox->home, zero, &mine), 0);
	assert_int_equal(charged(ox), 1);
	assert_int_equal(ops->unshare(&ox->home, mine, &same), 0);
	assert_int_equal(same.bits, mine.bits);
	assert_int_equal(used(ox), 1);
	ops->drop(&ox->home, mine);
	ops->drop(&ox->home, zero);
	ops->drop(&ox->home, (struct pte){ PTE_MARKER_POISON });
}

/* Is nothing kept when a fault's page is refused, at each allocation? */
static void refused_faults_leave_nothing(void **state)
{
	struct ox *ox = *state;
	struct pte zero, pte = { 0 };
	uint64_t nth;
	int err = -ENOMEM;

	assert_int_equal(ops->demand(&ox->home, false, RW, &zero), 0);
	for (nth = 1; err; nth++) {
		heap_fail_nth(nth);
		err = nth % 2 ? ops->demand(&ox->home, true, RW, &pte)
			      : ops->unshare(&ox->home, zero, &pte);
		heap_fail_nth(0);
		if (err)
			assert_empty(ox);
	}
	assert_true(nth > 2);
	ops->drop(&ox->home, pte);
}

int main(void)
{
#define a_case(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest cases[] = {
		a_case(a_copied_page_is_owned),
		a_case(a_short_source_holds_an_uncharged_page),
		a_case(unreserve_undoes),
		a_case(a_refused_charge_leaves_nothing),
		a_case(entries_follow_protection_and_profile),
		a_case(zeros_are_free_until_written),
		a_case(refused_faults_leave_nothing),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
