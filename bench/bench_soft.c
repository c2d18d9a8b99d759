/* SPDX-License-Identifier: MIT */
/* Address spaces in software. */
#include "bench.h"

#include <polyfault/embed.h>

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SMALL_RANGE (16ull << 20)
#define BULK_RANGE (64ull << 20)
#define BULK (2ull << 20)
#define PASSES 4
#define FAULTS 8192ull
#define ACCESSES 20000000u

struct soft {
	struct pf_space *space;
	struct pf_uffd *uffd;
	uint64_t at, len; /* watched */
	uint64_t src;     /* BULK bytes, present */
};

static int64_t must(int64_t answer, const char *what)
{
	if (answer < 0) {
		errno = (int)-answer;
		err(1, "soft: %s", what);
	}
	return answer;
}

static uint64_t map(struct pf_space *space, uint64_t len)
{
	return (uint64_t)must(pf_space_map(space, 0, len,
					   PROT_READ | PROT_WRITE, 0), "map");
}

static void command(struct soft *s, uint32_t number, void *arg)
{
	must(pf_uffd_ioctl(s->uffd, number, arg), "command");
}

static void begin(struct soft *s, uint64_t len)
{
	struct pf_uffdio_api api = { .api = PF_UFFD_API };
	struct pf_uffdio_register watched = {
		.mode = PF_UFFDIO_REGISTER_MODE_MISSING };
	char *bytes = malloc(BULK);

	if (!bytes)
		err(1, "no memory");
	memset(bytes, 0x5a, BULK);
	must(pf_space_create(NULL, &s->space), "create a space");
	s->len = len;
	s->at = map(s->space, len);
	s->src = map(s->space, BULK);
	if (pf_kernel_write(s->space, s->src, bytes, BULK) != BULK)
		errx(1, "soft: cannot write the source");
	free(bytes);
	must(pf_uffd_create(s->space, 0, &s->uffd), "create an object");
	command(s, PF_UFFDIO_API, &api);
	watched.range.start = s->at;
	watched.range.len = len;
	command(s, PF_UFFDIO_REGISTER, &watched);
}

static void end(struct soft *s)
{
	pf_uffd_close(s->uffd);
	pf_space_destroy(s->space);
}

static double copy_range(struct soft *s, uint64_t step)
{
	double start = bench_now_ns();

	for (uint64_t at = 0; at < s->len; at += step) {
		struct pf_uffdio_copy copy = { .dst = s->at + at,
					       .src = s->src, .len = step };

		command(s, PF_UFFDIO_COPY, &copy);
	}
	return (bench_now_ns() - start) / (double)(s->len / step);
}

static double zero_range(struct soft *s, uint64_t step)
{
	double start = bench_now_ns();

	for (uint64_t at = 0; at < s->len; at += step) {
		struct pf_uffdio_zeropage zero = {
			.range = { s->at + at, step } };

		command(s, PF_UFFDIO_ZEROPAGE, &zero);
	}
	return (bench_now_ns() - start) / (double)(s->len / step);
}

/* The bytes come from the caller's memory, as those of a VMM do. */
static double copy_range_from(struct soft *s, uint64_t step)
{
	char *bytes = calloc(1, step);
	double start = bench_now_ns();

	for (uint64_t at = 0; at < s->len; at += step)
		must(pf_uffd_copy_from(s->uffd, s->at + at, bytes, step, 0),
		     "copy");
	start = (bench_now_ns() - start) / (double)(s->len / step);
	free(bytes);
	return start;
}

static double recycled(double (*fill)(struct soft *, uint64_t),
		       uint64_t range, uint64_t step)
{
	double times[PASSES];
	struct soft s;

	begin(&s, range);
	fill(&s, step);
	for (int i = 0; i < PASSES; i++) {
		must(pf_space_discard(s.space, s.at, s.len), "discard");
		times[i] = fill(&s, step);
	}
	end(&s);
	return bench_median(times, PASSES);
}

double bench_soft_copy(void)
{
	return recycled(copy_range, SMALL_RANGE, BENCH_PAGE);
}

double bench_soft_zeropage(void)
{
	return recycled(zero_range, SMALL_RANGE, BENCH_PAGE);
}

double bench_soft_bulk_recycled(void)
{
	return recycled(copy_range, BULK_RANGE, BULK);
}

double bench_soft_bulk_cold(void)
{
	double times[PASSES];

	for (int i = 0; i < PASSES; i++) {
		struct soft s;

		begin(&s, BULK_RANGE);
		times[i] = copy_range(&s, BULK);
		end(&s);
	}
	return bench_median(times, PASSES);
}

static double copy_from_outside(void)
{
	return recycled(copy_range_from, SMALL_RANGE, BENCH_PAGE);
}

/* ---- accesses ---- */

static void *serve(void *arg)
{
	struct soft *s = arg;
	struct pf_uffd_msg msg;

	for (uint64_t left = FAULTS; left > 0; left--) {
		struct pf_uffdio_copy copy = { .src = s->src,
					       .len = BENCH_PAGE };

		must(pf_uffd_read(s->uffd, &msg, 1, -1), "read");
		copy.dst = msg.arg.pagefault.address & ~(BENCH_PAGE - 1);
		command(s, PF_UFFDIO_COPY, &copy);
	}
	return NULL;
}

double bench_soft_fault(void)
{
	struct pf_cpu *cpu;
	pthread_t server;
	struct soft s;
	double start;
	char byte;

	begin(&s, FAULTS * BENCH_PAGE);
	must(pf_cpu_create(s.space, &cpu), "create a cpu");
	must(-pthread_create(&server, NULL, serve, &s), "start a thread");
	start = bench_now_ns();
	for (uint64_t at = s.at; at < s.at + s.len; at += BENCH_PAGE)
		must(pf_load(cpu, at, &byte, 1, NULL), "load");
	start = bench_now_ns() - start;
	pthread_join(server, NULL);
	pf_cpu_destroy(cpu);
	end(&s);
	return start / (double)FAULTS;
}

static double hit(bool is_store)
{
	uint64_t word = 1;
	struct pf_cpu *cpu;
	struct soft s;
	double start;

	begin(&s, BENCH_PAGE);
	must(pf_cpu_create(s.space, &cpu), "create a cpu");
	must(pf_store(cpu, s.src, &word, sizeof(word), NULL), "store");
	start = bench_now_ns();
	for (unsigned i = 0; i < ACCESSES; i++) {
		uint64_t at = s.src + i % 512 * sizeof(word);

		must(is_store ?
			     pf_store(cpu, at, &word, sizeof(word), NULL) :
			     pf_load(cpu, at, &word, sizeof(word), NULL),
		     "access");
	}
	start = (bench_now_ns() - start) / ACCESSES;
	pf_cpu_destroy(cpu);
	end(&s);
	return start;
}

static double load_hit(void)
{
	return hit(false);
}

static double store_hit(void)
{
	return hit(true);
}

const struct bench_case bench_soft_cases[] = {
	{ "COPY 4 KiB from outside", copy_from_outside, NULL, BENCH_PAGE },
	{ "load 8 bytes, TLB hit", load_hit, NULL, 0 },
	{ "store 8 bytes, TLB hit", store_hit, NULL, 0 },
	{ NULL, NULL, NULL, 0 },
};
