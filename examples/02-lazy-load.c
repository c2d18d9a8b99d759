/* SPDX-License-Identifier: MIT */
/*
 * A file that is in memory at once and read later: a thread supplies each
 * piece when it is touched.
 */
#include "lazy.h"

#include <polyfault/userfaultfd.h>

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void watch_memory(struct lazy *lazy)
{
	struct pf_uffdio_api api = { .api = PF_UFFD_API };
	struct pf_uffdio_register watched = {
		.mode = PF_UFFDIO_REGISTER_MODE_MISSING };

	lazy->memory = mmap(NULL, lazy->size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (lazy->memory == MAP_FAILED)
		err(1, "cannot map %zu MiB", lazy->size >> 20);
	watched.range.start = (uint64_t)lazy->memory;
	watched.range.len = lazy->size;
	lazy->uffd = pf_userfaultfd(O_CLOEXEC | O_NONBLOCK);
	if (lazy->uffd < 0)
		err(1, "no userfaultfd in this world");
	if (pf_ioctl(lazy->uffd, PF_UFFDIO_API, &api) ||
	    pf_ioctl(lazy->uffd, PF_UFFDIO_REGISTER, &watched))
		err(1, "cannot register the memory");
}

/* 0 ... n-1 in an order that jumps; the prime must not divide n. */
static size_t order(const struct lazy *lazy, size_t i, size_t n)
{
	return lazy->is_random && n % 999983 ? i * 999983 % n : i;
}

static void touch_all(struct lazy *lazy, const char *truth, uint64_t start)
{
	size_t n = lazy->size / lazy->chunk;

	for (size_t i = 0; i < n; i++) {
		size_t at = order(lazy, i, n) * lazy->chunk;
		uint64_t before = now_ns();

		(void)*(volatile char *)(lazy->memory + at);
		lazy->touch_ns[i] = now_ns() - before;
		if (i == 0)
			lazy->first_byte_ns = before + lazy->touch_ns[0] - start;
		/* Mappings, if they are split, are most when half is there. */
		if (i == n / 2)
			lazy->vmas = lazy_count_vmas();
		if (memcmp(lazy->memory + at, truth + at, lazy->chunk))
			errx(1, "wrong bytes at offset %#zx", at);
	}
}

static void load_lazily(struct lazy *lazy)
{
	const char *truth = mmap(NULL, lazy->size, PROT_READ, MAP_SHARED,
				 lazy->file, 0);
	uint64_t start = now_ns();
	pthread_t server;

	if (truth == MAP_FAILED || pipe(lazy->stop))
		err(1, "cannot prepare");
	watch_memory(lazy);
	if (pthread_create(&server, NULL, lazy_serve, lazy))
		errx(1, "cannot start a thread");
	touch_all(lazy, truth, start);
	lazy->all_bytes_ns = now_ns() - start;

	if (write(lazy->stop[1], "", 1) != 1 || pthread_join(server, NULL))
		errx(1, "cannot stop the server");
	pf_close(lazy->uffd);
	pf_munmap(lazy->memory, lazy->size);
}

int main(int argc, char **argv)
{
	struct lazy lazy = { .size = 256 << 20, .chunk = 4 << 10,
			     .is_random = true };

	lazy_parse(&lazy, argc, argv);
	lazy.touch_ns = calloc(lazy.size / lazy.chunk,
			       sizeof(*lazy.touch_ns));
	if (!lazy.touch_ns)
		err(1, "no memory for the times");
	lazy.file = lazy_make_file(lazy.size);
	lazy.read_first_ns = lazy_time_reading_first(&lazy);
	load_lazily(&lazy);
	lazy_report(&lazy);
	free(lazy.touch_ns);
	return 0;
}
