/* SPDX-License-Identifier: MIT */
/* fork(), until the parent goes on, of a process with watched memory. */
#include "bench.h"

#include <err.h>
#include <sys/wait.h>
#include <unistd.h>

#define RANGE (256ull << 20)
#define FORKS 5

static double time_fork(const struct bench_real *on)
{
	double start = bench_now_ns(), end;
	pid_t child = on->fork();

	if (child == 0)
		_exit(0);
	end = bench_now_ns();
	if (child < 0 || waitpid(child, NULL, 0) != child)
		err(1, "%s: cannot fork", on->name);
	return end - start;
}

/* Every other page is there, which leaves nobody a run to be clever with. */
static double fork_half_present(const struct bench_real *on)
{
	static _Alignas(4096) const char page[BENCH_PAGE] = { 1 };
	struct bench_memory m;
	double times[FORKS];

	bench_watch(&m, on, RANGE, 0);
	for (size_t at = 0; at < RANGE; at += 2 * BENCH_PAGE)
		bench_copy(&m, at, page, BENCH_PAGE);
	for (int i = 0; i < FORKS; i++)
		times[i] = time_fork(on);
	return bench_median(times, FORKS);
}

const struct bench_case bench_fork_cases[] = {
	{ "fork, 256 MiB half present", NULL, fork_half_present, 0 },
	{ NULL, NULL, NULL, 0 },
};
