/* SPDX-License-Identifier: MIT */
/*
 * base without its locks: heap, checks, profiles, waiting, thread ids.
 */
#include "base/check.h"
#include "base/heap.h"
#include "base/mem.h"
#include "base/profile.h"
#include "base/raw.h"
#include "base/sync.h"

#include <errno.h>
#include <polyfault/abi.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include <cmocka.h>

#include "../dies.h"

static const size_t sizes[] = { 1,    16,    17,    100,    2048,  4095,
				4096, 4097,  65535, 65536,  65537, 131072,
				1000000 };

static bool is_zero(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* Is every block zero and aligned, new or used before? */
static void heap_gives_zeroed_aligned_blocks(void **state)
{
	uint64_t before = heap_outstanding();
	unsigned char *p;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < array_len(sizes); i++) {
			p = heap_zalloc(sizes[i]);
			assert_non_null(p);
			assert_int_equal((uintptr_t)p % 16, 0);
			if (sizes[i] >= PAGE_BYTES)
				assert_true(is_page_aligned((uintptr_t)p));
			assert_true(is_zero(p, sizes[i]));
			memset(p, 0xa5, sizes[i]);
			heap_free(p, sizes[i]);
		}
	}
	assert_int_equal(heap_outstanding(), before);
}

/* Do many blocks at once keep out of each other's bytes? */
static void heap_blocks_do_not_overlap(void **state)
{
	enum { BLOCKS = 3000 };
	static unsigned char *blocks[BLOCKS];
	uint64_t before = heap_outstanding();
	size_t n;

	(void)state;
	for (unsigned i = 0; i < BLOCKS; i++) {
		n = sizes[i % array_len(sizes)] % 5000 + 1;
		blocks[i] = heap_zalloc(n);
		assert_non_null(blocks[i]);
		memset(blocks[i], (int)(i % 251), n);
	}
	assert_int_equal(heap_outstanding(), before + BLOCKS);
	for (unsigned i = 0; i < BLOCKS; i++) {
		n = sizes[i % array_len(sizes)] % 5000 + 1;
		for (size_t at = 0; at < n; at++)
			assert_int_equal(blocks[i][at], i % 251);
		heap_free(blocks[i], n);
	}
	assert_int_equal(heap_outstanding(), before);
}

static void heap_frees_null(void **state)
{
	uint64_t before = heap_outstanding();

	(void)state;
	heap_free(NULL, 0);
	heap_free(NULL, 1 << 20);
	assert_int_equal(heap_outstanding(), before);
}

/* Does exactly the n-th step fail, and nothing stay behind? */
static void heap_fails_the_nth_time_once(void **state)
{
	uint64_t before = heap_outstanding();
	void *p;
	void *map;

	(void)state;
	for (unsigned n = 1; n <= 4; n++) {
		heap_fail_nth(n);
		for (unsigned i = 1; i <= 6; i++) {
			p = heap_zalloc(i % 2 ? 64 : 1 << 18);
			assert_int_equal(p == NULL, i == n);
			heap_free(p, i % 2 ? 64 : 1 << 18);
		}
	}
	heap_fail_nth(1);
	assert_int_equal(heap_map(PAGE_BYTES, false, &map), -ENOMEM);
	heap_fail_nth(2);
	assert_false(heap_should_fail());
	assert_true(heap_should_fail());
	assert_false(heap_should_fail());
	heap_fail_nth(1);
	heap_fail_nth(0);
	assert_false(heap_should_fail());
	assert_int_equal(heap_outstanding(), before);
}

static void write_one(void *map)
{
	*(volatile int *)map = 1;
}

/* Does a child of fork see a shared mapping's bytes, and not a private's? */
static void heap_maps_private_and_shared(void **state)
{
	void *own;
	void *shared;

	(void)state;
	assert_int_equal(heap_map(10000, false, &own), 0);
	assert_int_equal(heap_map(10000, true, &shared), 0);
	assert_true(is_zero(own, 12288) && is_zero(shared, 12288));
	assert_true(survives(write_one, own) && survives(write_one, shared));
	assert_int_equal(*(int *)own, 0);
	assert_int_equal(*(int *)shared, 1);
	heap_unmap(own, 10000);
	heap_unmap(shared, 10000);
}

static void *churn(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	unsigned char *kept[16] = { NULL };
	size_t size[16];
	unsigned slot;

	for (unsigned i = 0; i < 20000; i++) {
		seed = seed * 1103515245 + 12345;
		slot = seed >> 16 & 15;
		if (kept[slot]) {
			check(kept[slot][size[slot] - 1] == slot);
			heap_free(kept[slot], size[slot]);
		}
		size[slot] = 1 + (seed >> 20) % 600;
		kept[slot] = heap_zalloc(size[slot]);
		check(kept[slot] && !kept[slot][size[slot] - 1]);
		kept[slot][size[slot] - 1] = (unsigned char)slot;
	}
	for (slot = 0; slot < 16; slot++)
		heap_free(kept[slot], size[slot]);
	return NULL;
}

static void heap_serves_threads_at_once(void **state)
{
	uint64_t before = heap_outstanding();
	pthread_t threads[4];

	(void)state;
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, churn, (void *)(i + 1));
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(heap_outstanding(), before);
}

static _Atomic uint32_t is_over;

static void *churn_on(void *arg)
{
	while (!atomic_load(&is_over))
		heap_free(heap_zalloc(100), 100);
	return arg;
}

/* Forks while others allocate: is the heap whole and free in the child? */
static void fork_amid_allocations(void *arg)
{
	pthread_t threads[2];
	int status;
	pid_t pid;

	for (unsigned i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, churn_on, arg);
	for (unsigned round = 0; round < 100; round++) {
		heap_before_fork();
		pid = fork();
		heap_after_fork(pid == 0);
		if (pid == 0) {
			alarm(10);
			for (unsigned i = 0; i < 50; i++)
				check(heap_zalloc(100));
			_exit(0);
		}
		require(waitpid(pid, &status, 0) == pid && status == 0);
	}
	atomic_store(&is_over, 1);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static void heap_is_whole_after_a_fork(void **state)
{
	(void)state;
	assert_true(survives(fork_amid_allocations, NULL));
}

static void use_after_free(void *arg)
{
	volatile char *p = heap_zalloc(200);

	heap_free((void *)p, 200);
	p[100] = (char)(uintptr_t)arg;
	heap_free(heap_zalloc(200), 200);
}

static void fail_a_check(void *arg)
{
	check(arg != arg);
}

static void checks_end_the_process(void **state)
{
	(void)state;
	assert_true(dies(fail_a_check, NULL));
	assert_true(dies(use_after_free, NULL));
}

static void say_and_die(void *fd)
{
	dup2(*(int *)fd, 2);
	bug("the moon is round");
}

static void a_failed_check_says_where_and_what(void **state)
{
	char text[200] = "";
	char wanted[200];
	int ends[2];
	int line = 0;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_true(dies(say_and_die, &ends[1]));
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	assert_int_equal(sscanf(text, "polyfault: %*[^:]:%d:", &line), 1);
	snprintf(wanted, sizeof(wanted), "test_base.c:%d: does not hold: "
					 "the moon is round\n", line);
	assert_non_null(strstr(text, wanted));
	close(ends[0]);
	close(ends[1]);
}

static void profiles_are_found_by_either_name(void **state)
{
	const char *const names[] = { "5.4", "6.1", "6.6", "6.12", "6.18" };
	const struct profile *p;
	unsigned i;

	(void)state;
	for (i = 0; i < array_len(names); i++) {
		p = profile_at(i);
		assert_non_null(p);
		assert_ptr_equal(profile_find(names[i]), p);
		assert_ptr_equal(profile_find(p->name), p);
		assert_string_equal(p->name + 6, names[i]);
	}
	assert_null(profile_at(i));
	assert_null(profile_find("linux-4.4"));
	assert_null(profile_find(""));
	assert_null(profile_find("linux-"));
	assert_ptr_equal(profile_default(), profile_find("linux-6.18"));
}

/* Does a generation never offer what it, or this build, does not have? */
static void profiles_offer_what_is_implemented(void **state)
{
	const uint64_t ranges = 1 << PF_UFFD_BIT_WAKE | 1 << PF_UFFD_BIT_COPY |
				1 << PF_UFFD_BIT_ZEROPAGE;
	const struct profile *p;

	(void)state;
	for (unsigned i = 0; (p = profile_at(i)); i++) {
		assert_true(p->features & PF_UFFD_FEATURE_SIGBUS);
		assert_true(p->features & PF_UFFD_FEATURE_THREAD_ID);
		assert_int_equal(p->features & ~0x1ffffull, 0);
		assert_int_equal(p->range_ioctls & ranges, ranges);
		assert_true(p->register_modes &
			    PF_UFFDIO_REGISTER_MODE_MISSING);
		assert_true(p->fdinfo_ioctls ==
			    (0x8000000000000003ull | p->range_ioctls));
	}
	p = profile_find("5.4");
	assert_int_equal(p->features & ~0x1feull, 0);
	assert_int_equal(p->range_ioctls & ~0x1cull, 0);
	assert_int_equal(p->internal_feature, 0);
	assert_int_equal(p->register_modes, 1);
	assert_true(profile_default()->features &
		    PF_UFFD_FEATURE_EXACT_ADDRESS);
	assert_int_equal(profile_default()->internal_feature, 1u << 31);
}

static void waiting_returns_at_once_when_it_differs(void **state)
{
	_Atomic uint32_t word = 5;

	(void)state;
	assert_int_equal(sync_wait_change(&word, 4, -1), 0);
	assert_int_equal(sync_wait_change(&word, 4, 0), 0);
}

static void waiting_ends_when_time_is_up(void **state)
{
	_Atomic uint32_t word = 5;
	uint64_t began = sync_now_ns();

	(void)state;
	assert_int_equal(sync_wait_change(&word, 5, 0), -ETIMEDOUT);
	assert_int_equal(sync_wait_change(&word, 5, 20000000), -ETIMEDOUT);
	assert_true(sync_now_ns() - began >= 20000000);
}

static _Atomic uint32_t waited_word;

static void *change_and_wake(void *arg)
{
	(void)arg;
	usleep(20000);
	/* A wake without a change must not end the wait. */
	sync_wake_all(&waited_word);
	usleep(20000);
	atomic_store(&waited_word, 1);
	sync_wake_all(&waited_word);
	return NULL;
}

static void waiting_ends_by_a_wake_with_a_change(void **state)
{
	pthread_t thread;

	(void)state;
	atomic_store(&waited_word, 0);
	pthread_create(&thread, NULL, change_and_wake, NULL);
	assert_int_equal(sync_wait_change(&waited_word, 0, -1), 0);
	assert_int_equal(atomic_load(&waited_word), 1);
	pthread_join(thread, NULL);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void *signal_me(void *thread)
{
	usleep(50000);
	pthread_kill(*(pthread_t *)thread, SIGUSR1);
	return NULL;
}

static void waiting_ends_by_a_signal(void **state)
{
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = SA_RESTART };
	_Atomic uint32_t word = 0;
	pthread_t self = pthread_self();
	pthread_t thread;

	(void)state;
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, signal_me, &self);
	assert_int_equal(sync_wait_change(&word, 0, 10000000000), -EINTR);
	pthread_join(thread, NULL);
}

static void *tid_is_right(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		check(sync_self() == (uint32_t)syscall(SYS_gettid));
	return NULL;
}

static void tid_is_right_in_a_child(void *arg)
{
	long pid;
	int status;

	tid_is_right(arg);
	/* A fork that libc does not see. */
	pid = raw_call(SYS_fork);
	tid_is_right(arg);
	if (pid == 0)
		raw_call(SYS_exit_group, 0);
	require(raw_call(SYS_wait4, pid, &status, 0) == pid && status == 0);
	sync_share_threads();
	tid_is_right(arg);
}

/* Is the id right in threads, and in children of forks seen and unseen? */
static void sync_self_is_the_kernel_id(void **state)
{
	pthread_t thread;

	(void)state;
	tid_is_right(NULL);
	pthread_create(&thread, NULL, tid_is_right, NULL);
	pthread_join(thread, NULL);
	assert_true(survives(tid_is_right_in_a_child, NULL));
	tid_is_right(NULL);
}

static void there_are_cpus_and_time(void **state)
{
	struct timespec now;
	uint64_t ns = sync_now_ns();
	cpu_set_t cpus;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_true((uint64_t)now.tv_sec - ns / 1000000000 <= 1);
	assert_true(sync_now_ns() >= ns);
	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	assert_int_equal(sync_cpus(), CPU_COUNT(&cpus));
}

static void bytes_without_libc(void **state)
{
	char a[8] = "abcdefg";
	char b[8];

	(void)state;
	mem_copy(b, a, sizeof(a));
	assert_memory_equal(a, b, sizeof(a));
	mem_set(b + 1, 'x', 3);
	assert_string_equal(b, "axxxefg");
	assert_int_equal(mem_length(b), 7);
	assert_true(mem_same_string("abc", "abc"));
	assert_false(mem_same_string("abc", "ab"));
	assert_false(mem_same_string("ab", "abc"));
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(heap_gives_zeroed_aligned_blocks),
		cmocka_unit_test(heap_blocks_do_not_overlap),
		cmocka_unit_test(heap_frees_null),
		cmocka_unit_test(heap_fails_the_nth_time_once),
		cmocka_unit_test(heap_maps_private_and_shared),
		cmocka_unit_test(heap_serves_threads_at_once),
		cmocka_unit_test(heap_is_whole_after_a_fork),
		cmocka_unit_test(checks_end_the_process),
		cmocka_unit_test(a_failed_check_says_where_and_what),
		cmocka_unit_test(profiles_are_found_by_either_name),
		cmocka_unit_test(profiles_offer_what_is_implemented),
		cmocka_unit_test(waiting_returns_at_once_when_it_differs),
		cmocka_unit_test(waiting_ends_when_time_is_up),
		cmocka_unit_test(waiting_ends_by_a_wake_with_a_change),
		cmocka_unit_test(waiting_ends_by_a_signal),
		cmocka_unit_test(sync_self_is_the_kernel_id),
		cmocka_unit_test(there_are_cpus_and_time),
		cmocka_unit_test(bytes_without_libc),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
