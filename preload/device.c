/* SPDX-License-Identifier: MIT */
/*
 * The device and the files in /proc, played.
 *
 * The stand-in is an unconnected stream socket: reading it fails with EINVAL
 * as reading the device does. The mark is a send timeout that nobody sets.
 */
#include "device.h"

#include "shim.h"

#include <string.h>
#include <sys/time.h>

#define DEVICE_PATH "/dev/userfaultfd"
#define MARK_SECONDS 1730417
#define TEXT_BYTES 1024

int device_stand_in(int flags)
{
	const struct timeval mark = { .tv_sec = MARK_SECONDS };
	int type = SOCK_STREAM;
	int fd;

	if (flags & O_CLOEXEC)
		type |= SOCK_CLOEXEC;
	if (flags & O_NONBLOCK)
		type |= SOCK_NONBLOCK;
	fd = socket(AF_UNIX, type, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &mark, sizeof(mark))) {
		next()->close(fd);
		return shim_fail(ENOENT);
	}
	return fd;
}

bool device_is_stand_in(int fd)
{
	struct timeval mark = { 0 };
	socklen_t n = sizeof(mark);
	int saved = errno;
	bool is_marked;

	is_marked = getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &mark, &n) == 0 &&
		    mark.tv_sec == MARK_SECONDS;
	errno = saved;
	return is_marked;
}

static bool policy_is_strict(void)
{
	struct pf_probe probe;

	return pf_probe(&probe) == 0 && probe.policy &&
	       strcmp(probe.policy, "strict") == 0;
}

static int open_device(int fd, int flags)
{
	int error = errno;

	if (fd < 0 && (error == EMFILE || error == ENFILE))
		return -1;
	if (fd < 0 && policy_is_strict())
		return shim_fail(error);
	if (fd >= 0)
		next()->close(fd);
	return device_stand_in(flags);
}

/* A decimal number that fills `text` up to `end`; -1: something else. */
static int whole_number(const char *text, const char *end)
{
	long value = 0;

	if (text == end)
		return -1;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9' || value > INT32_MAX / 10 - 1)
			return -1;
		value = value * 10 + (*text - '0');
	}
	return (int)value;
}

/* Behind "/proc/": is this our own process' directory? */
static bool is_own_directory(const char *name)
{
	const char *end = strchr(name, '/');
	size_t n;

	if (!end)
		return false;
	n = (size_t)(end - name);
	if (n == 4 && strncmp(name, "self", n) == 0)
		return true;
	if (n == 11 && strncmp(name, "thread-self", n) == 0)
		return true;
	return whole_number(name, end) == getpid();
}

int device_proc_fd(const char *path, const char *dir)
{
	const char *at;
	int fd;

	if (!shim_is_active() || strncmp(path, "/proc/", 6) != 0 ||
	    !is_own_directory(path + 6))
		return -1;
	at = strstr(path, dir);
	if (!at)
		return -1;
	at += strlen(dir);
	fd = whole_number(at, at + strlen(at));
	return fd >= 0 && pf_is_userfaultfd(fd) ? fd : -1;
}

/*
 * The lines that every descriptor has, from the text of the descriptor that
 * really is there; access mode read-only, as an object's. Returns: bytes.
 */
static size_t keep_common_lines(char *text, size_t n)
{
	size_t kept = 0;
	char *line = text;

	while (line < text + n) {
		char *end = memchr(line, '\n', (size_t)(text + n - line));
		size_t len;

		if (!end)
			break;
		len = (size_t)(end + 1 - line);
		if (strncmp(line, "flags:", 6) == 0) {
			char *low = end - 1;

			*low = (char)('0' + ((*low - '0') & 4));
		}
		if (strncmp(line, "pos:", 4) == 0 ||
		    strncmp(line, "flags:", 6) == 0 ||
		    strncmp(line, "mnt_id:", 7) == 0 ||
		    strncmp(line, "ino:", 4) == 0) {
			memmove(text + kept, line, len);
			kept += len;
		}
		line = end + 1;
	}
	return kept;
}

/* `fd`, open on the real file, shows the object's text instead. */
static int open_fdinfo(int object, int fd, int flags)
{
	char text[2 * TEXT_BYTES];
	ssize_t n, own;
	int file;

	n = next()->read(fd, text, TEXT_BYTES);
	if (n < 0)
		return fd;
	n = (ssize_t)keep_common_lines(text, (size_t)n);
	own = pf_fdinfo(object, text + n, TEXT_BYTES);
	file = memfd_create("fdinfo", MFD_CLOEXEC);
	if (own < 0 || file < 0)
		goto out_close;
	n += own;
	if (next()->pwrite(file, text, (size_t)n, 0) == n)
		(void)next()->dup3(file, fd, flags & O_CLOEXEC);
out_close:
	if (file >= 0)
		next()->close(file);
	return fd;
}

int device_opened(const char *path, int fd, int flags)
{
	int saved = errno;
	int object;

	if (fd < 0 && (errno == EFAULT || errno == EINTR))
		return fd;
	if (path[0] != '/')
		return fd;
	if (path[1] == 'd' && strcmp(path, DEVICE_PATH) == 0)
		return open_device(fd, flags);
	object = fd < 0 ? -1 : device_proc_fd(path, "/fdinfo/");
	if (object >= 0)
		fd = open_fdinfo(object, fd, flags);
	errno = saved;
	return fd;
}
