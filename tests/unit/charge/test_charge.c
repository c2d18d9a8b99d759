/* SPDX-License-Identifier: MIT */
/*
 * charge: the protocol, the hierarchy, limits, reclaim, and races.
 */
#include "charge/charge.h"

#include "base/check.h"
#include "base/heap.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../dies.h"

struct family {
	struct charge_group *root;
	struct charge_group *child;
	struct charge_group *sibling;
};

static int make_family(void **state)
{
	static struct family family;

	family.root = charge_create(NULL, 100);
	family.child = charge_create(family.root, 60);
	family.sibling = charge_create(family.root, CHARGE_NO_LIMIT);
	*state = &family;
	return family.root && family.child && family.sibling ? 0 : -1;
}

static int drop_family(void **state)
{
	struct family *family = *state;
	uint64_t before = heap_outstanding();

	charge_destroy(family->child);
	charge_destroy(family->sibling);
	charge_destroy(family->root);
	return heap_outstanding() == before - 3 ? 0 : -1;
}

static void assert_counts(struct charge_group *group, uint64_t charged,
			  uint64_t pending, uint64_t refused)
{
	struct charge_counts counts = charge_read(group);

	assert_int_equal(counts.charged_pages, charged);
	assert_int_equal(counts.pending_pages, pending);
	assert_int_equal(counts.refused, refused);
}

/* Does each step count in the group and in all above it? */
static void each_step_counts_upwards(void **state)
{
	struct family *f = *state;

	assert_int_equal(charge_try(f->child, 10), 0);
	assert_counts(f->child, 0, 10, 0);
	assert_counts(f->root, 0, 10, 0);
	charge_commit(f->child, 7);
	charge_cancel(f->child, 3);
	assert_counts(f->child, 7, 0, 0);
	assert_counts(f->root, 7, 0, 0);
	assert_counts(f->sibling, 0, 0, 0);
	charge_uncharge(f->child, 7);
	assert_counts(f->child, 0, 0, 0);
	assert_counts(f->root, 0, 0, 0);
}

static void limits_count_pending_pages(void **state)
{
	struct family *f = *state;

	assert_int_equal(charge_try(f->child, 61), -ENOMEM);
	assert_int_equal(charge_try(f->child, 60), 0);
	assert_int_equal(charge_try(f->child, 1), -ENOMEM);
	charge_cancel(f->child, 60);
	assert_counts(f->child, 0, 0, 2);
	assert_int_equal(charge_try(f->child, 1), 0);
	charge_cancel(f->child, 1);
}

/* Is a child given back what it had when its parent refuses? */
static void an_ancestor_refuses_without_a_trace(void **state)
{
	struct family *f = *state;

	assert_int_equal(charge_try(f->sibling, 90), 0);
	charge_commit(f->sibling, 90);
	assert_int_equal(charge_try(f->child, 20), -ENOMEM);
	assert_counts(f->child, 0, 0, 1);
	assert_counts(f->root, 90, 0, 1);
	assert_int_equal(charge_try(f->child, 10), 0);
	charge_cancel(f->child, 10);
	charge_uncharge(f->sibling, 90);
}

static void a_lowered_limit_refuses_until_use_falls(void **state)
{
	struct family *f = *state;

	assert_int_equal(charge_try(f->child, 50), 0);
	charge_commit(f->child, 50);
	charge_set_limit(f->child, 20);
	assert_int_equal(charge_try(f->child, 1), -ENOMEM);
	charge_uncharge(f->child, 50);
	assert_int_equal(charge_try(f->child, 20), 0);
	charge_cancel(f->child, 20);
	charge_set_limit(f->child, 60);
	assert_int_equal(charge_try(f->child, UINT64_MAX), -ENOMEM);
}

static void no_group_is_free(void **state)
{
	(void)state;
	heap_fail_nth(1);
	assert_int_equal(charge_try(NULL, 1 << 30), 0);
	heap_fail_nth(0);
	charge_commit(NULL, 1);
	charge_cancel(NULL, 1);
	charge_uncharge(NULL, 1);
	charge_destroy(NULL);
}

struct reclaimer {
	uint64_t per_call;
	uint64_t calls;
	struct charge_group *asked;
	struct charge_group *payer;
};

static uint64_t give_back(void *arg, struct charge_group *group, uint64_t pages)
{
	struct reclaimer *r = arg;

	r->calls++;
	r->asked = group;
	(void)pages;
	charge_uncharge(r->payer, r->per_call);
	return r->per_call;
}

static void reclaim_is_asked_where_the_limit_is(void **state)
{
	struct family *f = *state;
	struct reclaimer r = { .per_call = 2, .payer = f->sibling };

	charge_set_reclaim(f->root, give_back, &r);
	assert_int_equal(charge_try(f->sibling, 96), 0);
	charge_commit(f->sibling, 96);
	assert_int_equal(charge_try(f->child, 10), 0);
	assert_int_equal(r.calls, 3);
	assert_ptr_equal(r.asked, f->root);
	assert_counts(f->root, 90, 10, 0);
	charge_cancel(f->child, 10);
	charge_uncharge(f->sibling, 90);
}

static uint64_t claim_success(void *arg, struct charge_group *group,
			      uint64_t pages)
{
	(void)group;
	++*(uint64_t *)arg;
	return pages;
}

/* Is a hook that frees nothing, or only says so, not asked for ever? */
static void reclaim_comes_to_an_end(void **state)
{
	struct family *f = *state;
	struct reclaimer none = { .per_call = 0, .payer = f->child };
	uint64_t calls = 0;

	charge_set_reclaim(f->child, give_back, &none);
	assert_int_equal(charge_try(f->child, 61), -ENOMEM);
	assert_int_equal(none.calls, 1);
	charge_set_reclaim(f->child, claim_success, &calls);
	assert_int_equal(charge_try(f->child, 61), -ENOMEM);
	assert_in_range(calls, 2, 100);
	charge_set_reclaim(f->child, NULL, NULL);
	assert_int_equal(charge_try(f->child, 61), -ENOMEM);
	assert_counts(f->child, 0, 0, 3);
}

static void told_to_fail_it_leaves_no_trace(void **state)
{
	struct family *f = *state;
	uint64_t before = heap_outstanding();

	heap_fail_nth(1);
	assert_int_equal(charge_try(f->child, 1), -ENOMEM);
	assert_counts(f->child, 0, 0, 1);
	heap_fail_nth(1);
	assert_null(charge_create(f->root, 1));
	assert_int_equal(heap_outstanding(), before);
}

static void *charge_and_pay(void *arg)
{
	struct charge_group *group = arg;
	uint64_t held = 0;

	for (unsigned i = 0; i < 20000; i++) {
		if (held < 40 && charge_try(group, 1 + i % 7) == 0) {
			held += 1 + i % 7;
			check(charge_read(group).charged_pages +
				      charge_read(group).pending_pages <= 200);
			if (i % 3) {
				charge_commit(group, 1 + i % 7);
				continue;
			}
			held -= 1 + i % 7;
			charge_cancel(group, 1 + i % 7);
		} else {
			charge_uncharge(group, held);
			held = 0;
		}
	}
	charge_uncharge(group, held);
	return NULL;
}

/* Is use within the limit and, at the end, nothing, whoever races? */
static void racing_chargers_add_up(void **state)
{
	struct family *f = *state;
	pthread_t threads[4];

	for (unsigned i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, charge_and_pay,
			       i % 2 ? f->child : f->sibling);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(charge_read(f->root).charged_pages, 0);
	assert_int_equal(charge_read(f->root).pending_pages, 0);
}

static void pay_too_much(void *group)
{
	charge_uncharge(group, 1);
}

static void commit_too_much(void *group)
{
	charge_commit(group, 1);
}

static void destroy(void *group)
{
	charge_destroy(group);
}

static void misuse_is_noticed(void **state)
{
	struct family *f = *state;

	assert_true(dies(pay_too_much, f->child));
	assert_true(dies(commit_too_much, f->child));
	assert_true(dies(destroy, f->root));
	assert_int_equal(charge_try(f->child, 1), 0);
	assert_true(dies(destroy, f->child));
	charge_cancel(f->child, 1);
}

#define charge_test(fn) \
	cmocka_unit_test_setup_teardown(fn, make_family, drop_family)

int main(void)
{
	const struct CMUnitTest cases[] = {
		charge_test(each_step_counts_upwards),
		charge_test(limits_count_pending_pages),
		charge_test(an_ancestor_refuses_without_a_trace),
		charge_test(a_lowered_limit_refuses_until_use_falls),
		charge_test(no_group_is_free),
		charge_test(reclaim_is_asked_where_the_limit_is),
		charge_test(reclaim_comes_to_an_end),
		charge_test(told_to_fail_it_leaves_no_trace),
		charge_test(racing_chargers_add_up),
		charge_test(misuse_is_noticed),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
