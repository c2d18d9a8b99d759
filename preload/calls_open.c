/* SPDX-License-Identifier: MIT */
/*
 * Names: opening /dev/userfaultfd and the fdinfo of objects, and the link
 * text of their descriptors.
 */
#include "buffer.h"
#include "calls.h"
#include "device.h"

#include <stdarg.h>
#include <string.h>

#define LINK_TEXT "anon_inode:[userfaultfd]"

/* A third argument is there only where a file may be made. */
#define MODE_OF(flags, mode)                                                \
	do {                                                                \
		va_list args_;                                              \
		mode = 0;                                                   \
		if (__OPEN_NEEDS_MODE(flags)) {                             \
			va_start(args_, flags);                             \
			mode = va_arg(args_, mode_t);                       \
			va_end(args_);                                      \
		}                                                           \
	} while (0)

/* A path in watched memory that was not there: is it worth another call? */
static bool path_has_come(const char *path)
{
	return errno == EFAULT && watched(path, 1) &&
	       buffer_fault_in_string(path) == 0;
}

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
	int fd = next()->openat(dir, path, flags, mode);

	if (fd < 0 && path_has_come(path))
		fd = next()->openat(dir, path, flags, mode);
	return device_opened(path, fd, flags);
}

SHIM int open(const char *path, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return open_at(AT_FDCWD, path, flags, mode);
}

SHIM_ALIAS(open64, open);
SHIM_ALIAS(__open, open);
SHIM_ALIAS(__open64, open);

SHIM int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return open_at(dir, path, flags, mode);
}

SHIM_ALIAS(openat64, openat);

SHIM int __open_2(const char *path, int flags)
{
	if (__OPEN_NEEDS_MODE(flags))
		abort();
	return open_at(AT_FDCWD, path, flags, 0);
}

SHIM_ALIAS(__open64_2, __open_2);

SHIM int __openat_2(int dir, const char *path, int flags)
{
	if (__OPEN_NEEDS_MODE(flags))
		abort();
	return open_at(dir, path, flags, 0);
}

SHIM_ALIAS(__openat64_2, __openat_2);

/*
 * The stream stays libc's, made on the descriptor that libc opened; only
 * what is behind the descriptor changes before the first byte is read.
 */
SHIM FILE *fopen(const char *path, const char *mode)
{
	FILE *file = next()->fopen(path, mode);
	int flags = strchr(mode, 'e') ? O_CLOEXEC : 0;
	int had = -1, fd;

	if (file)
		had = dup(fileno(file));
	else if (errno == EFAULT)
		return NULL;
	fd = device_opened(path, had, flags);
	if (fd < 0)
		return file;
	if (!file) {
		file = fdopen(fd, mode);
		if (!file)
			next()->close(fd);
		return file;
	}
	(void)next()->dup3(fd, fileno(file), flags);
	next()->close(fd);
	return file;
}

SHIM_ALIAS(fopen64, fopen);

static ssize_t give_link_text(char *buf, size_t n)
{
	size_t len = strlen(LINK_TEXT);

	if (n == 0)
		return shim_fail(EINVAL);
	if (len > n)
		len = n;
	if (pf_copy_to_program(buf, LINK_TEXT, len) != len)
		return shim_fail(EFAULT);
	return (ssize_t)len;
}

SHIM ssize_t readlinkat(int dir, const char *path, char *buf, size_t n)
{
	ssize_t result;

	if (watched(buf, n) && pf_fault_in(buf, n, true))
		return -1;
	result = next()->readlinkat(dir, path, buf, n);
	if (result > 0 && shim_is_active() &&
	    device_proc_fd(path, "/fd/") >= 0)
		return give_link_text(buf, n);
	return result;
}

SHIM ssize_t readlink(const char *path, char *buf, size_t n)
{
	return readlinkat(AT_FDCWD, path, buf, n);
}

SHIM ssize_t __readlink_chk(const char *path, char *buf, size_t n, size_t room)
{
	if (n > room)
		abort();
	return readlink(path, buf, n);
}

SHIM ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t n,
			      size_t room)
{
	if (n > room)
		abort();
	return readlinkat(dir, path, buf, n);
}
