/* SPDX-License-Identifier: MIT */
/* Many threads, odd threads, threads that are stopped. */
#include "prog.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 64
#define EACH 16

static char *area;
static pthread_barrier_t start;

static void *touch_same(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&start);
	for (size_t i = 0; i < EACH; i++)
		CHECK(is_made(area + i * PAGE));
	return NULL;
}

static void *touch_own(void *arg)
{
	size_t first = (size_t)(uintptr_t)arg * EACH;

	pthread_barrier_wait(&start);
	for (size_t i = 0; i < EACH; i++)
		CHECK(is_made(area + (first + i) * PAGE));
	return NULL;
}

static void with_threads(void *(*call)(void *), size_t pages)
{
	struct handler handler = { 0 };
	pthread_t threads[THREADS];
	int fd = open_uffd(O_CLOEXEC, 0);

	area = map_pages(pages);
	watch(fd, area, pages);
	CHECK(pthread_barrier_init(&start, NULL, THREADS) == 0);
	start_handler(&handler, fd);
	for (size_t i = 0; i < THREADS; i++)
		threads[i] = run(call, (void *)(uintptr_t)i);
	for (size_t i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	stop_handler(&handler);
	CHECK(handler.messages >= handler.filled);
	result("filled %d", handler.filled);
}

static void many_threads_same_pages(void)
{
	with_threads(touch_same, EACH);
}

static void many_threads_own_pages(void)
{
	with_threads(touch_own, (size_t)THREADS * EACH);
}

static int raw_child(void *arg)
{
	volatile char *at = arg;

	for (size_t i = 0; i < 32; i++) {
		at[i * PAGE + 1] = 7;
		if (at[i * PAGE + 1] != 7)
			return 1;
	}
	return 42;
}

/* As stress-ng has it: same memory and handlers, the parent's TLS. */
static void raw_clone_child_faults(void)
{
	struct handler handler = { 0 };
	int fd = open_uffd(O_CLOEXEC, 0), status;
	char *stack = map_pages(16);
	pid_t child;

	area = map_pages(32);
	watch(fd, area, 32);
	start_handler(&handler, fd);
	child = clone(raw_child, stack + 16 * PAGE,
		      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
			      SIGCHLD, area);
	CHECK(child > 0);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	for (size_t i = 0; i < 32; i++) {
		CHECK(area[i * PAGE + 1] == 7);
		area[i * PAGE + 1] = 0;
		/* All but that byte is as the handler made it. */
		uint64_t made[PAGE / 8];

		make_page(area + i * PAGE, made);
		area[i * PAGE + 1] = ((char *)made)[1];
		CHECK(is_made(area + i * PAGE));
	}
	stop_handler(&handler);
	result("filled %d writes %d", handler.filled, handler.writes);
}

static void *read_for_ever(void *arg)
{
	struct uffd_msg msg;

	for (;;)
		if (read(*(int *)arg, &msg, sizeof(msg)) < 0)
			return NULL;
}

static void cancel_blocking_reader(void)
{
	int fd = open_uffd(O_CLOEXEC, 0);
	pthread_t thread = run(read_for_ever, &fd);
	struct handler handler = { 0 };
	void *end;

	nap_ms(50);
	CHECK(pthread_cancel(thread) == 0);
	CHECK(pthread_join(thread, &end) == 0);
	CHECK(end == PTHREAD_CANCELED);
	area = map_pages(1);
	watch(fd, area, 1);
	start_handler(&handler, fd);
	CHECK(is_made(area));
	stop_handler(&handler);
	result("cancelled, messages %d", handler.messages);
}

static void *touch_zero(void *arg)
{
	return (void *)(uintptr_t)*(volatile unsigned char *)arg;
}

/* The last descriptor goes while threads wait: they see plain memory. */
static void close_while_threads_wait(void)
{
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0);
	pthread_t threads[8];
	struct uffd_msg msg;
	void *seen;

	area = map_pages(8);
	watch(fd, area, 8);
	for (size_t i = 0; i < 8; i++)
		threads[i] = run(touch_zero, area + i * PAGE);
	for (int i = 0; i < 4; i++)
		CHECK(next_message(fd, &msg, 5000));
	nap_ms(30);
	CHECK(close(fd) == 0);
	for (size_t i = 0; i < 8; i++) {
		CHECK(pthread_join(threads[i], &seen) == 0);
		CHECK(seen == NULL);
	}
	area[5] = 1;
	result("released 8");
}

static _Atomic long tid;

static void *tell_and_touch(void *arg)
{
	tid = syscall(SYS_gettid);
	*(volatile char *)arg = 1;
	return NULL;
}

static void thread_id_feature(void)
{
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, UFFD_FEATURE_THREAD_ID);
	struct uffd_msg msg;
	pthread_t thread;

	area = map_pages(1);
	watch(fd, area, 1);
	thread = run(tell_and_touch, area + 100);
	CHECK(next_message(fd, &msg, 5000));
	CHECK(msg.arg.pagefault.feat.ptid == tid);
	CHECK(msg.arg.pagefault.flags == UFFD_PAGEFAULT_FLAG_WRITE);
	CHECK(msg.arg.pagefault.address == (uintptr_t)area);
	CHECK(zero_page(fd, area) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	result("told");
}

/* Threads come and go; each leaves nothing behind. */
static void short_lived_threads(void)
{
	struct handler handler = { 0 };
	int fd = open_uffd(O_CLOEXEC, 0);

	area = map_pages(300);
	watch(fd, area, 300);
	start_handler(&handler, fd);
	for (size_t i = 0; i < 300; i++)
		CHECK(pthread_join(run(touch_zero, area + i * PAGE), NULL) ==
		      0);
	for (size_t i = 0; i < 300; i++)
		CHECK(is_made(area + i * PAGE));
	stop_handler(&handler);
	result("messages %d", handler.messages);
}

const struct scene scenes[] = {
	{ "many_threads_same_pages", many_threads_same_pages },
	{ "many_threads_own_pages", many_threads_own_pages },
	{ "raw_clone_child_faults", raw_clone_child_faults },
	{ "cancel_blocking_reader", cancel_blocking_reader },
	{ "close_while_threads_wait", close_while_threads_wait },
	{ "thread_id_feature", thread_id_feature },
	{ "short_lived_threads", short_lived_threads },
	{ NULL, NULL },
};
