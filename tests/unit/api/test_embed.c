/* SPDX-License-Identifier: MIT */
/*
 * Does the embedded interface do, end to end and with real threads, what an
 * emulator would want of it?
 */
#include <polyfault/embed.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#define PAGE ((uint64_t)4096)
#define RW (PROT_READ | PROT_WRITE)

struct em {
	bool is_seed;
	struct pf_space *space;
	struct pf_uffd *u;
};

static int setup(void **state, const char *profile)
{
	struct pf_space_config config = { .profile = profile };
	struct pf_uffdio_api api = { PF_UFFD_API, 0, 0 };
	struct em *em = calloc(1, sizeof(*em));

	assert_non_null(em);
	em->is_seed = !strcmp(profile, "linux-5.4");
	assert_int_equal(pf_space_create(&config, &em->space), 0);
	assert_int_equal(pf_uffd_create(em->space, O_NONBLOCK, &em->u), 0);
	assert_int_equal(pf_uffd_ioctl(em->u, PF_UFFDIO_API, &api), 0);
	*state = em;
	return 0;
}

static int setup_seed(void **state)
{
	return setup(state, "linux-5.4");
}

static int setup_newest(void **state)
{
	return setup(state, "linux-6.18");
}

static int teardown(void **state)
{
	struct em *em = *state;

	pf_fail_nth(0);
	pf_space_check(em->space);
	if (em->u)
		pf_uffd_close(em->u);
	pf_space_destroy(em->space);
	free(em);
	return 0;
}

#define BOTH(f)                                           \
	{ #f "_on_5_4", f, setup_seed, teardown, NULL },  \
	{ #f "_on_6_18", f, setup_newest, teardown, NULL }

static uint64_t map(struct em *em, uint64_t pages)
{
	int64_t at = pf_space_map(em->space, 0, pages * PAGE, RW, 0);

	assert_true(at > 0);
	return (uint64_t)at;
}

static uint64_t map_watched(struct em *em, uint64_t pages)
{
	struct pf_uffdio_register reg = {
		.range = { map(em, pages), pages * PAGE },
		.mode = PF_UFFDIO_REGISTER_MODE_MISSING,
	};

	assert_int_equal(pf_uffd_ioctl(em->u, PF_UFFDIO_REGISTER, &reg), 0);
	return reg.range.start;
}

/* One access in a thread of its own, which may wait. */
struct access {
	struct pf_space *space;
	uint64_t va;
	bool is_store, is_kernel;
	uint64_t value;
	int err;
	uint64_t fault_va;
	pthread_t thread;
};

static void *run_access(void *arg)
{
	struct access *a = arg;
	struct pf_cpu *cpu;

	if (a->is_kernel) {
		a->err = pf_kernel_read(a->space, &a->value, a->va, 8) == 8
				 ? 0
				 : -EFAULT;
		return NULL;
	}
	a->err = pf_cpu_create(a->space, &cpu);
	if (a->err)
		return NULL;
	if (a->is_store)
		a->err = pf_store(cpu, a->va, &a->value, 8, &a->fault_va);
	else
		a->err = pf_load(cpu, a->va, &a->value, 8, &a->fault_va);
	pf_cpu_destroy(cpu);
	return NULL;
}

static void begin(struct em *em, struct access *a, uint64_t va)
{
	a->space = em->space;
	a->va = va;
	a->err = 1;
	assert_int_equal(pthread_create(&a->thread, NULL, run_access, a), 0);
}

static int end(struct access *a)
{
	assert_int_equal(pthread_join(a->thread, NULL), 0);
	return a->err;
}

static void nap(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	(void)nanosleep(&ms, NULL);
}

static void await_message(struct em *em)
{
	unsigned ms;

	for (ms = 0; pf_uffd_poll(em->u) != POLLIN; ms++) {
		assert_true(ms < 10000);
		nap();
	}
}

/* Until that many faults wait, as fdinfo tells. */
static void await_total(struct em *em, unsigned total)
{
	char text[129], line[32];
	unsigned ms;

	(void)snprintf(line, sizeof(line), "total:\t%u\n", total);
	for (ms = 0;; ms++) {
		text[pf_uffd_fdinfo(em->u, text, 128)] = '\0';
		if (strstr(text, line))
			return;
		assert_true(ms < 10000);
		nap();
	}
}

static struct pf_uffd_msg next_message(struct em *em)
{
	struct pf_uffd_msg msg;

	assert_int_equal(pf_uffd_read(em->u, &msg, 1, 10000), 1);
	assert_int_equal(msg.event, PF_UFFD_EVENT_PAGEFAULT);
	return msg;
}

static void fill(struct em *em, uint64_t at, int byte)
{
	char bytes[4096];

	memset(bytes, byte, sizeof(bytes));
	assert_int_equal(pf_uffd_copy_from(em->u, at, bytes, PAGE, 0), PAGE);
}

static int wake(struct em *em, uint64_t at, uint64_t pages)
{
	struct pf_uffdio_range block = { at, pages * PAGE };

	return pf_uffd_ioctl(em->u, PF_UFFDIO_WAKE, &block);
}

/* ---- the whole story ---- */

static void a_fault_is_read_filled_and_over(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 4);
	struct access load = { 0 };
	struct pf_uffd_msg msg;

	begin(em, &load, at + PAGE + 16);
	await_message(em);
	msg = next_message(em);
	assert_int_equal(msg.arg.pagefault.address, at + PAGE);
	assert_int_equal(msg.arg.pagefault.flags, 0);
	fill(em, at + PAGE, 0x77);
	assert_int_equal(end(&load), 0);
	assert_true(load.value == 0x7777777777777777);
	await_total(em, 0);
}

static void a_store_waits_and_is_not_lost(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 1), value = 0;
	struct access store = { .is_store = true, .value = 0x1234 };

	begin(em, &store, at + 8);
	assert_int_equal(next_message(em).arg.pagefault.flags,
			 PF_UFFD_PAGEFAULT_FLAG_WRITE);
	fill(em, at, 1);
	assert_int_equal(end(&store), 0);
	assert_int_equal(pf_kernel_read(em->space, &value, at + 8, 8), 8);
	assert_int_equal(value, 0x1234);
}

static void L51_a_kernel_access_waits_as_well(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 1);
	struct access load = { .is_kernel = true };

	begin(em, &load, at);
	(void)next_message(em);
	fill(em, at, 2);
	assert_int_equal(end(&load), 0);
	assert_true(load.value == 0x0202020202020202);
}

static void L10_several_waiters_on_one_page(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 1);
	struct access loads[4] = { 0 };
	unsigned i;

	for (i = 0; i < 4; i++)
		begin(em, &loads[i], at + i * 64);
	await_total(em, 4);
	fill(em, at, 3);
	for (i = 0; i < 4; i++)
		assert_int_equal(end(&loads[i]), 0);
	assert_int_equal(pf_uffd_poll(em->u), 0); /* L12 */
}

static void L14_a_blocking_read_returns_on_a_fault(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 1);
	struct access load = { 0 };
	struct pf_uffd_msg msgs[4];

	pf_uffd_set_nonblocking(em->u, false);
	assert_int_equal(pf_uffd_poll(em->u), POLLERR); /* L15 */
	begin(em, &load, at);
	assert_int_equal(pf_uffd_read_bytes(em->u, msgs, sizeof(msgs)), 32);
	assert_int_equal(msgs[0].arg.pagefault.address, at); /* L16 */
	fill(em, at, 4);
	assert_int_equal(end(&load), 0);
}

static void L01_L02_reads_that_are_refused(void **state)
{
	struct em *em = *state;
	struct pf_uffd_msg msg;
	char small[31];

	assert_int_equal(pf_uffd_read(em->u, &msg, 1, -1), -EAGAIN);
	assert_int_equal(pf_uffd_read(em->u, &msg, 1, 5), -EAGAIN);
	assert_int_equal(pf_uffd_read_bytes(em->u, &msg, 32), -EAGAIN);
	assert_int_equal(pf_uffd_read_bytes(em->u, small, 31), -EINVAL);
	assert_int_equal(pf_uffd_read_bytes(em->u, small, 0), -EINVAL);
}

static void L02c_L04_bad_buffers_with_a_message_pending(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 1);
	struct access load = { 0 };
	char small[31];

	begin(em, &load, at);
	await_message(em);
	assert_int_equal(pf_uffd_read_bytes(em->u, small, 31), -EINVAL);
	assert_int_equal(pf_uffd_poll(em->u), POLLIN);
	assert_int_equal(pf_uffd_read_bytes(em->u, NULL, 32), -EFAULT);
	assert_int_equal(pf_uffd_poll(em->u), 0);
	await_total(em, 1);
	fill(em, at, 5);
	assert_int_equal(end(&load), 0);
}

static void L09_many_messages_in_one_read(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 20);
	struct access loads[20] = { { 0 } };
	struct pf_uffd_msg msgs[21];
	unsigned i;

	for (i = 0; i < 20; i++)
		begin(em, &loads[i], at + i * PAGE);
	await_total(em, 20);
	assert_int_equal(pf_uffd_read_bytes(em->u, msgs, sizeof(msgs)),
			 20 * 32);
	for (i = 0; i < 20; i++)
		fill(em, msgs[i].arg.pagefault.address, (int)i);
	for (i = 0; i < 20; i++)
		assert_int_equal(end(&loads[i]), 0);
}

static void G03_wake_without_resolving(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 1);
	struct access load = { 0 };

	begin(em, &load, at);
	(void)next_message(em);
	assert_int_equal(wake(em, at, 1), 0);
	if (em->is_seed) {
		/* One userfault for an access: the second is SIGBUS. */
		assert_int_equal(end(&load), -EIO);
		assert_true(load.fault_va == at);
		return;
	}
	(void)next_message(em);
	fill(em, at, 6);
	assert_int_equal(end(&load), 0);
}

static void L26b_last_close_releases_everyone(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 2);
	struct access one = { 0 }, two = { 0 };

	begin(em, &one, at);
	(void)next_message(em);
	begin(em, &two, at + PAGE);
	await_total(em, 2);
	pf_uffd_close(em->u);
	em->u = NULL;
	assert_int_equal(end(&one), 0);
	assert_int_equal(end(&two), 0);
	assert_int_equal(one.value + two.value, 0);
}

static void D06_unregister_releases_waiters(void **state)
{
	struct em *em = *state;
	struct pf_uffdio_range block = { map_watched(em, 1), PAGE };
	struct access load = { 0 };

	begin(em, &load, block.start);
	(void)next_message(em);
	assert_int_equal(pf_uffd_ioctl(em->u, PF_UFFDIO_UNREGISTER, &block),
			 0);
	assert_int_equal(end(&load), 0);
	assert_int_equal(load.value, 0);
}

static void exit_releases_waiters_with_a_fault(void **state)
{
	struct em *em = *state;
	struct pf_uffdio_zeropage zero = {
		.range = { map_watched(em, 1), PAGE },
	};
	struct access load = { 0 };
	struct pf_uffd_msg msg;

	begin(em, &load, zero.range.start);
	await_message(em);
	pf_space_exit(em->space);
	assert_int_equal(end(&load), -EFAULT);
	assert_int_equal(pf_uffd_read(em->u, &msg, 1, 0), -EAGAIN); /* L30 */
	assert_int_equal(pf_uffd_poll(em->u), 0);                   /* L31 */
	assert_int_equal(pf_uffd_ioctl(em->u, PF_UFFDIO_ZEROPAGE, &zero),
			 -ESRCH); /* F09 */
	assert_int_equal(wake(em, zero.range.start, 1), 0); /* G06 */
}

static void an_object_outlives_its_space(void **state)
{
	struct em *em = *state;
	struct pf_uffdio_zeropage zero = {
		.range = { map_watched(em, 1), PAGE },
	};
	struct pf_space *other;
	struct pf_uffd *u = em->u;

	assert_int_equal(pf_space_create(NULL, &other), 0);
	pf_space_destroy(em->space);
	assert_int_equal(pf_uffd_ioctl(u, PF_UFFDIO_ZEROPAGE, &zero), -ESRCH);
	pf_uffd_close(u);
	em->space = other;
	em->u = NULL;
}

/* ---- copies whose source is missing too ---- */

static void *run_copy(void *arg)
{
	struct pf_uffdio_copy *block = arg;
	struct em *em = (struct em *)(uintptr_t)block->copy;

	block->copy = pf_uffd_ioctl(em->u, PF_UFFDIO_COPY, block);
	return NULL;
}

static void E24_source_is_a_missing_page_itself(void **state)
{
	struct em *em = *state;
	uint64_t src = map_watched(em, 1), dst = map_watched(em, 1);
	struct pf_uffdio_copy block = { dst, src, PAGE, 0, 0 };
	struct access other = { .is_kernel = true };
	pthread_t thread;

	block.copy = (int64_t)(uintptr_t)em;
	assert_int_equal(pthread_create(&thread, NULL, run_copy, &block), 0);
	assert_int_equal(next_message(em).arg.pagefault.address, src);
	/* E24b: COPY waits without a lock, so others go on. */
	begin(em, &other, map(em, 1));
	assert_int_equal(end(&other), 0);
	fill(em, src, 0x33);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(block.copy, 0); /* E24c */
	assert_int_equal(pf_kernel_read(em->space, &block, dst, 1), 1);
	assert_int_equal(*(char *)&block, 0x33);
}

static void E68_source_is_the_destination(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 1);
	struct pf_uffdio_copy block = { at, at, PAGE, 0, 0 };
	pthread_t thread;

	block.copy = (int64_t)(uintptr_t)em;
	assert_int_equal(pthread_create(&thread, NULL, run_copy, &block), 0);
	assert_int_equal(next_message(em).arg.pagefault.address, at);
	fill(em, at, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(block.copy, -EEXIST);
}

static void E64_a_change_while_the_copy_waits(void **state)
{
	struct em *em = *state;
	uint64_t src = map_watched(em, 1), dst = map_watched(em, 1);
	struct pf_uffdio_copy block = { dst, src, PAGE, 0, 0 };
	struct pf_uffdio_zeropage zero = { .range = { src, PAGE } };
	pthread_t thread;

	block.copy = (int64_t)(uintptr_t)em;
	assert_int_equal(pthread_create(&thread, NULL, run_copy, &block), 0);
	(void)next_message(em);
	/* Filled through another object, since ours may not fill now. */
	pf_uffd_raise_changing(em->u, true);
	assert_int_equal(pf_uffd_ioctl(em->u, PF_UFFDIO_ZEROPAGE, &zero),
			 -EAGAIN);
	pf_uffd_raise_changing(em->u, false);
	zero.mode = PF_UFFDIO_ZEROPAGE_MODE_DONTWAKE;
	assert_int_equal(pf_uffd_ioctl(em->u, PF_UFFDIO_ZEROPAGE, &zero), 0);
	pf_uffd_raise_changing(em->u, true);
	assert_int_equal(wake(em, src, 1), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(block.copy, -EAGAIN);
	pf_uffd_raise_changing(em->u, false);
}

/* ---- argument blocks inside the space ---- */

static void commands_at_addresses_of_the_space(void **state)
{
	struct em *em = *state;
	uint64_t block_at = map(em, 1), at = map_watched(em, 1);
	struct pf_uffdio_zeropage zero = { .range = { at, PAGE } };

	assert_int_equal(pf_kernel_write(em->space, block_at, &zero,
					 sizeof(zero)),
			 sizeof(zero));
	assert_int_equal(pf_space_protect(em->space, block_at, PAGE,
					  PROT_READ),
			 0);
	assert_int_equal(pf_uffd_ioctl_at(em->u, PF_UFFDIO_ZEROPAGE, block_at),
			 -EFAULT);
	assert_int_equal(pf_space_protect(em->space, block_at, PAGE, RW), 0);
	assert_int_equal(pf_uffd_ioctl_at(em->u, PF_UFFDIO_ZEROPAGE, block_at),
			 -EEXIST); /* the first one did its work */
	assert_int_equal(pf_kernel_read(em->space, &zero, block_at,
					sizeof(zero)),
			 sizeof(zero));
	assert_int_equal(zero.zeropage, -EEXIST);
	assert_int_equal(pf_uffd_ioctl_at(em->u, PF_UFFDIO_ZEROPAGE, 0x1000),
			 -EFAULT);
	assert_int_equal(pf_uffd_ioctl(em->u, PF_UFFDIO_ZEROPAGE, NULL),
			 -EFAULT);
}

/* ---- accounting and entries ---- */

static void E65_F16_accounting(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 3);
	struct pf_uffdio_zeropage zero = { .range = { at + PAGE, PAGE } };
	struct pf_space_counts before, after;
	struct pf_entry entry;

	pf_space_read_counts(em->space, &before);
	fill(em, at, 1);
	assert_int_equal(pf_uffd_ioctl(em->u, PF_UFFDIO_ZEROPAGE, &zero), 0);
	pf_space_read_counts(em->space, &after);
	assert_int_equal(after.anon_pages, before.anon_pages + 1);
	assert_int_equal(after.charged_pages, before.charged_pages + 1);
	assert_int_equal(after.frames, before.frames + 1);
	assert_int_equal(after.vmas, before.vmas);

	assert_int_equal(pf_space_entry(em->space, at, &entry), 0);
	assert_true(entry.is_present && entry.is_writable && entry.is_dirty &&
		    entry.is_exclusive && !entry.is_zero_page); /* E22 */
	assert_int_equal(pf_space_entry(em->space, at + PAGE, &entry), 0);
	assert_true(entry.is_present && entry.is_zero_page &&
		    !entry.is_writable && !entry.is_exclusive);
	assert_int_equal(pf_space_entry(em->space, at + 2 * PAGE, &entry), 0);
	assert_false(entry.is_present);
	assert_int_equal(pf_space_entry(em->space, UINT64_MAX, &entry),
			 -EINVAL);
}

static void E50b_E50c_L48_guard_markers(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 1);
	struct pf_uffdio_zeropage zero = { .range = { at, PAGE } };
	struct access load = { 0 };
	struct pf_entry entry;
	char bytes[4096] = { 0 };

	assert_int_equal(pf_space_guard(em->space, at, PAGE, true), 0);
	assert_int_equal(pf_space_entry(em->space, at, &entry), 0);
	assert_true(entry.is_guard);
	begin(em, &load, at);
	assert_int_equal(end(&load), -EFAULT);
	assert_int_equal(pf_uffd_poll(em->u), 0);
	assert_int_equal(pf_uffd_ioctl(em->u, PF_UFFDIO_ZEROPAGE, &zero),
			 -EEXIST);
	assert_int_equal(pf_uffd_copy_from(em->u, at, bytes, PAGE, 0),
			 em->is_seed ? -EEXIST : (int64_t)PAGE);
}

static void a_discarded_page_is_missing_again(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, 1);
	struct access load = { 0 };

	fill(em, at, 1);
	assert_int_equal(pf_space_discard(em->space, at, PAGE), 0);
	begin(em, &load, at);
	(void)next_message(em);
	fill(em, at, 9);
	assert_int_equal(end(&load), 0);
	assert_true(load.value == 0x0909090909090909);
}

static void E93_a_charge_limit_ends_the_copy(void **state)
{
	struct pf_space_config config = { .limit_pages = 2 };
	struct pf_uffdio_api api = { PF_UFFD_API, 0, 0 };
	struct em limited = { 0 }, *em = &limited;
	char bytes[3 * 4096] = { 0 };
	uint64_t at;

	(void)state;
	assert_int_equal(pf_space_create(&config, &em->space), 0);
	assert_int_equal(pf_uffd_create(em->space, 0, &em->u), 0);
	assert_int_equal(pf_uffd_ioctl(em->u, PF_UFFDIO_API, &api), 0);
	at = map_watched(em, 3);
	assert_int_equal(pf_uffd_copy_from(em->u, at, bytes, 3 * PAGE, 0),
			 2 * PAGE);
	assert_int_equal(pf_uffd_copy_from(em->u, at + 2 * PAGE, bytes, PAGE,
					   0),
			 -ENOMEM);
	pf_space_check(em->space);
	pf_uffd_close(em->u);
	pf_space_destroy(em->space);
}

/* ---- many at once ---- */

#define STRESS_PAGES 256u
#define STRESS_THREADS 4u

struct toucher {
	struct pf_space *space;
	uint64_t at;
	unsigned seed;
	int err;
	pthread_t thread;
};

/* Every page, in an order of one's own; its first word is its number. */
static void *touch_all(void *arg)
{
	struct toucher *t = arg;
	struct pf_cpu *cpu;
	unsigned i;

	t->err = pf_cpu_create(t->space, &cpu);
	for (i = 0; !t->err && i < STRESS_PAGES; i++) {
		unsigned page = (i * 37 + t->seed * 61) % STRESS_PAGES;
		uint64_t word = 0;

		t->err = pf_load(cpu, t->at + page * PAGE, &word, 8, NULL);
		if (!t->err && word != page)
			t->err = -EIO;
	}
	pf_cpu_destroy(cpu);
	return NULL;
}

struct handler {
	struct em *em;
	uint64_t at;
	_Atomic bool *is_over;
	unsigned filled, present, failed;
	pthread_t thread;
};

static void *answer_all(void *arg)
{
	struct handler *h = arg;
	uint64_t bytes[512] = { 0 };
	struct pf_uffd_msg msg;

	while (!*h->is_over) {
		uint64_t va;
		int64_t ret;

		if (pf_uffd_read(h->em->u, &msg, 1, 20) != 1)
			continue;
		va = msg.arg.pagefault.address;
		bytes[0] = (va - h->at) / PAGE;
		ret = pf_uffd_copy_from(h->em->u, va, bytes, PAGE, 0);
		h->filled += ret == (int64_t)PAGE;
		h->present += ret == -EEXIST;
		h->failed += ret != (int64_t)PAGE && ret != -EEXIST;
		/* The one who filled it may not have seen this waiter. */
		if (ret == -EEXIST && wake(h->em, va, 1))
			h->failed++;
	}
	return NULL;
}

/* Is every access answered, and each page filled once, under races? */
static void many_threads_and_two_handlers(void **state)
{
	struct em *em = *state;
	uint64_t at = map_watched(em, STRESS_PAGES);
	struct toucher touchers[STRESS_THREADS];
	_Atomic bool is_over = false;
	struct handler handlers[2];
	unsigned i;

	for (i = 0; i < 2; i++) {
		handlers[i] = (struct handler){ .em = em, .at = at,
						.is_over = &is_over };
		assert_int_equal(pthread_create(&handlers[i].thread, NULL,
						answer_all, &handlers[i]),
				 0);
	}
	for (i = 0; i < STRESS_THREADS; i++) {
		touchers[i] = (struct toucher){ .space = em->space, .at = at,
						.seed = i };
		assert_int_equal(pthread_create(&touchers[i].thread, NULL,
						touch_all, &touchers[i]),
				 0);
	}
	for (i = 0; i < STRESS_THREADS; i++) {
		assert_int_equal(pthread_join(touchers[i].thread, NULL), 0);
		assert_int_equal(touchers[i].err, 0);
	}
	is_over = true;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_join(handlers[i].thread, NULL), 0);
	assert_int_equal(handlers[0].failed + handlers[1].failed, 0);
	assert_int_equal(handlers[0].filled + handlers[1].filled,
			 STRESS_PAGES);
	await_total(em, 0);
}

/* ---- the rim ---- */

static void arguments_that_are_refused(void **state)
{
	struct pf_space_config config = { .profile = "linux-2.6" };
	struct em *em = *state;
	struct pf_space *space;
	struct pf_uffd *u;
	uint64_t at = map(em, 2);

	assert_int_equal(pf_space_create(&config, &space), -EINVAL);
	assert_int_equal(pf_uffd_create(em->space, 0x40000000, &u), -EINVAL);
	assert_int_equal(pf_space_map(em->space, 0, 0, RW, 0), -EINVAL);
	assert_int_equal(pf_space_map(em->space, 0, PAGE, RW | 64, 0),
			 -EINVAL);
	assert_int_equal(pf_space_map(em->space, 0, PAGE, RW, MAP_SHARED),
			 -EINVAL);
	assert_int_equal(pf_space_map(em->space, at, PAGE, RW,
				      MAP_FIXED_NOREPLACE),
			 -EEXIST);
	assert_int_equal(pf_space_map(em->space, at, PAGE, RW, MAP_FIXED), at);
	assert_int_equal(pf_space_unmap(em->space, at, 0), -EINVAL);
	assert_int_equal(pf_space_unmap(em->space, at + 1, PAGE), -EINVAL);
	assert_int_equal(pf_space_unmap(em->space, at, UINT64_MAX), -EINVAL);
	assert_int_equal(pf_space_protect(em->space, at, 0, RW), 0);
	assert_int_equal(pf_space_protect(em->space, at, UINT64_MAX, RW),
			 -ENOMEM);
	assert_int_equal(pf_space_protect(em->space, at, PAGE, 64), -EINVAL);
	assert_int_equal(pf_space_discard(em->space, at + 1, PAGE), -EINVAL);
	assert_int_equal(pf_space_discard(em->space, at, 0), 0);
}

/* Does creating a space, or an object, keep nothing when memory runs out? */
static void creation_fails_at_each_allocation(void **state)
{
	struct em *em = *state;
	struct pf_space *space = NULL;
	struct pf_cpu *cpu;
	struct pf_uffd *u;
	unsigned n;
	int err = -ENOMEM;

	for (n = 1; err; n++) {
		pf_fail_nth(n);
		err = pf_space_create(NULL, &space);
		assert_true(!err || err == -ENOMEM);
	}
	assert_true(n > 4);
	pf_fail_nth(0);
	pf_space_destroy(space);
	pf_fail_nth(1);
	assert_int_equal(pf_cpu_create(em->space, &cpu), -ENOMEM);
	pf_fail_nth(1);
	assert_int_equal(pf_uffd_create(em->space, 0, &u), -ENOMEM);
	pf_fail_nth(2);
	assert_int_equal(pf_uffd_create(em->space, 0, &u), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_fault_is_read_filled_and_over),
		BOTH(a_store_waits_and_is_not_lost),
		BOTH(L51_a_kernel_access_waits_as_well),
		BOTH(L10_several_waiters_on_one_page),
		BOTH(L14_a_blocking_read_returns_on_a_fault),
		BOTH(L01_L02_reads_that_are_refused),
		BOTH(L02c_L04_bad_buffers_with_a_message_pending),
		BOTH(L09_many_messages_in_one_read),
		BOTH(G03_wake_without_resolving),
		BOTH(L26b_last_close_releases_everyone),
		BOTH(D06_unregister_releases_waiters),
		BOTH(exit_releases_waiters_with_a_fault),
		BOTH(an_object_outlives_its_space),
		BOTH(E24_source_is_a_missing_page_itself),
		BOTH(E68_source_is_the_destination),
		BOTH(E64_a_change_while_the_copy_waits),
		BOTH(commands_at_addresses_of_the_space),
		BOTH(E65_F16_accounting),
		BOTH(E50b_E50c_L48_guard_markers),
		BOTH(a_discarded_page_is_missing_again),
		BOTH(E93_a_charge_limit_ends_the_copy),
		BOTH(many_threads_and_two_handlers),
		BOTH(arguments_that_are_refused),
		BOTH(creation_fails_at_each_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
