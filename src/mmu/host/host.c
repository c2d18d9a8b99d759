/* SPDX-License-Identifier: MIT */
/* The one host mmu: made, taken apart, and its table of operations. */
#include "mmu/host/host.h"

#include "base/check.h"
#include "base/heap.h"
#include "base/raw.h"
#include "mmu/host/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define HOST_BATCH_PAGES 512
/* Our descriptors stay out of the way of programs that count theirs. */
#define HOST_FD_FLOOR 700
/* Files that are open at a time, of the one host mmu. */
#define HOST_OWN_FILES 4

int host_mprotect(struct range r, unsigned prot)
{
	return (int)raw_call(SYS_mprotect, r.start, range_bytes(r), prot);
}

int host_advise(struct range r, int advice)
{
	return (int)raw_call(SYS_madvise, r.start, range_bytes(r), advice);
}

/* The numbers of our open files, plus 1; 0: unused. [a] */
static _Atomic int own_files[HOST_OWN_FILES];

bool host_owns_fd(int fd)
{
	for (unsigned i = 0; i < array_len(own_files); i++)
		if (atomic_load_explicit(&own_files[i],
					 memory_order_relaxed) == fd + 1)
			return fd >= 0;
	return false;
}

/* `from` becomes `to` in the list of our files. */
static void host_note_file(int from, int to)
{
	for (unsigned i = 0; i < array_len(own_files); i++) {
		int was = from;

		if (atomic_compare_exchange_strong(&own_files[i], &was, to))
			return;
	}
}

int host_open_file(const char *path, int flags)
{
	long fd = raw_call(SYS_open, path, flags | O_CLOEXEC);
	long high;

	if (fd < 0)
		return (int)fd;
	high = raw_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, HOST_FD_FLOOR);
	if (high >= 0) {
		raw_call(SYS_close, fd);
		fd = high;
	}
	host_note_file(0, (int)fd + 1);
	return (int)fd;
}

static void host_close_file(int fd)
{
	if (fd < 0)
		return;
	host_note_file(fd + 1, 0);
	raw_call(SYS_close, fd);
}

static int host_arena(struct mmu *mmu, size_t bytes, void **base)
{
	(void)mmu;
	return heap_map(bytes, true, base);
}

/* Real translations go away with the mapping calls themselves. */
static void host_shoot(struct mmu *mmu, struct range r)
{
	(void)mmu;
	(void)r;
}

static size_t host_copy(void *dst, const void *src, size_t n, bool may_fault)
{
	return may_fault ? host_copy_fault(dst, src, n)
			 : host_copy_nofault(dst, src, n);
}

static size_t host_copy_in(struct mmu *mmu, void *dst, va_t src, size_t n,
			   bool may_fault)
{
	(void)mmu;
	return host_copy(dst, (const void *)(uintptr_t)src, n, may_fault);
}

static size_t host_copy_out(struct mmu *mmu, va_t dst, const void *src,
			    size_t n, bool may_fault)
{
	(void)mmu;
	return host_copy((void *)(uintptr_t)dst, src, n, may_fault);
}

static void host_destroy(struct mmu *mmu)
{
	struct host *h = host_of(mmu);

	host_close_file(h->mem_fd);
	host_close_file(h->pagemap_fd);
	host_close_file(h->maps_fd);
	staging_destroy(h->staging);
	runs_destroy(h->runs);
	heap_free(h, sizeof(*h));
}

static const struct mmu_ops host_ops = {
	.name = "host",
	.batch_pages = HOST_BATCH_PAGES,
	.destroy = host_destroy,
	.arena = host_arena,
	.shoot = host_shoot,
	.copy_in = host_copy_in,
	.copy_out = host_copy_out,
	.survey = host_survey,
	.adopt = host_adopt,
	.is_ours = host_is_ours,
	.provide = host_provide,
	.publish = host_publish_pages,
	.retract = host_retract,
	.revoke = host_revoke_pages,
	.release = host_release,
	.release_guards = host_release_guards,
	.refresh = host_refresh,
	.protect = host_protect_pages,
	.forget = host_forget,
};

static int host_open_files(struct host *h)
{
	h->mem_fd = h->choice.publish == HOST_WRITE
			    ? host_open_file("/proc/self/mem", O_RDWR)
			    : -1;
	h->pagemap_fd = h->means.pagemap
				? host_open_file("/proc/self/pagemap", O_RDONLY)
				: -1;
	h->maps_fd = host_open_file("/proc/self/maps", O_RDONLY);
	if (h->choice.publish == HOST_WRITE && h->mem_fd < 0)
		return h->mem_fd;
	if (h->means.pagemap && h->pagemap_fd < 0)
		return h->pagemap_fd;
	return h->maps_fd < 0 ? h->maps_fd : 0;
}

static int host_make_parts(struct host *h)
{
	int err = staging_create(&h->staging);

	if (err)
		return err;
	err = runs_create(h->means.max_map_count, &h->runs);
	if (err)
		return err;
	return host_open_files(h);
}

int mmu_host_create(const struct host_means *means,
		    const struct host_choice *choice, struct mmu **out)
{
	struct host *h = heap_zalloc(sizeof(*h));
	int err;

	if (!h)
		return -ENOMEM;
	check(choice->revoke != HOST_REVOKE_AUTO);
	h->mmu.ops = &host_ops;
	h->mmu.is_native = true;
	h->mmu.protect_keeps_missing = choice->revoke == HOST_GUARD;
	h->means = *means;
	h->choice = *choice;
	h->mem_fd = h->pagemap_fd = h->maps_fd = -1;
	crowd_open();
	err = host_make_parts(h);
	if (err) {
		host_destroy(&h->mmu);
		return err;
	}
	*out = &h->mmu;
	return 0;
}
