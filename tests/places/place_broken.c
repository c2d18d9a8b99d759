/* SPDX-License-Identifier: MIT */
/*
 * Userfaultfd where something has run out. Whatever is refused, the memory
 * that the program had stays as it was, and what was not filled is missing.
 */
#include "prog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT 64 /* every second of these pages is made before */

static char *kept;

static void make_kept(void)
{
	uint64_t page[PAGE / 8];

	kept = map_pages(KEPT);
	for (size_t i = 0; i < KEPT; i += 2) {
		make_page(kept + i * PAGE, page);
		memcpy(kept + i * PAGE, page, PAGE);
	}
}

static void expect_kept(void)
{
	for (size_t i = 0; i < KEPT; i += 2)
		CHECK(is_made(kept + i * PAGE));
}

/* The i-th of n pages, n no multiple of 1009. */
static char *shuffled(char *area, size_t i, size_t n)
{
	return area + i * 1009 % n * PAGE;
}

static size_t count_maps(void)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t lines = 0;
	char buf[4096];
	ssize_t n;

	CHECK(fd >= 0);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += buf[i] == '\n';
	close(fd);
	return lines;
}

/* Past the shim, which hides some. */
static int count_fds(void)
{
	int open_ones = 0;

	for (long fd = 0; fd < 1024; fd++) {
		long answer = SYS_fcntl;

		__asm__ volatile("syscall"
				 : "+a"(answer)
				 : "D"(fd), "S"((long)F_GETFD), "d"(0l)
				 : "rcx", "r11", "memory");
		open_ones += answer >= 0;
	}
	return open_ones;
}

static void serve_and_check(char *area, size_t pages, int fd)
{
	struct handler handler = { 0 };

	start_handler(&handler, fd);
	for (size_t i = 0; i < pages; i++)
		CHECK(is_made(shuffled(area, i, pages)));
	stop_handler(&handler);
}

/* Works, or is refused with an error and without harm. */
static void works_or_refuses(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	const char *failed = NULL;
	int fd, err = 0;

	make_kept();
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	reg.range.start = (uint64_t)(uintptr_t)kept;
	reg.range.len = KEPT * PAGE;
	if (fd < 0)
		failed = "userfaultfd", err = errno;
	else if (ioctl(fd, UFFDIO_API, &api))
		failed = "API", err = errno;
	else if (ioctl(fd, UFFDIO_REGISTER, &reg))
		failed = "REGISTER", err = errno;
	expect_kept();
	if (!failed)
		serve_and_check(kept, KEPT, fd);
	if (fd >= 0)
		close(fd);
	expect_kept();
	if (failed)
		result("%s refused, %s", failed, strerrorname_np(err));
	else
		result("works");
}

/* Refused while no descriptor is left, it works once there are some. */
static void works_once_there_is_room(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	CHECK(fd == -1 && errno == EMFILE);
	CHECK(close_range(16, 63, 0) == 0);
	works_or_refuses();
}

/* Fills in random order; refused pages are asked for again afterwards. */
static size_t fill_some(int fd, char *area, size_t pages, bool *is_filled)
{
	uint64_t page[PAGE / 8];
	size_t filled = 0;

	for (size_t i = 0; i < pages; i++) {
		char *at = shuffled(area, i, pages);
		size_t n = (size_t)(at - area) / PAGE;

		if (is_filled[n])
			continue;
		make_page(at, page);
		is_filled[n] = copy_page(fd, at, page) == 0;
		CHECK(is_filled[n] || errno == ENOMEM);
		filled += is_filled[n];
	}
	return filled;
}

static void expect_filled(int fd, char *area, size_t pages,
			  const bool *is_filled)
{
	uint64_t page[PAGE / 8] = { 0 };

	for (size_t n = 0; n < pages; n++) {
		if (!is_filled[n])
			continue;
		CHECK(is_made(area + n * PAGE));
		CHECK(copy_page(fd, area + n * PAGE, page) == -1);
		CHECK(errno == EEXIST);
	}
}

/* Two rounds: while it is scarce, and after `relieve`. */
static void two_rounds(int fd, char *area, size_t pages,
		       void (*relieve)(void))
{
	bool *is_filled = calloc(pages, sizeof(bool));
	size_t first = fill_some(fd, area, pages, is_filled);

	expect_filled(fd, area, pages, is_filled);
	relieve();
	CHECK(first + fill_some(fd, area, pages, is_filled) == pages);
	expect_filled(fd, area, pages, is_filled);
	expect_kept();
	free(is_filled);
	printf("%zu of %zu at first\n", first, pages);
	result("all filled in the end");
}

static char *little;
static const size_t littles = 30000;

static void unmap_littles(void)
{
	CHECK(munmap(little, 2 * littles * PAGE) == 0);
}

/* About 60,000 mappings of 65,530 are there before. */
static void mappings_run_out(void)
{
	const size_t pages = 8000;
	char *area = map_pages(pages);
	int fd;

	make_kept();
	little = map_pages(2 * littles);
	for (size_t i = 0; i < littles; i++)
		CHECK(mprotect(little + 2 * i * PAGE, PAGE, PROT_READ) == 0);
	fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0);
	watch(fd, area, pages);
	two_rounds(fd, area, pages, unmap_littles);
	close(fd);
}

static void limit_memory(rlim_t bytes)
{
	struct rlimit old;

	CHECK(getrlimit(RLIMIT_AS, &old) == 0);
	old.rlim_cur = bytes;
	CHECK(setrlimit(RLIMIT_AS, &old) == 0);
	CHECK(getrlimit(RLIMIT_DATA, &old) == 0);
	old.rlim_cur = bytes;
	CHECK(setrlimit(RLIMIT_DATA, &old) == 0);
}

/* What RLIMIT_AS counts. */
static rlim_t address_space(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	CHECK(file && fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	return pages * PAGE;
}

static void unlimit_memory(void)
{
	limit_memory(RLIM_INFINITY);
}

/* So that it need not grow any more. */
static void touch_stack(void)
{
	volatile char deep[256 * 1024];

	for (size_t i = 0; i < sizeof(deep); i += PAGE)
		deep[i] = 1;
}

/* The limit is what is there, less `debt` bytes. */
static void with_limit(rlim_t debt)
{
	const size_t pages = 300;
	char *area = map_pages(pages);
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0);

	make_kept();
	free(malloc(pages));
	touch_stack();
	watch(fd, area, pages);
	limit_memory(address_space() - debt);
	two_rounds(fd, area, pages, unlimit_memory);
	close(fd);
}

/* Not one mapping more may be made while pages are filled. */
static void memory_is_at_its_limit(void)
{
	with_limit(0);
}

/* There is more already than a limit that was lowered. */
static void memory_is_past_its_limit(void)
{
	with_limit(64 * PAGE);
}

static void random_order(void)
{
	const size_t pages = 2000;
	char *area = map_pages(pages);
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0);
	size_t before = count_maps(), after;

	make_kept();
	watch(fd, area, pages);
	serve_and_check(area, pages, fd);
	after = count_maps();
	printf("mappings %zu, then %zu\n", before, after);
	result("mappings %s", after < before + 100 ? "bounded" : "many");
	for (size_t i = 0; i < pages; i++)
		CHECK(is_made(area + i * PAGE));
	close(fd);
	for (size_t i = 0; i < pages; i++)
		CHECK(is_made(area + i * PAGE));
	expect_kept();
}

static void fill_sixteen(void)
{
	char *area = map_pages(16);
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0);

	watch(fd, area, 16);
	serve_and_check(area, 16, fd);
	close(fd);
	CHECK(munmap(area, 16 * PAGE) == 0);
}

static void cycles(void)
{
	size_t maps;
	int fds;

	for (int i = 0; i < 10; i++)
		fill_sixteen();
	fds = count_fds();
	maps = count_maps();
	for (int i = 0; i < 200; i++)
		fill_sixteen();
	CHECK(count_fds() == fds);
	CHECK(count_maps() <= maps + 4);
	result("nothing leaks");
}

static void everything_is_closed(void)
{
	char *area = map_pages(KEPT);
	int fd;

	closefrom(3);
	fill_sixteen();
	closefrom(3);
	fill_sixteen();
	CHECK(close_range(3, ~0u, 0) == 0);
	fill_sixteen();
	fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0);
	watch(fd, area, KEPT);
	CHECK(close_range((unsigned)fd + 1, ~0u, 0) == 0);
	closefrom(fd + 1);
	serve_and_check(area, KEPT, fd);
	closefrom(fd);
	CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
	for (size_t i = 0; i < KEPT; i++)
		CHECK(is_made(area + i * PAGE));
	result("works");
}

static void fork_down(int depth)
{
	char *area = map_pages(KEPT);
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0), status;
	pid_t child;

	watch(fd, area, KEPT);
	serve_and_check(area, KEPT / 2, fd);
	if (depth > 0) {
		child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			/* What is missing reads zero in the child. */
			CHECK(is_made(area));
			CHECK(area[(KEPT - 1) * PAGE] == 0);
			fork_down(depth - 1);
			_exit(0);
		}
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	serve_and_check(area, KEPT, fd);
	close(fd);
}

static void forks_of_forks(void)
{
	fork_down(4);
	result("works");
}

#define STORM_PAGES 2000
#define STORM_THREADS 64

static char *storm_area;

static void *storm_reader(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < STORM_PAGES; i++) {
		char *at = storm_area + (size_t)rand_r(&seed) % STORM_PAGES *
						PAGE;

		if (!is_made(at))
			return at;
	}
	for (size_t i = 0; i < STORM_PAGES; i++)
		if (!is_made(storm_area + i * PAGE))
			return storm_area + i * PAGE;
	return NULL;
}

static void storm(void)
{
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0), filled = 0;
	struct handler handlers[4] = { 0 };
	pthread_t readers[STORM_THREADS];
	void *wrong;

	storm_area = map_pages(STORM_PAGES);
	watch(fd, storm_area, STORM_PAGES);
	for (int i = 0; i < 4; i++)
		start_handler(&handlers[i], fd);
	for (uintptr_t i = 0; i < STORM_THREADS; i++)
		readers[i] = run(storm_reader, (void *)(i + 1));
	for (int i = 0; i < STORM_THREADS; i++) {
		CHECK(pthread_join(readers[i], &wrong) == 0);
		CHECK(wrong == NULL);
	}
	for (int i = 0; i < 4; i++) {
		stop_handler(&handlers[i]);
		filled += handlers[i].filled;
	}
	result("filled %d", filled);
	close(fd);
}

const struct scene scenes[] = {
	{ "works_or_refuses", works_or_refuses },
	{ "works_once_there_is_room", works_once_there_is_room },
	{ "mappings_run_out", mappings_run_out },
	{ "memory_is_at_its_limit", memory_is_at_its_limit },
	{ "memory_is_past_its_limit", memory_is_past_its_limit },
	{ "random_order", random_order },
	{ "cycles", cycles },
	{ "everything_is_closed", everything_is_closed },
	{ "forks_of_forks", forks_of_forks },
	{ "storm", storm },
	{ NULL, NULL },
};
