/* SPDX-License-Identifier: MIT */
/*
 * The embedded interface: handles and argument checks, nothing else.
 */
#include <polyfault/embed.h>

#include "api/export.h"
#include "base/heap.h"
#include "sys/softworld.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

/* The opaque types of the public header are those of the soft world. */
static struct soft_space *soft(struct pf_space *space)
{
	return (struct soft_space *)(void *)space;
}

static struct space *inner(struct pf_space *space)
{
	return soft(space)->space;
}

static struct space_cpu *cpu_of(struct pf_cpu *cpu)
{
	return (struct space_cpu *)(void *)cpu;
}

static struct soft_uffd *object(struct pf_uffd *uffd)
{
	return (struct soft_uffd *)(void *)uffd;
}

/* ---- spaces ---- */

pf_export int pf_space_create(const struct pf_space_config *config,
			      struct pf_space **out)
{
	struct soft_config soft_config = { 0 };
	struct soft_space *space;
	int err;

	if (config) {
		soft_config.limit_pages = config->limit_pages;
		soft_config.arena_bytes = config->arena_bytes;
		soft_config.is_unprivileged = config->is_unprivileged;
		if (config->profile)
			soft_config.profile = profile_find(config->profile);
		if (config->profile && !soft_config.profile)
			return -EINVAL;
	}
	err = soft_space_create(&soft_config, &space);
	if (err)
		return err;
	*out = (struct pf_space *)(void *)space;
	return 0;
}

pf_export void pf_space_exit(struct pf_space *space)
{
	soft_space_exit(soft(space));
}

pf_export void pf_space_destroy(struct pf_space *space)
{
	soft_space_destroy(soft(space));
}

/*
 * The pair as a range of whole pages, empty when len is 0.
 * Returns: 0 and *out; -EINVAL (misaligned); -ENOMEM (beyond the space).
 */
static int whole_pages(uint64_t at, uint64_t len, struct range *out)
{
	if (!is_page_aligned(at))
		return -EINVAL;
	if (at > TASK_BYTES || len > TASK_BYTES - at)
		return -ENOMEM;
	*out = range_of(at, page_up(len));
	return 0;
}

/* Of several calls, those that answer -EINVAL where whole_pages() has not. */
static int only_einval(int err)
{
	return err ? -EINVAL : 0;
}

pf_export int64_t pf_space_map(struct pf_space *space, uint64_t at,
			       uint64_t len, int prot, int flags)
{
	struct space_map_request req = {
		.at = at,
		.len_bytes = len,
		.prot = (unsigned)prot,
	};

	if ((prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) ||
	    (flags & ~(MAP_FIXED | MAP_FIXED_NOREPLACE)))
		return -EINVAL;
	if (flags & MAP_FIXED_NOREPLACE)
		req.flags |= SPACE_NOREPLACE;
	else if (flags & MAP_FIXED)
		req.flags |= SPACE_FIXED;
	return space_map(inner(space), &req);
}

pf_export int pf_space_unmap(struct pf_space *space, uint64_t at,
			     uint64_t len)
{
	struct range r;
	int err = only_einval(whole_pages(at, len, &r));

	if (err)
		return err;
	if (!len)
		return -EINVAL;
	return space_unmap(inner(space), r);
}

pf_export int pf_space_protect(struct pf_space *space, uint64_t at,
			       uint64_t len, int prot)
{
	struct range r;
	int err = whole_pages(at, len, &r);

	if (err)
		return err;
	if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC))
		return -EINVAL;
	return len ? space_protect(inner(space), r, (unsigned)prot) : 0;
}

pf_export int pf_space_discard(struct pf_space *space, uint64_t at,
			       uint64_t len)
{
	struct range r;
	int err = whole_pages(at, len, &r);

	if (err)
		return err;
	return len ? space_discard(inner(space), r) : 0;
}

pf_export int pf_space_guard(struct pf_space *space, uint64_t at,
			     uint64_t len, bool install)
{
	struct range r;
	int err = whole_pages(at, len, &r);

	if (err)
		return err;
	return len ? space_guard(inner(space), r, install) : 0;
}

/* ---- accesses ---- */

pf_export int pf_cpu_create(struct pf_space *space, struct pf_cpu **out)
{
	struct space_cpu *cpu;
	int err = space_cpu_create(inner(space), &cpu);

	if (err)
		return err;
	*out = (struct pf_cpu *)(void *)cpu;
	return 0;
}

pf_export void pf_cpu_destroy(struct pf_cpu *cpu)
{
	space_cpu_destroy(cpu_of(cpu));
}

pf_export int pf_load(struct pf_cpu *cpu, uint64_t va, void *dst, size_t n,
		      uint64_t *fault_va)
{
	return space_load(cpu_of(cpu), va, dst, n, fault_va);
}

pf_export int pf_store(struct pf_cpu *cpu, uint64_t va, const void *src,
		       size_t n, uint64_t *fault_va)
{
	return space_store(cpu_of(cpu), va, src, n, fault_va);
}

pf_export size_t pf_kernel_read(struct pf_space *space, void *dst,
				uint64_t va, size_t n)
{
	return space_copy_in(inner(space), dst, va, n, true);
}

pf_export size_t pf_kernel_write(struct pf_space *space, uint64_t va,
				 const void *src, size_t n)
{
	return space_copy_out(inner(space), va, src, n, true);
}

/* ---- inspection ---- */

pf_export int pf_space_entry(struct pf_space *space, uint64_t va,
			     struct pf_entry *out)
{
	struct soft_entry e;
	int err = soft_space_entry(soft(space), va, &e);

	if (err)
		return err;
	*out = (struct pf_entry){
		.is_present = e.flags & SOFT_ENTRY_PRESENT,
		.is_writable = e.flags & SOFT_ENTRY_WRITABLE,
		.is_dirty = e.flags & SOFT_ENTRY_DIRTY,
		.is_zero_page = e.flags & SOFT_ENTRY_ZERO,
		.is_exclusive = e.flags & SOFT_ENTRY_EXCLUSIVE,
		.is_wp = e.flags & SOFT_ENTRY_WP,
		.is_guard = e.flags & SOFT_ENTRY_GUARD,
		.is_poison = e.flags & SOFT_ENTRY_POISON,
		.frame = e.frame,
	};
	return 0;
}

pf_export void pf_space_read_counts(struct pf_space *space,
				    struct pf_space_counts *out)
{
	struct soft_counts counts;

	soft_space_read_counts(soft(space), &counts);
	*out = (struct pf_space_counts){
		.anon_pages = counts.anon_pages,
		.charged_pages = counts.charged_pages,
		.frames = counts.frames,
		.table_pages = counts.table_pages,
		.vmas = counts.vmas,
	};
}

pf_export void pf_space_check(struct pf_space *space)
{
	soft_space_check(soft(space));
}

pf_export void pf_fail_nth(uint64_t n)
{
	heap_fail_nth(n);
}

/* ---- objects ---- */

pf_export int pf_uffd_create(struct pf_space *space, int flags,
			     struct pf_uffd **out)
{
	struct soft_uffd *u;
	int err = soft_uffd_create(soft(space), (unsigned)flags, &u);

	if (err)
		return err;
	*out = (struct pf_uffd *)(void *)u;
	pf_uffd_set_nonblocking(*out, flags & O_NONBLOCK);
	return 0;
}

pf_export void pf_uffd_close(struct pf_uffd *uffd)
{
	soft_uffd_close(object(uffd));
}

pf_export int pf_uffd_ioctl(struct pf_uffd *uffd, uint32_t command, void *arg)
{
	const struct uffd_arg plain = uffd_arg_plain(arg);

	return uffd_ioctl(object(uffd)->uffd, command, &plain);
}

pf_export int pf_uffd_ioctl_at(struct pf_uffd *uffd, uint32_t command,
			       uint64_t va)
{
	return soft_uffd_ioctl_at(object(uffd), command, va);
}

pf_export int64_t pf_uffd_copy_from(struct pf_uffd *uffd, uint64_t dst,
				    const void *src, uint64_t len,
				    uint64_t mode)
{
	return uffd_copy_from(object(uffd)->uffd, range_of(dst, len), src,
			      mode);
}

pf_export int pf_uffd_read(struct pf_uffd *uffd, struct pf_uffd_msg *msgs,
			   unsigned count, int timeout_ms)
{
	return soft_uffd_read(object(uffd), msgs, count, timeout_ms);
}

pf_export int64_t pf_uffd_read_bytes(struct pf_uffd *uffd, void *buf, size_t n)
{
	return soft_uffd_read_bytes(object(uffd), buf, n);
}

pf_export int pf_uffd_poll(struct pf_uffd *uffd)
{
	struct soft_uffd *u = object(uffd);

	return (int)uffd_poll(u->uffd, atomic_load(&u->is_nonblocking));
}

pf_export void pf_uffd_set_nonblocking(struct pf_uffd *uffd,
				       bool is_nonblocking)
{
	atomic_store(&object(uffd)->is_nonblocking, is_nonblocking);
}

pf_export size_t pf_uffd_fdinfo(struct pf_uffd *uffd, char *text, size_t n)
{
	return uffd_fdinfo(object(uffd)->uffd, text, n);
}

pf_export void pf_uffd_raise_changing(struct pf_uffd *uffd, bool raise)
{
	uffd_raise_changing(object(uffd)->uffd, raise);
}
