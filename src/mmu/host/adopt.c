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

/* Nothing of the range can be written now (and nothing read, if we can do
 * without reading it ourselves). */
static unsigned window_prot(const struct host *h)
{
	return h->pagemap_fd >= 0 ? 0 : ACCESS_READ;
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

/* Once something was refused, what is there is told, and nothing done. */
struct adopting {
	struct host *h;
	unsigned prot;
	mmu_found_fn found;
	void *arg;
	int err;
};

static int revoke_empty(struct host *h, struct range run)
{
	if (h->choice.revoke == HOST_GUARD)
		return host_revoke_pages(&h->mmu, run, 0);
	return host_mprotect(run, 0);
}

/* The program's guards trap as they are; but where missing pages are closed
 * by protection, they have to be, too, to be filled like these. */
static int take_guards(struct host *h, struct range run)
{
	if (h->choice.revoke == HOST_GUARD)
		return 0;
	host_advise(run, MADV_GUARD_REMOVE);
	return host_mprotect(run, 0);
}

static int adopt_run(void *arg, struct range run, enum mmu_held held)
{
	struct adopting *a = arg;
	bool is_protecting = a->h->choice.revoke == HOST_PROTECT;

	if (held != MMU_HOLDS_NOTHING)
		a->found(a->arg, run, held);
	if (a->err)
		return 0;
	if (held == MMU_HOLDS_NOTHING)
		a->err = revoke_empty(a->h, run);
	else if (held == MMU_HOLDS_GUARD)
		a->err = take_guards(a->h, run);
	else if (is_protecting)
		host_open(a->h, run, a->prot);
	return 0;
}

int host_adopt(struct mmu *mmu, const struct mmu_mapping *m, struct range r,
	       mmu_found_fn found, void *arg)
{
	struct host *h = host_of(mmu);
	struct adopting a = { h, m->prot, found, arg, 0 };
	int err;

	if (m->kind == MMU_STACK) {
		found(arg, r, MMU_HOLDS_BYTES);
		return 0;
	}
	if (h->means.droppable && host_is_droppable(r.start))
		return -EINVAL;
	want_small_pages(h, r);
	a.err = host_mprotect(r, window_prot(h));
	err = host_each_run(h, r, adopt_run, &a);
	if (!err)
		err = a.err;
	if (err || h->choice.revoke == HOST_GUARD)
		host_mprotect(r, m->prot);
	host_window_closes();
	return err;
}
