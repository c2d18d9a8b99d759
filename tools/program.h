/* SPDX-License-Identifier: MIT */
/* The files that `polyfault run` needs: the program and the shim. */
#ifndef TOOLS_PROGRAM_H
#define TOOLS_PROGRAM_H

#include <limits.h>

/*
 * The file that execvp(name) would execute is in `path`, and the shim can be
 * loaded into it; or the reason why not was said.
 * Returns: 0; TOOL_NOT_FOUND; TOOL_CANNOT_RUN.
 */
int program_find(const char *name, char path[PATH_MAX]);

/*
 * The absolute path of the shim is in `path`: beside this command, or in the
 * library directory that belongs to where this command is installed.
 * Returns: 0; TOOL_FAILED, and the reason was said.
 */
int shim_find(char path[PATH_MAX]);

#endif /* TOOLS_PROGRAM_H */
