/* SPDX-License-Identifier: MIT */
/*
 * Checks of what must hold: level 1 always, 2 in `make check`, 3 walks whole
 * structures.
 *
 * A check is about our own invariants, never about a caller's input, which is
 * refused with an error. PF_CHECK_LEVEL comes from the build.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "base/types.h"

#ifndef PF_CHECK_LEVEL
#define PF_CHECK_LEVEL 1
#endif

/*
 * The process ended by SIGABRT after one line on standard error: file, line,
 * what did not hold.
 *
 * Context: trap.
 */
no_return void check_failed(const char *file, int line, const char *what);

#define bug(what) check_failed(__FILE__, __LINE__, (what))

#define check_at(level, cond, text)                               \
	do {                                                      \
		if (PF_CHECK_LEVEL >= (level) && !(cond))         \
			check_failed(__FILE__, __LINE__, (text)); \
	} while (0)

/* Cheap: an integer comparison. */
#define check(cond) check_at(1, cond, #cond)
/* Costs a call or a short loop. */
#define check_more(cond) check_at(2, cond, #cond)
/* Costs a walk over a structure. */
#define check_all(cond) check_at(3, cond, #cond)

#endif /* BASE_CHECK_H */
