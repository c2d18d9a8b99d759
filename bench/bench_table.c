/* SPDX-License-Identifier: MIT */
/* The results, for eyes and for programs. */
#include "bench_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static double load_now(void)
{
	double load = 0;

	return getloadavg(&load, 1) == 1 ? load : 0;
}

void bench_print_head(unsigned rounds, int refusal)
{
	printf("medians of %u rounds, worlds alternating; %ld CPUs, load "
	       "%.1f before\n", rounds, sysconf(_SC_NPROCESSORS_ONLN),
	       load_now());
	if (refusal)
		printf("the kernel refuses userfaultfd (%s): only ours is "
		       "measured\n", strerror(refusal));
	printf("\n%-31s %10s %10s %10s %8s %8s\n", "", "soft", "host",
	       "kernel", "soft:k", "host:k");
	fflush(stdout);
}

static void print_time(double ns, size_t rounds)
{
	if (!rounds)
		printf(" %10s", "-");
	else if (ns < 1e3)
		printf(" %7.*f ns", ns < 100 ? 1 : 0, ns);
	else if (ns < 1e6)
		printf(" %7.2f us", ns / 1e3);
	else
		printf(" %7.2f ms", ns / 1e6);
}

static double gb_per_s(const struct bench_result *r, enum bench_world world)
{
	return (double)r->of->bytes / r->ns[world];
}

static void print_ratio(const struct bench_result *r, enum bench_world world)
{
	if (r->rounds[world] && r->rounds[BENCH_KERNEL])
		printf(" %8.2f", r->ns[world] / r->ns[BENCH_KERNEL]);
	else
		printf(" %8s", "-");
}

void bench_print_row(const struct bench_result *r)
{
	printf("%-31s", r->of->name);
	for (enum bench_world w = 0; w < BENCH_WORLDS; w++)
		print_time(r->ns[w], r->rounds[w]);
	print_ratio(r, BENCH_SOFT);
	print_ratio(r, BENCH_HOST);
	putchar('\n');
	if (r->of->bytes) {
		printf("%-31s", "");
		for (enum bench_world w = 0; w < BENCH_WORLDS; w++)
			if (r->rounds[w])
				printf(" %5.2f GB/s", gb_per_s(r, w));
			else
				printf(" %10s", "-");
		putchar('\n');
	}
	fflush(stdout);
}

static void print_json_world(const struct bench_result *r,
			     enum bench_world world)
{
	printf("{ \"ns\": %.3f, \"rounds\": %zu", r->ns[world],
	       r->rounds[world]);
	if (r->of->bytes)
		printf(", \"gb_per_s\": %.3f", gb_per_s(r, world));
	if (r->rounds[BENCH_KERNEL])
		printf(", \"ratio\": %.4f",
		       r->ns[world] / r->ns[BENCH_KERNEL]);
	printf(" }");
}

static void print_json_case(const struct bench_result *r)
{
	static const char *const names[] = { "soft", "host", "kernel" };

	printf("    { \"name\": \"%s\"", r->of->name);
	for (enum bench_world w = 0; w < BENCH_WORLDS; w++)
		if (r->rounds[w]) {
			printf(",\n      \"%s\": ", names[w]);
			print_json_world(r, w);
		}
	printf(" }");
}

void bench_print_json(const struct bench_result *results, size_t n,
		      int refusal)
{
	printf("{\n  \"cpus\": %ld,\n  \"load\": %.2f,\n"
	       "  \"kernel_errno\": %d,\n  \"cases\": [\n",
	       sysconf(_SC_NPROCESSORS_ONLN), load_now(), refusal);
	for (size_t i = 0; i < n; i++) {
		print_json_case(&results[i]);
		puts(i + 1 < n ? "," : "");
	}
	puts("  ]\n}");
}
