/* SPDX-License-Identifier: MIT */
/*
 * Reading, ioctl and lseek: on our descriptors the object answers; into
 * watched memory the bytes go by way of a buffer.
 */
#include "buffer.h"
#include "calls.h"
#include "device.h"

#include <stdarg.h>

static ssize_t fetch_read(struct buffer_in *in, void *buf, size_t n)
{
	return next()->read(in->fd, buf, n);
}

static ssize_t fetch_pread(struct buffer_in *in, void *buf, size_t n)
{
	return next()->pread(in->fd, buf, n, in->offset);
}

static ssize_t fetch_preadv2(struct buffer_in *in, void *buf, size_t n)
{
	const struct iovec iov = { .iov_base = buf, .iov_len = n };

	return next()->preadv2(in->fd, &iov, 1, in->offset, in->flags);
}

/* Bytes that the program could not take are left in the file, where one is. */
static void unread(const struct buffer_in *in, ssize_t result)
{
	off_t arrived = result > 0 ? (off_t)result : 0;
	int saved = errno;

	if ((off_t)in->fetched > arrived)
		(void)next()->lseek(in->fd, arrived - (off_t)in->fetched,
				    SEEK_CUR);
	errno = saved;
}

static __attribute__((noinline)) ssize_t read_watched(int fd, void *buf,
						      size_t n)
{
	struct buffer_in in = { .fetch = fetch_read, .fd = fd };
	ssize_t result = buffer_in_plain(&in, buf, n);

	unread(&in, result);
	return result;
}

SHIM ssize_t read(int fd, void *buf, size_t n)
{
	if (ours(fd))
		return pf_read(fd, buf, n);
	if (watched(buf, n))
		return read_watched(fd, buf, n);
	return next()->read(fd, buf, n);
}

SHIM_ALIAS(__read, read);

SHIM ssize_t __read_chk(int fd, void *buf, size_t n, size_t room)
{
	if (n > room)
		abort();
	return read(fd, buf, n);
}

SHIM ssize_t pread(int fd, void *buf, size_t n, off_t offset)
{
	struct buffer_in in = { .fetch = fetch_pread, .fd = fd,
				.offset = offset };

	if (ours(fd))
		return pf_read(fd, buf, n);
	if (watched(buf, n))
		return buffer_in_plain(&in, buf, n);
	return next()->pread(fd, buf, n, offset);
}

SHIM_ALIAS(pread64, pread);
SHIM_ALIAS(__pread64, pread);

SHIM ssize_t __pread_chk(int fd, void *buf, size_t n, off_t offset,
			 size_t room)
{
	if (n > room)
		abort();
	return pread(fd, buf, n, offset);
}

SHIM_ALIAS(__pread64_chk, __pread_chk);

/* Only after buffer_iov_is_watched() has found the array readable. */
static __attribute__((noinline)) ssize_t
read_vector(struct buffer_in *in, const struct iovec *iov, int count)
{
	in->iov = iov;
	in->count = count;
	return buffer_in_run(in);
}

SHIM ssize_t readv(int fd, const struct iovec *iov, int count)
{
	struct buffer_in in = { .fetch = fetch_read, .fd = fd };
	ssize_t result;

	if (ours(fd))
		return pf_readv(fd, iov, count);
	if (!shim_is_active() || !buffer_iov_is_watched(iov, count))
		return next()->readv(fd, iov, count);
	result = read_vector(&in, iov, count);
	unread(&in, result);
	return result;
}

SHIM ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset,
		     int flags)
{
	struct buffer_in in = { .fetch = fetch_preadv2, .fd = fd,
				.offset = offset, .flags = flags };
	ssize_t result;

	if (ours(fd))
		return pf_preadv2(fd, iov, count, offset, flags);
	if (!shim_is_active() || !buffer_iov_is_watched(iov, count))
		return next()->preadv2(fd, iov, count, offset, flags);
	result = read_vector(&in, iov, count);
	if (offset == -1)
		unread(&in, result);
	return result;
}

SHIM_ALIAS(preadv64v2, preadv2);

SHIM ssize_t preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	struct buffer_in in = { .fetch = fetch_preadv2, .fd = fd,
				.offset = offset };

	if (ours(fd))
		return pf_readv(fd, iov, count);
	/* preadv2 takes -1 for "at the position", preadv does not. */
	if (offset < 0 || !shim_is_active() ||
	    !buffer_iov_is_watched(iov, count))
		return next()->preadv(fd, iov, count, offset);
	return read_vector(&in, iov, count);
}

SHIM_ALIAS(preadv64, preadv);

SHIM off_t lseek(int fd, off_t offset, int whence)
{
	if (ours(fd))
		return 0;
	return next()->lseek(fd, offset, whence);
}

SHIM_ALIAS(lseek64, lseek);
SHIM_ALIAS(__lseek, lseek);

/* The command's number says how large its block is and who reads it. */
static int ioctl_watched(int fd, unsigned long command, void *arg)
{
	bool is_write = (_IOC_DIR(command) & _IOC_READ) != 0;
	int result;

	BUFFER_CALL(result, arg, _IOC_SIZE(command), is_write,
		    next()->ioctl(fd, command, arg));
	return result;
}

SHIM int ioctl(int fd, unsigned long command, ...)
{
	va_list args;
	void *arg;

	va_start(args, command);
	arg = va_arg(args, void *);
	va_end(args);
	if (ours(fd))
		return pf_ioctl(fd, command, arg);
	if (_IOC_TYPE(command) == 0xAA && device_is_stand_in(fd)) {
		if (command != PF_USERFAULTFD_IOC_NEW)
			return shim_fail(EINVAL);
		return shim_adopt(pf_device_new((int)(intptr_t)arg));
	}
	if (_IOC_SIZE(command) && watched(arg, _IOC_SIZE(command)))
		return ioctl_watched(fd, command, arg);
	return next()->ioctl(fd, command, arg);
}
