/* SPDX-License-Identifier: MIT */
/*
 * Writing from watched memory, and the small calls that fill a block of the
 * program's without any side effect: there a repetition loses nothing.
 */
#include "buffer.h"
#include "calls.h"

/*
 * An object's descriptor is read-only; before 6.0 it was not, but there is
 * nothing to write to.
 * Spec: A14.
 */
static int refuse_write(int fd)
{
	int flags = pf_fcntl(fd, F_GETFL, 0);

	return shim_fail((flags & O_ACCMODE) == O_RDONLY ? EBADF : EINVAL);
}

SHIM ssize_t write(int fd, const void *buf, size_t n)
{
	ssize_t result;

	if (ours(fd))
		return refuse_write(fd);
	if (!watched(buf, n))
		return next()->write(fd, buf, n);
	BUFFER_CALL(result, buf, n, false, next()->write(fd, buf, n));
	return result;
}

SHIM_ALIAS(__write, write);

SHIM ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	ssize_t result;

	if (ours(fd))
		return refuse_write(fd);
	if (!watched(buf, n))
		return next()->pwrite(fd, buf, n, offset);
	BUFFER_CALL(result, buf, n, false, next()->pwrite(fd, buf, n, offset));
	return result;
}

SHIM_ALIAS(pwrite64, pwrite);
SHIM_ALIAS(__pwrite64, pwrite);

/* `call` with the program's buffers present. */
#define VECTOR_OUT(result, iov, count, call)                                \
	do {                                                                \
		int tries_ = 0;                                             \
		do {                                                        \
			if (shim_is_active() &&                             \
			    buffer_iov_fault_in((iov), (count), false))     \
				return -1;                                  \
			result = (call);                                    \
		} while (shim_is_active() &&                                \
			 buffer_iov_is_watched((iov), (count)) &&           \
			 buffer_must_repeat(result, &tries_));              \
	} while (0)

SHIM ssize_t writev(int fd, const struct iovec *iov, int count)
{
	ssize_t result;

	if (ours(fd))
		return refuse_write(fd);
	VECTOR_OUT(result, iov, count, next()->writev(fd, iov, count));
	return result;
}

SHIM ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	ssize_t result;

	if (ours(fd))
		return refuse_write(fd);
	VECTOR_OUT(result, iov, count,
		   next()->pwritev(fd, iov, count, offset));
	return result;
}

SHIM_ALIAS(pwritev64, pwritev);

SHIM ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset,
		      int flags)
{
	ssize_t result;

	if (ours(fd))
		return refuse_write(fd);
	VECTOR_OUT(result, iov, count,
		   next()->pwritev2(fd, iov, count, offset, flags));
	return result;
}

SHIM_ALIAS(pwritev64v2, pwritev2);

static ssize_t fetch_getrandom(struct buffer_in *in, void *buf, size_t n)
{
	return next()->getrandom(buf, n, (unsigned)in->flags);
}

static ssize_t fetch_getdents(struct buffer_in *in, void *buf, size_t n)
{
	return next()->getdents64(in->fd, buf, n);
}

SHIM ssize_t getrandom(void *buf, size_t n, unsigned flags)
{
	struct buffer_in in = { .fetch = fetch_getrandom,
				.flags = (int)flags };

	if (!watched(buf, n))
		return next()->getrandom(buf, n, flags);
	return buffer_in_plain(&in, buf, n);
}

SHIM ssize_t getdents64(int fd, void *buf, size_t n)
{
	struct buffer_in in = { .fetch = fetch_getdents, .fd = fd };

	if (!watched(buf, n))
		return next()->getdents64(fd, buf, n);
	return buffer_in_plain(&in, buf, n);
}

SHIM char *getcwd(char *buf, size_t n)
{
	if (buf && watched(buf, n) && pf_fault_in(buf, n, true))
		return NULL;
	return next()->getcwd(buf, n);
}

/* `call` with the program's path and block of `n` bytes present. */
#define STAT_CALL(path, block, n, call)                                     \
	do {                                                                \
		int result_, tries_ = 0;                                    \
		if (!shim_is_active())                                      \
			return (call);                                      \
		do {                                                        \
			if (pf_is_watched((block), (n)) &&                  \
			    pf_fault_in((block), (n), true))                \
				return -1;                                  \
			if (pf_is_watched((path), 1) &&                     \
			    buffer_fault_in_string(path))                   \
				return -1;                                  \
			result_ = (call);                                   \
		} while ((pf_is_watched((block), (n)) ||                    \
			  pf_is_watched((path), 1)) &&                      \
			 buffer_must_repeat(result_, &tries_));             \
		return result_;                                             \
	} while (0)

SHIM int stat(const char *path, struct stat *info)
{
	STAT_CALL(path, info, sizeof(*info), next()->stat(path, info));
}

SHIM int lstat(const char *path, struct stat *info)
{
	STAT_CALL(path, info, sizeof(*info), next()->lstat(path, info));
}

SHIM int fstat(int fd, struct stat *info)
{
	int result;

	if (!watched(info, sizeof(*info)))
		return next()->fstat(fd, info);
	BUFFER_CALL(result, info, sizeof(*info), true,
		    next()->fstat(fd, info));
	return result;
}

SHIM int fstatat(int dir, const char *path, struct stat *info, int flags)
{
	STAT_CALL(path, info, sizeof(*info),
		  next()->fstatat(dir, path, info, flags));
}

SHIM int statx(int dir, const char *path, int flags, unsigned mask,
	       struct statx *info)
{
	STAT_CALL(path, info, sizeof(*info),
		  next()->statx(dir, path, flags, mask, info));
}

/* On x86-64 struct stat64 is struct stat. */
#define STAT64(name, target, ...)                                           \
	extern int name(__VA_ARGS__)                                        \
		__attribute__((visibility("default"), alias(#target)))
STAT64(stat64, stat, const char *path, struct stat64 *info);
STAT64(lstat64, lstat, const char *path, struct stat64 *info);
STAT64(fstat64, fstat, int fd, struct stat64 *info);
STAT64(fstatat64, fstatat, int dir, const char *path, struct stat64 *info,
       int flags);
