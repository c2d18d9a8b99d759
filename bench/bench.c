/* SPDX-License-Identifier: MIT */
/*
 * Ours beside the kernel's userfaultfd, in one run: the worlds alternate, each
 * measurement in a process of its own; the medians of all rounds are compared.
 * It prints figures and judges nothing.
 */
#include "bench_table.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_ROUNDS 99u
#define MOST_CASES 32u
/* A measurement that hangs is ended, and reported. */
#define MOST_SECONDS 60u

struct options {
	unsigned rounds;
	const char *only; /* NULL: all */
	bool wants_json;
};

static void print_help(void)
{
	puts("Usage: bench [OPTIONS]\n"
	     "\n"
	     "  --rounds N    of each measurement (default: 5)\n"
	     "  --only TEXT   only the cases with TEXT in their name\n"
	     "  --json        one object, for programs\n"
	     "\n"
	     "Times are of one operation; the ratios are of times, ours to the\n"
	     "kernel's: below 1 is faster.");
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "only", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (option == 'r')
			o->rounds = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 'o')
			o->only = optarg;
		else if (option == 'j')
			o->wants_json = true;
		else if (option == 'h')
			exit((print_help(), 0));
		else
			exit(2);
	}
	if (optind < argc)
		errx(2, "unknown argument %s (see: --help)", argv[optind]);
	if (o->rounds < 1 || o->rounds > MOST_ROUNDS)
		errx(2, "--rounds: not a number from 1 to %u", MOST_ROUNDS);
}

/* Why the kernel cannot be measured; 0: it can. */
static int kernel_refusal(void)
{
	long fd = syscall(PF_SYS_USERFAULTFD, O_CLOEXEC);

	if (fd < 0)
		return errno;
	close((int)fd);
	return 0;
}

static bool has_half(const struct bench_case *c, enum bench_world world)
{
	return world == BENCH_SOFT ? c->soft != NULL : c->real != NULL;
}

static double measure_here(const struct bench_case *c, enum bench_world world)
{
	if (world == BENCH_SOFT)
		return c->soft();
	return c->real(world == BENCH_HOST ? &bench_host : &bench_kernel);
}

/* False: the process that measured has failed, and has said why. */
static bool measure(const struct bench_case *c, enum bench_world world,
		    double *out)
{
	int ends[2], status;
	bool is_there;
	pid_t child;

	if (pipe(ends))
		err(1, "cannot make a pipe");
	child = fork();
	if (child < 0)
		err(1, "cannot fork");
	if (child == 0) {
		alarm(MOST_SECONDS);
		setenv("POLYFAULT_WORLD", "host", 1);
		*out = measure_here(c, world);
		_exit(write(ends[1], out, sizeof(*out)) !=
		      (ssize_t)sizeof(*out));
	}
	close(ends[1]);
	is_there = read(ends[0], out, sizeof(*out)) == (ssize_t)sizeof(*out);
	close(ends[0]);
	if (waitpid(child, &status, 0) != child)
		err(1, "cannot wait");
	if (!is_there || status)
		warnx("%s: a measurement failed (wait status %#x)", c->name,
		      (unsigned)status);
	return is_there && status == 0;
}

static void run_case(const struct bench_case *c, const struct options *o,
		     int refusal, struct bench_result *result)
{
	double times[BENCH_WORLDS][MOST_ROUNDS];

	memset(result, 0, sizeof(*result));
	result->of = c;
	for (unsigned round = 0; round < o->rounds; round++)
		for (enum bench_world w = 0; w < BENCH_WORLDS; w++) {
			size_t *n = &result->rounds[w];

			if (!has_half(c, w) || (w == BENCH_KERNEL && refusal))
				continue;
			*n += measure(c, w, &times[w][*n]);
		}
	for (enum bench_world w = 0; w < BENCH_WORLDS; w++)
		if (result->rounds[w])
			result->ns[w] = bench_median(times[w],
						     result->rounds[w]);
}

int main(int argc, char **argv)
{
	static const struct bench_case *const families[] = {
		bench_fill_cases, bench_fault_cases, bench_fork_cases,
		bench_soft_cases };
	struct options o = { .rounds = 5 };
	struct bench_result results[MOST_CASES];
	size_t n = 0;
	int refusal;

	parse(&o, argc, argv);
	if (getenv("LD_PRELOAD") &&
	    strstr(getenv("LD_PRELOAD"), "polyfault-preload"))
		errx(2, "under the shim, the kernel's calls would be ours");
	refusal = kernel_refusal();
	if (!o.wants_json)
		bench_print_head(o.rounds, refusal);
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		for (const struct bench_case *c = families[i]; c->name; c++) {
			if (o.only && !strcasestr(c->name, o.only))
				continue;
			if (n == MOST_CASES)
				errx(1, "more than %u cases", MOST_CASES);
			run_case(c, &o, refusal, &results[n]);
			if (!o.wants_json)
				bench_print_row(&results[n]);
			n++;
		}
	if (o.wants_json)
		bench_print_json(results, n, refusal);
	if (n == 0)
		errx(2, "--only %s: no case is called so", o.only);
	return 0;
}
