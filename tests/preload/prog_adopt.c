/* SPDX-License-Identifier: MIT */
/* Ranges with pages in them are taken over while threads write. */
#include "prog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <unistd.h>

#define WRITERS 4
#define PAGES 64

static char *area;
static _Atomic bool is_over;
static uint64_t written[WRITERS];

/* Each writer has its own word in every page and counts what it added. */
static void *write_on(void *arg)
{
	size_t self = (size_t)(uintptr_t)arg;
	uint64_t n = 0;

	while (!is_over) {
		volatile uint64_t *word = (volatile uint64_t *)
			(area + n % PAGES * PAGE + self * 512);

		*word = *word + 1;
		n++;
	}
	written[self] = n;
	return NULL;
}

static void expect_nothing_lost(void)
{
	for (size_t self = 0; self < WRITERS; self++) {
		uint64_t sum = 0;

		for (size_t i = 0; i < PAGES; i++)
			sum += *(uint64_t *)(area + i * PAGE + self * 512);
		CHECK(written[self] > 0);
		CHECK(sum == written[self]);
	}
}

static void with_writers(void (*meanwhile)(int fd))
{
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0);
	pthread_t writers[WRITERS];

	area = map_pages(PAGES);
	memset(area, 0, PAGES * PAGE);
	for (size_t i = 0; i < WRITERS; i++)
		writers[i] = run(write_on, (void *)(uintptr_t)i);
	nap_ms(20);
	meanwhile(fd);
	is_over = true;
	for (size_t i = 0; i < WRITERS; i++)
		CHECK(pthread_join(writers[i], NULL) == 0);
	expect_nothing_lost();
	close(fd);
	expect_nothing_lost();
}

static void register_and_unregister(int fd)
{
	for (int i = 0; i < 100; i++) {
		watch(fd, area, PAGES);
		nap_ms(1);
		unwatch(fd, area, PAGES);
	}
}

static void writers_and_registration(void)
{
	with_writers(register_and_unregister);
	result("nothing lost");
}

static void register_in_parts(int fd)
{
	for (size_t i = 0; i < PAGES; i++) {
		watch(fd, area + i * PAGE, 1);
		if (i % 3 == 0)
			unwatch(fd, area + i * PAGE, 1);
	}
	nap_ms(20);
}

static void writers_and_partial_registration(void)
{
	with_writers(register_in_parts);
	result("nothing lost");
}

/* What is present stays, what is not is missing. */
static void present_pages_are_kept(void)
{
	int fd = open_uffd(O_CLOEXEC, 0);
	struct handler handler = { 0 };
	uint64_t page[PAGE / 8];

	area = map_pages(PAGES);
	for (size_t i = 0; i < PAGES; i += 3) {
		make_page(area + i * PAGE, page);
		memcpy(area + i * PAGE, page, PAGE);
	}
	/* A page that was only read holds the zero page, and is present. */
	CHECK(area[PAGE] == 0);
	watch(fd, area, PAGES);
	start_handler(&handler, fd);
	CHECK(area[PAGE] == 0 && area[2 * PAGE - 1] == 0);
	for (size_t i = 0; i < PAGES; i++)
		if (i != 1)
			CHECK(is_made(area + i * PAGE));
	for (size_t i = 0; i < PAGES; i += 3) {
		CHECK(copy_page(fd, area + i * PAGE, page) == -1);
		CHECK(errno == EEXIST);
	}
	stop_handler(&handler);
	result("messages %d", handler.messages);
}

/* The answer to REGISTER, which is taken back. */
static int answer(int fd, const volatile void *at)
{
	uint64_t start = (uint64_t)(uintptr_t)at & ~(PAGE - 1);
	struct uffdio_register reg = { { start, PAGE },
				       UFFDIO_REGISTER_MODE_MISSING, 0 };
	int err = ioctl(fd, UFFDIO_REGISTER, &reg) ? errno : 0;

	if (!err)
		unwatch(fd, (void *)(uintptr_t)start, 1);
	return err;
}

static void *map_zeros(int flags)
{
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

	CHECK(fd >= 0 && p != MAP_FAILED);
	close(fd);
	return p;
}

/* Kinds of memory that can be watched, and kinds that cannot. */
static void kinds_of_memory(void)
{
	int fd = open_uffd(O_CLOEXEC, 0);
	int id = shmget(IPC_PRIVATE, PAGE, 0600);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char *heap = sbrk(3 * PAGE);
	void *p;

	CHECK(answer(fd, map_pages(1)) == 0);
	CHECK(answer(fd, heap + PAGE) == 0);
	CHECK(answer(fd, map_zeros(MAP_PRIVATE)) == 0);
	CHECK(answer(fd, (void *)getauxval(AT_SYSINFO_EHDR)) == EINVAL);
	p = shmat(id, NULL, 0);
	CHECK(p != (void *)-1 && answer(fd, p) == EINVAL);
	p = shmat(id, NULL, SHM_RDONLY);
	CHECK(p != (void *)-1 && answer(fd, p) == EINVAL);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
	CHECK(p != MAP_FAILED && answer(fd, p) == EINVAL);
	p = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(answer(fd, p) == 0);
	p = map_pages(1);
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, PAGE, "named");
	CHECK(answer(fd, p) == 0);
}

static _Atomic int stop_reading;

static void *read_on(void *arg)
{
	uint64_t seen = 0;

	(void)arg;
	while (!stop_reading)
		for (size_t i = 0; i < PAGES; i++)
			seen += is_made(area + i * PAGE) ? 0 : 1;
	return (void *)(uintptr_t)seen;
}

/* No reader sees a page half filled, while pages are dropped and filled. */
static void no_torn_pages(void)
{
	int fd = open_uffd(O_CLOEXEC, 0);
	struct handler handler = { 0 };
	pthread_t readers[3];
	void *torn;

	area = map_pages(PAGES);
	watch(fd, area, PAGES);
	start_handler(&handler, fd);
	for (int i = 0; i < 3; i++)
		readers[i] = run(read_on, NULL);
	for (int i = 0; i < 200; i++) {
		CHECK(madvise(area, PAGES * PAGE, MADV_DONTNEED) == 0);
		nap_ms(2);
	}
	stop_reading = 1;
	for (int i = 0; i < 3; i++) {
		CHECK(pthread_join(readers[i], &torn) == 0);
		CHECK(torn == NULL);
	}
	stop_handler(&handler);
	CHECK(handler.filled >= PAGES);
	result("none torn");
}

const struct scene scenes[] = {
	{ "writers_and_registration", writers_and_registration },
	{ "writers_and_partial_registration",
	  writers_and_partial_registration },
	{ "kinds_of_memory", kinds_of_memory },
	{ "present_pages_are_kept", present_pages_are_kept },
	{ "no_torn_pages", no_torn_pages },
	{ NULL, NULL },
};
