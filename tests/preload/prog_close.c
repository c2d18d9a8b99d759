/* SPDX-License-Identifier: MIT */
/* Descriptors that are closed, reused and inherited at the wrong moment. */
#include "prog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 100
#define FIRST_ODD 690
#define LAST_ODD 730
#define MOST_REFUSED 8

static char *area;
static int uffd;

static void set_up(void)
{
	uffd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0);
	area = map_pages(16);
	watch(uffd, area, 16);
}

static void *touch(void *at)
{
	return (void *)(uintptr_t)*(volatile unsigned char *)at;
}

/* The descriptor works: page i faults and is filled through it. */
static void expect_works(size_t i)
{
	pthread_t thread = run(touch, area + i * PAGE);
	struct uffd_msg msg;

	CHECK(next_message(uffd, &msg, 5000));
	CHECK(msg.arg.pagefault.address == (uintptr_t)area + i * PAGE);
	CHECK(zero_page(uffd, area + i * PAGE) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

/* ---- closed by another thread ---- */

static _Atomic bool is_over;

static void *command_it(void *arg)
{
	while (!is_over) {
		wake_page(uffd, area);
		zero_page(uffd, area + PAGE);
	}
	return arg;
}

static void *read_it(void *arg)
{
	struct uffd_msg msg;

	while (!is_over)
		if (read(uffd, &msg, sizeof(msg)) == sizeof(msg))
			zero_page(uffd, (void *)(uintptr_t)
						msg.arg.pagefault.address);
	return arg;
}

static void *poll_it(void *arg)
{
	while (!is_over) {
		struct pollfd polled[2] = { { uffd, POLLIN, 0 },
					    { uffd, POLLIN, 0 } };

		poll(polled, 1, 1);
		poll(polled, 2, 1);
	}
	return arg;
}

static void while_others_use_it(void)
{
	void *(*users[3])(void *) = { command_it, read_it, poll_it };
	pthread_t threads[3], toucher;

	set_up();
	for (size_t i = 0; i < 3; i++)
		threads[i] = run(users[i], NULL);
	for (int i = 0; i < ROUNDS; i++) {
		toucher = run(touch, area + 2 * PAGE);
		CHECK(close(uffd) == 0);
		CHECK(pthread_join(toucher, NULL) == 0);
		CHECK(munmap(area, 16 * PAGE) == 0);
		set_up();
	}
	is_over = true;
	for (size_t i = 0; i < 3; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	result("rounds %d", ROUNDS);
}

static void *wait_by_read(void *arg)
{
	struct uffd_msg msg;
	ssize_t n = read(uffd, &msg, sizeof(msg));

	CHECK(n == sizeof(msg) || (n == -1 && errno == EBADF));
	return arg;
}

static void *wait_by_poll(void *arg)
{
	struct pollfd polled = { uffd, POLLIN, 0 };

	CHECK(poll(&polled, 1, -1) == 1);
	CHECK(polled.revents == POLLIN || polled.revents == POLLNVAL);
	return arg;
}

static void *wait_by_mixed_poll(void *arg)
{
	struct pollfd polled[2] = { { uffd, POLLIN, 0 }, { 0, 0, 0 } };
	int ends[2];

	CHECK(pipe(ends) == 0);
	polled[1] = (struct pollfd){ ends[0], POLLIN, 0 };
	CHECK(poll(polled, 2, -1) == 1);
	CHECK(polled[0].revents == POLLIN || polled[0].revents == POLLNVAL);
	return arg;
}

/*
 * Who waits comes back at once, or with the message of the next fault: then
 * the wait kept the object, and its end releases it.
 */
static void under_one_who_waits(void)
{
	void *(*waits[3])(void *) = { wait_by_read, wait_by_poll,
				      wait_by_mixed_poll };
	pthread_t waiter, toucher;

	for (size_t i = 0; i < 3; i++) {
		set_up();
		if (!i)
			CHECK(fcntl(uffd, F_SETFL, 0) == 0);
		waiter = run(waits[i], NULL);
		nap_ms(30);
		CHECK(close(uffd) == 0);
		toucher = run(touch, area);
		CHECK(pthread_join(waiter, NULL) == 0);
		CHECK(pthread_join(toucher, NULL) == 0);
	}
	result("came back");
}

/* A cancelled wait leaves the object as it was. */
static void waits_are_cancelled(void)
{
	void *(*waits[3])(void *) = { wait_by_read, wait_by_poll,
				      wait_by_mixed_poll };
	void *end;

	set_up();
	for (size_t i = 0; i < 3; i++) {
		pthread_t waiter;

		CHECK(fcntl(uffd, F_SETFL, i ? O_NONBLOCK : 0) == 0);
		waiter = run(waits[i], NULL);
		nap_ms(30);
		CHECK(pthread_cancel(waiter) == 0);
		CHECK(pthread_join(waiter, &end) == 0);
		CHECK(end == PTHREAD_CANCELED);
		CHECK(fcntl(uffd, F_SETFL, O_NONBLOCK) == 0);
		expect_works(i + 1);
	}
	CHECK(close(uffd) == 0);
	touch(area);
	result("cancelled");
}

/* ---- numbers ---- */

/*
 * A number that a library may have taken is the program's all the same, but
 * for a few, which are none.
 */
static void dup2_over_any_number(void)
{
	int null = open("/dev/null", O_RDWR);
	size_t works = 0, refused = 0;

	set_up();
	for (int fd = FIRST_ODD; fd < LAST_ODD; fd++) {
		if (dup2(null, fd) != fd) {
			CHECK(errno == EBADF && ++refused <= MOST_REFUSED);
			continue;
		}
		CHECK(write(fd, "x", 1) == 1);
		CHECK(dup2(-1, fd) == -1 && errno == EBADF);
	}
	expect_works(works++);
	for (int fd = FIRST_ODD; fd < LAST_ODD; fd++)
		CHECK(close(fd) == 0 || (errno == EBADF && refused-- > 0));
	expect_works(works++);
	CHECK(close(uffd) == 0);
	touch(area + works * PAGE);
	set_up();
	expect_works(0);
	result("over %zu", works);
}

/* A failed dup2 leaves the descriptor what it was. */
static void dup2_over_it_fails(void)
{
	set_up();
	CHECK(dup2(-1, uffd) == -1 && errno == EBADF);
	expect_works(0);
	CHECK(dup3(0, uffd, 0x12) == -1 && errno == EINVAL);
	expect_works(1);
	result("it stays");
}

/* The last number is enough for an object; without one there is none. */
static void the_last_number(void)
{
	struct rlimit limit, few;
	int last, null;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	set_up();
	CHECK(close(uffd) == 0);
	few = limit;
	few.rlim_cur = 60;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	last = open("/dev/null", O_RDONLY);
	while ((null = open("/dev/null", O_RDONLY)) >= 0)
		last = null;
	CHECK(errno == EMFILE);
	CHECK(syscall(SYS_userfaultfd, 0) == -1 && errno == EMFILE);
	CHECK(close(last) == 0);
	set_up();
	CHECK(uffd == last);
	expect_works(0);
	CHECK(syscall(SYS_userfaultfd, 0) == -1 && errno == EMFILE);
	CHECK(open("/dev/null", O_RDONLY) == -1 && errno == EMFILE);
	CHECK(getrlimit(RLIMIT_NOFILE, &few) == 0 && few.rlim_cur == 60);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	result("last");
}

static _Atomic bool is_done;

static void *serve_by_epoll(void *arg)
{
	struct epoll_event event;
	int *epoll = arg;
	struct uffd_msg msg;

	while (!is_done) {
		if (epoll_wait(*epoll, &event, 1, 10) != 1)
			continue;
		if (read(uffd, &msg, sizeof(msg)) == sizeof(msg))
			zero_page(uffd, (void *)(uintptr_t)
						msg.arg.pagefault.address);
	}
	return NULL;
}

static void *touch_much(void *arg)
{
	while (!is_over) {
		touch(area);
		madvise(area, PAGE, MADV_DONTNEED);
	}
	return arg;
}

/* A number of ours that becomes another's loses none of its bytes. */
static void the_number_is_used_again(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	pthread_t handler, toucher;
	int ends[2], copy;
	char byte;

	set_up();
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, uffd, &event) == 0);
	handler = run(serve_by_epoll, &epoll);
	toucher = run(touch_much, NULL);
	for (int i = 0; i < 10 * ROUNDS; i++) {
		copy = dup(uffd);
		CHECK(close(copy) == 0);
		CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
		CHECK(ends[0] == copy);
		CHECK(write(ends[1], "x", 1) == 1);
		CHECK(recv(ends[0], &byte, 1, MSG_DONTWAIT) == 1);
		close(ends[0]);
		close(ends[1]);
	}
	is_over = true;
	CHECK(pthread_join(toucher, NULL) == 0);
	is_done = true;
	CHECK(pthread_join(handler, NULL) == 0);
	result("none lost");
}

/* ---- how long ---- */

static void *touch_later(void *at)
{
	nap_ms(50);
	return touch(at);
}

static void times_are_checked(void)
{
	const struct timespec wrong[3] = { { -1, 0 }, { 0, -1 },
					   { 0, 1000000000 } };
	const struct timespec longest[3] = { { LONG_MAX, 999999999 },
					     { 18446744074, 0 },
					     { 9223372037, 0 } };
	struct pollfd polled[2];

	set_up();
	for (size_t i = 0; i < 6; i++) {
		nfds_t count = i % 2 + 1;

		polled[0] = (struct pollfd){ uffd, POLLIN, 0 };
		polled[1] = (struct pollfd){ -1, POLLIN, 0 };
		CHECK(ppoll(polled, count, &wrong[i / 2], NULL) == -1);
		CHECK(errno == EINVAL);
	}
	for (size_t i = 0; i < 6; i++) {
		pthread_t thread = run(touch_later, area + i * PAGE);
		nfds_t count = i % 2 + 1;
		struct uffd_msg msg;

		CHECK(ppoll(polled, count, &longest[i / 2], NULL) == 1);
		CHECK(read(uffd, &msg, sizeof(msg)) == sizeof(msg));
		CHECK(zero_page(uffd, area + i * PAGE) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
	}
	result("checked");
}

/* ---- inherited ---- */

/* What a child does with its copy is not the parent's message's business. */
static void a_child_has_a_copy(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct pollfd polled;
	struct uffd_msg msg;
	pthread_t thread;
	pid_t child;
	int status;

	set_up();
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, uffd, &event) == 0);
	thread = run(touch, area);
	CHECK(epoll_wait(epoll, &event, 1, 5000) == 1);
	child = fork();
	if (child == 0) {
		polled = (struct pollfd){ uffd, POLLIN, 0 };
		poll(&polled, 1, 10);
		epoll_wait(epoll, &event, 1, 0);
		close(dup(uffd));
		wake_page(uffd, area);
		close(uffd);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(epoll_wait(epoll, &event, 1, 0) == 1);
	CHECK(read(uffd, &msg, sizeof(msg)) == sizeof(msg));
	CHECK(zero_page(uffd, area) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
	expect_works(1);
	result("whole");
}

const struct scene scenes[] = {
	{ "while_others_use_it", while_others_use_it },
	{ "under_one_who_waits", under_one_who_waits },
	{ "waits_are_cancelled", waits_are_cancelled },
	{ "dup2_over_any_number", dup2_over_any_number },
	{ "dup2_over_it_fails", dup2_over_it_fails },
	{ "the_last_number", the_last_number },
	{ "the_number_is_used_again", the_number_is_used_again },
	{ "times_are_checked", times_are_checked },
	{ "a_child_has_a_copy", a_child_has_a_copy },
	{ NULL, NULL },
};
