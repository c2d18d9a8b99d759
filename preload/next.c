/* SPDX-License-Identifier: MIT */
/* Finding libc's functions; what serves the search itself. */
#include "next.h"

#include "rawcall.h"

#include "polyfault/interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>

struct next_calls next_table;
atomic_bool next_is_ready;

/* The thread that fills the table; 0: nobody yet. */
static atomic_long next_owner;
static bool malloc_is_glibc;

static const struct {
	const char *name; /* [I] */
	size_t at;        /* [I] */
} slots[] = {
#define NEXT_SLOT(name) { #name, offsetof(struct next_calls, name) },
	NEXT_CALLS(NEXT_SLOT)
#undef NEXT_SLOT
};

static long from_kernel(long result)
{
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

static ssize_t early_read(int fd, void *buf, size_t n)
{
	return from_kernel(RAW(SYS_read, fd, buf, n));
}

static ssize_t early_write(int fd, const void *buf, size_t n)
{
	return from_kernel(RAW(SYS_write, fd, buf, n));
}

static int early_open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	return (int)from_kernel(RAW(SYS_open, path, flags, mode));
}

static int early_close(int fd)
{
	return (int)from_kernel(RAW(SYS_close, fd));
}

static void *early_mmap(void *addr, size_t len, int prot, int flags, int fd,
			off_t offset)
{
	return (void *)from_kernel(
		RAW(SYS_mmap, addr, len, prot, flags, fd, offset));
}

static int early_munmap(void *addr, size_t len)
{
	return (int)from_kernel(RAW(SYS_munmap, addr, len));
}

static int early_mprotect(void *addr, size_t len, int prot)
{
	return (int)from_kernel(RAW(SYS_mprotect, addr, len, prot));
}

/* The allocator behind is not known yet: a block of the search is left. */
static void early_free(void *block)
{
	(void)block;
}

static void *early_realloc(void *block, size_t n)
{
	(void)n;
	(void)block;
	errno = ENOMEM;
	return NULL;
}

static const struct next_calls early_table = {
	.read = early_read,
	.write = early_write,
	.open = early_open,
	.close = early_close,
	.mmap = early_mmap,
	.munmap = early_munmap,
	.mprotect = early_mprotect,
	.free = early_free,
	.realloc = early_realloc,
};

static void fill_table(void)
{
	void *libc_free;

	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		char *slot = (char *)&next_table + slots[i].at;

		*(void **)(void *)slot = dlsym(RTLD_NEXT, slots[i].name);
	}
	libc_free = dlsym(RTLD_NEXT, "__libc_free");
	malloc_is_glibc = libc_free &&
			  libc_free == *(void **)(void *)&next_table.free;
}

static void start_library(void)
{
	const struct pf_real_calls real = {
		.recv = next_table.recv,
		.ppoll = next_table.ppoll,
		.fork = next_table.fork,
	};

	pf_interpose_init(&real);
}

const struct next_calls *next_resolve(void)
{
	long self = RAW(SYS_gettid);
	long owner = 0;
	int saved = errno;

	if (atomic_compare_exchange_strong(&next_owner, &owner, self)) {
		fill_table();
		start_library();
		atomic_store(&next_is_ready, true);
		errno = saved;
		return &next_table;
	}
	if (owner == self && !atomic_load(&next_is_ready))
		return &early_table;
	while (!atomic_load(&next_is_ready))
		RAW(SYS_sched_yield);
	return &next_table;
}

bool next_malloc_is_glibc(void)
{
	return malloc_is_glibc;
}
