/* SPDX-License-Identifier: MIT */
/*
 * stdio moves large blocks between the file and the program's memory with
 * libc's own read and write, which no shim sees. What goes through a stream's
 * buffer is copied by ordinary instructions and needs no help.
 */
#include "calls.h"

#define BOUNCE_BYTES 4096

typedef size_t fread_fn(void *buf, size_t size, size_t count, FILE *file);

/* Bytes read by way of a buffer of ours, a piece at a time. */
static size_t read_bytes(char *buf, size_t n, FILE *file, fread_fn *read_real)
{
	char bounce[BOUNCE_BYTES];
	size_t done = 0;

	while (done < n) {
		size_t want = n - done < sizeof(bounce) ? n - done :
							  sizeof(bounce);
		size_t got = read_real(bounce, 1, want, file);

		if (pf_copy_to_program(buf + done, bounce, got) != got) {
			errno = EFAULT;
			break;
		}
		done += got;
		if (got < want)
			break;
	}
	return done;
}

static size_t read_items(void *buf, size_t size, size_t count, FILE *file,
			 fread_fn *read_real)
{
	size_t n;

	if (!size || !shim_is_active() ||
	    __builtin_mul_overflow(size, count, &n) ||
	    !pf_is_watched(shim_address(buf), n))
		return read_real(buf, size, count, file);
	return read_bytes(buf, n, file, read_real) / size;
}

SHIM size_t fread(void *buf, size_t size, size_t count, FILE *file)
{
	return read_items(buf, size, count, file, next()->fread);
}

SHIM size_t fread_unlocked(void *buf, size_t size, size_t count, FILE *file)
{
	return read_items(buf, size, count, file, next()->fread_unlocked);
}

static void must_fit(size_t room, size_t size, size_t count)
{
	size_t n;

	if (__builtin_mul_overflow(size, count, &n) || n > room)
		abort();
}

SHIM size_t __fread_chk(void *buf, size_t room, size_t size, size_t count,
			FILE *file)
{
	must_fit(room, size, count);
	return fread(buf, size, count, file);
}

SHIM size_t __fread_unlocked_chk(void *buf, size_t room, size_t size,
				 size_t count, FILE *file)
{
	must_fit(room, size, count);
	return fread_unlocked(buf, size, count, file);
}

/* Returns: whether the block may be written. */
static bool prepare_items(const void *buf, size_t size, size_t count)
{
	size_t n;

	return __builtin_mul_overflow(size, count, &n) || !watched(buf, n) ||
	       pf_fault_in(buf, n, false) == 0;
}

SHIM size_t fwrite(const void *buf, size_t size, size_t count, FILE *file)
{
	if (shim_is_active() && !prepare_items(buf, size, count))
		return 0;
	return next()->fwrite(buf, size, count, file);
}

SHIM size_t fwrite_unlocked(const void *buf, size_t size, size_t count,
			    FILE *file)
{
	if (shim_is_active() && !prepare_items(buf, size, count))
		return 0;
	return next()->fwrite_unlocked(buf, size, count, file);
}
