/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: duplicates and closings of ours are followed; the library's
 * own are spared by those who close whatever there is.
 */
#include "calls.h"
#include "rawcall.h"

#include <linux/close_range.h>
#include <stdarg.h>
#include <sys/syscall.h>

#define MOST_SPECIAL 64
#define DIRENTS_BYTES 2048

static int close_ours(int fd)
{
	if (shim_in_foreign_child())
		return next()->close(fd);
	return pf_close(fd);
}

SHIM int close(int fd)
{
	if (shim_is_active()) {
		if (pf_is_internal_fd(fd))
			return shim_fail(EBADF);
		poll_forget(fd);
		if (pf_is_userfaultfd(fd))
			return close_ours(fd);
	}
	return next()->close(fd);
}

SHIM_ALIAS(__close, close);

SHIM int fclose(FILE *file)
{
	int fd = shim_is_active() ? fileno(file) : -1;
	int result, saved;

	if (fd < 0 || !pf_is_userfaultfd(fd) || shim_in_foreign_child())
		return next()->fclose(file);
	poll_forget(fd);
	pf_note_closing(fd);
	result = next()->fclose(file);
	saved = errno;
	pf_note_closed();
	errno = saved;
	return result;
}

SHIM int dup(int fd)
{
	if (ours(fd) && !shim_in_foreign_child())
		return pf_dup(fd);
	return next()->dup(fd);
}

static bool dup_concerns_us(int old_fd, int new_fd)
{
	return shim_is_active() &&
	       (pf_is_userfaultfd(old_fd) || pf_is_userfaultfd(new_fd) ||
		pf_is_internal_fd(new_fd)) &&
	       old_fd != new_fd && new_fd >= 0 && !shim_in_foreign_child();
}

SHIM int dup2(int old_fd, int new_fd)
{
	if (dup_concerns_us(old_fd, new_fd))
		return pf_dup3(old_fd, new_fd, 0);
	return next()->dup2(old_fd, new_fd);
}

SHIM_ALIAS(__dup2, dup2);

SHIM int dup3(int old_fd, int new_fd, int flags)
{
	if (dup_concerns_us(old_fd, new_fd) && !(flags & ~O_CLOEXEC))
		return pf_dup3(old_fd, new_fd, flags);
	return next()->dup3(old_fd, new_fd, flags);
}

static int fcntl_ours(int fd, int command, long arg)
{
	if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) &&
	    shim_in_foreign_child())
		return next()->fcntl(fd, command, arg);
	return pf_fcntl(fd, command, arg);
}

SHIM int fcntl(int fd, int command, ...)
{
	va_list args;
	void *arg;

	va_start(args, command);
	arg = va_arg(args, void *);
	va_end(args);
	if (ours(fd))
		return fcntl_ours(fd, command, (long)arg);
	return next()->fcntl(fd, command, arg);
}

SHIM_ALIAS(fcntl64, fcntl);
SHIM_ALIAS(__fcntl, fcntl);

/* ---- ranges ---- */

/* Descriptors in a range that may not simply be closed, ascending. */
struct special {
	unsigned first, last;   /* [I] the range */
	int fd[MOST_SPECIAL];   /* [I] */
	int count;              /* [I] */
};

struct kernel_dirent {
	uint64_t ino;            /* [I] */
	int64_t off;             /* [I] */
	unsigned short reclen;   /* [I] */
	unsigned char type;      /* [I] */
	char name[];             /* [I] */
};

static void look_at(struct special *special, int fd)
{
	int i;

	if (fd < 0 || (unsigned)fd < special->first ||
	    (unsigned)fd > special->last)
		return;
	if (!pf_is_userfaultfd(fd) && !pf_is_internal_fd(fd))
		return;
	if (special->count == MOST_SPECIAL) {
		/* The rest is for another round. */
		if (fd < special->fd[MOST_SPECIAL - 1])
			special->count--;
		else
			return;
	}
	for (i = special->count++; i > 0 && special->fd[i - 1] > fd; i--)
		special->fd[i] = special->fd[i - 1];
	special->fd[i] = fd;
}

static int number_of(const char *name)
{
	int value = 0;

	if (*name < '0' || *name > '9')
		return -1;
	for (; *name >= '0' && *name <= '9'; name++)
		value = value * 10 + (*name - '0');
	return value;
}

/* Where /proc is missing, every number that a descriptor may have. */
static void look_at_all(struct special *special)
{
	long most = sysconf(_SC_OPEN_MAX);

	for (long fd = 0; fd < most; fd++)
		look_at(special, (int)fd);
}

static void find_special(struct special *special)
{
	_Alignas(struct kernel_dirent) char buf[DIRENTS_BYTES];
	long dir = RAW(SYS_open, "/proc/self/fd",
		       O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long n;

	special->count = 0;
	if (dir < 0) {
		look_at_all(special);
		return;
	}
	while ((n = RAW(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			const struct kernel_dirent *entry =
				(const void *)(buf + at);

			look_at(special, number_of(entry->name));
			at += entry->reclen;
		}
	}
	RAW(SYS_close, dir);
}

static long close_plain(unsigned first, unsigned last)
{
	return RAW(SYS_close_range, first, last, 0);
}

/* Kernels before 5.9 and gVisor have no close_range. */
static void close_one_by_one(unsigned first, unsigned last)
{
	long most = sysconf(_SC_OPEN_MAX);

	for (unsigned fd = first; fd <= last && fd < (unsigned long)most; fd++)
		RAW(SYS_close, fd);
}

static void close_gap(unsigned first, unsigned last)
{
	if (first <= last && close_plain(first, last) == -ENOSYS)
		close_one_by_one(first, last);
}

static void close_around(unsigned first, unsigned last)
{
	struct special special = { .last = last };

	do {
		special.first = first;
		find_special(&special);
		for (int i = 0; i < special.count; i++) {
			unsigned fd = (unsigned)special.fd[i];

			if (fd > first)
				close_gap(first, fd - 1);
			first = fd + 1;
			if (pf_is_userfaultfd((int)fd))
				close((int)fd);
		}
	} while (special.count == MOST_SPECIAL);
	close_gap(first, last);
}

SHIM int close_range(unsigned first, unsigned last, int flags)
{
	int saved = errno;
	long result;

	if (!shim_is_active() || first > last ||
	    (flags & (int)CLOSE_RANGE_CLOEXEC) ||
	    (flags & ~(int)CLOSE_RANGE_UNSHARE)) {
		result = RAW(SYS_close_range, first, last, flags);
		return result < 0 ? shim_fail((int)-result) : 0;
	}
	/* An empty part of the range does the unsharing. */
	if (flags)
		RAW(SYS_close_range, ~0u, ~0u, flags);
	close_around(first, last);
	errno = saved;
	return 0;
}

SHIM void closefrom(int first)
{
	unsigned low = first < 0 ? 0 : (unsigned)first;

	if (shim_is_active())
		close_around(low, ~0u);
	else
		close_gap(low, ~0u);
}
