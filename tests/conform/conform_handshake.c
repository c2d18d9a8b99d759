/* SPDX-License-Identifier: MIT */
/* Section B: the handshake. */
#include "conform.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>

#define KERNEL_FEATURES 0x1ffffull
#define SEED_FEATURES 0x1feull

static bool is_zero(const struct pf_uffdio_api *api)
{
	return !api->api && !api->features && !api->ioctls;
}

/* A handshake on a fresh object; `api` comes back as it was left. */
static int fresh_api(struct world *w, struct pf_uffdio_api *api)
{
	struct w_uffd *u = w_create(w, O_CLOEXEC);
	int err = w_ioctl(u, PF_UFFDIO_API, api);

	w_release(u);
	return err;
}

/* Is every command but API refused, before its argument is looked at? */
static void B01_nothing_works_before_it(struct world *w)
{
	static const uint32_t commands[] = {
		PF_UFFDIO_REGISTER, PF_UFFDIO_UNREGISTER, PF_UFFDIO_WAKE,
		PF_UFFDIO_COPY, PF_UFFDIO_ZEROPAGE, PF_UFFDIO_MOVE,
		PF_UFFDIO_WRITEPROTECT, PF_UFFDIO_CONTINUE, PF_UFFDIO_POISON,
	};
	struct w_uffd *u = w_create(w, O_CLOEXEC);
	uint64_t block[8] = { 0 };

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		T_EQ(w_ioctl(u, commands[i], block), -EINVAL);
		T_EQ(w_ioctl_at(u, commands[i], W_BAD_POINTER), -EINVAL);
	}
}

static void B02_read_before_it_is_refused(struct world *w)
{
	struct w_uffd *u = w_create(w, O_CLOEXEC | O_NONBLOCK);
	struct pf_uffd_msg msg;

	T_EQ(w_read(u, &msg, sizeof(msg)), -EINVAL);
}

static void B03_poll_before_it_is_an_error(struct world *w)
{
	struct w_uffd *u = w_create(w, O_CLOEXEC | O_NONBLOCK);

	T_EQ(w_poll(u), POLLERR);
}

static void B04_wrong_api_number_zeroes_the_block(struct world *w)
{
	struct pf_uffdio_api api = { 0xab, 1ull << 40, 7 };

	T_EQ(fresh_api(w, &api), -EINVAL);
	T_TRUE(is_zero(&api));
}

/* Is every offered bit accepted alone, and every other refused? */
static void B05_offered_bits_and_no_others(struct world *w)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		struct pf_uffdio_api api = { PF_UFFD_API, 1ull << bit, 7 };
		bool is_offered = w->offered >> bit & 1;
		int err = fresh_api(w, &api);

		if (!is_offered) {
			T_TRUE(err == -EINVAL ||
			       (err == -EPERM && bit == 1));
			T_TRUE(is_zero(&api));
		} else if (err != -EPERM || bit != 1) {
			T_OK(err);
			T_EQ(api.features, w->offered);
		}
	}
}

/* Does it tell all that is supported? */
static void B06_answer_is_all_that_is_supported(struct world *w)
{
	struct pf_uffdio_api api = { .api = PF_UFFD_API };
	uint64_t most = w_is_seed(w) ? SEED_FEATURES : KERNEL_FEATURES;

	T_OK(fresh_api(w, &api));
	T_EQ(api.api, PF_UFFD_API);
	T_EQ(api.ioctls, 0x8000000000000003ull);
	if (w->kind == W_KERNEL)
		T_EQ(api.features, KERNEL_FEATURES);
	T_EQ(api.features & ~most, 0);
}

static void B07_second_one_is_refused(struct world *w)
{
	struct pf_uffdio_api api = { PF_UFFD_API, 0, 7 };
	struct w_uffd *u = op_ready(w, 0);
	struct pf_uffd_msg msg;

	T_EQ(w_ioctl(u, PF_UFFDIO_API, &api), -EINVAL);
	if (w_is_seed(w))
		T_TRUE(api.api == PF_UFFD_API && api.ioctls == 7);
	else
		T_TRUE(is_zero(&api));
	T_EQ(w_read(u, &msg, sizeof(msg)), -EAGAIN);
	op_map_watched(u, 1);
}

static void B08_poll_of_a_blocking_object_is_an_error(struct world *w)
{
	struct w_uffd *u = w_create(w, O_CLOEXEC);

	T_OK(op_api(u, 0));
	T_EQ(w_poll(u), POLLERR);
	w_set_nonblocking(u, true);
	T_EQ(w_poll(u), 0);
	w_set_nonblocking(u, false);
	T_EQ(w_poll(u), POLLERR);
}

/* Without the privilege, is EVENT_FORK refused? */
static void B09_event_fork_needs_privilege(struct world *w)
{
	struct pf_uffdio_api api = { PF_UFFD_API,
				     PF_UFFD_FEATURE_EVENT_FORK, 7 };
	bool is_offered = w->offered & PF_UFFD_FEATURE_EVENT_FORK;
	int user = w_is_seed(w) ? 0 : PF_UFFD_USER_MODE_ONLY;
	struct w_uffd *u;

	w_drop_privilege(w);
	u = w_create(w, user);
	T_EQ(w_ioctl(u, PF_UFFDIO_API, &api),
	     w_is_seed(w) && !is_offered ? -EINVAL : -EPERM);
	T_TRUE(is_zero(&api));
}

/* Which is tested first: the privilege or the unknown bit? */
static void B10_privilege_precedes_unknown_bits(struct world *w)
{
	struct pf_uffdio_api api = {
		PF_UFFD_API, PF_UFFD_FEATURE_EVENT_FORK | 1ull << 40, 7
	};
	int user = w_is_seed(w) ? 0 : PF_UFFD_USER_MODE_ONLY;
	struct w_uffd *u;

	w_drop_privilege(w);
	u = w_create(w, user);
	T_EQ(w_ioctl(u, PF_UFFDIO_API, &api),
	     w_is_seed(w) ? -EINVAL : -EPERM);
	T_TRUE(is_zero(&api));
}

static void B11_api_number_precedes_privilege(struct world *w)
{
	struct pf_uffdio_api api = { 0xab, PF_UFFD_FEATURE_EVENT_FORK, 7 };
	int user = w_is_seed(w) ? 0 : PF_UFFD_USER_MODE_ONLY;
	struct w_uffd *u;

	w_drop_privilege(w);
	u = w_create(w, user);
	T_EQ(w_ioctl(u, PF_UFFDIO_API, &api), -EINVAL);
	T_TRUE(is_zero(&api));
}

static void B12_unreadable_block(struct world *w)
{
	struct w_uffd *u = w_create(w, O_CLOEXEC);

	T_EQ(w_ioctl_at(u, PF_UFFDIO_API, W_BAD_POINTER), -EFAULT);
}

/* Is an answer that cannot be stored no handshake at all? */
static void B13_unwritable_block_is_no_handshake(struct world *w)
{
	struct pf_uffdio_api api = { .api = PF_UFFD_API };
	struct w_uffd *u = w_create(w, O_CLOEXEC | O_NONBLOCK);
	uint64_t at = op_block(w, &api, sizeof(api), sizeof(api));

	T_EQ(w_ioctl_at(u, PF_UFFDIO_API, at), -EFAULT);
	T_EQ(w_poll(u), POLLERR);
}

static void B14_unknown_commands_are_refused(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t block[8] = { 0 };

	T_EQ(w_ioctl(u, 0xC018AA20u, block), -EINVAL);
	T_EQ(w_ioctl(u, 0, block), -EINVAL);
	T_EQ(w_ioctl(u, PF_UFFDIO_COPY ^ 0x40000000u, block), -EINVAL);
	T_EQ(w_ioctl(u, PF_UFFDIO_COPY ^ 0x80000u, block), -EINVAL);
}

static void B15_wp_async_implies_wp_unpopulated(struct world *w)
{
	struct w_uffd *u = op_ready(w, PF_UFFD_FEATURE_WP_ASYNC);
	char text[400];

	w_fdinfo(u, text, sizeof(text));
	T_TRUE(strstr(text, "aa:8000a000:"));
}

static void B16_failed_one_may_be_repeated(struct world *w)
{
	struct w_uffd *u = w_create(w, O_CLOEXEC | O_NONBLOCK);

	T_EQ(op_api(u, 1ull << 63), -EINVAL);
	T_EQ(op_api(u, 1ull << 20), -EINVAL);
	T_OK(op_api(u, 0));
	T_EQ(w_poll(u), 0);
}

const struct conform_case handshake_cases[] = {
	CASE(B01, nothing_works_before_it, "B01b"),
	CASE(B02, read_before_it_is_refused, ""),
	CASE(B03, poll_before_it_is_an_error, ""),
	CASE(B04, wrong_api_number_zeroes_the_block, ""),
	CASE(B05, offered_bits_and_no_others, ""),
	CASE(B06, answer_is_all_that_is_supported, ""),
	CASE(B07, second_one_is_refused, ""),
	CASE(B08, poll_of_a_blocking_object_is_an_error, "B08b"),
	CASE(B09, event_fork_needs_privilege, ""),
	CASE(B10, privilege_precedes_unknown_bits, ""),
	CASE(B11, api_number_precedes_privilege, ""),
	CASE(B12, unreadable_block, ""),
	CASE(B13, unwritable_block_is_no_handshake, "B13b"),
	CASE(B14, unknown_commands_are_refused, "B14b"),
	CASE(B15, wp_async_implies_wp_unpopulated, ""),
	CASE(B16, failed_one_may_be_repeated, ""),
	{ 0 },
};
