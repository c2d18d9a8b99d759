/* SPDX-License-Identifier: MIT */
/*
 * Taking over memory that is in use.
 *
 *   1 everything is made inaccessible: other threads trap, and wait for the
 *     map lock that our caller holds
 *   2 what holds something is found: it is left as it is
 *   3 the rest is revoked
 *   4 the program's protection comes back
 *
 * Between 1 and 4 no byte can change, so none is lost.
 */
#include "mmu/host/state.h"

#include "base/mem.h"
#include "base/raw.h"

#include <errno.h>
#include <sys/mman.h>

static _Atomic uint64_t last_window_ns;

uint64_t host_last_window_ns(void)
{
	return atomic_load(&last_window_ns);
}

void host_window_closes(void)
{
	atomic_store(&last_window_ns, sync_now_ns());
}

/*
 * Without a pagemap: a page holds something when a byte of it is not zero. A
 * page of zeros that the program wrote counts as missing; docs/limits.md.
 */
static bool page_has_bytes(va_t va)
{
	uint64_t words[64];
	size_t n = sizeof(words);

	for (size_t at = 0; at < PAGE_BYTES; at += n) {
		const void *from = (const void *)(uintptr_t)(va + at);

		if (host_copy_nofault(words, from, n) != n)
			return false;
		for (size_t i = 0; i < array_len(words); i++)
			if (words[i])
				return true;
	}
	return false;
}

static int scan_run(struct range r, bool *is_present, va_t *end)
{
	va_t at = r.start;

	*is_present = page_has_bytes(at);
	do {
		at += PAGE_BYTES;
	} while (at < r.end && page_has_bytes(at) == *is_present);
	*end = at;
	return 0;
}

static int find_run(struct host *h, struct range r, bool *is_present,
		    va_t *end)
{
	if (h->pagemap_fd >= 0)
		return host_run(h, r, is_present, end);
	return scan_run(r, is_present, end);
}

/* Nothing of the range can be written now (and nothing read, if we can do
 * without reading it ourselves). */
static unsigned window_prot(const struct host *h, unsigned prot)
{
	return h->pagemap_fd >= 0 ? 0 : prot & ACCESS_READ;
}

/*
 * Under strategy protect a write from behind would fill a whole huge page,
 * the pages next to it too; docs/limits.md.
 */
static void want_small_pages(struct host *h, struct range r)
{
	if (h->choice.revoke == HOST_PROTECT)
		host_advise(r, MADV_NOHUGEPAGE);
}

static int revoke_run(struct host *h, struct range run)
{
	if (h->choice.revoke == HOST_GUARD)
		return host_revoke_pages(&h->mmu, run, 0);
	return host_mprotect(run, 0);
}

static int adopt_runs(struct host *h, const struct mmu_mapping *m,
		      struct range r, mmu_present_fn present, void *arg)
{
	bool is_present = false;
	va_t end = r.start;
	int err;

	for (va_t at = r.start; at < r.end; at = end) {
		struct range run;

		err = find_run(h, (struct range){ at, r.end }, &is_present,
			       &end);
		if (err)
			return err;
		run = (struct range){ at, end };
		if (!is_present)
			err = revoke_run(h, run);
		else
			present(arg, run);
		if (!err && is_present && h->choice.revoke == HOST_PROTECT)
			host_open(h, run, m->prot);
		if (err)
			return err;
	}
	return 0;
}

int host_adopt(struct mmu *mmu, const struct mmu_mapping *m, struct range r,
	       mmu_present_fn present, void *arg)
{
	struct host *h = host_of(mmu);
	int err;

	if (m->kind == MMU_STACK) {
		present(arg, r);
		return 0;
	}
	if (h->means.droppable && host_is_droppable(m->range))
		return -EINVAL;
	want_small_pages(h, r);
	err = host_mprotect(r, window_prot(h, m->prot));
	if (err)
		return err;
	err = adopt_runs(h, m, r, present, arg);
	if (err)
		host_release(mmu, r, m->prot);
	if (err || h->choice.revoke == HOST_GUARD)
		host_mprotect(r, m->prot);
	host_window_closes();
	return err;
}
