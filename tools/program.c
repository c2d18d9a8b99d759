/* SPDX-License-Identifier: MIT */
/*
 * Finds the program as execvp() would, and sees to it that the dynamic linker
 * will load the shim into it: it does so only in dynamically linked programs
 * of our own word size, and not where the program gains privileges.
 */
#include "program.h"

#include "tool.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* As the kernel: a script's interpreter may be a script, so many times. */
#define SCRIPT_DEPTH 4

/* Returns: 0; -ENOENT; -EACCES. */
static int try_file(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (!S_ISREG(st.st_mode) || access(path, X_OK))
		return -EACCES;
	return 0;
}

static int search_path(const char *name, char path[PATH_MAX])
{
	const char *dirs = getenv("PATH");
	int err = -ENOENT;

	if (!dirs)
		dirs = "/bin:/usr/bin";
	for (;;) {
		int n = (int)strcspn(dirs, ":");
		int len = n ? snprintf(path, PATH_MAX, "%.*s/%s", n, dirs,
				       name) :
			      snprintf(path, PATH_MAX, "./%s", name);
		int found = len < PATH_MAX ? try_file(path) : -ENOENT;

		if (!found)
			return 0;
		if (found == -EACCES)
			err = found;
		dirs += n;
		if (!*dirs++)
			return err;
	}
}

static int find_file(const char *name, char path[PATH_MAX])
{
	if (!*name)
		return -ENOENT;
	if (!strchr(name, '/'))
		return search_path(name, path);
	if (strlen(name) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(path, name);
	return try_file(path);
}

static bool gains_privilege(const char *path)
{
	struct statvfs fs;
	struct stat st;

	/* With no_new_privs the bits have no effect. */
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || stat(path, &st))
		return false;
	if (!statvfs(path, &fs) && (fs.f_flag & ST_NOSUID))
		return false;
	if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
		return true;
	if ((st.st_mode & S_ISGID) && st.st_gid != getgid())
		return true;
	return geteuid() != 0 &&
	       getxattr(path, "security.capability", NULL, 0) > 0;
}

static bool has_interpreter(int fd, const Elf64_Ehdr *head)
{
	Elf64_Phdr segment;

	for (unsigned i = 0; i < head->e_phnum; i++) {
		off_t at = (off_t)(head->e_phoff + i * sizeof(segment));

		if (pread(fd, &segment, sizeof(segment), at) !=
		    (ssize_t)sizeof(segment))
			return false;
		if (segment.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* The dynamic linker itself, called as a program, loads what it is told to. */
static bool is_dynamic_linker(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strncmp(slash ? slash + 1 : path, "ld-linux", 8) == 0;
}

static int check_elf(const char *path, int fd, const Elf64_Ehdr *head)
{
	if (head->e_ident[EI_CLASS] != ELFCLASS64)
		return tool_say(TOOL_CANNOT_RUN,
				"%s: a 32-bit program, which the shim (64-bit) "
				"cannot be loaded into", path);
	if (!has_interpreter(fd, head) && !is_dynamic_linker(path))
		return tool_say(TOOL_CANNOT_RUN,
				"%s: statically linked, so nothing can be "
				"preloaded into it", path);
	return 0;
}

/* The interpreter's path in a first line "#! PATH ARG" replaces the line. */
static bool cut_interpreter(char *line, size_t n)
{
	char *start = line + 2;

	line[n] = '\0';
	start += strspn(start, " \t");
	start[strcspn(start, " \t\n")] = '\0';
	memmove(line, start, strlen(start) + 1);
	return *line;
}

static int check_file(const char *path, unsigned depth)
{
	union {
		Elf64_Ehdr elf;
		char text[256 + 1];
	} head = { .text = "" };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int status = 0;

	/* Executable but not readable: it can only be tried. */
	if (fd < 0)
		return 0;
	n = pread(fd, &head, sizeof(head) - 1, 0);
	if (n >= (ssize_t)sizeof(head.elf) &&
	    !memcmp(head.elf.e_ident, ELFMAG, SELFMAG))
		status = check_elf(path, fd, &head.elf);
	else if (n > 2 && !memcmp(head.text, "#!", 2) && depth &&
		 cut_interpreter(head.text, (size_t)n))
		status = check_file(head.text, depth - 1);
	close(fd);
	return status;
}

int program_find(const char *name, char path[PATH_MAX])
{
	int err = find_file(name, path);

	if (err == -ENOENT)
		return tool_say(TOOL_NOT_FOUND, "%s: not found", name);
	if (err)
		return tool_say(TOOL_CANNOT_RUN, "%s: cannot be executed: %s",
				name, strerror(-err));
	if (gains_privilege(path))
		return tool_say(TOOL_CANNOT_RUN,
				"%s: gains privileges (set-user-ID or alike), "
				"so nothing can be preloaded into it", path);
	return check_file(path, SCRIPT_DEPTH);
}
