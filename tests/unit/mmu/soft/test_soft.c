/* SPDX-License-Identifier: MIT */
/*
 * mmu/soft: what the TLB hits, and that after a shoot nobody uses what was
 * there before.
 */
#include "mmu/mmu.h"

#include "base/check.h"
#include "base/heap.h"
#include "base/mem.h"
#include "base/sync.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "../../dies.h"

#define VA ((va_t)0x7f0000123000)
#define ALIAS_BYTES (MMU_TLB_ENTRIES * PAGE_BYTES)
#define GOOD 0x11
#define STALE 0xee

struct world {
	struct mmu *mmu;
	struct mmu_tlb tlb;
	uint8_t page[2][PAGE_BYTES];
	uint64_t heap_before;
};

static struct world world;

static int make_world(void **state)
{
	(void)state;
	world.heap_before = heap_outstanding();
	if (mmu_soft_create(&world.mmu))
		return -1;
	mem_set(&world.tlb, 0, sizeof(world.tlb));
	mmu_soft_attach(world.mmu, &world.tlb);
	return 0;
}

static int drop_world(void **state)
{
	(void)state;
	mmu_soft_detach(world.mmu, &world.tlb);
	world.mmu->ops->destroy(world.mmu);
	return heap_outstanding() == world.heap_before ? 0 : -1;
}

static uint8_t *look(va_t va, unsigned access)
{
	uint8_t *bytes = mmu_soft_enter(world.mmu, &world.tlb, va, access);

	mmu_soft_leave(&world.tlb);
	return bytes;
}

static void cache(va_t va, unsigned access, uint8_t *bytes)
{
	mmu_soft_cache(&world.tlb, va, access, bytes,
		       mmu_soft_generation(world.mmu));
}

static void shoot(va_t va)
{
	world.mmu->ops->shoot(world.mmu,
			      range_of(page_down(va), PAGE_BYTES));
}

static void an_empty_tlb_never_hits(void **state)
{
	(void)state;
	assert_null(look(0, ACCESS_READ));
	assert_null(look(VA, ACCESS_READ));
	cache(VA, ACCESS_READ, world.page[0]);
	assert_null(look(0, ACCESS_READ));
	assert_null(look(0, ACCESS_WRITE));
	assert_null(look(PAGE_BYTES, ACCESS_EXEC));
}

/* Does an entry hit for its page and its accesses, and no other? */
static void an_entry_hits_for_its_accesses(void **state)
{
	(void)state;
	cache(VA + 5, ACCESS_READ, world.page[0]);
	assert_ptr_equal(look(VA, ACCESS_READ), world.page[0]);
	assert_ptr_equal(look(VA + 4095, ACCESS_READ), world.page[0]);
	assert_null(look(VA, ACCESS_WRITE));
	assert_null(look(VA, ACCESS_READ | ACCESS_WRITE));
	assert_null(look(VA + 4096, ACCESS_READ));
	assert_null(look(VA - 1, ACCESS_READ));
	assert_null(look(VA + ALIAS_BYTES, ACCESS_READ));
	cache(VA, ACCESS_READ | ACCESS_WRITE, world.page[1]);
	assert_ptr_equal(look(VA, ACCESS_READ), world.page[1]);
	assert_ptr_equal(look(VA, ACCESS_WRITE), world.page[1]);
	assert_null(look(VA, ACCESS_EXEC));
	cache(VA + ALIAS_BYTES, ACCESS_READ, world.page[0]);
	assert_null(look(VA, ACCESS_READ));
	assert_ptr_equal(look(VA + ALIAS_BYTES, ACCESS_READ), world.page[0]);
	cache(0, ACCESS_READ, world.page[1]);
	assert_ptr_equal(look(7, ACCESS_READ), world.page[1]);
}

static void a_shoot_empties_the_tlb(void **state)
{
	(void)state;
	cache(VA, ACCESS_READ, world.page[0]);
	shoot(VA);
	assert_null(look(VA, ACCESS_READ));
	cache(VA + PAGE_BYTES, ACCESS_READ, world.page[1]);
	assert_null(look(VA, ACCESS_READ));
	assert_ptr_equal(look(VA + PAGE_BYTES, ACCESS_READ), world.page[1]);
}

/* Is a translation that was looked up before a shoot not cached after it? */
static void a_translation_outrun_is_not_cached(void **state)
{
	uint64_t before = mmu_soft_generation(world.mmu);

	(void)state;
	shoot(VA);
	mmu_soft_cache(&world.tlb, VA, ACCESS_READ, world.page[0], before);
	assert_null(look(VA, ACCESS_READ));
	assert_true(mmu_soft_generation(world.mmu) != before);
}

static _Atomic uint32_t is_shot;

static void *shoot_and_tell(void *arg)
{
	shoot(VA);
	atomic_store(&is_shot, 1);
	return arg;
}

/* Does a shoot wait for an access that began before it? */
static void a_shoot_waits_for_accesses(void **state)
{
	pthread_t thread;

	(void)state;
	atomic_store(&is_shot, 0);
	cache(VA, ACCESS_READ, world.page[0]);
	assert_non_null(mmu_soft_enter(world.mmu, &world.tlb, VA,
				       ACCESS_READ));
	pthread_create(&thread, NULL, shoot_and_tell, NULL);
	usleep(30000);
	assert_int_equal(atomic_load(&is_shot), 0);
	mmu_soft_leave(&world.tlb);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&is_shot), 1);
}

static _Atomic uint32_t is_over;
static _Atomic(uint8_t *) mapped;
static _Atomic uint64_t hits;

/* Reads through the TLB; `mapped` stands for the tables. */
static void *read_for_ever(void *arg)
{
	struct mmu_tlb *tlb = heap_zalloc(sizeof(*tlb));
	uint64_t generation;
	uint8_t *bytes;
	uint8_t seen;

	mmu_soft_attach(world.mmu, tlb);
	while (!atomic_load(&is_over)) {
		bytes = mmu_soft_enter(world.mmu, tlb, VA, ACCESS_READ);
		seen = bytes ? __atomic_load_n(bytes, __ATOMIC_RELAXED) : GOOD;
		mmu_soft_leave(tlb);
		check(seen == GOOD);
		if (bytes) {
			atomic_fetch_add(&hits, 1);
			continue;
		}
		generation = mmu_soft_generation(world.mmu);
		mmu_soft_cache(tlb, VA, ACCESS_READ, atomic_load(&mapped),
			       generation);
	}
	mmu_soft_detach(world.mmu, tlb);
	heap_free(tlb, sizeof(*tlb));
	return arg;
}

/* A page is spoilt only after it was shot down; does nobody see that? */
static void no_reader_uses_what_was_shot(void **state)
{
	pthread_t threads[3];
	uint8_t *old;

	(void)state;
	mem_set(world.page, GOOD, sizeof(world.page));
	atomic_store(&mapped, world.page[0]);
	atomic_store(&is_over, 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, read_for_ever, NULL);
	for (unsigned i = 0; i < 40000; i++) {
		old = atomic_load(&mapped);
		__atomic_store_n(world.page[!(i % 2)], GOOD, __ATOMIC_RELAXED);
		atomic_store(&mapped, world.page[!(i % 2)]);
		shoot(VA);
		__atomic_store_n(old, STALE, __ATOMIC_RELAXED);
		if (i % 256 == 0)
			usleep(100);
	}
	atomic_store(&is_over, 1);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&hits) > 0);
}

/* From now on membarrier(2) is not there. */
static void refuse_membarrier(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { array_len(code), code };

	require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	require(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void race_without_membarrier(void *arg)
{
	refuse_membarrier();
	require(make_world(arg) == 0);
	no_reader_uses_what_was_shot(arg);
	require(drop_world(arg) == 0);
}

/* Is it as true where the system has no membarrier(2)? */
static void nor_without_membarrier(void **state)
{
	(void)state;
	assert_true(survives(race_without_membarrier, NULL));
}

static void shoot_in_a_child(void *arg)
{
	(void)arg;
	cache(VA, ACCESS_READ, world.page[0]);
	shoot(VA);
	require(!look(VA, ACCESS_READ));
}

static void a_forked_child_can_shoot(void **state)
{
	(void)state;
	assert_true(survives(shoot_in_a_child, NULL));
}

static void arenas_are_zero_and_lazy(void **state)
{
	uint64_t before = heap_outstanding();
	void *base;

	(void)state;
	for (unsigned n = 1; n <= 2; n++) {
		heap_fail_nth(n);
		assert_int_equal(world.mmu->ops->arena(world.mmu, 1 << 20,
						       &base), -ENOMEM);
		assert_int_equal(heap_outstanding(), before);
	}
	heap_fail_nth(0);
	assert_int_equal(world.mmu->ops->arena(world.mmu, (size_t)1 << 37,
					       &base), 0);
	assert_int_equal(((uint64_t *)base)[12345678], 0);
	assert_string_equal(world.mmu->ops->name, "soft");
	assert_false(world.mmu->is_native);
}

static void destroy_attached(void *arg)
{
	(void)arg;
	world.mmu->ops->destroy(world.mmu);
}

static void detach_twice(void *arg)
{
	(void)arg;
	mmu_soft_detach(world.mmu, &world.tlb);
	mmu_soft_detach(world.mmu, &world.tlb);
}

static void misuse_is_noticed(void **state)
{
	(void)state;
	assert_true(dies(destroy_attached, NULL));
	assert_true(dies(detach_twice, NULL));
}

#define soft_test(fn) \
	cmocka_unit_test_setup_teardown(fn, make_world, drop_world)

int main(void)
{
	const struct CMUnitTest cases[] = {
		soft_test(an_empty_tlb_never_hits),
		soft_test(an_entry_hits_for_its_accesses),
		soft_test(a_shoot_empties_the_tlb),
		soft_test(a_translation_outrun_is_not_cached),
		soft_test(a_shoot_waits_for_accesses),
		soft_test(no_reader_uses_what_was_shot),
		soft_test(nor_without_membarrier),
		soft_test(a_forked_child_can_shoot),
		soft_test(arenas_are_zero_and_lazy),
		soft_test(misuse_is_noticed),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
