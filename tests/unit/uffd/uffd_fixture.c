/* SPDX-License-Identifier: MIT */
#include "uffd_fixture.h"

#include "mmu/mmu.h"

#include <stdlib.h>

static void readable(void *arg, bool is_readable)
{
	struct fx *fx = arg;

	/* "Still readable" may be said again; "no longer" is said once. */
	assert_true(is_readable || fx->told == 1);
	fx->tells += fx->told != (int)is_readable;
	fx->told = is_readable;
}

static bool is_privileged(void *arg)
{
	const struct fx *fx = arg;

	return !fx->is_unprivileged;
}

static struct uffd *make(struct fx *fx, const struct profile *profile)
{
	struct uffd_options options = {
		.space = fx->space,
		.profile = profile,
		.flags = O_NONBLOCK,
		.host = {
			.readable = readable,
			.is_privileged = is_privileged,
			.arg = fx,
		},
	};
	struct uffd *u;

	assert_int_equal(uffd_create(&options, &u), 0);
	return u;
}

static int setup(void **state, const char *profile)
{
	struct fx *fx = calloc(1, sizeof(*fx));
	struct space_options options = { 0 };

	assert_non_null(fx);
	fx->heap_before = heap_outstanding();
	fx->profile = options.profile = profile_find(profile);
	fx->is_seed = !strcmp(profile, "linux-5.4");
	assert_int_equal(mmu_soft_create(&options.mmu), 0);
	assert_int_equal(space_create(&options, &fx->space), 0);
	fx->told = -1;
	fx->u = make(fx, NULL);
	*state = fx;
	return 0;
}

int fx_setup_seed(void **state)
{
	return setup(state, "linux-5.4");
}

int fx_setup_newest(void **state)
{
	return setup(state, "linux-6.18");
}

int fx_teardown(void **state)
{
	struct fx *fx = *state;

	heap_fail_nth(0);
	if (!atomic_load(&fx->space->is_dead))
		space_check(fx->space);
	uffd_check(fx->u);
	uffd_release(fx->u);
	assert_int_not_equal(fx->told, 1);
	if (!atomic_load(&fx->space->is_dead))
		space_exit(fx->space);
	space_put(fx->space);
	assert_int_equal(heap_outstanding(), fx->heap_before);
	free(fx);
	return 0;
}

void fx_renew(struct fx *fx, const struct profile *profile)
{
	uffd_release(fx->u);
	fx->told = -1;
	fx->tells = 0;
	fx->u = make(fx, profile);
}

static int api(struct uffd *u, uint64_t features)
{
	struct pf_uffdio_api block = { PF_UFFD_API, features, 0 };
	struct uffd_arg arg = uffd_arg_plain(&block);

	return uffd_ioctl(u, PF_UFFDIO_API, &arg);
}

void fx_ready(struct fx *fx, uint64_t features)
{
	assert_int_equal(api(fx->u, features), 0);
}

struct uffd *fx_other(struct fx *fx)
{
	struct uffd_options options = { .space = fx->space };
	struct uffd *u;

	assert_int_equal(uffd_create(&options, &u), 0);
	assert_int_equal(api(u, 0), 0);
	return u;
}

va_t fx_map(struct fx *fx, uint64_t pages, unsigned prot)
{
	struct space_map_request req = {
		.len_bytes = pages * PAGE,
		.prot = prot,
	};
	int64_t at = space_map(fx->space, &req);

	assert_true(at > 0);
	return (va_t)at;
}

va_t fx_map_watched(struct fx *fx, uint64_t pages)
{
	va_t at = fx_map(fx, pages, RW);

	assert_int_equal(fx_register(fx->u, at, pages * PAGE,
				     PF_UFFDIO_REGISTER_MODE_MISSING, NULL),
			 0);
	return at;
}

va_t fx_map_filled(struct fx *fx, uint64_t pages, int byte)
{
	va_t at = fx_map(fx, pages, RW);
	size_t n = (size_t)(pages * PAGE);
	char *bytes = malloc(n);

	assert_non_null(bytes);
	memset(bytes, byte, n);
	assert_int_equal(space_copy_out(fx->space, at, bytes, n, true), n);
	free(bytes);
	return at;
}

struct vma *fx_vma(struct fx *fx, va_t va)
{
	struct vma *vma;

	space_begin(fx->space);
	vma = space_find_vma(fx->space, va);
	space_end(fx->space);
	return vma && range_has(vma->range, va) ? vma : NULL;
}

unsigned fx_vmas(struct fx *fx, va_t at, uint64_t pages)
{
	struct range r = range_of(at, pages * PAGE);
	struct vma *vma;
	unsigned n = 0;

	space_begin(fx->space);
	space_each_vma(fx->space, r, vma)
		n++;
	space_end(fx->space);
	return n;
}

static int block_in(void *at, void *dst, size_t n)
{
	const struct fx_block *b = at;

	if (b->is_unreadable)
		return -EFAULT;
	memcpy(dst, b->block, n);
	return 0;
}

static int block_out(void *at, size_t offset, const void *src, size_t n)
{
	const struct fx_block *b = at;

	if (offset + n > b->unwritable_from)
		return -EFAULT;
	memcpy((char *)b->block + offset, src, n);
	return 0;
}

int fx_ioctl(struct uffd *u, uint32_t command, const struct fx_block *block)
{
	struct fx_block copy = *block;
	struct uffd_arg arg = { block_in, block_out, &copy };

	return uffd_ioctl(u, command, &arg);
}

static int plain(struct uffd *u, uint32_t command, void *block)
{
	struct uffd_arg arg = uffd_arg_plain(block);

	return uffd_ioctl(u, command, &arg);
}

int fx_register(struct uffd *u, uint64_t at, uint64_t len, uint64_t mode,
		uint64_t *ioctls)
{
	struct pf_uffdio_register block = {
		.range = { at, len },
		.mode = mode,
		.ioctls = (uint64_t)UNTOUCHED,
	};
	int err = plain(u, PF_UFFDIO_REGISTER, &block);

	if (ioctls)
		*ioctls = block.ioctls;
	return err;
}

int fx_unregister(struct uffd *u, uint64_t at, uint64_t len)
{
	struct pf_uffdio_range block = { at, len };

	return plain(u, PF_UFFDIO_UNREGISTER, &block);
}

int fx_wake(struct uffd *u, uint64_t at, uint64_t len)
{
	struct pf_uffdio_range block = { at, len };

	return plain(u, PF_UFFDIO_WAKE, &block);
}

int fx_copy(struct uffd *u, struct pf_uffdio_copy *block)
{
	block->copy = UNTOUCHED;
	return plain(u, PF_UFFDIO_COPY, block);
}

int fx_zero(struct uffd *u, struct pf_uffdio_zeropage *block)
{
	block->zeropage = UNTOUCHED;
	return plain(u, PF_UFFDIO_ZEROPAGE, block);
}

int fx_copy_pages(struct uffd *u, va_t dst, va_t src, uint64_t pages,
		  int64_t *out)
{
	struct pf_uffdio_copy block = {
		.dst = dst, .src = src, .len = pages * PAGE,
	};
	int err = fx_copy(u, &block);

	if (out)
		*out = block.copy;
	return err;
}

int fx_zero_pages(struct uffd *u, va_t at, uint64_t pages, int64_t *out)
{
	struct pf_uffdio_zeropage block = { .range = { at, pages * PAGE } };
	int err = fx_zero(u, &block);

	if (out)
		*out = block.zeropage;
	return err;
}

struct watch_ticket fx_fault(struct fx *fx, va_t va, unsigned access)
{
	struct watch_ticket ticket = { 0 };

	assert_int_equal(space_fault(fx->space, va, access, &ticket),
			 SPACE_WAIT);
	return ticket;
}

bool fx_is_woken(const struct watch_ticket *ticket)
{
	return atomic_load(ticket->word) != ticket->seen;
}

struct pf_uffd_msg fx_take(struct fx *fx)
{
	struct pf_uffd_msg msg;

	assert_int_equal(uffd_take(fx->u, &msg, 1), 1);
	return msg;
}

int fx_peek(struct fx *fx, va_t va)
{
	unsigned char byte;

	if (space_copy_in(fx->space, &byte, va, 1, false) != 1)
		return -1;
	return byte;
}
