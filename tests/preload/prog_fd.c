/* SPDX-License-Identifier: MIT */
/* The descriptor as a descriptor: copies, closing, /proc, sockets. */
#include "prog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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
	return (void *)(uintptr_t)*(volatile unsigned char *)at;
}

/* The descriptor works: page i faults and is filled through it. */
static void expect_works(int fd, size_t i)
{
	pthread_t thread = run(touch, area + i * PAGE);
	struct uffd_msg msg;

	CHECK(next_message(fd, &msg, 5000));
	CHECK(msg.arg.pagefault.address == (uintptr_t)area + i * PAGE);
	CHECK(zero_page(fd, area + i * PAGE) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

/* The object is gone: what was missing is plain memory. */
static void expect_released(size_t i)
{
	CHECK(area[i * PAGE] == 0);
}

static void duplicates_are_the_same_object(void)
{
	int fd[5];

	set_up();
	fd[0] = dup(uffd);
	fd[1] = dup2(uffd, 200);
	fd[2] = dup3(uffd, 201, O_CLOEXEC);
	fd[3] = fcntl(uffd, F_DUPFD, 300);
	fd[4] = fcntl(uffd, F_DUPFD_CLOEXEC, 400);
	CHECK(fd[1] == 200 && fd[2] == 201);
	CHECK(fd[3] >= 300 && fd[4] >= 400);
	CHECK(fcntl(fd[2], F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(fd[3], F_GETFD) == 0);
	CHECK(fcntl(fd[4], F_GETFD) == FD_CLOEXEC);
	for (size_t i = 0; i < 5; i++) {
		CHECK(fcntl(fd[i], F_GETFL) & O_NONBLOCK);
		expect_works(fd[i], i);
	}
	CHECK(close(uffd) == 0);
	expect_works(fd[0], 5);
	for (size_t i = 0; i < 5; i++)
		CHECK(close(fd[i]) == 0);
	expect_released(6);
	CHECK(close(uffd) == -1 && errno == EBADF);
	result("five");
}

/* dup2 over the only descriptor closes the object. */
static void dup2_over_the_last_one(void)
{
	int null = open("/dev/null", O_RDWR);
	pthread_t thread;
	struct uffd_msg msg;

	set_up();
	thread = run(touch, area);
	CHECK(next_message(uffd, &msg, 5000));
	CHECK(dup2(null, uffd) == uffd);
	CHECK(pthread_join(thread, NULL) == 0);
	expect_released(1);
	CHECK(write(uffd, "x", 1) == 1);
	result("over");
}

static void close_range_closes_it(void)
{
	pthread_t thread;
	struct uffd_msg msg;

	set_up();
	CHECK(dup2(uffd, 500) == 500);
	CHECK(close(uffd) == 0);
	uffd = 500;
	thread = run(touch, area);
	CHECK(next_message(uffd, &msg, 5000));
	CHECK(close_range(500, 510, 0) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	expect_released(1);
	CHECK(fcntl(500, F_GETFD) == -1 && errno == EBADF);
	result("closed");
}

/* Programs that close everything they do not know. */
static void closing_all_others_leaves_it_working(void)
{
	set_up();
	CHECK(dup2(uffd, 3) == 3);
	uffd = 3;
	closefrom(4);
	CHECK(close_range(4, ~0U, 0) == 0);
	for (int fd = 4; fd < 1024; fd++)
		close(fd);
	expect_works(3, 0);
	close(3);
	expect_released(1);
	set_up();
	expect_works(uffd, 0);
	result("works");
}

static void flags_are_told(void)
{
	int fd = (int)syscall(SYS_userfaultfd, 0);

	if (fd == -1)
		exit(77);
	CHECK((fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == O_RDONLY);
	CHECK(fcntl(fd, F_GETFD) == 0);
	CHECK(close(fd) == 0);
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(syscall(SYS_userfaultfd, ~0) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_userfaultfd, 2) == -1 && errno == EINVAL);
	result("flags");
}

static void handshake_fails_exactly(void)
{
	struct uffdio_api api = { .api = 0x55, .features = 1, .ioctls = 1 };
	struct uffdio_range range = { 0, PAGE };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	struct pollfd polled = { fd, POLLIN, 0 };

	if (fd == -1)
		exit(77);
	CHECK(poll(&polled, 1, 0) == 1 && polled.revents == POLLERR);
	CHECK(read(fd, &api, sizeof(api)) == -1 && errno == EINVAL);
	CHECK(ioctl(fd, UFFDIO_WAKE, &range) == -1 && errno == EINVAL);
	CHECK(ioctl(fd, UFFDIO_API, &api) == -1 && errno == EINVAL);
	CHECK(!api.api && !api.features && !api.ioctls);
	api = (struct uffdio_api){ UFFD_API, 1ull << 50, 1 };
	CHECK(ioctl(fd, UFFDIO_API, &api) == -1 && errno == EINVAL);
	CHECK(!api.api && !api.features && !api.ioctls);
	api = (struct uffdio_api){ UFFD_API, 0, 0 };
	CHECK(ioctl(fd, UFFDIO_API, &api) == 0);
	CHECK((api.features & ~0x1ffffull) == 0);
	CHECK(api.features & UFFD_FEATURE_THREAD_ID);
	CHECK(ioctl(fd, UFFDIO_API, &api) == -1 && errno == EINVAL);
	CHECK(ioctl(fd, UFFDIO_API, NULL) == -1 && errno == EFAULT);
	CHECK(ioctl(fd, UFFDIO_COPY, NULL) == -1 && errno == EFAULT);
	CHECK(ioctl(fd, 0x12345678, &api) == -1 && errno == EINVAL);
	CHECK(poll(&polled, 1, 0) == 0);
	result("exactly");
}

/* Calls that do not fit a userfaultfd. */
static void unfit_calls_fail_alike(void)
{
	set_up();
	CHECK(lseek(uffd, 10, SEEK_SET) == 0);
	CHECK(write(uffd, "x", 1) == -1 && errno == EBADF);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, uffd, 0) ==
	      MAP_FAILED);
	CHECK(errno == ENODEV);
	CHECK(send(uffd, "x", 1, 0) == -1 && errno == ENOTSOCK);
	CHECK(ftruncate(uffd, 0) == -1);
	expect_works(uffd, 0);
	result("alike");
}

static void proc_tells_the_kernel_story(void)
{
	unsigned long long api, features, mask;
	char path[64], text[400] = "", *line;
	pthread_t thread;
	int pending, total;
	ssize_t n;
	int fd;

	set_up();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", uffd);
	n = readlink(path, text, sizeof(text) - 1);
	CHECK(n > 0);
	CHECK(!strcmp(text, "anon_inode:[userfaultfd]"));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", uffd);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	memset(text, 0, sizeof(text));
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	CHECK(strstr(text, "flags:") != NULL);
	line = strstr(text, "API:\t");
	CHECK(line && sscanf(line, "API:\t%llx:%llx:%llx", &api, &features,
			     &mask) == 3);
	CHECK(api == 0xaa && features == 0x80000000);
	CHECK((mask & 0x800000000000001f) == 0x800000000000001f);
	read_counts(uffd, &pending, &total);
	CHECK(pending == 0 && total == 0);
	thread = run(touch, area);
	while (read_counts(uffd, &pending, &total), total == 0)
		nap_ms(1);
	CHECK(pending == 1 && total == 1);
	CHECK(zero_page(uffd, area) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	result("told");
}

/* Through a socket of its own and back. */
static void passed_through_a_socket(void)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	int ends[2], got;

	set_up();
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &uffd, sizeof(int));
	CHECK(sendmsg(ends[1], &msg, 0) == 1);
	CHECK(close(uffd) == 0);
	memset(control, 0, sizeof(control));
	msg.msg_controllen = sizeof(control);
	CHECK(recvmsg(ends[0], &msg, 0) == 1);
	head = CMSG_FIRSTHDR(&msg);
	CHECK(head && head->cmsg_type == SCM_RIGHTS);
	memcpy(&got, CMSG_DATA(head), sizeof(int));
	expect_works(got, 0);
	expect_works(got, 1);
	CHECK(close(got) == 0);
	expect_released(2);
	result("passed");
}

static void no_slot_is_left(void)
{
	struct rlimit limit, few;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	set_up();
	few = limit;
	few.rlim_cur = 0;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHECK(syscall(SYS_userfaultfd, 0) == -1 && errno == EMFILE);
	CHECK(dup(uffd) == -1 && errno == EMFILE);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	expect_works(uffd, 0);
	result("none");
}

/* Two objects live side by side. */
static void two_objects(void)
{
	char *first_area;
	int first;

	set_up();
	first = uffd;
	first_area = area;
	set_up();
	expect_works(uffd, 3);
	area = first_area;
	expect_works(first, 3);
	CHECK(close(uffd) == 0);
	expect_works(first, 4);
	result("two");
}

/* Created and closed many times: no descriptor is lost. */
static void no_descriptor_leaks(void)
{
	int lowest, again;

	set_up();
	close(uffd);
	lowest = open("/dev/null", O_RDONLY);
	close(lowest);
	for (int i = 0; i < 200; i++) {
		set_up();
		CHECK(munmap(area, 16 * PAGE) == 0);
		close(uffd);
	}
	again = open("/dev/null", O_RDONLY);
	CHECK(again == lowest);
	result("none lost");
}

const struct scene scenes[] = {
	{ "duplicates_are_the_same_object", duplicates_are_the_same_object },
	{ "dup2_over_the_last_one", dup2_over_the_last_one },
	{ "close_range_closes_it", close_range_closes_it },
	{ "closing_all_others_leaves_it_working",
	  closing_all_others_leaves_it_working },
	{ "flags_are_told", flags_are_told },
	{ "handshake_fails_exactly", handshake_fails_exactly },
	{ "unfit_calls_fail_alike", unfit_calls_fail_alike },
	{ "proc_tells_the_kernel_story", proc_tells_the_kernel_story },
	{ "passed_through_a_socket", passed_through_a_socket },
	{ "no_slot_is_left", no_slot_is_left },
	{ "two_objects", two_objects },
	{ "no_descriptor_leaks", no_descriptor_leaks },
	{ NULL, NULL },
};
