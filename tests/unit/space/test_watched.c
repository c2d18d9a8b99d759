/* SPDX-License-Identifier: MIT */
/* The list of watched ranges: added, removed, too many, read meanwhile. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "space/watched.h"

#define PAGES 2000

/* What the list should say, page by page. */
struct model {
	struct watched watched;
	bool pages[PAGES];
};

static struct range pages_from(unsigned first, unsigned count)
{
	return range_of((first + 1) * PAGE_BYTES, count * PAGE_BYTES);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct model));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void change(struct model *m, unsigned first, unsigned count, bool add)
{
	for (unsigned i = first; i < first + count; i++)
		m->pages[i] = add;
	if (add)
		watched_add(&m->watched, pages_from(first, count));
	else
		watched_remove(&m->watched, pages_from(first, count));
}

static void compare(const struct model *m)
{
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(watched_meets(&m->watched, pages_from(i, 1)),
				 m->pages[i]);
}

static void ranges_come_and_go(void **state)
{
	struct model *m = *state;

	srand(7);
	compare(m);
	for (unsigned i = 0; i < 400; i++) {
		unsigned first = (unsigned)rand() % (PAGES - 40);
		unsigned count = 1 + (unsigned)rand() % 40;

		change(m, first, count, rand() % 2);
		compare(m);
	}
	change(m, 0, PAGES, false);
	compare(m);
	assert_true(range_is_empty(m->watched.lists[0].hull) ||
		    range_is_empty(m->watched.lists[1].hull));
}

/* Beyond the most that are told apart, everything inside counts. */
static void too_many_are_vague(void **state)
{
	struct model *m = *state;
	struct watched_list *list;

	for (unsigned i = 0; i < WATCHED_MOST; i++)
		change(m, i * 3 + 1, 1, true);
	compare(m);
	assert_false(watched_is_vague(&m->watched));
	change(m, 1000, 1, true);
	assert_true(watched_is_vague(&m->watched));
	assert_true(watched_meets(&m->watched, pages_from(2, 1)));
	assert_false(watched_meets(&m->watched, pages_from(0, 1)));
	assert_false(watched_meets(&m->watched, pages_from(1001, 1)));
	change(m, 1200, 1, true);
	assert_true(watched_meets(&m->watched, pages_from(1100, 1)));
	list = watched_begin(&m->watched);
	watched_tell(list, pages_from(5, 2));
	watched_tell(list, pages_from(9, 1));
	watched_end(&m->watched);
	assert_false(watched_is_vague(&m->watched));
	assert_true(watched_meets(&m->watched, pages_from(6, 1)));
	assert_false(watched_meets(&m->watched, pages_from(7, 2)));
}

struct reader {
	struct model *model;
	_Atomic bool is_over;
	_Atomic bool is_wrong;
};

/* One page is always watched, and nobody may say that it is not. */
static void *read_on(void *arg)
{
	struct reader *reader = arg;
	const struct watched *watched = &reader->model->watched;

	while (!reader->is_over)
		if (!watched_meets(watched, pages_from(1000, 1)))
			reader->is_wrong = true;
	return NULL;
}

static void readers_see_whole_lists(void **state)
{
	struct reader reader = { .model = *state };
	pthread_t thread;

	change(reader.model, 1000, 1, true);
	assert_int_equal(pthread_create(&thread, NULL, read_on, &reader), 0);
	for (unsigned i = 0; i < 20000; i++)
		change(reader.model, i % 990, 1 + i % 7, i / 990 % 2 == 0);
	reader.is_over = true;
	pthread_join(thread, NULL);
	assert_false(reader.is_wrong);
}

int main(void)
{
#define a_case(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest cases[] = {
		a_case(ranges_come_and_go),
		a_case(too_many_are_vague),
		a_case(readers_see_whole_lists),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
