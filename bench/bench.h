/* SPDX-License-Identifier: MIT */
/*
 * Measuring: what a case is, and what its code may call.
 *
 * Each measurement runs in a process of its own, forked before anything of the
 * library was called, so no world disturbs another. It returns the time of one
 * operation in ns; where it cannot, it ends the process by err().
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <polyfault/userfaultfd.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_PAGE 4096ull

enum bench_world { BENCH_SOFT, BENCH_HOST, BENCH_KERNEL, BENCH_WORLDS };

/* Userfaultfd on real memory: by the library, or by system calls. */
struct bench_real {
	const char *name;
	int (*userfaultfd)(int flags);
	int (*ioctl)(int fd, unsigned long command, void *arg);
	ssize_t (*read)(int fd, void *buf, size_t n);
	int (*poll)(struct pollfd *fds, nfds_t count, int timeout_ms);
	int (*close)(int fd);
	int (*madvise)(void *addr, size_t len, int advice);
	int (*munmap)(void *addr, size_t len);
	int (*sigaction)(int sig, const struct sigaction *act,
			 struct sigaction *old);
	pid_t (*fork)(void);
};

struct bench_case {
	const char *name;
	double (*soft)(void);                        /* NULL: not there */
	double (*real)(const struct bench_real *on); /* NULL: not there */
	size_t bytes; /* moved by one operation; 0: throughput says nothing */
};

extern const struct bench_real bench_host, bench_kernel;

/* The families; each ends with a case without a name. */
extern const struct bench_case bench_fill_cases[], bench_fault_cases[],
	bench_fork_cases[], bench_soft_cases[];

/* bench_soft.c: the soft halves of the cases of other families. */
double bench_soft_copy(void);
double bench_soft_zeropage(void);
double bench_soft_bulk_recycled(void);
double bench_soft_bulk_cold(void);
double bench_soft_fault(void);

/* bench_memory.c: real memory that is watched; ends the process if it fails. */
struct bench_memory {
	const struct bench_real *on;
	int fd;
	char *at;
	size_t len;
};
void bench_watch(struct bench_memory *m, const struct bench_real *on,
		 size_t len, uint64_t features);
void bench_map(struct bench_memory *m);
void bench_unmap(struct bench_memory *m);
void bench_discard(struct bench_memory *m);
void bench_copy(const struct bench_memory *m, size_t offset, const void *src,
		size_t len);
void bench_zeropage(const struct bench_memory *m, size_t offset, size_t len);

double bench_now_ns(void);
double bench_median(double *values, size_t n);

#endif /* BENCH_BENCH_H */
