/* SPDX-License-Identifier: MIT */
/*
 * Fills against fills, discards and accesses, with real threads.
 */
#include "../space/space_fixture.h"

#include "fill/fill.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define THREADS 4
#define PAGES 512
#define SRC (BASE + 4096 * PAGE)

struct racer {
	struct sx *sx;
	pthread_t thread;
	enum fill_kind kind;
	va_t src;
	int64_t filled, refused;
	bool is_torn;
	_Atomic uint32_t *stop;
};

static int64_t fill_page(const struct racer *r, uint64_t page)
{
	struct fill_request req = {
		.kind = r->kind,
		.dst = range_of(BASE + page * PAGE, PAGE),
		.src = r->src,
		.gate = &r->sx->watch.watch.gate,
	};

	return fill_run(r->sx->space, &req);
}

static void *fill_each_page(void *arg)
{
	struct racer *r = arg;

	for (uint64_t i = 0; i < PAGES; i++) {
		int64_t done = fill_page(r, i);

		if (done == (int64_t)PAGE)
			r->filled++;
		else if (done == -EEXIST)
			r->refused++;
	}
	return NULL;
}

/* One source page a thread, each of another byte. */
static void lay_out(struct sx *sx, struct racer *racers)
{
	sx_map_watched(sx, BASE, PAGES, WATCH_MISSING);
	sx_map(sx, SRC, THREADS, RW);
	for (int i = 0; i < THREADS; i++) {
		racers[i] = (struct racer){
			.sx = sx,
			.kind = FILL_COPY,
			.src = SRC + (va_t)i * PAGE,
		};
		sx_write(sx, racers[i].src, 1, i + 1);
	}
}

static void start(struct racer *r, void *(*body)(void *))
{
	assert_int_equal(pthread_create(&r->thread, NULL, body, r), 0);
}

static bool is_uniform(struct sx *sx, uint64_t page)
{
	for (int byte = 0; byte <= THREADS; byte++)
		if (sx_holds(sx, BASE + page * PAGE, byte))
			return true;
	return false;
}

/* Is each page filled exactly once, whole, and charged once (E66)? */
static void each_page_is_filled_once(void **state)
{
	struct sx *sx = *state;
	struct racer racers[THREADS];
	int64_t filled = 0, refused = 0;

	lay_out(sx, racers);
	racers[THREADS - 1].kind = FILL_ZERO;
	for (int i = 0; i < THREADS; i++)
		start(&racers[i], fill_each_page);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(racers[i].thread, NULL);
		filled += racers[i].filled;
		refused += racers[i].refused;
	}
	assert_int_equal(filled, PAGES);
	assert_int_equal(refused, (THREADS - 1) * PAGES);
	for (uint64_t i = 0; i < PAGES; i++)
		assert_true(is_uniform(sx, i));
	assert_int_equal(sx_count(sx).used, sx_count(sx).anon);
	assert_int_equal(sx_count(sx).charged, sx_count(sx).anon);
	assert_int_equal(sx_count(sx).pending, 0);
}

static void *fill_until_stopped(void *arg)
{
	struct racer *r = arg;

	while (!atomic_load(r->stop))
		fill_each_page(r);
	return NULL;
}

/* A page is loaded as one access: it has one byte throughout. */
static void *load_until_stopped(void *arg)
{
	struct racer *r = arg;
	unsigned char bytes[PAGE_BYTES];
	struct space_cpu *cpu;
	uint64_t page = 0;

	assert_int_equal(space_cpu_create(r->sx->space, &cpu), 0);
	while (!atomic_load(r->stop)) {
		page = (page * 5 + 1) % PAGES;
		if (space_load(cpu, BASE + page * PAGE, bytes, PAGE, NULL))
			break;
		if (bytes[0] == 0 || bytes[0] > THREADS ||
		    memcmp(bytes, bytes + 1, PAGE - 1) != 0)
			r->is_torn = true;
		r->filled++;
	}
	space_cpu_destroy(cpu);
	return NULL;
}

/* Is no partial page seen while others fill and discard? */
static void nobody_sees_half_a_page(void **state)
{
	struct sx *sx = *state;
	struct racer racers[THREADS];
	_Atomic uint32_t stop = 0;
	int i;

	lay_out(sx, racers);
	sx->watch.answer = WATCH_RETRY;
	for (i = 0; i < THREADS; i++) {
		racers[i].stop = &stop;
		start(&racers[i],
		      i < 2 ? fill_until_stopped : load_until_stopped);
	}
	for (i = 0; i < 400; i++) {
		va_t at = BASE + (va_t)(i * 37 % PAGES) * PAGE;
		struct range r = range_of(at, 64 * PAGE);

		r = range_clip(r, range_of(BASE, PAGES * PAGE));
		assert_int_equal(space_discard(sx->space, r), 0);
	}
	/* Whoever waits for a page gets one before the fillers leave. */
	atomic_store(&stop, 1);
	pthread_join(racers[0].thread, NULL);
	pthread_join(racers[1].thread, NULL);
	fill_each_page(&racers[0]);
	for (i = 2; i < THREADS; i++) {
		pthread_join(racers[i].thread, NULL);
		assert_false(racers[i].is_torn);
		assert_true(racers[i].filled > 0);
	}
	assert_int_equal(sx_count(sx).charged, sx_count(sx).anon);
}

/* The source changes all the while. */
static void *store_until_stopped(void *arg)
{
	struct racer *r = arg;
	struct space_cpu *cpu;
	uint64_t word = 0;

	assert_int_equal(space_cpu_create(r->sx->space, &cpu), 0);
	while (!atomic_load(r->stop)) {
		word += 0x0101010101010101;
		assert_int_equal(space_store(cpu, r->src + 512, &word, 8, NULL),
				 0);
	}
	space_cpu_destroy(cpu);
	return NULL;
}

/* Does unmapping under fills leave no page behind (E25)? */
static void unmapping_meanwhile_is_enoent(void **state)
{
	struct sx *sx = *state;
	struct racer racers[THREADS];
	_Atomic uint32_t stop = 0;
	int64_t done;
	int i;

	lay_out(sx, racers);
	for (i = 0; i < THREADS; i++) {
		racers[i].stop = &stop;
		start(&racers[i],
		      i < 3 ? fill_until_stopped : store_until_stopped);
	}
	for (i = 0; i < 50; i++) {
		assert_int_equal(space_unmap(sx->space,
					     range_of(BASE, PAGES * PAGE)),
				 0);
		done = fill_page(&racers[0], 3);
		assert_int_equal(done, -ENOENT);
		sx_map_watched(sx, BASE, PAGES, WATCH_MISSING);
	}
	atomic_store(&stop, 1);
	for (i = 0; i < THREADS; i++)
		pthread_join(racers[i].thread, NULL);
	assert_int_equal(sx_count(sx).charged, sx_count(sx).anon);
	assert_int_equal(sx_count(sx).used, sx_count(sx).anon);
}

int main(void)
{
#define a_case(name) cmocka_unit_test_setup_teardown(name, sx_setup, sx_teardown)
	const struct CMUnitTest cases[] = {
		a_case(each_page_is_filled_once),
		a_case(nobody_sees_half_a_page),
		a_case(unmapping_meanwhile_is_enoent),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
