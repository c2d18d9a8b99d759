/* SPDX-License-Identifier: MIT */
/* One fault, from the access until it goes on. */
#include "bench.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define PAGES 8192ull
#define MOST_TOUCHERS 256u

static _Alignas(4096) char page[BENCH_PAGE] = { 1 };
static struct bench_memory memory;

static void fill_page_of(uint64_t address)
{
	bench_copy(&memory, (address & ~(BENCH_PAGE - 1)) -
				    (uint64_t)memory.at, page, BENCH_PAGE);
}

/* As the manual page has it: poll, read, copy, until all pages are there. */
static void *serve(void *unused)
{
	struct pollfd fd = { .fd = memory.fd, .events = POLLIN };
	struct pf_uffd_msg msg;

	for (size_t left = PAGES; left > 0; left--) {
		if (memory.on->poll(&fd, 1, -1) != 1)
			err(1, "%s: cannot poll", memory.on->name);
		if (memory.on->read(memory.fd, &msg, sizeof(msg)) !=
		    sizeof(msg))
			err(1, "%s: cannot read", memory.on->name);
		fill_page_of(msg.arg.pagefault.address);
	}
	return unused;
}

struct slice {
	pthread_t thread;
	char *from, *to;
};

static void *touch(void *arg)
{
	struct slice *slice = arg;

	for (char *at = slice->from; at < slice->to; at += BENCH_PAGE)
		(void)*(volatile char *)at;
	return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	errno = pthread_create(thread, NULL, run, arg);
	if (errno)
		err(1, "cannot start a thread");
}

/* The time of all faults, divided by their number. */
static double time_touchers(const struct bench_real *on, unsigned n)
{
	struct slice slices[MOST_TOUCHERS];
	size_t len = PAGES * BENCH_PAGE / n;
	pthread_t server;
	double begin;

	bench_watch(&memory, on, PAGES * BENCH_PAGE, 0);
	start(&server, serve, NULL);
	begin = bench_now_ns();
	for (unsigned i = 0; i < n; i++) {
		slices[i].from = memory.at + i * len;
		slices[i].to = slices[i].from + len;
		start(&slices[i].thread, touch, &slices[i]);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(slices[i].thread, NULL);
	begin = bench_now_ns() - begin;
	pthread_join(server, NULL);
	return begin / (double)PAGES;
}

static double one_toucher(const struct bench_real *on)
{
	return time_touchers(on, 1);
}

/* The smallest power of two above the number of CPUs, so slices are whole. */
static double many_touchers(const struct bench_real *on)
{
	unsigned n = 2;

	while (n <= (unsigned)sysconf(_SC_NPROCESSORS_ONLN) &&
	       n < MOST_TOUCHERS)
		n *= 2;
	return time_touchers(on, n);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fill_page_of((uint64_t)info->si_addr);
}

static double sigbus_mode(const struct bench_real *on)
{
	struct sigaction action = { .sa_sigaction = on_sigbus,
				    .sa_flags = SA_SIGINFO };
	double begin;

	if (on->sigaction(SIGBUS, &action, NULL))
		err(1, "%s: no handler for SIGBUS", on->name);
	bench_watch(&memory, on, PAGES * BENCH_PAGE, PF_UFFD_FEATURE_SIGBUS);
	begin = bench_now_ns();
	for (size_t i = 0; i < PAGES; i++)
		(void)*(volatile char *)(memory.at + i * BENCH_PAGE);
	return (bench_now_ns() - begin) / (double)PAGES;
}

const struct bench_case bench_fault_cases[] = {
	{ "fault, handler thread", bench_soft_fault, one_toucher, 0 },
	{ "fault, more threads than CPUs", NULL, many_touchers, 0 },
	{ "fault, SIGBUS mode", NULL, sigbus_mode, 0 },
	{ NULL, NULL, NULL, 0 },
};
