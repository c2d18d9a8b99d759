/* SPDX-License-Identifier: MIT */
/*
 * Locks: exclusion under contention, no lost wake, owners that die, ranks.
 *
 * Deaths are real: a child that shares this memory (CLONE_VM) is killed while
 * it holds the lock, and stays a zombie while its parent waits for the lock.
 */
#include "base/check.h"
#include "base/heap.h"
#include "base/raw.h"
#include "base/sync.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

#include <cmocka.h>

#include "../dies.h"

#define THREADS 4
#define WRITES 60000
#define STACK_BYTES ((size_t)256 << 10)

/* Thread sanitizer cannot follow threads that share their storage. */
#if defined(__SANITIZE_THREAD__)
#define CAN_CLONE false
#else
#define CAN_CLONE true
#endif

/* In memory that forked children share. */
static struct shared {
	struct lock lock;
	struct rwlock rwlock;
	_Atomic uint32_t is_held;
	_Atomic uint32_t readers;
	uint64_t a;
	uint64_t b;
} *shared;

static int make_shared(void **state)
{
	void *p;

	(void)state;
	if (heap_map(sizeof(*shared), true, &p))
		return -1;
	shared = p;
	lock_init(&shared->lock, RANK_SPACE);
	rwlock_init(&shared->rwlock, RANK_SPACE);
	return 0;
}

static int drop_shared(void **state)
{
	(void)state;
	heap_unmap(shared, sizeof(*shared));
	return 0;
}

static void run_threads(void *(*fn)(void *), unsigned n)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, fn, (void *)i);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static void *count_up(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50000; i++) {
		lock_take(&shared->lock);
		shared->a++;
		lock_drop(&shared->lock);
	}
	return NULL;
}

static void lock_excludes_others(void **state)
{
	(void)state;
	run_threads(count_up, THREADS);
	assert_int_equal(shared->a, THREADS * 50000);
	assert_int_equal(atomic_load(&shared->lock.word), 0);
}

/* ---- sleepers and wakes ---- */

/* One way to hold something while others sleep waiting for it. */
struct holding {
	void (*take)(void);
	void (*drop)(void);
	void (*wait)(void); /* takes and drops what the holder keeps out */
};

static unsigned read_slot;

static void take_lock(void)
{
	lock_take(&shared->lock);
}

static void drop_lock(void)
{
	lock_drop(&shared->lock);
}

static void pass_lock(void)
{
	take_lock();
	drop_lock();
}

static void take_read(void)
{
	read_slot = rwlock_read(&shared->rwlock);
}

static void drop_read(void)
{
	rwlock_read_drop(&shared->rwlock, read_slot);
}

static void pass_read(void)
{
	rwlock_read_drop(&shared->rwlock, rwlock_read(&shared->rwlock));
}

static void take_write(void)
{
	rwlock_write(&shared->rwlock);
}

static void drop_write(void)
{
	rwlock_write_drop(&shared->rwlock);
}

static void pass_write(void)
{
	take_write();
	drop_write();
}

static const struct holding holdings[] = {
	{ take_lock, drop_lock, pass_lock },
	{ take_write, drop_write, pass_write },
	{ take_write, drop_write, pass_read },
	{ take_read, drop_read, pass_write },
};

static const struct holding *holding;

static void *pass_once(void *arg)
{
	holding->wait();
	return arg;
}

/* How long after the drop the last of three sleepers had its turn. */
static uint64_t sleepers_need(void)
{
	pthread_t threads[3];
	uint64_t began;

	holding->take();
	for (unsigned i = 0; i < array_len(threads); i++)
		pthread_create(&threads[i], NULL, pass_once, NULL);
	usleep(3000);
	began = sync_now_ns();
	holding->drop();
	for (unsigned i = 0; i < array_len(threads); i++)
		pthread_join(threads[i], NULL);
	return sync_now_ns() - began;
}

/*
 * Are sleepers woken, all of them? One that is forgotten finds out by itself
 * after 50 ms; on a busy machine a round may take as long, but not most.
 */
static void a_drop_wakes_all_sleepers(void **state)
{
	unsigned slow;

	(void)state;
	for (unsigned i = 0; i < array_len(holdings); i++) {
		holding = &holdings[i];
		slow = 0;
		for (unsigned round = 0; round < 12; round++)
			slow += sleepers_need() > 30000000;
		assert_in_range(slow, 0, 5);
	}
}

static void *must_not_get(void *arg)
{
	(void)arg;
	check(!lock_try(&shared->lock));
	check(!lock_is_mine(&shared->lock));
	return NULL;
}

static void trying_refuses_a_held_lock(void **state)
{
	(void)state;
	assert_false(lock_is_mine(&shared->lock));
	assert_true(lock_try(&shared->lock));
	assert_true(lock_is_mine(&shared->lock));
	run_threads(must_not_get, 1);
	lock_drop(&shared->lock);
	assert_true(lock_try(&shared->lock));
	lock_drop(&shared->lock);
}

static void *read_both(void *arg)
{
	unsigned slot;
	uint64_t b;

	while (atomic_load(&shared->is_held) == 0) {
		slot = rwlock_read(&shared->rwlock);
		b = *(volatile uint64_t *)&shared->b;
		check(*(volatile uint64_t *)&shared->a == b);
		rwlock_read_drop(&shared->rwlock, slot);
	}
	return arg;
}

static void *write_both(void *arg)
{
	if ((uintptr_t)arg < THREADS / 2)
		return read_both(arg);
	for (int i = 0; i < WRITES; i++) {
		rwlock_write(&shared->rwlock);
		shared->a++;
		if (i % 500 == 0)
			usleep(100);
		shared->b++;
		rwlock_write_drop(&shared->rwlock);
	}
	atomic_store(&shared->is_held, 1);
	return NULL;
}

/* Do readers never see half of a write, nor a writer a reader? */
static void writers_exclude_everybody(void **state)
{
	(void)state;
	run_threads(write_both, THREADS);
	assert_int_equal(shared->a, THREADS / 2 * WRITES);
	assert_int_equal(shared->b, shared->a);
	for (unsigned i = 0; i < SYNC_READER_SLOTS; i++)
		assert_int_equal(atomic_load(&shared->rwlock.slots[i]), 0);
	assert_int_equal(atomic_load(&shared->rwlock.has_writer), 0);
}

static void *read_together(void *arg)
{
	unsigned slot = rwlock_read(&shared->rwlock);
	uint64_t began = sync_now_ns();

	(void)arg;
	atomic_fetch_add(&shared->readers, 1);
	while (atomic_load(&shared->readers) < THREADS)
		check(sync_now_ns() - began < 10000000000);
	rwlock_read_drop(&shared->rwlock, slot);
	return NULL;
}

static void readers_are_in_together(void **state)
{
	(void)state;
	run_threads(read_together, THREADS);
}

static void *read_once(void *arg)
{
	unsigned slot = rwlock_read(&shared->rwlock);

	(void)arg;
	atomic_store(&shared->is_held, 1);
	rwlock_read_drop(&shared->rwlock, slot);
	return NULL;
}

/* Does one reader more than there are slots wait, and then get in? */
static void more_readers_than_slots_wait(void **state)
{
	unsigned slots[SYNC_READER_SLOTS];
	pthread_t thread;

	(void)state;
	rwlock_init(&shared->rwlock, RANK_NONE);
	for (unsigned i = 0; i < SYNC_READER_SLOTS; i++)
		slots[i] = rwlock_read(&shared->rwlock);
	pthread_create(&thread, NULL, read_once, NULL);
	usleep(20000);
	assert_int_equal(atomic_load(&shared->is_held), 0);
	for (unsigned i = 0; i < SYNC_READER_SLOTS; i++)
		rwlock_read_drop(&shared->rwlock, slots[i]);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&shared->is_held), 1);
}

/* ---- owners that die ---- */

static int take_and_hang(void *how)
{
	void (*take)(void) = *(void (**)(void))how;

	take();
	atomic_store(&shared->is_held, 1);
	while (raw_call(SYS_pause) != 0)
		;
	return 0;
}

/* A child that shares our memory holds it, then is killed: a zombie. */
static pid_t die_holding(void (*take)(void))
{
	static char stack[STACK_BYTES];
	siginfo_t info;
	pid_t pid;

	sync_share_threads();
	atomic_store(&shared->is_held, 0);
	pid = clone(take_and_hang, stack + sizeof(stack), CLONE_VM | SIGCHLD,
		    &take);
	require(pid > 0);
	while (!atomic_load(&shared->is_held))
		usleep(1000);
	require(kill(pid, SIGKILL) == 0);
	require(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	return pid;
}

/* The taker is the one who has not reaped the owner. */
static void take_from_a_zombie(void *arg)
{
	uint64_t began;

	(void)arg;
	die_holding(take_lock);
	began = sync_now_ns();
	lock_take(&shared->lock);
	require(sync_now_ns() - began < 1000000000);
	require(lock_is_mine(&shared->lock));
	lock_drop(&shared->lock);
	lock_take(&shared->lock);
	lock_drop(&shared->lock);
}

static void take_from_the_gone(void *arg)
{
	pid_t pid = die_holding(take_lock);

	(void)arg;
	require(waitpid(pid, NULL, 0) == pid);
	lock_take(&shared->lock);
	lock_drop(&shared->lock);
}

static void *take_a_few_times(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++) {
		lock_take(&shared->lock);
		shared->a++;
		lock_drop(&shared->lock);
	}
	return NULL;
}

/* Of several who find the owner dead, does only one take over? */
static void take_among_several(void *arg)
{
	(void)arg;
	die_holding(take_lock);
	run_threads(take_a_few_times, THREADS);
	require(shared->a == THREADS * 100);
	require(atomic_load(&shared->lock.word) == 0);
}

static void take_as_a_stranger(void *arg)
{
	take_a_few_times(arg);
}

/* A zombie that is another's child is found too. */
static void take_from_a_strangers_child(void *arg)
{
	pid_t holder = fork();

	if (holder == 0) {
		lock_take(&shared->lock);
		raise(SIGKILL);
	}
	while (!atomic_load(&shared->lock.word))
		usleep(1000);
	require(survives(take_as_a_stranger, arg));
}

static void write_past_a_dead_reader(void *arg)
{
	(void)arg;
	die_holding(take_read);
	rwlock_write(&shared->rwlock);
	for (unsigned i = 0; i < SYNC_READER_SLOTS; i++)
		require(atomic_load(&shared->rwlock.slots[i]) == 0);
	rwlock_write_drop(&shared->rwlock);
}

static void write_past_a_dead_writer(void *arg)
{
	(void)arg;
	die_holding(take_write);
	rwlock_write(&shared->rwlock);
	rwlock_write_drop(&shared->rwlock);
	rwlock_read_drop(&shared->rwlock, rwlock_read(&shared->rwlock));
}

static void read_past_a_dead_writer(void *arg)
{
	(void)arg;
	die_holding(take_write);
	rwlock_read_drop(&shared->rwlock, rwlock_read(&shared->rwlock));
	rwlock_write(&shared->rwlock);
	rwlock_write_drop(&shared->rwlock);
}

/* Does a patient owner keep its lock however long others wait? */
static void live_owners_keep_their_lock(void **state)
{
	pthread_t thread;

	(void)state;
	lock_take(&shared->lock);
	pthread_create(&thread, NULL, take_a_few_times, NULL);
	usleep(180000);
	assert_int_equal(shared->a, 0);
	assert_true(lock_is_mine(&shared->lock));
	lock_drop(&shared->lock);
	pthread_join(thread, NULL);
	assert_int_equal(shared->a, 100);
}

static void dead_owners_lose_their_lock(void **state)
{
	static void (*const stories[])(void *) = {
		take_from_a_zombie,	  take_from_the_gone,
		take_among_several,	  take_from_a_strangers_child,
		write_past_a_dead_reader, write_past_a_dead_writer,
		read_past_a_dead_writer,
	};

	if (!CAN_CLONE)
		skip();
	for (unsigned i = 0; i < array_len(stories); i++) {
		assert_true(survives(stories[i], NULL));
		drop_shared(state);
		make_shared(state);
	}
}

/* ---- ranks ---- */

static struct lock space = LOCK_INIT(RANK_SPACE);
static struct lock other_space = LOCK_INIT(RANK_SPACE);
static struct lock leaf = LOCK_INIT(RANK_TABLE);
static struct lock other_leaf = LOCK_INIT(RANK_TABLE);
static struct lock free_one = LOCK_INIT(RANK_NONE);

static void take_in_order(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++) {
		lock_take(&space);
		lock_take(&leaf);
		lock_take(&free_one);
		lock_drop(&free_one);
		lock_drop(&space);
		lock_drop(&leaf);
	}
}

static void take_falling(void *arg)
{
	(void)arg;
	lock_take(&leaf);
	lock_take(&space);
}

static void take_equal(void *arg)
{
	(void)arg;
	lock_take(&leaf);
	lock_take(&other_leaf);
}

static void take_write_then_equal(void *arg)
{
	(void)arg;
	rwlock_write(&shared->rwlock);
	lock_take(&other_space);
}

static void read_then_equal(void *arg)
{
	(void)arg;
	(void)!rwlock_read(&shared->rwlock);
	lock_take(&other_space);
}

static void take_twice(void *arg)
{
	(void)arg;
	lock_take(&free_one);
	lock_take(&free_one);
}

static void drop_anothers(void *arg)
{
	(void)arg;
	lock_drop(&free_one);
}

static void fall_with_shared_threads(void *arg)
{
	sync_share_threads();
	take_falling(arg);
}

/* A child of fork starts with locks made anew, whatever its parent held. */
static void fork_while_holding(void *arg)
{
	int status;

	lock_take(&leaf);
	if (fork() == 0) {
		lock_init(&leaf, RANK_TABLE);
		take_in_order(arg);
		_exit(0);
	}
	wait(&status);
	require(status == 0);
}

static void ranks_rise(void **state)
{
	(void)state;
	assert_true(survives(take_in_order, NULL));
	assert_true(survives(fall_with_shared_threads, NULL));
	assert_true(survives(fork_while_holding, NULL));
	assert_true(dies(take_falling, NULL));
	assert_true(dies(take_equal, NULL));
	assert_true(dies(take_write_then_equal, NULL));
	assert_true(dies(read_then_equal, NULL));
	assert_true(dies(take_twice, NULL));
	assert_true(dies(drop_anothers, NULL));
}

#define locks_test(fn) \
	cmocka_unit_test_setup_teardown(fn, make_shared, drop_shared)

int main(void)
{
	const struct CMUnitTest cases[] = {
		locks_test(lock_excludes_others),
		locks_test(a_drop_wakes_all_sleepers),
		locks_test(trying_refuses_a_held_lock),
		locks_test(writers_exclude_everybody),
		locks_test(readers_are_in_together),
		locks_test(more_readers_than_slots_wait),
		locks_test(live_owners_keep_their_lock),
		locks_test(dead_owners_lose_their_lock),
		locks_test(ranks_rise),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
