/* SPDX-License-Identifier: MIT */
/* System calls and stdio into and out of missing memory. */
#include "prog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGES 16

static char *area;
static struct handler handler;
static char made[PAGES][PAGE];     /* what each page holds once filled */

static void set_up(void)
{
	int fd = open_uffd(O_CLOEXEC, 0);

	area = map_pages(PAGES);
	watch(fd, area, PAGES);
	for (size_t i = 0; i < PAGES; i++)
		make_page(area + i * PAGE, made[i]);
	start_handler(&handler, fd);
}

static void tear_down(void)
{
	stop_handler(&handler);
	result("filled %d", handler.filled);
}

/* A file with the bytes of `made`, but inverted. */
static int inverted_file(void)
{
	int fd = memfd_create("bytes", MFD_CLOEXEC);
	const char *from = (const char *)made;
	char byte[512];

	for (size_t i = 0; i < sizeof(made); i += sizeof(byte)) {
		for (size_t j = 0; j < sizeof(byte); j++)
			byte[j] = (char)~from[i + j];
		CHECK(write(fd, byte, sizeof(byte)) == sizeof(byte));
	}
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

/* [start, end) is inverted, all else as the handler made it. */
static void expect_inverted(size_t start, size_t end)
{
	const char *want = (const char *)made;

	for (size_t i = 0; i < sizeof(made); i++) {
		bool is_inside = start <= i && i < end;

		if (area[i] != (is_inside ? (char)~want[i] : want[i]))
			CHECK(!"content");
	}
}

static void read_into_missing(void)
{
	int fd;

	set_up();
	fd = inverted_file();
	CHECK(lseek(fd, 100, SEEK_SET) == 100);
	CHECK(read(fd, area + 100, 3 * PAGE) == 3 * PAGE);
	expect_inverted(100, 100 + 3 * PAGE);
	close(fd);
	tear_down();
}

static void pread_into_missing(void)
{
	int fd;

	set_up();
	fd = inverted_file();
	CHECK(pread(fd, area + PAGE - 1, 2, PAGE - 1) == 2);
	expect_inverted(PAGE - 1, PAGE + 1);
	close(fd);
	tear_down();
}

static void readv_into_missing(void)
{
	struct iovec iov[3];
	int fd;

	set_up();
	fd = inverted_file();
	iov[0] = (struct iovec){ area, 10 };
	iov[1] = (struct iovec){ area + 10, 5 * PAGE };
	iov[2] = (struct iovec){ area + 10 + 5 * PAGE, 90 };
	CHECK(readv(fd, iov, 3) == 5 * PAGE + 100);
	expect_inverted(0, 5 * PAGE + 100);
	close(fd);
	tear_down();
}

static void write_from_missing(void)
{
	int fd = memfd_create("out", MFD_CLOEXEC);
	static char back[PAGES][PAGE];
	struct iovec iov[2];

	set_up();
	CHECK(write(fd, area, 4 * PAGE) == 4 * PAGE);
	CHECK(pwrite(fd, area + 4 * PAGE, 4 * PAGE, 4 * PAGE) == 4 * PAGE);
	CHECK(lseek(fd, 8 * PAGE, SEEK_SET) == 8 * PAGE);
	iov[0] = (struct iovec){ area + 8 * PAGE, PAGE + 7 };
	iov[1] = (struct iovec){ area + 9 * PAGE + 7, 7 * PAGE - 7 };
	CHECK(writev(fd, iov, 2) == 8 * PAGE);
	CHECK(pread(fd, back, sizeof(back), 0) == sizeof(back));
	CHECK(memcmp(back, made, sizeof(made)) == 0);
	close(fd);
	tear_down();
}

static void stdio_and_missing(void)
{
	FILE *file = tmpfile();
	static char back[PAGES][PAGE];

	set_up();
	CHECK(file != NULL);
	CHECK(fwrite(area, PAGE, 8, file) == 8);
	CHECK(fflush(file) == 0);
	CHECK(pread(fileno(file), back, 8 * PAGE, 0) == 8 * PAGE);
	CHECK(memcmp(back, made, 8 * PAGE) == 0);
	for (size_t i = 0; i < sizeof(made); i++)
		((char *)back)[i] = (char)~((char *)made)[i];
	rewind(file);
	CHECK(fwrite(back, 1, sizeof(back), file) == sizeof(back));
	CHECK(fseek(file, 9 * PAGE, SEEK_SET) == 0);
	CHECK(fread(area + 9 * PAGE, 1, 3 * PAGE + 5, file) == 3 * PAGE + 5);
	expect_inverted(9 * PAGE, 12 * PAGE + 5);
	fclose(file);
	tear_down();
}

static void *send_later(void *arg)
{
	static char bytes[3 * PAGE];

	nap_ms(30);
	memset(bytes, 'n', sizeof(bytes));
	CHECK(write(*(int *)arg, bytes, sizeof(bytes)) == sizeof(bytes));
	return NULL;
}

/* The call blocks first, and the bytes land in missing memory then. */
static void blocking_read_into_missing(void)
{
	pthread_t sender;
	size_t got = 0;
	int ends[2];

	set_up();
	CHECK(pipe(ends) == 0);
	sender = run(send_later, &ends[1]);
	while (got < 3 * PAGE) {
		ssize_t n = read(ends[0], area + PAGE / 2 + got,
				 3 * PAGE - got);

		CHECK(n > 0);
		got += (size_t)n;
	}
	CHECK(pthread_join(sender, NULL) == 0);
	for (size_t i = 0; i < 3 * PAGE; i++)
		if (area[PAGE / 2 + i] != 'n')
			CHECK(!"content");
	CHECK(memcmp(area, made, PAGE / 2) == 0);
	tear_down();
}

/* A datagram that could not be delivered would be lost. */
static void datagrams_into_missing(void)
{
	int ends[2];

	set_up();
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
	for (size_t i = 0; i < PAGES; i++) {
		char *at = area + i * PAGE + 50;

		CHECK(send(ends[1], "datagram", 8, 0) == 8);
		if (i % 2)
			CHECK(recv(ends[0], at, 100, 0) == 8);
		else
			CHECK(recvfrom(ends[0], at, 100, 0, NULL, NULL) == 8);
		CHECK(memcmp(at, "datagram", 8) == 0);
		CHECK(memcmp(area + i * PAGE, made[i], 50) == 0);
	}
	CHECK(send(ends[1], area + 7 * PAGE, 70, 0) == 70);
	CHECK(recv(ends[0], made[0], PAGE, 0) == 70);
	CHECK(memcmp(made[0] + 50, "datagram", 8) == 0);
	tear_down();
}

static void messages_into_missing(void)
{
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int ends[2];

	set_up();
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
	iov = (struct iovec){ area, 2 * PAGE };
	CHECK(sendmsg(ends[1], &msg, 0) == 2 * PAGE);
	iov = (struct iovec){ area + 4 * PAGE, 2 * PAGE };
	CHECK(recvmsg(ends[0], &msg, 0) == 2 * PAGE);
	CHECK(memcmp(area + 4 * PAGE, made[0], 2 * PAGE) == 0);
	tear_down();
}

/* Arguments of other kinds: names, times, structures. */
static void odd_arguments_in_missing(void)
{
	struct stat *st;
	struct timespec *ts;
	struct pollfd *pfd;

	set_up();
	st = (struct stat *)(area + PAGE);
	CHECK(stat("/", st) == 0);
	CHECK(S_ISDIR(st->st_mode));
	ts = (struct timespec *)(area + 2 * PAGE);
	CHECK(clock_gettime(CLOCK_MONOTONIC, ts) == 0);
	CHECK(ts->tv_sec > 0);
	CHECK(getcwd(area + 3 * PAGE, PAGE) == area + 3 * PAGE);
	CHECK(area[3 * PAGE] == '/');
	pfd = (struct pollfd *)(area + 4 * PAGE);
	CHECK(poll(pfd, 0, 0) == 0);
	CHECK(pipe((int *)(area + 5 * PAGE)) == 0);
	CHECK(((int *)(area + 5 * PAGE))[0] > 2);
	stop_handler(&handler);
}

/* Addresses that nobody watches stay as bad as they are. */
static void bad_addresses_stay_bad(void)
{
	char *none = mmap(NULL, PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *volatile nowhere = (char *)16;
	int ends[2];

	set_up();
	CHECK(pipe(ends) == 0);
	CHECK(write(ends[1], "abc", 3) == 3);
	CHECK(read(ends[0], none, 3) == -1 && errno == EFAULT);
	CHECK(read(ends[0], nowhere, 3) == -1 && errno == EFAULT);
	CHECK(write(ends[1], nowhere, 3) == -1 && errno == EFAULT);
	CHECK(mprotect(area, PAGE, PROT_READ) == 0);
	CHECK(read(ends[0], area, 3) == -1 && errno == EFAULT);
	CHECK(read(ends[0], area + PAGE, 3) == 3);
	CHECK(memcmp(area + PAGE, "abc", 3) == 0);
	CHECK(memcmp(area + PAGE + 3, made[1] + 3, PAGE - 3) == 0);
	stop_handler(&handler);
	result("done");
}

/* A user-mode-only object makes system calls fail instead. */
static void user_mode_only(void)
{
	int fd = open_uffd(O_CLOEXEC | UFFD_USER_MODE_ONLY, 0);
	int ends[2];

	area = map_pages(2);
	watch(fd, area, 2);
	CHECK(pipe(ends) == 0);
	CHECK(write(ends[1], area, 3) == -1 && errno == EFAULT);
	CHECK(write(ends[1], "abc", 3) == 3);
	CHECK(read(ends[0], area, 3) == -1 && errno == EFAULT);
	start_handler(&handler, fd);
	CHECK(is_made(area));
	CHECK(write(ends[1], area, 3) == 3);
	tear_down();
}

const struct scene scenes[] = {
	{ "read_into_missing", read_into_missing },
	{ "pread_into_missing", pread_into_missing },
	{ "readv_into_missing", readv_into_missing },
	{ "write_from_missing", write_from_missing },
	{ "stdio_and_missing", stdio_and_missing },
	{ "blocking_read_into_missing", blocking_read_into_missing },
	{ "datagrams_into_missing", datagrams_into_missing },
	{ "messages_into_missing", messages_into_missing },
	{ "odd_arguments_in_missing", odd_arguments_in_missing },
	{ "bad_addresses_stay_bad", bad_addresses_stay_bad },
	{ "user_mode_only", user_mode_only },
	{ NULL, NULL },
};
