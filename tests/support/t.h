/* SPDX-License-Identifier: MIT */
/*
 * The case harness: one case, one forked child, one verdict.
 *
 * A case that hangs, crashes or fails takes only its own child with it, and
 * its name and reason come back through a page shared with the runner. A
 * check that fails ends the case at once, from whichever thread it is made.
 */
#ifndef SUPPORT_T_H
#define SUPPORT_T_H

#include <stdbool.h>
#include <stdint.h>

enum t_verdict { T_PASS, T_FAIL, T_SKIP };

/* What the child tells the runner; lives in shared memory. */
struct t_report {
	char text[1000];       /* why it failed or was skipped */
	enum t_verdict said;   /* the child's own word, if it had time */
};

/*
 * `body(arg)` was run in a child of its own.
 * Returns: the verdict; report->text holds the reason when it is not T_PASS.
 */
enum t_verdict t_run(void (*body)(void *), void *arg, unsigned seconds,
		     struct t_report *report);

/* The case ends here. Context: any thread of the case's process. */
__attribute__((noreturn, format(printf, 3, 4)))
void t_fail(const char *file, int line, const char *format, ...);
__attribute__((noreturn, format(printf, 1, 2)))
void t_skip(const char *format, ...);

/* The two sides are equal, or the case fails and shows both. */
void t_equal(const char *file, int line, const char *what, const int64_t v[2]);

/* Milliseconds of a clock that only goes forward. */
int64_t t_now_ms(void);
void t_nap_ms(unsigned ms);

#define T_EQ(got, want)                                                       \
	t_equal(__FILE__, __LINE__, #got,                                     \
		(const int64_t[2]){ (int64_t)(got), (int64_t)(want) })
#define T_OK(got) T_EQ(got, 0)
#define T_TRUE(fact)                                                          \
	do {                                                                  \
		if (!(fact))                                                  \
			t_fail(__FILE__, __LINE__, "not so: %s", #fact);      \
	} while (0)

#endif /* SUPPORT_T_H */
