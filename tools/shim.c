/* SPDX-License-Identifier: MIT */
/*
 * Finds the shim from where this command is, so that both work from the build
 * directory, from below DESTDIR and after the prefix was moved.
 */
#include "program.h"

#include "tool.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHIM "libpolyfault-preload.so"

static bool exists(const char *path)
{
	return access(path, R_OK) == 0;
}

/* The directory of this command. */
static bool own_directory(char dir[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", dir, PATH_MAX - 1);
	char *slash;

	if (n <= 0)
		return false;
	dir[n] = '\0';
	slash = strrchr(dir, '/');
	if (!slash)
		return false;
	*slash = '\0';
	return true;
}

static bool beside(const char *dir, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/" SHIM, dir) < PATH_MAX &&
	       exists(path);
}

/* PREFIX/PF_BINDIR is where we are: is it in PREFIX/PF_LIBDIR? */
static bool in_same_prefix(const char *dir, char path[PATH_MAX])
{
	size_t n = strlen(dir);
	size_t tail = strlen("/" PF_BINDIR);

	if (n < tail || strcmp(dir + n - tail, "/" PF_BINDIR) != 0)
		return false;
	return snprintf(path, PATH_MAX, "%.*s/" PF_LIBDIR "/" SHIM,
			(int)(n - tail), dir) < PATH_MAX &&
	       exists(path);
}

int shim_find(char path[PATH_MAX])
{
	char dir[PATH_MAX];
	bool is_found = own_directory(dir) &&
			(beside(dir, path) || in_same_prefix(dir, path));

	if (!is_found)
		is_found = beside(PF_PREFIX "/" PF_LIBDIR, path) ||
			   beside(PF_LIBDIR, path);
	if (!is_found)
		return tool_say(TOOL_FAILED,
				SHIM " is neither beside this command nor in "
				PF_PREFIX "/" PF_LIBDIR);
	/* LD_PRELOAD has no way to quote what separates its items. */
	if (strpbrk(path, " :\n"))
		return tool_say(TOOL_FAILED,
				"%s: a path with a space or a colon cannot be "
				"preloaded", path);
	return 0;
}
