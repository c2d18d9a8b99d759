/* SPDX-License-Identifier: MIT */
/* The results, for eyes and for programs. */
#ifndef BENCH_BENCH_TABLE_H
#define BENCH_BENCH_TABLE_H

#include "bench.h"

struct bench_result {
	const struct bench_case *of;
	double ns[BENCH_WORLDS];     /* medians */
	size_t rounds[BENCH_WORLDS]; /* that succeeded; 0: not measured */
};

/* `refusal`: why the kernel was not measured, an errno; 0: it was. */
void bench_print_head(unsigned rounds, int refusal);
void bench_print_row(const struct bench_result *result);
void bench_print_json(const struct bench_result *results, size_t n,
		      int refusal);

#endif /* BENCH_BENCH_TABLE_H */
