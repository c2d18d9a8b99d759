/* SPDX-License-Identifier: MIT */
/* Every way of waiting for a message. */
#include "prog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

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
	*(volatile char *)at = 1;
	return NULL;
}

/* A thread touches page i now; resolve() lets it go on. */
static pthread_t touched(size_t i)
{
	return run(touch, area + i * PAGE);
}

static void resolve(pthread_t thread)
{
	struct uffd_msg msg;

	CHECK(read(uffd, &msg, sizeof(msg)) == sizeof(msg));
	CHECK(msg.event == UFFD_EVENT_PAGEFAULT);
	CHECK(zero_page(uffd, (void *)(uintptr_t)msg.arg.pagefault.address) ==
	      0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(read(uffd, &msg, sizeof(msg)) == -1 && errno == EAGAIN);
}

static void with_poll(void)
{
	struct pollfd polled;
	struct timespec wait = { 5, 0 };

	set_up();
	polled = (struct pollfd){ uffd, POLLIN | POLLOUT | POLLRDNORM, 0 };
	CHECK(poll(&polled, 1, 0) == 0);
	CHECK(poll(&polled, 1, 20) == 0);
	for (size_t i = 0; i < 8; i++) {
		pthread_t thread = touched(i);

		polled.revents = 0;
		if (i % 2)
			CHECK(poll(&polled, 1, 5000) == 1);
		else
			CHECK(ppoll(&polled, 1, &wait, NULL) == 1);
		CHECK(polled.revents == POLLIN);
		resolve(thread);
		CHECK(poll(&polled, 1, 0) == 0);
	}
	result("polled 8");
}

/* Together with descriptors of other kinds. */
static void with_mixed_poll(void)
{
	struct pollfd polled[3];
	pthread_t thread;
	int ends[2];

	set_up();
	CHECK(pipe(ends) == 0);
	polled[0] = (struct pollfd){ ends[0], POLLIN, 0 };
	polled[1] = (struct pollfd){ uffd, POLLIN, 0 };
	polled[2] = (struct pollfd){ -1, POLLIN, 0 };
	CHECK(poll(polled, 3, 0) == 0);
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK(poll(polled, 3, -1) == 1);
	CHECK(polled[0].revents == POLLIN && polled[1].revents == 0);
	thread = touched(0);
	while (poll(polled, 3, -1) != 2)
		;
	CHECK(polled[0].revents == POLLIN && polled[1].revents == POLLIN);
	resolve(thread);
	CHECK(poll(polled, 3, 0) == 1);
	close(ends[1]);
	close(ends[0]);
	CHECK(poll(polled, 2, 0) == 1 && polled[0].revents == POLLNVAL);
	result("mixed");
}

static void with_select(void)
{
	struct timeval wait;
	struct timespec long_wait = { 5, 0 };
	fd_set set;

	set_up();
	FD_ZERO(&set);
	FD_SET(uffd, &set);
	wait = (struct timeval){ 0, 20000 };
	CHECK(select(uffd + 1, &set, NULL, NULL, &wait) == 0);
	CHECK(!FD_ISSET(uffd, &set));
	for (size_t i = 0; i < 8; i++) {
		pthread_t thread = touched(i);

		FD_ZERO(&set);
		FD_SET(uffd, &set);
		wait = (struct timeval){ 5, 0 };
		if (i % 2)
			CHECK(select(uffd + 1, &set, NULL, NULL, &wait) == 1);
		else
			CHECK(pselect(uffd + 1, &set, NULL, NULL, &long_wait,
				      NULL) == 1);
		CHECK(FD_ISSET(uffd, &set));
		resolve(thread);
	}
	result("selected 8");
}

static void with_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	set_up();
	event.data.u64 = 0x1234567890;
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, uffd, &event) == 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, uffd, &event) == -1);
	CHECK(errno == EEXIST);
	CHECK(epoll_wait(epoll, &event, 1, 20) == 0);
	for (size_t i = 0; i < 8; i++) {
		pthread_t thread = touched(i);

		CHECK(epoll_wait(epoll, &event, 1, 5000) == 1);
		CHECK(event.events == EPOLLIN);
		CHECK(event.data.u64 == 0x1234567890);
		/* Level: it is still there. */
		CHECK(epoll_wait(epoll, &event, 1, 0) == 1);
		resolve(thread);
		CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
	}
	CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, uffd, NULL) == 0);
	result("epolled 8");
}

/* Edges: one for each new message, none without. */
static void with_epoll_edges(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	pthread_t first, second;
	struct uffd_msg msg;

	set_up();
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, uffd, &event) == 0);
	first = touched(0);
	CHECK(epoll_wait(epoll, &event, 1, 5000) == 1);
	CHECK(epoll_wait(epoll, &event, 1, 50) == 0);
	second = touched(1);
	CHECK(epoll_wait(epoll, &event, 1, 5000) == 1);
	CHECK(epoll_wait(epoll, &event, 1, 50) == 0);
	CHECK(read(uffd, &msg, sizeof(msg)) == sizeof(msg));
	CHECK(zero_page(uffd, area) == 0);
	CHECK(pthread_join(first, NULL) == 0);
	resolve(second);
	for (size_t i = 2; i < 10; i++) {
		first = touched(i);
		CHECK(epoll_wait(epoll, &event, 1, 5000) == 1);
		CHECK(event.events == EPOLLIN);
		resolve(first);
	}
	result("edges 10");
}

static void with_epoll_oneshot(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };
	struct epoll_event got;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	pthread_t thread;

	set_up();
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, uffd, &event) == 0);
	thread = touched(0);
	CHECK(epoll_wait(epoll, &got, 1, 5000) == 1);
	CHECK(epoll_wait(epoll, &got, 1, 20) == 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, uffd, &event) == 0);
	CHECK(epoll_wait(epoll, &got, 1, 5000) == 1);
	resolve(thread);
	result("oneshot");
}

/* Before the handshake, or blocking: an error, whoever asks. */
static void blocking_descriptor_is_an_error(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct pollfd polled;
	pthread_t thread;

	set_up();
	polled = (struct pollfd){ uffd, POLLIN, 0 };
	CHECK(fcntl(uffd, F_SETFL, 0) == 0);
	CHECK(poll(&polled, 1, -1) == 1 && polled.revents == POLLERR);
	CHECK(fcntl(uffd, F_SETFL, O_NONBLOCK) == 0);
	CHECK(poll(&polled, 1, 0) == 0);
	CHECK(fcntl(uffd, F_SETFL, 0) == 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, uffd, &event) == 0);
	CHECK(epoll_wait(epoll, &event, 1, 5000) == 1);
	CHECK(event.events == EPOLLERR);
	thread = touched(0);
	nap_ms(20);
	CHECK(poll(&polled, 1, -1) == 1 && polled.revents == POLLERR);
	CHECK(fcntl(uffd, F_SETFL, O_NONBLOCK) == 0);
	CHECK(poll(&polled, 1, 5000) == 1 && polled.revents == POLLIN);
	resolve(thread);
	result("error");
}

static void *serve(void *arg)
{
	struct uffd_msg msg;
	int *served = arg;

	/* A blocking read, as the simplest of managers do. */
	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg)) {
		if (zero_page(uffd, (void *)(uintptr_t)
					    msg.arg.pagefault.address) == 0)
			++*served;
		if (*served == 16)
			break;
	}
	return NULL;
}

static void with_blocking_read(void)
{
	pthread_t server;
	int served = 0;

	set_up();
	CHECK(fcntl(uffd, F_SETFL, 0) == 0);
	server = run(serve, &served);
	for (size_t i = 0; i < 16; i++)
		area[i * PAGE] = 1;
	CHECK(pthread_join(server, NULL) == 0);
	result("served %d", served);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

/* A signal ends the waiting of a read or a poll. */
static void signals_end_the_waiting(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct pollfd polled;
	struct uffd_msg msg;

	set_up();
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	polled = (struct pollfd){ uffd, POLLIN, 0 };
	ualarm(30000, 0);
	CHECK(poll(&polled, 1, -1) == -1 && errno == EINTR);
	CHECK(fcntl(uffd, F_SETFL, 0) == 0);
	ualarm(30000, 0);
	CHECK(read(uffd, &msg, sizeof(msg)) == -1 && errno == EINTR);
	result("alarms %d", (int)alarms);
}

const struct scene scenes[] = {
	{ "with_poll", with_poll },
	{ "with_mixed_poll", with_mixed_poll },
	{ "with_select", with_select },
	{ "with_epoll", with_epoll },
	{ "with_epoll_edges", with_epoll_edges },
	{ "with_epoll_oneshot", with_epoll_oneshot },
	{ "blocking_descriptor_is_an_error", blocking_descriptor_is_an_error },
	{ "with_blocking_read", with_blocking_read },
	{ "signals_end_the_waiting", signals_end_the_waiting },
	{ NULL, NULL },
};
