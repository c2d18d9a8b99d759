/* SPDX-License-Identifier: MIT */
/*
 * The table of cases: each is one row (or a few related rows) of the
 * behaviour table, labelled with it, and one body that runs in every world.
 *
 * What a world cannot have is in conform_known.c with the reason.
 */
#ifndef CONFORM_CONFORM_H
#define CONFORM_CONFORM_H

#include "ops.h"
#include "t.h"
#include "world.h"

#include <errno.h>

struct conform_case {
	const char *label;            /* the row: "E13" */
	const char *name;             /* a sentence */
	const char *more;             /* further rows that it covers */
	void (*run)(struct world *w);
};

/* CASE(E13, copy_refuses_a_present_page, "") names its own function. */
#define CASE(label, name, more) { #label, #name, more, label##_##name }

/* One table for each section, ended by an empty case. */
extern const struct conform_case create_cases[], handshake_cases[],
	register_cases[], unregister_cases[], copy_cases[], copy_wait_cases[],
	zeropage_cases[], wake_cases[], fault_cases[], read_cases[],
	signal_cases[], fdinfo_cases[];

#define IN(kind) (1u << (kind))
#define IN_SOFT (IN(W_SOFT) | IN(W_SEED))
#define IN_HOST (IN(W_HOST) | IN(W_SHIM))
#define IN_OURS (IN_HOST | IN_SOFT)
#define IN_ALL (IN(W_KERNEL) | IN_OURS)

/* Rows that some worlds do not have. */
struct conform_known {
	unsigned worlds;    /* IN(...) */
	const char *rows;   /* labels between spaces */
	const char *reason;
};

extern const struct conform_known conform_known[];

/* NULL, or why that world does not have the row. */
const char *known_reason(const char *label, enum w_kind kind);

/* conform_known as the table of KNOWN.md, on stdout. */
void known_print(void);

#define MISSING PF_UFFDIO_REGISTER_MODE_MISSING

#endif /* CONFORM_CONFORM_H */
