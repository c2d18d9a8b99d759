/* SPDX-License-Identifier: MIT */
/* The numbers that `polyfault run --stats` prints. */
#ifndef TOOLS_STATS_TABLE_H
#define TOOLS_STATS_TABLE_H

#include <limits.h>

/* The file in which the program leaves its numbers. */
struct stats_file {
	char path[PATH_MAX]; /* [I] once made */
};

/*
 * An empty file exists and is named in POLYFAULT_STATS.
 * Returns: 0; TOOL_FAILED, and the reason was said.
 */
int stats_begin(struct stats_file *file);

/* What is in the file was printed on standard error; the file is gone. */
void stats_end(const struct stats_file *file);

#endif /* TOOLS_STATS_TABLE_H */
