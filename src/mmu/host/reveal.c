/* SPDX-License-Identifier: MIT */
/*
 * Making pages trap, and making them accessible again.
 *
 *   guard    a marker in the page's own table entry: nothing is split, the
 *            protection of the mapping stays the program's
 *   protect  PROT_NONE: every run is a mapping of its own (runs.c bounds them)
 */
#include "mmu/host/state.h"

#include "base/raw.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Private anonymous memory, as what we watch is. */
static bool looks_ours(const struct mmu_mapping *m)
{
	return !m->is_shared && (m->kind == MMU_ANON || m->kind == MMU_STACK);
}

static bool page_is_ours(struct host *h, va_t va)
{
	struct mmu_mapping m;

	if (host_is_guarding(h) && h->means.guard_seen)
		return host_page_is_guard(h, va);
	if (!h->means.procmap_query)
		return true;
	if (host_query(h, va, &m) || m.range.start > va || !looks_ours(&m))
		return false;
	return host_is_guarding(h) || m.prot == 0;
}

bool host_is_ours(struct mmu *mmu, struct range r)
{
	struct host *h = host_of(mmu);

	if (!page_is_ours(h, r.start))
		return false;
	return range_bytes(r) == PAGE_BYTES ||
	       page_is_ours(h, r.end - PAGE_BYTES);
}

/* A locked mapping takes no guards and is not emptied; unlocked it is. */
static int advise_unlocked(struct range r, int advice)
{
	int err = host_advise(r, advice);

	if (err != -EINVAL)
		return err;
	raw_call(SYS_munlock, r.start, range_bytes(r));
	return host_advise(r, advice);
}

int host_install_guards(struct range r)
{
	return advise_unlocked(r, MADV_GUARD_INSTALL);
}

/*
 * The kernel empties a page before it guards it, and in between a reader
 * would get a fresh page of zeros; so nobody can look meanwhile.
 */
static int guard_unseen(struct range r, unsigned prot)
{
	int err = prot ? host_mprotect(r, 0) : 0;

	if (err)
		return err;
	err = host_install_guards(r);
	if (prot)
		host_mprotect(r, prot);
	return err;
}

int host_revoke_pages(struct mmu *mmu, struct range r, unsigned prot)
{
	struct host *h = host_of(mmu);
	int err;

	if (host_is_guarding(h))
		return guard_unseen(r, prot);
	runs_forget(h->runs, r);
	err = host_mprotect(r, 0);
	if (!err)
		err = advise_unlocked(r, MADV_DONTNEED);
	return err;
}

void host_open(struct host *h, struct range r, unsigned prot)
{
	host_mprotect(r, prot);
	if (prot)
		runs_opened(h->runs, r);
}

/* Guards take no bytes from behind, so under protect there is none. */
void host_release_guards(struct mmu *mmu, struct range r, unsigned prot)
{
	struct host *h = host_of(mmu);

	if (host_is_guarding(h) || !h->means.guard_anon)
		return;
	runs_forget(h->runs, r);
	if (!host_install_guards(r))
		host_mprotect(r, prot);
}

struct release_part {
	struct range range;
	unsigned prot;
};

static int release_mapping(void *arg, const struct mmu_mapping *m)
{
	const struct release_part *part = arg;

	if (looks_ours(m) && m->prot == 0)
		host_mprotect(range_clip(m->range, part->range), part->prot);
	return 0;
}

void host_release(struct mmu *mmu, struct range r, unsigned prot)
{
	struct host *h = host_of(mmu);
	struct release_part part = { r, prot };

	if (host_is_guarding(h)) {
		host_advise(r, MADV_GUARD_REMOVE);
		return;
	}
	runs_forget(h->runs, r);
	if (prot)
		host_survey(mmu, r, release_mapping, &part);
}

/*
 * Called with the leaf's lock held: no fill is under way on this page, so
 * what the kernel says now is how things are.
 */
int host_refresh(struct mmu *mmu, va_t va, unsigned prot, unsigned access)
{
	struct host *h = host_of(mmu);
	struct mmu_mapping m;
	struct range page = range_of(page_down(va), PAGE_BYTES);

	if (host_query(h, va, &m) || m.range.start > va)
		return -EACCES;
	if (host_is_guarding(h) && host_page_is_guard(h, va))
		return -EACCES;
	if ((m.prot & access) == access)
		return 0;
	if (host_is_guarding(h) || m.prot != 0 || (prot & access) != access)
		return -EACCES;
	host_open(h, page, prot);
	return 0;
}

int host_protect_pages(struct mmu *mmu, struct range r, unsigned prot)
{
	struct host *h = host_of(mmu);
	int err = host_mprotect(r, prot);

	if (!err && !host_is_guarding(h) && prot)
		runs_opened(h->runs, r);
	return err;
}

void host_forget(struct mmu *mmu, struct range r)
{
	struct host *h = host_of(mmu);

	if (!host_is_guarding(h))
		runs_forget(h->runs, r);
}
