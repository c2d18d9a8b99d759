/* SPDX-License-Identifier: MIT */
/*
 * Which messages does a fault make, in which order are they read, who is
 * woken, and does the host always hear the truth? Rows G and L.
 */
#include "uffd_fixture.h"

#include "base/sync.h"
#include "uffd/conversation.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int ready_setup(void **state, int (*setup)(void **state))
{
	int err = setup(state);

	fx_ready(*state, 0);
	return err;
}

static int setup_seed(void **state)
{
	return ready_setup(state, fx_setup_seed);
}

static int setup_newest(void **state)
{
	return ready_setup(state, fx_setup_newest);
}

#define BOTH(f)                                              \
	{ #f "_on_5_4", f, setup_seed, fx_teardown, NULL },  \
	{ #f "_on_6_18", f, setup_newest, fx_teardown, NULL }

static void assert_queued(struct fx *fx, const char *pending,
			  const char *total)
{
	char text[129], expected[64];
	size_t n = uffd_fdinfo(fx->u, text, 128);

	text[n] = '\0';
	(void)snprintf(expected, sizeof(expected),
		       "pending:\t%s\ntotal:\t%s\n", pending, total);
	assert_memory_equal(text, expected, strlen(expected));
}

static void L01_nothing_queued(void **state)
{
	struct fx *fx = *state;
	struct pf_uffd_msg msg;

	assert_int_equal(uffd_take(fx->u, &msg, 1), 0);
	assert_int_equal(uffd_poll(fx->u, true), 0);
}

static void L03_L05_L06_one_read_fault(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);
	struct pf_uffd_msg msg, expected = { 0 };

	(void)fx_fault(fx, at + 77, FAULT_READ);
	assert_int_equal(uffd_poll(fx->u, true), POLLIN);
	assert_int_equal(uffd_poll(fx->u, false), POLLERR); /* L15 */
	assert_int_equal(fx->told, 1);
	assert_queued(fx, "1", "1");

	msg = fx_take(fx);
	expected.event = 0x12;
	expected.arg.pagefault.address = at;
	assert_memory_equal(&msg, &expected, sizeof(msg));
	assert_int_equal(uffd_poll(fx->u, true), 0);
	assert_int_equal(fx->told, 0);
	assert_queued(fx, "0", "1");
	uffd_check(fx->u);
}

static void L08_write_fault(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);

	(void)fx_fault(fx, at + 9, FAULT_WRITE);
	assert_int_equal(fx_take(fx).arg.pagefault.flags,
			 PF_UFFD_PAGEFAULT_FLAG_WRITE);
}

static void L09_messages_are_first_in_first_out(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 4);
	struct pf_uffd_msg msgs[8];
	unsigned i;

	for (i = 0; i < 4; i++)
		(void)fx_fault(fx, at + (3 - i) * PAGE, FAULT_READ);
	(void)fx_fault(fx, at, FAULT_READ); /* the same page is not merged */
	assert_int_equal(uffd_take(fx->u, msgs, 3), 3);
	assert_int_equal(fx->told, 1);
	assert_int_equal(uffd_take(fx->u, msgs + 3, 5), 2);
	for (i = 0; i < 4; i++)
		assert_int_equal(msgs[i].arg.pagefault.address,
				 at + (3 - i) * PAGE);
	assert_int_equal(msgs[4].arg.pagefault.address, at);
	assert_queued(fx, "0", "5");
}

static void L10_L11_wake_by_page(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 2);
	struct watch_ticket one = fx_fault(fx, at, FAULT_READ);
	struct watch_ticket two = fx_fault(fx, at + 8, FAULT_WRITE);
	struct watch_ticket far = fx_fault(fx, at + PAGE, FAULT_READ);

	(void)fx_take(fx); /* read and unread ones alike */
	assert_int_equal(fx_wake(fx->u, at, PAGE), 0);
	assert_true(fx_is_woken(&one));
	assert_true(fx_is_woken(&two));
	assert_false(fx_is_woken(&far));
	assert_queued(fx, "1", "1");
	uffd_check(fx->u);
}

static void L12_resolved_before_it_was_read(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);
	struct pf_uffd_msg msg;

	(void)fx_fault(fx, at, FAULT_READ);
	assert_int_equal(fx_zero_pages(fx->u, at, 1, NULL), 0);
	assert_int_equal(uffd_take(fx->u, &msg, 1), 0);
	assert_int_equal(fx->told, 0);
	assert_int_equal(fx->tells, 2);
}

static void L20_a_waiter_that_goes_away_withdraws_its_message(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);
	struct watch_ticket first = fx_fault(fx, at, FAULT_READ), second;
	struct uffd_stats stats;

	first.watch->ops->withdraw(&first);
	assert_int_equal(fx->told, 0);
	assert_queued(fx, "0", "0");
	second = fx_fault(fx, at, FAULT_READ);
	first.watch->ops->withdraw(&first); /* nothing of its own is left */
	assert_queued(fx, "1", "1");
	(void)fx_take(fx);
	second.watch->ops->withdraw(&second);
	assert_queued(fx, "0", "0");
	uffd_read_stats(fx->u, &stats);
	assert_int_equal(stats.withdrawn, 2);
}

static void L22_thread_and_exact_address(void **state)
{
	struct fx *fx = *state;
	bool is_exact = fx->profile->features & PF_UFFD_FEATURE_EXACT_ADDRESS;
	struct watch_ticket ticket;
	struct pf_uffd_msg msg;
	va_t at;

	fx_renew(fx, NULL);
	fx_ready(fx, PF_UFFD_FEATURE_THREAD_ID |
			     (is_exact ? PF_UFFD_FEATURE_EXACT_ADDRESS : 0));
	at = fx_map_watched(fx, 1);
	ticket = fx_fault(fx, at + 123, FAULT_READ);
	msg = fx_take(fx);
	assert_int_equal(msg.arg.pagefault.ptid, gettid());
	assert_int_equal(msg.arg.pagefault.address, is_exact ? at + 123 : at);
	assert_int_equal(fx_wake(fx->u, at, PAGE), 0); /* L22b */
	assert_true(fx_is_woken(&ticket));
}

static void L24_sigbus_feature(void **state)
{
	struct fx *fx = *state;
	struct watch_ticket ticket;
	va_t at;

	fx_renew(fx, NULL);
	fx_ready(fx, PF_UFFD_FEATURE_SIGBUS);
	at = fx_map_watched(fx, 1);
	assert_int_equal(space_fault(fx->space, at, FAULT_READ, &ticket),
			 SPACE_BUS);
	assert_int_equal(space_fault(fx->space, at, FAULT_WRITE | FAULT_KERNEL,
				     &ticket),
			 SPACE_BUS); /* L24b */
	assert_int_equal(uffd_poll(fx->u, true), 0);
}

static void L25_user_mode_only(void **state)
{
	struct fx *fx = *state;
	struct uffd_options options = {
		.space = fx->space, .flags = PF_UFFD_USER_MODE_ONLY,
		.profile = profile_default(),
	};
	struct pf_uffdio_api block = { PF_UFFD_API, 0, 0 };
	struct uffd_arg arg = uffd_arg_plain(&block);
	struct watch_ticket ticket;
	struct uffd *u;
	va_t at = fx_map(fx, 1, RW);

	assert_int_equal(uffd_create(&options, &u), 0);
	assert_int_equal(uffd_ioctl(u, PF_UFFDIO_API, &arg), 0);
	assert_int_equal(fx_register(u, at, PAGE, 1, NULL), 0);
	assert_int_equal(space_fault(fx->space, at, FAULT_READ | FAULT_KERNEL,
				     &ticket),
			 SPACE_BUS);
	assert_int_equal(uffd_poll(u, true), 0);
	(void)fx_fault(fx, at, FAULT_READ); /* L25b */
	assert_int_equal(uffd_poll(u, true), POLLIN);
	uffd_release(u);
}

static void L26b_last_close_wakes_and_unregisters(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 2);
	struct watch_ticket read = fx_fault(fx, at, FAULT_READ);
	struct watch_ticket unread = fx_fault(fx, at + PAGE, FAULT_READ);

	(void)fx_take(fx);
	uffd_release(fx->u);
	assert_true(fx_is_woken(&read));
	assert_true(fx_is_woken(&unread));
	assert_int_equal(fx->told, 0);
	assert_null(fx_vma(fx, at)->watch);
	assert_int_equal(space_fault(fx->space, at, FAULT_READ, &read),
			 SPACE_RETRY);
	assert_int_equal(fx_peek(fx, at), 0);

	/* For teardown. */
	assert_int_equal(uffd_create(&(struct uffd_options){
						.space = fx->space },
				     &fx->u),
			 0);
}

static void L30_L31_space_has_exited(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);
	struct watch_ticket ticket = fx_fault(fx, at, FAULT_READ);
	struct pf_uffd_msg msg;

	space_exit(fx->space);
	uffd_space_gone(fx->u);
	assert_true(fx_is_woken(&ticket));
	assert_int_equal(uffd_take(fx->u, &msg, 1), 0);
	assert_int_equal(uffd_poll(fx->u, true), 0);
	assert_int_equal(space_fault(fx->space, at, FAULT_READ, &ticket),
			 SPACE_SEGV_MAPERR);
}

static void L83_L60_faults_that_are_not_userfaults(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map(fx, 3, RW);
	struct watch_ticket ticket;

	assert_int_equal(fx_register(fx->u, at + PAGE, 2 * PAGE, 1, NULL), 0);
	assert_int_equal(space_fault(fx->space, at, FAULT_WRITE, &ticket),
			 SPACE_RETRY);
	assert_int_equal(space_protect(fx->space, range_of(at + PAGE, PAGE),
				       ACCESS_READ),
			 0);
	assert_int_equal(space_fault(fx->space, at + PAGE, FAULT_WRITE,
				     &ticket),
			 SPACE_SEGV_ACCERR); /* L60b */
	assert_int_equal(uffd_poll(fx->u, true), 0);
}

static void G02_G03_wake_without_resolving(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);
	struct watch_ticket ticket = fx_fault(fx, at, FAULT_READ);

	(void)fx_take(fx);
	assert_int_equal(fx_wake(fx->u, 0x100000, PAGE), 0);
	assert_false(fx_is_woken(&ticket));
	assert_int_equal(fx_wake(fx->u, at, PAGE), 0);
	assert_true(fx_is_woken(&ticket));
	(void)fx_fault(fx, at, FAULT_READ);
	assert_int_equal(uffd_poll(fx->u, true), POLLIN);
}

/* Both ways of waking a range: page by page, waiter by waiter. */
static void wake_of_ranges_of_any_size(void **state)
{
	enum { PAGES = 512, WAITERS = 100 };
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, PAGES);
	struct watch_ticket tickets[WAITERS];
	uint64_t len;
	unsigned i;

	for (len = 1; len <= PAGES; len *= 8) {
		for (i = 0; i < WAITERS; i++)
			tickets[i] = fx_fault(fx, at + i * 5 * PAGE,
					      FAULT_READ);
		assert_int_equal(fx_wake(fx->u, at, len * PAGE), 0);
		for (i = 0; i < WAITERS; i++)
			assert_int_equal(fx_is_woken(&tickets[i]),
					 i * 5 < len);
		uffd_check(fx->u);
		assert_int_equal(fx_wake(fx->u, at, PAGES * PAGE), 0);
	}
	assert_queued(fx, "0", "0");
}

static void faults_beyond_the_last_slot_are_retried(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 8);
	struct watch_ticket ticket, last = { 0 };
	unsigned i;

	for (i = 0; i < WAITER_SLOTS; i++)
		last = fx_fault(fx, at + (i % 8) * PAGE, FAULT_READ);
	assert_int_equal(space_fault(fx->space, at, FAULT_READ, &ticket),
			 SPACE_RETRY);
	last.watch->ops->withdraw(&last);
	last = fx_fault(fx, at, FAULT_READ);
	assert_int_equal(space_fault(fx->space, at, FAULT_READ, &ticket),
			 SPACE_RETRY);
	uffd_check(fx->u);
	assert_int_equal(fx_wake(fx->u, at, 8 * PAGE), 0);
	assert_true(fx_is_woken(&last));
	assert_queued(fx, "0", "0");
}

/* Is the bell silent, and the host untold, until a fault is known real? */
static void nothing_is_announced_before_its_time(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);
	struct watch *watch = fx_vma(fx, at)->watch;
	struct watch_fault fault = { at, FAULT_READ, WATCH_MISSING };
	uint32_t bell = atomic_load(uffd_bell(fx->u));
	struct watch_ticket ticket;

	assert_int_equal(watch->ops->on_fault(watch, &fault, &ticket),
			 WATCH_WAIT);
	assert_int_equal(atomic_load(uffd_bell(fx->u)), bell);
	assert_int_equal(fx->told, -1);
	watch->ops->withdraw(&ticket);
	assert_int_equal(fx->told, -1);

	assert_int_equal(watch->ops->on_fault(watch, &fault, &ticket),
			 WATCH_WAIT);
	(void)fx_take(fx); /* may be taken all the same */
	watch->ops->announce(&ticket);
	assert_int_not_equal(fx->told, 1);
}

static void messages_say_why(void **state)
{
	static const struct {
		unsigned access, reason;
		uint64_t flags;
	} cases[] = {
		{ FAULT_READ, WATCH_MISSING, 0 },
		{ FAULT_EXEC, WATCH_MISSING, 0 },
		{ FAULT_WRITE | FAULT_KERNEL, WATCH_MISSING, 1 },
		{ FAULT_WRITE, WATCH_WP, 3 },
		{ FAULT_READ, WATCH_MINOR, 4 },  /* L45 */
		{ FAULT_WRITE, WATCH_MINOR, 5 }, /* L46 */
	};
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 1);
	struct watch *watch = fx_vma(fx, at)->watch;
	struct watch_ticket ticket;
	size_t i;

	for (i = 0; i < array_len(cases); i++) {
		struct watch_fault fault = { at, cases[i].access,
					     cases[i].reason };

		assert_int_equal(watch->ops->on_fault(watch, &fault, &ticket),
				 WATCH_WAIT);
		assert_int_equal(fx_take(fx).arg.pagefault.flags,
				 cases[i].flags);
	}
}

struct racer {
	struct fx *fx;
	va_t at;
};

static void *post_and_withdraw(void *arg)
{
	struct racer *r = arg;
	unsigned i;

	for (i = 0; i < 2000; i++) {
		struct watch_ticket ticket = fx_fault(r->fx, r->at,
						      FAULT_READ);

		if (i % 2)
			ticket.watch->ops->withdraw(&ticket);
		else if (fx_wake(r->fx->u, r->at, PAGE))
			abort();
	}
	return NULL;
}

/* Each call of readable() differs from the one before, and the last is true. */
static void the_host_hears_the_truth_under_races(void **state)
{
	struct fx *fx = *state;
	va_t at = fx_map_watched(fx, 3);
	struct racer racers[3];
	pthread_t threads[3];
	struct pf_uffd_msg msg;
	unsigned i;

	for (i = 0; i < 3; i++) {
		racers[i] = (struct racer){ fx, at + i * PAGE };
		assert_int_equal(pthread_create(&threads[i], NULL,
						post_and_withdraw, &racers[i]),
				 0);
	}
	for (i = 0; i < 2000; i++)
		(void)!uffd_take(fx->u, &msg, 1);
	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(uffd_poll(fx->u, true), 0);
	assert_int_equal(fx->told, 0);
	(void)fx_fault(fx, at, FAULT_READ);
	assert_int_equal(fx->told, 1);
	uffd_check(fx->u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(L01_nothing_queued),
		BOTH(L03_L05_L06_one_read_fault),
		BOTH(L08_write_fault),
		BOTH(L09_messages_are_first_in_first_out),
		BOTH(L10_L11_wake_by_page),
		BOTH(L12_resolved_before_it_was_read),
		BOTH(L20_a_waiter_that_goes_away_withdraws_its_message),
		BOTH(L22_thread_and_exact_address),
		BOTH(L24_sigbus_feature),
		BOTH(L25_user_mode_only),
		BOTH(L26b_last_close_wakes_and_unregisters),
		BOTH(L30_L31_space_has_exited),
		BOTH(L83_L60_faults_that_are_not_userfaults),
		BOTH(G02_G03_wake_without_resolving),
		BOTH(wake_of_ranges_of_any_size),
		BOTH(faults_beyond_the_last_slot_are_retried),
		BOTH(nothing_is_announced_before_its_time),
		BOTH(messages_say_why),
		BOTH(the_host_hears_the_truth_under_races),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
