/* SPDX-License-Identifier: MIT */
/* What this system has, found out by trying on pages of our own. */
#include "mmu/host/host.h"

#include "base/mem.h"
#include "base/raw.h"
#include "mmu/host/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define MEANS_PAGES 4
#define DEFAULT_MAX_MAP_COUNT 65530
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

static bool means_file(const char *path, int flags)
{
	long fd = raw_call(SYS_open, path, flags | O_CLOEXEC);

	if (fd < 0)
		return false;
	raw_call(SYS_close, fd);
	return true;
}

static uint64_t means_number(const char *path, uint64_t otherwise)
{
	char text[32];
	uint64_t n = 0;
	long fd = raw_call(SYS_open, path, O_RDONLY | O_CLOEXEC);
	long got;

	if (fd < 0)
		return otherwise;
	got = raw_call(SYS_read, fd, text, sizeof(text));
	raw_call(SYS_close, fd);
	for (long i = 0; i < got && text[i] >= '0' && text[i] <= '9'; i++)
		n = n * 10 + (uint64_t)(text[i] - '0');
	return n ? n : otherwise;
}

/* Whether a PROT_NONE page of ours takes bytes through /proc/self/mem. */
static bool means_write(va_t page)
{
	static const char probe[] = "polyfault";
	long fd = raw_call(SYS_open, "/proc/self/mem", O_RDWR | O_CLOEXEC);
	long done;

	if (fd < 0)
		return false;
	host_mprotect(range_of(page, PAGE_BYTES), 0);
	done = raw_call(SYS_pwrite64, fd, probe, sizeof(probe), page);
	raw_call(SYS_close, fd);
	host_mprotect(range_of(page, PAGE_BYTES), ACCESS_READ);
	return done == (long)sizeof(probe) &&
	       mem_same_string((const char *)(uintptr_t)page, probe);
}

static bool means_guard_is_seen(va_t page)
{
	uint64_t entry = 0;
	long fd = raw_call(SYS_open, "/proc/self/pagemap",
			   O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	raw_call(SYS_pread64, fd, &entry, sizeof(entry),
		 (page >> PAGE_SHIFT) * sizeof(entry));
	raw_call(SYS_close, fd);
	return entry >> 58 & 1;
}

/* The kernel tells a write from a read in the error code unless it is one
 * that emulates; gVisor gives itself away by having no auxiliary vDSO time
 * page but, more simply, by lacking what every kernel has. */
static bool means_fault_code(void)
{
	return means_file("/proc/self/pagemap", O_RDONLY) ||
	       !means_file("/proc/sentry-meminfo", O_RDONLY);
}

void host_find_means(struct host_means *out)
{
	long at = raw_call(SYS_mmap, 0, MEANS_PAGES * PAGE_BYTES,
			   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	va_t page = (va_t)at;
	long fd;

	mem_set(out, 0, sizeof(*out));
	out->max_map_count = means_number("/proc/sys/vm/max_map_count",
					  DEFAULT_MAX_MAP_COUNT);
	out->pagemap = means_file("/proc/self/pagemap", O_RDONLY);
	out->fault_code = means_fault_code();
	out->droppable = host_has_droppable();
	out->procmap_query = host_can_query();
	fd = raw_call(SYS_memfd_create, "polyfault", MFD_CLOEXEC);
	if (fd >= 0)
		raw_call(SYS_close, fd);
	out->memfd = fd >= 0;
	if (at < 0 && at > -4096)
		return;
	out->guard_anon = !host_advise(range_of(page, PAGE_BYTES),
				       MADV_GUARD_INSTALL);
	out->guard_seen = out->guard_anon && means_guard_is_seen(page);
	out->proc_mem_write = means_write(page + PAGE_BYTES);
	out->wipe_on_fork = !host_advise(range_of(page + 2 * PAGE_BYTES,
						  PAGE_BYTES),
					 MADV_WIPEONFORK);
	raw_call(SYS_munmap, at, MEANS_PAGES * PAGE_BYTES);
}

int host_choose(const struct host_means *means, struct host_choice *choice,
		const char **why_revoke, const char **why_publish)
{
	*why_revoke = *why_publish = "forced by the environment";
	if (choice->revoke == HOST_REVOKE_AUTO) {
		choice->revoke = means->guard_anon ? HOST_GUARD : HOST_PROTECT;
		*why_revoke = means->guard_anon
				      ? "guard regions work here: no mapping "
					"is split"
				      : "the system has no guard regions "
					"(Linux 6.13 and later have)";
	} else if (choice->revoke == HOST_GUARD && !means->guard_anon) {
		*why_revoke = "guard was asked for, but the system has no "
			      "guard regions";
		return -ENOSYS;
	}
	if (choice->publish == HOST_PUBLISH_AUTO) {
		choice->publish = means->proc_mem_write ? HOST_WRITE
							: HOST_MOVE;
		*why_publish = means->proc_mem_write
				       ? "/proc/self/mem writes inaccessible "
					 "pages: filled in place"
				       : "/proc/self/mem cannot be written: "
					 "filled pages are moved in";
	} else if (choice->publish == HOST_WRITE && !means->proc_mem_write) {
		*why_publish = "write was asked for, but /proc/self/mem "
			       "cannot be written here";
		return -ENOSYS;
	}
	return 0;
}
