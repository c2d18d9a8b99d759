/* SPDX-License-Identifier: MIT */
/* The file that 02-lazy-load serves. */
#include "lazy.h"

#include <err.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (1u << 20)

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* splitmix64: no two pages are alike. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9E3779B97F4A7C15ull;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ z >> 27) * 0x94D049BB133111EBull;
	return z ^ z >> 31;
}

/* The file has no name any more, so it goes away however we end. */
static int open_nameless(char path[PATH_MAX])
{
	const char *dir = getenv("TMPDIR");
	int file;

	if (!dir || !*dir)
		dir = "/tmp";
	if (snprintf(path, PATH_MAX, "%s/lazy-load.XXXXXX", dir) >= PATH_MAX)
		errx(1, "TMPDIR is too long");
	file = mkstemp(path);
	if (file < 0)
		err(1, "cannot make a file in %s", dir);
	unlink(path);
	return file;
}

int lazy_make_file(size_t size)
{
	static uint64_t block[BLOCK / sizeof(uint64_t)];
	char path[PATH_MAX];
	int file = open_nameless(path);
	uint64_t state = 42;

	for (size_t done = 0; done < size;) {
		size_t part = size - done < BLOCK ? size - done : BLOCK;
		ssize_t n;

		for (size_t i = 0; i < BLOCK / sizeof(*block); i++)
			block[i] = next_random(&state);
		n = write(file, block, part);
		if (n < 0)
			err(1, "cannot write %zu MiB to %s", size >> 20, path);
		done += (size_t)n;
	}
	return file;
}

uint64_t lazy_time_reading_first(const struct lazy *lazy)
{
	uint64_t start = now_ns(), end;
	char *all = mmap(NULL, lazy->size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED)
		err(1, "cannot map %zu MiB", lazy->size >> 20);
	for (size_t done = 0; done < lazy->size;) {
		ssize_t n = pread(lazy->file, all + done, lazy->size - done,
				  (off_t)done);

		if (n <= 0)
			err(1, "cannot read the file");
		done += (size_t)n;
	}
	(void)*(volatile char *)all;
	end = now_ns();
	munmap(all, lazy->size);
	return end - start;
}
