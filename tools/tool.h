/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the command share: one for each subcommand, and the
 * exit statuses that a shell expects of a program that starts another.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <stdbool.h>

enum tool_status {
	TOOL_FAILED = 1,
	TOOL_USAGE = 2,
	TOOL_CANNOT_RUN = 126,
	TOOL_NOT_FOUND = 127,
	TOOL_SIGNALLED = 128 /* plus the signal */
};

/*
 * The subcommand was carried out; argv[0] is its name.
 * Returns: the exit status. cmd_run() comes back only when the program could
 *          not be started, or was waited for.
 */
int cmd_run(int argc, char **argv);
int cmd_probe(int argc, char **argv);

/* The text of `polyfault help COMMAND` was printed. */
void help_run(void);
void help_probe(void);

/*
 * One line on standard error, after "polyfault: ".
 * Returns: `status`, so that a caller can return it.
 */
int tool_say(enum tool_status status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same about errno. Returns: TOOL_FAILED. */
int tool_failed(const char *what);

/*
 * What POLYFAULT_WORLD, POLYFAULT_PROFILE and POLYFAULT_POLICY say is valid,
 * or the first that is not was named on standard error.
 * Returns: 0; TOOL_USAGE.
 */
int tool_check_environment(void);

#endif /* TOOLS_TOOL_H */
