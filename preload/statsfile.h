/* SPDX-License-Identifier: MIT */
/*
 * The file in which processes leave their numbers.
 *
 * Whoever wants them makes the file and names it in POLYFAULT_STATS. Each
 * process adds its own when it ends or execs, atomically, so the file is a
 * sum over all of them (vmas_peak: the highest).
 */
#ifndef PRELOAD_STATSFILE_H
#define PRELOAD_STATSFILE_H

#include "polyfault/interpose.h"

#include <stddef.h>
#include <stdint.h>

#define PF_STATSFILE_MAGIC "PFSTATS1"
#define PF_STATSFILE_WORDS (sizeof(struct pf_stats) / sizeof(uint64_t))

struct pf_statsfile {
	char magic[8];                      /* [a] PF_STATSFILE_MAGIC */
	uint64_t words[PF_STATSFILE_WORDS]; /* [a] struct pf_stats, in order */
};

/* Which word is a maximum, not a sum. */
#define PF_STATSFILE_PEAK (offsetof(struct pf_stats, vmas_peak) / 8)

_Static_assert(sizeof(struct pf_stats) % sizeof(uint64_t) == 0,
	       "the counters are whole words");

#endif /* PRELOAD_STATSFILE_H */
