/* SPDX-License-Identifier: MIT */
/* Ours on software page tables, through the embedded interface. */
#include "world.h"

#include "t.h"

#include "polyfault/embed.h"

#include <errno.h>
#include <stdlib.h>

struct soft_state {
	struct pf_space *space;
	bool is_exited;
};

/* Each thread that loads or stores has a CPU of its own. */
static _Thread_local struct pf_cpu *own_cpu;

static struct pf_space *space_of(const struct world *w)
{
	return ((struct soft_state *)w->state)->space;
}

static struct pf_cpu *cpu_of(const struct world *w)
{
	if (!own_cpu)
		T_OK(pf_cpu_create(space_of(w), &own_cpu));
	return own_cpu;
}

static void soft_thread_ends(struct world *w)
{
	(void)w;
	if (own_cpu)
		pf_cpu_destroy(own_cpu);
	own_cpu = NULL;
}

static int soft_open(struct world *w)
{
	struct pf_space_config config = {
		.profile = w->kind == W_SEED ? "linux-5.4" : "linux-6.18",
	};
	struct soft_state *state = calloc(1, sizeof(*state));

	w->state = state;
	return pf_space_create(&config, &state->space);
}

static void soft_exit(struct world *w)
{
	struct soft_state *state = w->state;

	soft_thread_ends(w);
	if (!state->is_exited)
		pf_space_exit(state->space);
	state->is_exited = true;
}

static void soft_close(struct world *w)
{
	struct pf_space_counts counts;
	struct soft_state *state = w->state;

	if (!state->is_exited)
		pf_space_check(state->space);
	soft_exit(w);
	pf_space_read_counts(state->space, &counts);
	T_EQ(counts.anon_pages, 0);
	T_EQ(counts.charged_pages, 0);
	T_EQ(counts.frames, 0);
	T_EQ(counts.vmas, 0);
	pf_space_destroy(state->space);
	free(state);
}

static int64_t soft_map(struct world *w, uint64_t at, uint64_t len, int prot,
			int flags)
{
	return pf_space_map(space_of(w), at, len, prot, flags);
}

static int soft_unmap(struct world *w, uint64_t at, uint64_t len)
{
	return pf_space_unmap(space_of(w), at, len);
}

static int soft_protect(struct world *w, uint64_t at, uint64_t len, int prot)
{
	return pf_space_protect(space_of(w), at, len, prot);
}

static int soft_discard(struct world *w, uint64_t at, uint64_t len)
{
	return pf_space_discard(space_of(w), at, len);
}

static int soft_guard(struct world *w, uint64_t at, uint64_t len)
{
	return pf_space_guard(space_of(w), at, len, true);
}

static struct w_outcome soft_access(struct world *w, uint64_t va, void *buf,
				    size_t n, bool is_store)
{
	struct w_outcome outcome = { .end = W_DONE };
	int err;

	err = is_store ? pf_store(cpu_of(w), va, buf, n, &outcome.at)
		       : pf_load(cpu_of(w), va, buf, n, &outcome.at);
	if (err)
		outcome.end = err == -EIO ? W_BUS : W_SEGV;
	return outcome;
}

static int64_t soft_kernel_access(struct world *w, uint64_t va, void *buf,
				  size_t n, bool is_store)
{
	size_t done = is_store ? pf_kernel_write(space_of(w), va, buf, n)
			       : pf_kernel_read(space_of(w), buf, va, n);

	return done ? (int64_t)done : -EFAULT;
}

static int soft_entry(struct world *w, uint64_t va, struct w_entry *out)
{
	struct pf_entry entry;
	int err = pf_space_entry(space_of(w), va, &entry);

	if (err)
		return err;
	out->is_present = entry.is_present;
	out->is_exclusive = entry.is_exclusive;
	out->is_wp = entry.is_wp;
	out->is_guard = entry.is_guard;
	out->is_zero_page = entry.is_zero_page;
	return 0;
}

static int64_t soft_count(struct world *w, uint64_t va, int what)
{
	struct pf_space_counts counts;
	struct pf_entry entry = { 0 };

	pf_space_read_counts(space_of(w), &counts);
	switch (what) {
	case W_ANON_PAGES:
		return (int64_t)counts.anon_pages;
	case W_DIRTY_PAGES:
		T_OK(pf_space_entry(space_of(w), va, &entry));
		return entry.is_dirty;
	case W_CHARGED_PAGES:
		return (int64_t)counts.charged_pages;
	default:
		return (int64_t)counts.vmas;
	}
}

static int soft_create(struct world *w, int flags, struct w_uffd *out)
{
	struct pf_uffd *uffd;
	int err = pf_uffd_create(space_of(w), flags, &uffd);

	if (!err)
		out->soft = uffd;
	return err;
}

static void soft_release(struct w_uffd *u)
{
	pf_uffd_close(u->soft);
}

static int soft_ioctl(struct w_uffd *u, uint32_t command, void *block)
{
	return pf_uffd_ioctl(u->soft, command, block);
}

static int soft_ioctl_at(struct w_uffd *u, uint32_t command, uint64_t va)
{
	return pf_uffd_ioctl_at(u->soft, command, va);
}

static int64_t soft_read(struct w_uffd *u, void *buf, size_t n)
{
	return pf_uffd_read_bytes(u->soft, buf, n);
}

static int soft_poll(struct w_uffd *u)
{
	return pf_uffd_poll(u->soft);
}

static void soft_set_nonblocking(struct w_uffd *u, bool is_nonblocking)
{
	pf_uffd_set_nonblocking(u->soft, is_nonblocking);
}

static int64_t soft_fdinfo(struct w_uffd *u, char *text, size_t n)
{
	return (int64_t)pf_uffd_fdinfo(u->soft, text, n);
}

static int soft_orphan(struct world *w, uint64_t at, struct w_uffd *out)
{
	struct pf_uffdio_api api = { .api = PF_UFFD_API };
	struct pf_uffdio_register reg = { { at, PG }, 1, 0 };

	T_OK(soft_create(w, 0, out));
	soft_set_nonblocking(out, true);
	T_EQ(soft_map(w, at, PG, RW, MAP_FIXED), at);
	T_OK(soft_ioctl(out, PF_UFFDIO_API, &api));
	T_OK(soft_ioctl(out, PF_UFFDIO_REGISTER, &reg));
	soft_exit(w);
	return 0;
}

static int soft_raise(struct w_uffd *u, bool is_raised)
{
	pf_uffd_raise_changing(u->soft, is_raised);
	return 0;
}

/* A fresh space: privilege is decided when it is created. */
static void soft_drop_privilege(struct world *w)
{
	struct pf_space_config config = {
		.profile = w->kind == W_SEED ? "linux-5.4" : "linux-6.18",
		.is_unprivileged = true,
	};
	struct soft_state *state = w->state;

	T_TRUE(!w->uffds && !w->tasks);
	soft_thread_ends(w);
	pf_space_destroy(state->space);
	T_OK(pf_space_create(&config, &state->space));
}

const struct world_ops world_soft = {
	.open = soft_open,
	.close = soft_close,
	.map = soft_map,
	.unmap = soft_unmap,
	.protect = soft_protect,
	.discard = soft_discard,
	.guard = soft_guard,
	.access = soft_access,
	.kernel_access = soft_kernel_access,
	.entry = soft_entry,
	.count = soft_count,
	.create = soft_create,
	.release = soft_release,
	.ioctl = soft_ioctl,
	.ioctl_at = soft_ioctl_at,
	.read = soft_read,
	.poll = soft_poll,
	.set_nonblocking = soft_set_nonblocking,
	.fdinfo = soft_fdinfo,
	.orphan = soft_orphan,
	.raise = soft_raise,
	.drop_privilege = soft_drop_privilege,
	.thread_ends = soft_thread_ends,
};
