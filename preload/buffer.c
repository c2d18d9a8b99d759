/* SPDX-License-Identifier: MIT */
/* Faulting in, and the buffer between the kernel and the program. */
#include "buffer.h"

#include <limits.h>
#include <string.h>

#define PEEK_COUNT 8
#define SMALL_BYTES 1024
/* What one read(2) gives at most. */
#define MOST_BYTES ((size_t)0x7ffff000)

typedef bool iov_test_fn(const struct iovec *one, bool is_write);

static bool one_is_watched(const struct iovec *one, bool is_write)
{
	(void)is_write;
	return pf_is_watched(one->iov_base, one->iov_len);
}

static bool one_fails(const struct iovec *one, bool is_write)
{
	return pf_is_watched(one->iov_base, one->iov_len) &&
	       pf_fault_in(one->iov_base, one->iov_len, is_write) != 0;
}

/* Whether `test` holds for one of the program's buffers. */
static bool any_iov(const struct iovec *iov, int count, iov_test_fn *test,
		    bool is_write)
{
	struct iovec some[PEEK_COUNT];

	if (count < 0 || count > IOV_MAX)
		return false;
	while (count > 0) {
		int n = count < PEEK_COUNT ? count : PEEK_COUNT;
		size_t bytes = (size_t)n * sizeof(some[0]);

		if (!shim_peek(some, iov, bytes))
			return false;
		for (int i = 0; i < n; i++)
			if (some[i].iov_len && test(&some[i], is_write))
				return true;
		iov += n;
		count -= n;
	}
	return false;
}

bool buffer_iov_is_watched(const struct iovec *iov, int count)
{
	return any_iov(iov, count, one_is_watched, false);
}

int buffer_iov_fault_in(const struct iovec *iov, int count, bool is_write)
{
	return any_iov(iov, count, one_fails, is_write) ? -1 : 0;
}

int buffer_fault_in_string(const char *text)
{
	for (;;) {
		size_t n = SHIM_PAGE - ((uintptr_t)text & (SHIM_PAGE - 1));

		if (pf_is_watched(text, 1) && pf_fault_in(text, 1, false))
			return -1;
		if (memchr(text, '\0', n))
			return 0;
		text += n;
	}
}

/* Bytes wanted in all; -1 and EINVAL as the kernel counts. */
static ssize_t iov_bytes(const struct iovec *iov, int count)
{
	size_t total = 0;

	for (int i = 0; i < count; i++) {
		if (iov[i].iov_len > SSIZE_MAX - total)
			return shim_fail(EINVAL);
		total += iov[i].iov_len;
	}
	return (ssize_t)(total < MOST_BYTES ? total : MOST_BYTES);
}

/*
 * The first page of the first buffer: one that may never be written (EFAULT
 * by rule, not by chance) must refuse before the call has taken anything.
 */
static int first_page_accepts(const struct buffer_in *in)
{
	for (int i = 0; i < in->count; i++) {
		if (!in->iov[i].iov_len)
			continue;
		if (!pf_is_watched(in->iov[i].iov_base, 1))
			return 0;
		return pf_fault_in(in->iov[i].iov_base, 1, true);
	}
	return 0;
}

static size_t scatter(const struct buffer_in *in, const char *buf, size_t n)
{
	size_t done = 0;

	for (int i = 0; i < in->count && done < n; i++) {
		size_t want = in->iov[i].iov_len;
		size_t got;

		if (want > n - done)
			want = n - done;
		got = pf_copy_to_program(in->iov[i].iov_base, buf + done, want);
		done += got;
		if (got < want)
			break;
	}
	return done;
}

static ssize_t fetch_and_scatter(struct buffer_in *in, char *buf, size_t n)
{
	ssize_t result = in->fetch(in, buf, n);
	size_t done;
	int saved = errno;

	if (result <= 0)
		return result;
	in->fetched = (size_t)result;
	/* A truncated datagram may count more than there is room for. */
	done = scatter(in, buf, in->fetched < n ? in->fetched : n);
	errno = saved;
	if (done == n)
		return result;
	if (done == 0)
		return shim_fail(EFAULT);
	return (ssize_t)done;
}

struct scratch {
	void *at; /* [I] */
	size_t n; /* [I] */
};

static void drop_scratch(void *arg)
{
	struct scratch *scratch = arg;
	int saved = errno;

	next()->munmap(scratch->at, scratch->n);
	errno = saved;
}

static ssize_t run_large(struct buffer_in *in, size_t n)
{
	struct scratch scratch = { .n = n };
	ssize_t result;

	scratch.at = next()->mmap(NULL, n, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				  -1, 0);
	if (scratch.at == MAP_FAILED)
		return -1;
	pthread_cleanup_push(drop_scratch, &scratch);
	result = fetch_and_scatter(in, scratch.at, n);
	pthread_cleanup_pop(1);
	return result;
}

ssize_t buffer_in_run(struct buffer_in *in)
{
	char small[SMALL_BYTES];
	ssize_t n = iov_bytes(in->iov, in->count);

	in->fetched = 0;
	if (n < 0 || first_page_accepts(in))
		return -1;
	if ((size_t)n <= sizeof(small))
		return fetch_and_scatter(in, small, (size_t)n);
	return run_large(in, (size_t)n);
}

ssize_t buffer_in_plain(struct buffer_in *in, void *buf, size_t n)
{
	const struct iovec iov = { .iov_base = buf, .iov_len = n };

	in->iov = &iov;
	in->count = 1;
	return buffer_in_run(in);
}
