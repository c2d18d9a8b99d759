/* SPDX-License-Identifier: MIT */
/*
 * Faults and accesses: what is decided, who waits, what two threads see.
 */
#include "space_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static struct space_cpu *cpu_of(struct sx *sx)
{
	struct space_cpu *cpu;

	assert_int_equal(space_cpu_create(sx->space, &cpu), 0);
	return cpu;
}

/* Does a read find zeros that cost nothing, and a write its own page? */
static void demand_zero_then_copy_on_write(void **state)
{
	struct sx *sx = *state;
	struct space_cpu *cpu = cpu_of(sx);
	uint64_t word = 1;

	sx_map(sx, BASE, 2, RW);
	assert_int_equal(space_load(cpu, BASE, &word, 8, NULL), 0);
	assert_int_equal(word, 0);
	assert_true(sx_entry(sx, BASE).bits & PTE_ZERO);
	assert_int_equal(sx_count(sx).charged, 0);
	word = 0x1122334455667788;
	assert_int_equal(space_store(cpu, BASE + 8, &word, 8, NULL), 0);
	assert_int_equal(sx_count(sx).charged, 1);
	assert_int_equal(sx_count(sx).anon, 1);
	word = 0;
	assert_int_equal(space_load(cpu, BASE + 8, &word, 8, NULL), 0);
	assert_int_equal(word, 0x1122334455667788);
	assert_int_equal(space_load(cpu, BASE, &word, 8, NULL), 0);
	assert_int_equal(word, 0);
	space_cpu_destroy(cpu);
}

/* Do accesses of every length and place move the right bytes? */
static void accesses_cross_pages(void **state)
{
	struct sx *sx = *state;
	struct space_cpu *cpu = cpu_of(sx);
	unsigned char in[PAGE_BYTES * 2], out[PAGE_BYTES * 2];
	size_t n;

	sx_map(sx, BASE, 4, RW);
	for (n = 0; n < sizeof(in); n++)
		in[n] = (unsigned char)(n * 7);
	for (n = 1; n < 40; n++) {
		assert_int_equal(space_store(cpu, BASE + PAGE - n / 2, in, n,
					     NULL),
				 0);
		memset(out, 0, sizeof(out));
		assert_int_equal(space_load(cpu, BASE + PAGE - n / 2, out, n,
					    NULL),
				 0);
		assert_memory_equal(in, out, n);
	}
	assert_int_equal(space_store(cpu, BASE + 3, in, sizeof(in), NULL), 0);
	assert_int_equal(space_copy_in(sx->space, out, BASE + 3, sizeof(out),
				       false),
			 sizeof(out));
	assert_memory_equal(in, out, sizeof(in));
	space_cpu_destroy(cpu);
}

/* Does a bad access say where, having done what comes before? */
static void a_bad_access_says_where(void **state)
{
	struct sx *sx = *state;
	struct space_cpu *cpu = cpu_of(sx);
	char bytes[64] = { 1, 2, 3 };
	va_t where = 0;

	sx_map(sx, BASE, 1, RW);
	sx_map(sx, BASE + PAGE, 1, ACCESS_READ);
	assert_int_equal(space_store(cpu, BASE + PAGE - 4, bytes, 8, &where),
			 -EFAULT);
	assert_int_equal(where, BASE + PAGE);
	assert_int_equal(space_load(cpu, BASE + 2 * PAGE - 4, bytes, 8, &where),
			 -EFAULT);
	assert_int_equal(where, BASE + 2 * PAGE);
	assert_int_equal(space_protect(sx->space, range_of(BASE, PAGE), 0), 0);
	assert_int_equal(space_load(cpu, BASE, bytes, 1, &where), -EFAULT);
	assert_int_equal(space_copy_in(sx->space, bytes, BASE, 1, true), 0);
	assert_int_equal(space_copy_out(sx->space, BASE + PAGE, bytes, 1, true),
			 0);
	space_cpu_destroy(cpu);
}

/* Do cached translations end with protection, discard and unmap? */
static void translations_do_not_outlive_entries(void **state)
{
	struct sx *sx = *state;
	struct space_cpu *cpu = cpu_of(sx);
	struct range r = range_of(BASE, PAGE);
	char c = 5;

	sx_map(sx, BASE, 1, RW);
	assert_int_equal(space_store(cpu, BASE, &c, 1, NULL), 0);
	assert_int_equal(space_protect(sx->space, r, ACCESS_READ), 0);
	assert_int_equal(space_store(cpu, BASE, &c, 1, NULL), -EFAULT);
	assert_int_equal(space_discard(sx->space, r), 0);
	assert_int_equal(space_load(cpu, BASE, &c, 1, NULL), 0);
	assert_int_equal(c, 0);
	assert_int_equal(space_unmap(sx->space, r), 0);
	assert_int_equal(space_load(cpu, BASE, &c, 1, NULL), -EFAULT);
	space_cpu_destroy(cpu);
}

/* What comes before the watch is asked (L48, L60, L60b, L83)? */
static void permission_and_markers_come_before_the_watch(void **state)
{
	struct sx *sx = *state;
	struct space *space = sx->space;
	struct watch_ticket ticket;

	sx_map_watched(sx, BASE, 4, WATCH_MISSING);
	sx_map(sx, BASE + 4 * PAGE, 1, RW);
	assert_int_equal(space_guard(space, range_of(BASE, PAGE), true), 0);
	assert_int_equal(space_protect(space, range_of(BASE + PAGE, PAGE), 0),
			 0);
	assert_int_equal(space_protect(space, range_of(BASE + 2 * PAGE, PAGE),
				       ACCESS_READ),
			 0);
	assert_int_equal(space_fault(space, BASE, FAULT_READ, &ticket),
			 SPACE_SEGV_MAPERR);
	assert_int_equal(space_fault(space, BASE + PAGE, FAULT_READ, &ticket),
			 SPACE_SEGV_ACCERR);
	assert_int_equal(space_fault(space, BASE + 2 * PAGE, FAULT_WRITE,
				     &ticket),
			 SPACE_SEGV_ACCERR);
	assert_int_equal(space_fault(space, BASE + 3 * PAGE, FAULT_EXEC,
				     &ticket),
			 SPACE_SEGV_ACCERR);
	assert_int_equal(space_fault(space, BASE + 9 * PAGE, FAULT_READ,
				     &ticket),
			 SPACE_SEGV_MAPERR);
	assert_int_equal(space_fault(space, BASE + 4 * PAGE, FAULT_WRITE,
				     &ticket),
			 SPACE_RETRY);
	assert_int_equal(sx->watch.posted, 0);
}

/* Is a fault posted as it was, and announced once (L05, L08)? */
static void a_missing_page_is_posted_and_announced(void **state)
{
	struct sx *sx = *state;
	struct watch_ticket ticket = { 0 };

	sx_map_watched(sx, BASE, 2, WATCH_MISSING);
	assert_int_equal(space_fault(sx->space, BASE + 17, FAULT_WRITE,
				     &ticket),
			 SPACE_WAIT);
	assert_int_equal(sx->watch.last.va, BASE + 17);
	assert_int_equal(sx->watch.last.access, FAULT_WRITE);
	assert_int_equal(sx->watch.last.reason, WATCH_MISSING);
	assert_ptr_equal(ticket.watch, &sx->watch.watch);
	assert_int_equal(sx->watch.announced, 1);
	sx->watch.answer = WATCH_BUS;
	assert_int_equal(space_fault(sx->space, BASE, FAULT_READ, &ticket),
			 SPACE_BUS);
	sx->watch.answer = WATCH_RETRY;
	assert_int_equal(space_fault(sx->space, BASE, FAULT_READ, &ticket),
			 SPACE_RETRY);
	assert_int_equal(sx->watch.announced, 1);
	assert_int_equal(sx->watch.withdrawn, 0);
	assert_int_equal(sx_count(sx).used, 0);
}

/* A filling thread that is as quick as can be. */
static void set_zero_page(void *arg)
{
	struct sx *sx = arg;
	struct slot slot;

	assert_int_equal(table_walk(sx->space->table, BASE, true, &slot), 0);
	table_lock(&slot);
	table_set(&slot, pte_of(FRAME_ZERO_PAGE, PTE_PRESENT | PTE_ZERO));
	table_unlock(&slot);
}

/* Is a page that comes between queueing and sleeping noticed? */
static void a_page_filled_while_queueing_is_not_waited_for(void **state)
{
	struct sx *sx = *state;
	struct watch_ticket ticket;

	sx_map_watched(sx, BASE, 1, WATCH_MISSING);
	sx->watch.during = set_zero_page;
	sx->watch.arg = sx;
	assert_int_equal(space_fault(sx->space, BASE, FAULT_READ, &ticket),
			 SPACE_RETRY);
	assert_int_equal(sx->watch.withdrawn, 1);
	assert_int_equal(sx->watch.announced, 0);
}

/* Is the second userfault of one access fatal in the seed only? */
static void seed_allows_one_userfault_an_access(void **state)
{
	struct sx *sx = *state;
	struct watch_ticket ticket;
	bool is_seed = !sx->space->home.profile->fault_retries_endlessly;

	sx_map_watched(sx, BASE, 1, WATCH_MISSING);
	assert_int_equal(space_fault(sx->space, BASE, FAULT_AGAIN, &ticket),
			 is_seed ? SPACE_BUS : SPACE_WAIT);
}

/* Is a write to a page write-protected by the watch its business? */
static void a_protected_write_is_posted(void **state)
{
	struct sx *sx = *state;
	struct watch_ticket ticket;
	struct slot slot;
	uint64_t bits;

	sx_map_watched(sx, BASE, 1, WATCH_WP);
	sx_write(sx, BASE, 1, 1);
	assert_int_equal(table_walk(sx->space->table, BASE, false, &slot), 0);
	table_lock(&slot);
	bits = (table_read(&slot).bits | PTE_WP) & ~PTE_WRITABLE;
	table_set(&slot, (struct pte){ bits });
	table_unlock(&slot);
	assert_int_equal(space_fault(sx->space, BASE, FAULT_WRITE, &ticket),
			 SPACE_WAIT);
	assert_int_equal(sx->watch.last.reason, WATCH_WP);
	assert_true(sx_holds(sx, BASE, 1));
}

/* ---- threads ---- */

struct accessor {
	struct sx *sx;
	pthread_t thread;
	va_t va;
	int result;
	uint64_t word;
};

static void *load_one(void *arg)
{
	struct accessor *a = arg;
	struct space_cpu *cpu = cpu_of(a->sx);

	a->result = space_load(cpu, a->va, &a->word, 8, NULL);
	space_cpu_destroy(cpu);
	return NULL;
}

static void start(struct accessor *a, void *(*body)(void *))
{
	assert_int_equal(pthread_create(&a->thread, NULL, body, a), 0);
}

/* Does a waiting access come back when the watch lets go? */
static void a_waiting_access_resumes(void **state)
{
	struct sx *sx = *state;
	struct accessor a = { .sx = sx, .va = BASE, .word = 1 };

	sx_map_watched(sx, BASE, 1, WATCH_MISSING);
	start(&a, load_one);
	fake_watch_await(&sx->watch, 1);
	fake_watch_wake(&sx->watch);
	fake_watch_await(&sx->watch, 2);
	sx_watch(sx, range_of(BASE, PAGE), NULL, 0);
	fake_watch_wake(&sx->watch);
	pthread_join(a.thread, NULL);
	assert_int_equal(a.result, 0);
	assert_int_equal(a.word, 0);
	assert_int_equal(sx->watch.posted, 2);
}

/* Does the seed's second userfault of a load end in SIGBUS? */
static void in_the_seed_a_stray_wake_is_fatal(void **state)
{
	struct sx *sx = *state;
	struct accessor a = { .sx = sx, .va = BASE };

	sx_map_watched(sx, BASE, 1, WATCH_MISSING);
	start(&a, load_one);
	fake_watch_await(&sx->watch, 1);
	fake_watch_wake(&sx->watch);
	pthread_join(a.thread, NULL);
	assert_int_equal(a.result, -EIO);
}

/* Does a sleeping access end when the space exits, woken by nobody? */
static void exit_ends_waiting_accesses(void **state)
{
	struct sx *sx = *state;
	struct accessor a = { .sx = sx, .va = BASE };

	sx_map_watched(sx, BASE, 1, WATCH_MISSING);
	start(&a, load_one);
	fake_watch_await(&sx->watch, 1);
	space_exit(sx->space);
	pthread_join(a.thread, NULL);
	assert_int_equal(a.result, -EFAULT);
	assert_int_equal(sx->watch.withdrawn, 1);
}

#define ROUNDS 3000
#define THREADS 4

static void *count_up(void *arg)
{
	struct accessor *a = arg;
	struct space_cpu *cpu = cpu_of(a->sx);
	uint64_t word = 0;
	va_t va;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		va = a->va + (va_t)(i % 7) * PAGE;
		a->result |= space_load(cpu, va, &word, 8, NULL);
		word++;
		a->result |= space_store(cpu, va, &word, 8, NULL);
		a->result |= space_load(cpu, va + PAGE / 2, &word, 8, NULL);
	}
	space_cpu_destroy(cpu);
	return NULL;
}

/* Are no stores lost while others discard, protect and share the pages? */
static void threads_see_their_own_stores(void **state)
{
	struct sx *sx = *state;
	struct accessor a[THREADS] = { 0 };
	uint64_t sum = 0, word;
	int i;

	sx_map(sx, BASE, 8 * 7, RW);
	for (i = 0; i < THREADS; i++) {
		a[i].sx = sx;
		a[i].va = BASE + (va_t)i * 8;
		start(&a[i], count_up);
	}
	for (i = 0; i < 300; i++) {
		sx_map(sx, BASE + 100 * PAGE, 1, RW);
		sx_write(sx, BASE + 100 * PAGE, 1, i);
		assert_int_equal(space_discard(sx->space,
					       range_of(BASE + 100 * PAGE,
							PAGE)),
				 0);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(a[i].thread, NULL);
		assert_int_equal(a[i].result, 0);
	}
	for (i = 0; i < THREADS * 7; i++) {
		assert_int_equal(space_copy_in(sx->space, &word,
					       BASE + (va_t)(i / THREADS) *
							      PAGE +
						       (va_t)(i % THREADS) * 8,
					       8, true),
				 8);
		sum += word;
	}
	assert_int_equal(sum, THREADS * ROUNDS);
}

int main(void)
{
#define a_case(name) cmocka_unit_test_setup_teardown(name, sx_setup, sx_teardown)
#define a_seed_case(name) \
	cmocka_unit_test_setup_teardown(name, sx_setup_seed, sx_teardown)
	const struct CMUnitTest cases[] = {
		a_case(demand_zero_then_copy_on_write),
		a_case(accesses_cross_pages),
		a_case(a_bad_access_says_where),
		a_case(translations_do_not_outlive_entries),
		a_case(permission_and_markers_come_before_the_watch),
		a_case(a_missing_page_is_posted_and_announced),
		a_case(a_page_filled_while_queueing_is_not_waited_for),
		a_case(seed_allows_one_userfault_an_access),
		a_seed_case(seed_allows_one_userfault_an_access),
		a_case(a_protected_write_is_posted),
		a_case(a_waiting_access_resumes),
		a_seed_case(in_the_seed_a_stray_wake_is_fatal),
		a_case(exit_ends_waiting_accesses),
		a_case(threads_see_their_own_stores),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
