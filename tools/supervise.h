/* SPDX-License-Identifier: MIT */
/* Waiting for a program as if this process were the program. */
#ifndef TOOLS_SUPERVISE_H
#define TOOLS_SUPERVISE_H

/*
 * `path` was run with `argv`, and has ended. Signals sent to this process
 * reached it; it stopped and continued with it.
 *
 * Returns: its exit status, 128 + n when signal n ended it, or TOOL_* when it
 *          could not be started, which was said.
 */
int supervise(char *path, char **argv);

/*
 * This process is the program from now on.
 * Returns: TOOL_*, only when that failed, which was said.
 */
int become(char *path, char **argv);

#endif /* TOOLS_SUPERVISE_H */
