/* SPDX-License-Identifier: MIT */
/* Real memory that is watched, by the library or by the kernel. */
#include "bench.h"

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int kernel_userfaultfd(int flags)
{
	return (int)syscall(PF_SYS_USERFAULTFD, flags);
}

static int kernel_ioctl(int fd, unsigned long command, void *arg)
{
	return ioctl(fd, command, arg);
}

const struct bench_real bench_kernel = {
	.name = "kernel", .userfaultfd = kernel_userfaultfd,
	.ioctl = kernel_ioctl, .read = read, .poll = poll, .close = close,
	.madvise = madvise, .munmap = munmap, .sigaction = sigaction,
	.fork = fork,
};

const struct bench_real bench_host = {
	.name = "host", .userfaultfd = pf_userfaultfd, .ioctl = pf_ioctl,
	.read = pf_read, .poll = pf_poll, .close = pf_close,
	.madvise = pf_madvise, .munmap = pf_munmap,
	.sigaction = pf_sigaction, .fork = pf_fork,
};

void bench_watch(struct bench_memory *m, const struct bench_real *on,
		 size_t len, uint64_t features)
{
	struct pf_uffdio_api api = { .api = PF_UFFD_API,
				     .features = features };

	m->on = on;
	m->len = len;
	m->fd = on->userfaultfd(O_CLOEXEC);
	if (m->fd < 0)
		err(1, "%s: no userfaultfd", on->name);
	if (on->ioctl(m->fd, PF_UFFDIO_API, &api))
		err(1, "%s: the handshake failed", on->name);
	bench_map(m);
}

void bench_map(struct bench_memory *m)
{
	struct pf_uffdio_register watched = {
		.range.len = m->len, .mode = PF_UFFDIO_REGISTER_MODE_MISSING };

	m->at = mmap(NULL, m->len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->at == MAP_FAILED)
		err(1, "%s: cannot map", m->on->name);
	watched.range.start = (uint64_t)m->at;
	if (m->on->ioctl(m->fd, PF_UFFDIO_REGISTER, &watched))
		err(1, "%s: cannot register", m->on->name);
}

void bench_unmap(struct bench_memory *m)
{
	if (m->on->munmap(m->at, m->len))
		err(1, "%s: cannot unmap", m->on->name);
}

void bench_discard(struct bench_memory *m)
{
	if (m->on->madvise(m->at, m->len, MADV_DONTNEED))
		err(1, "%s: cannot discard", m->on->name);
}

void bench_copy(const struct bench_memory *m, size_t offset, const void *src,
		size_t len)
{
	struct pf_uffdio_copy copy = { .dst = (uint64_t)m->at + offset,
				       .src = (uint64_t)src, .len = len };

	if (m->on->ioctl(m->fd, PF_UFFDIO_COPY, &copy))
		err(1, "%s: cannot copy", m->on->name);
}

void bench_zeropage(const struct bench_memory *m, size_t offset, size_t len)
{
	struct pf_uffdio_zeropage zero = {
		.range = { (uint64_t)m->at + offset, len } };

	if (m->on->ioctl(m->fd, PF_UFFDIO_ZEROPAGE, &zero))
		err(1, "%s: cannot fill with zeroes", m->on->name);
}

double bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return n % 2 ? values[n / 2] :
		       (values[n / 2 - 1] + values[n / 2]) / 2;
}
