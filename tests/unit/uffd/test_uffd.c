/* SPDX-License-Identifier: MIT */
/*
 * Does an object come to life, and shake hands, as the specification says?
 * Rows A, B, M.
 */
#include "uffd_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

static struct pf_uffdio_api api_block(uint64_t api, uint64_t features)
{
	return (struct pf_uffdio_api){ api, features, (uint64_t)UNTOUCHED };
}

static int do_api(struct fx *fx, struct pf_uffdio_api *block)
{
	struct fx_block b = { .block = block, .unwritable_from = SIZE_MAX };

	return fx_ioctl(fx->u, PF_UFFDIO_API, &b);
}

static void assert_zeroed(const struct pf_uffdio_api *block)
{
	const struct pf_uffdio_api zero = { 0 };

	assert_memory_equal(block, &zero, sizeof(zero));
}

static void assert_same(const struct pf_uffdio_api *a,
			const struct pf_uffdio_api *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static int try_create(struct fx *fx, unsigned flags, struct uffd **out)
{
	struct uffd_options options = { .space = fx->space, .flags = flags };

	return uffd_create(&options, out);
}

static void A03b_each_creation_flag_alone(void **state)
{
	struct fx *fx = *state;
	unsigned known = O_NONBLOCK | O_CLOEXEC;
	unsigned i;

	if (!fx->is_seed)
		known |= PF_UFFD_USER_MODE_ONLY;
	for (i = 0; i < 32; i++) {
		struct uffd *u = NULL;
		int err = try_create(fx, 1u << i, &u);

		assert_int_equal(err, known & 1u << i ? 0 : -EINVAL);
		if (err)
			continue;
		assert_int_equal(uffd_flags(u), 1u << i);
		uffd_release(u);
	}
}

/* Does creation keep nothing when its n-th allocation fails, for every n? */
static void A17_create_fails_at_each_allocation(void **state)
{
	struct fx *fx = *state;
	struct uffd *others[24], *u;
	unsigned count = fx->is_seed ? 8 : 24;
	unsigned i, n;
	int err;

	/* None of earlier cases is left to be recycled. */
	for (i = 0; i < count; i++)
		assert_int_equal(try_create(fx, 0, &others[i]), 0);
	for (n = 1;; n++) {
		uint64_t before = heap_outstanding();

		heap_fail_nth(n);
		err = try_create(fx, 0, &u);
		heap_fail_nth(0);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(heap_outstanding(), before);
	}
	assert_true(n > 2);
	uffd_release(u);
	for (i = 0; i < count; i++)
		uffd_release(others[i]);

	/* A recycled one can be refused as well. */
	heap_fail_nth(1);
	assert_int_equal(try_create(fx, 0, &u), -ENOMEM);
}

static void a_recycled_object_starts_anew(void **state)
{
	struct fx *fx = *state;
	struct uffd *u = fx->u;
	struct watch_ticket old;
	struct uffd_stats stats;
	va_t at;

	fx_ready(fx, PF_UFFD_FEATURE_THREAD_ID);
	at = fx_map_watched(fx, 1);
	old = fx_fault(fx, at, FAULT_READ);
	fx_renew(fx, NULL);
	assert_ptr_equal(fx->u, u);

	assert_true(fx_is_woken(&old));
	old.watch->ops->withdraw(&old);
	old.watch->ops->announce(&old);
	assert_false(uffd_is_ready(u));
	uffd_read_stats(u, &stats);
	assert_int_equal(stats.faults, 0);
	assert_int_equal(fx->tells, 0);
}

/* Does a child make objects of its own, not those its parent may reuse? */
static void a_forked_child_recycles_nothing_of_its_parent(void **state)
{
	struct fx *fx = *state;
	struct uffd *mine, *u;
	int status;
	pid_t pid;

	assert_int_equal(try_create(fx, 0, &mine), 0);
	uffd_release(mine);
	pid = fork();
	if (!pid)
		_exit(try_create(fx, 0, &u) || u == mine);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(try_create(fx, 0, &u), 0);
	assert_ptr_equal(u, mine);
	uffd_release(u);
}

static void B01_commands_before_the_handshake(void **state)
{
	static const uint32_t commands[] = {
		PF_UFFDIO_REGISTER, PF_UFFDIO_UNREGISTER, PF_UFFDIO_WAKE,
		PF_UFFDIO_COPY, PF_UFFDIO_ZEROPAGE, PF_UFFDIO_MOVE,
		PF_UFFDIO_WRITEPROTECT, PF_UFFDIO_CONTINUE, PF_UFFDIO_POISON,
	};
	struct fx *fx = *state;
	size_t i;

	/* The bad pointer of B01b is not even looked at. */
	for (i = 0; i < array_len(commands); i++) {
		struct fx_block bad = { .is_unreadable = true };

		assert_int_equal(fx_ioctl(fx->u, commands[i], &bad), -EINVAL);
	}
	assert_int_equal(uffd_copy_from(fx->u, range_of(PAGE * 16, PAGE), "",
					0),
			 -EINVAL);
}

static void B02_read_and_B03_poll_before_the_handshake(void **state)
{
	struct fx *fx = *state;
	struct pf_uffd_msg msg;

	assert_int_equal(uffd_take(fx->u, &msg, 1), -EINVAL);
	assert_int_equal(uffd_poll(fx->u, true), POLLERR);
	assert_int_equal(uffd_poll(fx->u, false), POLLERR);
}

static void B04_wrong_api_zeroes_the_block(void **state)
{
	struct fx *fx = *state;
	struct pf_uffdio_api block = api_block(0xAB, 0);

	assert_int_equal(do_api(fx, &block), -EINVAL);
	assert_zeroed(&block);
	assert_false(uffd_is_ready(fx->u));
}

static void B05_each_feature_bit_alone(void **state)
{
	struct fx *fx = *state;
	unsigned i;

	for (i = 0; i < 64; i++) {
		struct pf_uffdio_api block = api_block(0xAA, 1ull << i);
		int err = do_api(fx, &block);

		if (fx->profile->features & 1ull << i) {
			assert_int_equal(err, 0);
			fx_renew(fx, NULL);
		} else {
			assert_int_equal(err, -EINVAL);
			assert_zeroed(&block);
		}
	}
}

static void B06_success_answers_all_that_is_supported(void **state)
{
	struct fx *fx = *state;
	struct pf_uffdio_api block = api_block(0xAA, 0);

	assert_int_equal(do_api(fx, &block), 0);
	assert_int_equal(block.api, 0xAA);
	assert_int_equal(block.features, fx->profile->features);
	assert_int_equal(block.ioctls, 0x8000000000000003ull);
	assert_true(uffd_is_ready(fx->u));
}

static void B07_second_handshake(void **state)
{
	struct fx *fx = *state;
	struct pf_uffdio_api block = api_block(0xAA, 0);
	const struct pf_uffdio_api before = block;
	struct fx_block unreadable = { .is_unreadable = true };

	fx_ready(fx, 0);
	assert_int_equal(do_api(fx, &block), -EINVAL);
	if (fx->is_seed)
		assert_same(&block, &before);
	else
		assert_zeroed(&block);
	assert_int_equal(fx_ioctl(fx->u, PF_UFFDIO_API, &unreadable),
			 fx->is_seed ? -EINVAL : -EFAULT);
	/* It keeps working. */
	(void)fx_map_watched(fx, 1);
}

static void B08_poll_after_the_handshake(void **state)
{
	struct fx *fx = *state;

	fx_ready(fx, 0);
	assert_int_equal(uffd_poll(fx->u, false), POLLERR);
	assert_int_equal(uffd_poll(fx->u, true), 0);
}

/* A generation that offers EVENT_FORK, whatever this build does. */
static void offer_fork(struct fx *fx, struct profile *profile)
{
	*profile = *fx->profile;
	profile->features |= PF_UFFD_FEATURE_EVENT_FORK;
	fx_renew(fx, profile);
}

static void B09_fork_feature_without_privilege(void **state)
{
	struct fx *fx = *state;
	struct pf_uffdio_api block;
	struct profile profile;

	offer_fork(fx, &profile);
	block = api_block(0xAA, PF_UFFD_FEATURE_EVENT_FORK);
	fx->is_unprivileged = true;
	assert_int_equal(do_api(fx, &block), -EPERM);
	assert_zeroed(&block);

	block = api_block(0xAA, PF_UFFD_FEATURE_EVENT_FORK);
	fx->is_unprivileged = false;
	assert_int_equal(do_api(fx, &block), 0);
	fx_renew(fx, NULL);
}

static void B10_fork_feature_and_unknown_bit(void **state)
{
	struct fx *fx = *state;
	struct pf_uffdio_api block;
	struct profile profile;

	offer_fork(fx, &profile);
	block = api_block(0xAA, PF_UFFD_FEATURE_EVENT_FORK | 1ull << 40);
	fx->is_unprivileged = true;
	assert_int_equal(do_api(fx, &block), fx->is_seed ? -EINVAL : -EPERM);
	assert_zeroed(&block);
	fx_renew(fx, NULL);
}

static void B11_wrong_api_precedes_privilege(void **state)
{
	struct fx *fx = *state;
	struct pf_uffdio_api block;
	struct profile profile;

	offer_fork(fx, &profile);
	block = api_block(1, PF_UFFD_FEATURE_EVENT_FORK);
	fx->is_unprivileged = true;
	assert_int_equal(do_api(fx, &block), -EINVAL);
	fx_renew(fx, NULL);
}

static void B12_unreadable_block(void **state)
{
	struct fx *fx = *state;
	struct fx_block bad = { .is_unreadable = true };

	assert_int_equal(fx_ioctl(fx->u, PF_UFFDIO_API, &bad), -EFAULT);
	assert_false(uffd_is_ready(fx->u));
}

static void B13_unwritable_block(void **state)
{
	struct fx *fx = *state;
	struct pf_uffdio_api block = api_block(0xAA, 0);
	struct fx_block bad = { .block = &block, .unwritable_from = 0 };

	assert_int_equal(fx_ioctl(fx->u, PF_UFFDIO_API, &bad), -EFAULT);
	assert_int_equal(uffd_poll(fx->u, true), POLLERR);
	/* A refusal that cannot be written is a fault as well. */
	block.api = 1;
	assert_int_equal(fx_ioctl(fx->u, PF_UFFDIO_API, &bad), -EFAULT);
}

static void B14_unknown_commands(void **state)
{
	static const uint32_t unknown[] = {
		0, 0xAA00, 0xC018AA40, 0x8018AA3F, 0x4028AA03, 0xC020AA03,
		0xC010AA01, 0xC028AA04, 0xC020AB00, PF_UFFDIO_MOVE,
		PF_UFFDIO_WRITEPROTECT, PF_UFFDIO_CONTINUE, PF_UFFDIO_POISON,
	};
	struct fx *fx = *state;
	struct fx_block bad = { .is_unreadable = true };
	size_t i;

	fx_ready(fx, 0);
	for (i = 0; i < array_len(unknown); i++)
		assert_int_equal(fx_ioctl(fx->u, unknown[i], &bad), -EINVAL);
}

static void B16_failed_handshake_can_be_repeated(void **state)
{
	struct fx *fx = *state;
	struct pf_uffdio_api block = api_block(0xAA, 1ull << 63);

	assert_int_equal(do_api(fx, &block), -EINVAL);
	fx_ready(fx, PF_UFFD_FEATURE_SIGBUS);
}

static void assert_fdinfo(struct fx *fx, const char *expected)
{
	char text[128];
	size_t n = uffd_fdinfo(fx->u, text, sizeof(text));

	assert_int_equal(n, strlen(expected));
	assert_memory_equal(text, expected, n);
}

/* The third number is that of a build with these range commands. */
static void M01_M02_M04_fdinfo(void **state)
{
	struct fx *fx = *state;
	va_t at;

	assert_int_equal(fx->profile->fdinfo_ioctls, 0x800000000000001full);
	assert_fdinfo(fx, "pending:\t0\ntotal:\t0\n"
			  "API:\taa:0:800000000000001f\n");
	fx_ready(fx, 0);
	assert_fdinfo(fx, fx->is_seed ? "pending:\t0\ntotal:\t0\n"
					"API:\taa:0:800000000000001f\n"
				      : "pending:\t0\ntotal:\t0\n"
					"API:\taa:80000000:"
					"800000000000001f\n");
	at = fx_map_watched(fx, 1);
	(void)fx_fault(fx, at, FAULT_READ);
	assert_fdinfo(fx, fx->is_seed ? "pending:\t1\ntotal:\t1\n"
					"API:\taa:0:800000000000001f\n"
				      : "pending:\t1\ntotal:\t1\n"
					"API:\taa:80000000:"
					"800000000000001f\n");
}

static void M02_fdinfo_shows_requested_features(void **state)
{
	struct fx *fx = *state;

	fx_ready(fx, PF_UFFD_FEATURE_SIGBUS | PF_UFFD_FEATURE_THREAD_ID);
	assert_fdinfo(fx, fx->is_seed ? "pending:\t0\ntotal:\t0\n"
					"API:\taa:180:800000000000001f\n"
				      : "pending:\t0\ntotal:\t0\n"
					"API:\taa:80000180:"
					"800000000000001f\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FX_BOTH(A03b_each_creation_flag_alone),
		FX_BOTH(A17_create_fails_at_each_allocation),
		FX_BOTH(a_recycled_object_starts_anew),
		FX_BOTH(a_forked_child_recycles_nothing_of_its_parent),
		FX_BOTH(B01_commands_before_the_handshake),
		FX_BOTH(B02_read_and_B03_poll_before_the_handshake),
		FX_BOTH(B04_wrong_api_zeroes_the_block),
		FX_BOTH(B05_each_feature_bit_alone),
		FX_BOTH(B06_success_answers_all_that_is_supported),
		FX_BOTH(B07_second_handshake),
		FX_BOTH(B08_poll_after_the_handshake),
		FX_BOTH(B09_fork_feature_without_privilege),
		FX_BOTH(B10_fork_feature_and_unknown_bit),
		FX_BOTH(B11_wrong_api_precedes_privilege),
		FX_BOTH(B12_unreadable_block),
		FX_BOTH(B13_unwritable_block),
		FX_BOTH(B14_unknown_commands),
		FX_BOTH(B16_failed_handshake_can_be_repeated),
		FX_BOTH(M01_M02_M04_fdinfo),
		FX_BOTH(M02_fdinfo_shows_requested_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
