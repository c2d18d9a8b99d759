/* SPDX-License-Identifier: MIT */
/* Programs with signal handlers of their own. */
#include "prog.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *own_page;              /* PROT_NONE; the program's own trouble */
static char *missing;               /* watched */
static volatile sig_atomic_t segvs, users;
static void *volatile segv_at;
static volatile int segv_code;
static sigjmp_buf out;

static void install(int sig, void (*call)(int, siginfo_t *, void *),
		    int flags)
{
	struct sigaction action = { .sa_flags = flags | SA_SIGINFO };

	action.sa_sigaction = call;
	CHECK(sigaction(sig, &action, NULL) == 0);
}

static void repair(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	segvs++;
	segv_at = info->si_addr;
	segv_code = info->si_code;
	mprotect(own_page, PAGE, PROT_READ | PROT_WRITE);
}

static void lose_page(void)
{
	CHECK(mprotect(own_page, PAGE, PROT_NONE) == 0);
}

static void own_fault(size_t offset)
{
	int before = segvs;

	lose_page();
	*(volatile char *)(own_page + offset) = 1;
	CHECK(segvs == before + 1);
	CHECK(segv_at == own_page + offset);
	CHECK(segv_code == SEGV_ACCERR);
}

static void use_alternate_stack(size_t bytes)
{
	stack_t stack = { .ss_sp = map_pages(8), .ss_size = bytes };

	CHECK(sigaltstack(&stack, NULL) == 0);
}

static void set_up(struct handler *handler, size_t pages)
{
	int fd = open_uffd(O_CLOEXEC, 0);

	own_page = map_pages(1);
	missing = map_pages(pages);
	watch(fd, missing, pages);
	start_handler(handler, fd);
}

/* Both kinds of fault side by side, handler on 8 KiB. */
static void own_handler_on_alternate_stack(void)
{
	struct handler handler = { 0 };

	use_alternate_stack(8192);
	install(SIGSEGV, repair, SA_ONSTACK);
	set_up(&handler, 64);
	for (size_t i = 0; i < 64; i++) {
		own_fault(i * 8 + 3);
		CHECK(is_made(missing + i * PAGE));
	}
	stop_handler(&handler);
	result("own %d messages %d", (int)segvs, handler.messages);
}

/* Installed after the object is in use. */
static void own_handler_installed_late(void)
{
	struct handler handler = { 0 };

	set_up(&handler, 8);
	CHECK(is_made(missing));
	install(SIGSEGV, repair, 0);
	own_fault(9);
	CHECK(is_made(missing + PAGE));
	result("own %d messages %d", (int)segvs, handler.messages);
	stop_handler(&handler);
}

static void on_user(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	users++;
}

static void *touch(void *at)
{
	use_alternate_stack(8192);
	return (void *)(uintptr_t)*(volatile unsigned char *)at;
}

/* The thread waits in a fault; a second handler needs the same 8 KiB. */
static void second_handler_while_waiting(void)
{
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0);
	struct uffd_msg msg;
	pthread_t thread;
	void *seen;

	own_page = map_pages(1);
	missing = map_pages(1);
	watch(fd, missing, 1);
	install(SIGSEGV, repair, SA_ONSTACK);
	install(SIGUSR1, on_user, SA_ONSTACK);
	thread = run(touch, missing);
	for (int i = 0; i < 20; i++) {
		CHECK(next_message(fd, &msg, 5000));
		CHECK(pthread_kill(thread, SIGUSR1) == 0);
		while (users < i + 1)
			nap_ms(1);
	}
	CHECK(next_message(fd, &msg, 5000));
	CHECK(zero_page(fd, missing) == 0);
	CHECK(pthread_join(thread, &seen) == 0);
	CHECK(seen == NULL);
	result("handled %d", (int)users);
}

/* The stack lies between two watched ranges: it is not watched itself. */
static void handler_while_waiting_on_a_stack_between(void)
{
	const size_t room = 64;
	char *area = map_pages(room + 2);
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0);
	pthread_attr_t attr;
	struct uffd_msg msg;
	pthread_t thread;
	char page[PAGE];

	watch(fd, area, 1);
	watch(fd, area + (room + 1) * PAGE, 1);
	install(SIGUSR1, on_user, 0);
	memset(page, 7, PAGE);
	CHECK(pthread_attr_init(&attr) == 0);
	CHECK(pthread_attr_setstack(&attr, area + PAGE, room * PAGE) == 0);
	CHECK(pthread_create(&thread, &attr, touch, area) == 0);
	CHECK(next_message(fd, &msg, 5000));
	nap_ms(50);
	CHECK(pthread_kill(thread, SIGUSR1) == 0);
	for (int i = 0; i < 500 && !users; i++)
		nap_ms(10);
	CHECK(users == 1);
	CHECK(copy_page(fd, area, page) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	result("handled %d", users);
}

static void touch_missing(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	users += is_made(missing + (size_t)users * PAGE);
}

/* A handler on the alternate stack faults itself. */
static void handler_faults_on_alternate_stack(void)
{
	struct handler handler = { 0 };

	use_alternate_stack(16384);
	install(SIGUSR1, touch_missing, SA_ONSTACK);
	set_up(&handler, 16);
	for (int i = 0; i < 16; i++)
		raise(SIGUSR1);
	CHECK(users == 16);
	stop_handler(&handler);
	result("messages %d", handler.messages);
}

static void repair_twice(int sig, siginfo_t *info, void *context)
{
	if (segvs == 0) {
		segvs = 1;
		*(volatile char *)(own_page + 5) = 1; /* once more, nested */
	} else {
		repair(sig, info, context);
	}
}

static void nodefer(void)
{
	struct handler handler = { 0 };

	install(SIGSEGV, repair_twice, SA_NODEFER);
	set_up(&handler, 4);
	for (size_t i = 0; i < 4; i++) {
		segvs = 0;
		lose_page();
		*(volatile char *)own_page = 1;
		CHECK(segvs == 2);
		CHECK(is_made(missing + i * PAGE));
	}
	stop_handler(&handler);
	result("messages %d", handler.messages);
}

/* Without NODEFER, a fault of its own in the handler is the end. */
static void nested_without_nodefer_kills(void)
{
	struct handler handler = { 0 };
	int status;
	pid_t child = fork();

	if (child == 0) {
		install(SIGSEGV, repair_twice, 0);
		set_up(&handler, 4);
		CHECK(is_made(missing));
		lose_page();
		*(volatile char *)own_page = 1;
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	result("signal %d", WTERMSIG(status));
}

static void resethand(void)
{
	struct handler handler = { 0 };
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct sigaction now;

		install(SIGSEGV, repair, SA_RESETHAND);
		set_up(&handler, 4);
		CHECK(is_made(missing));
		own_fault(7);
		CHECK(sigaction(SIGSEGV, NULL, &now) == 0);
		CHECK(now.sa_handler == SIG_DFL);
		CHECK(is_made(missing + PAGE));
		lose_page();
		*(volatile char *)own_page = 1;
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	result("signal %d", WTERMSIG(status));
}

static void default_action_kills(void)
{
	volatile char *volatile nowhere = (volatile char *)8;
	struct handler handler = { 0 };
	int status;
	pid_t child = fork();

	if (child == 0) {
		set_up(&handler, 4);
		CHECK(is_made(missing));
		*nowhere = 1;
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	result("signal %d", WTERMSIG(status));
}

static void jump(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	users++;
	siglongjmp(out, 1);
}

static void *touch_until_jumped(void *at)
{
	if (!sigsetjmp(out, 1))
		*(volatile char *)at = 1;
	return NULL;
}

/* Leaving a wait by siglongjmp leaves nothing behind. */
static void jump_out_of_a_wait(void)
{
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0);
	int pending, total;
	struct uffd_msg msg;
	pthread_t thread;

	missing = map_pages(1);
	watch(fd, missing, 1);
	install(SIGUSR1, jump, 0);
	for (int i = 0; i < 50; i++) {
		thread = run(touch_until_jumped, missing);
		CHECK(next_message(fd, &msg, 5000));
		CHECK(pthread_kill(thread, SIGUSR1) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
		read_counts(fd, &pending, &total);
		CHECK(pending == 0 && total == 0);
	}
	CHECK(zero_page(fd, missing) == 0);
	CHECK(*missing == 0);
	result("jumps %d", (int)users);
}

/* A SIGSEGV of its own, left by siglongjmp. */
static void jump_out_of_own_fault(void)
{
	struct handler handler = { 0 };

	install(SIGSEGV, jump, 0);
	set_up(&handler, 50);
	lose_page();
	for (volatile size_t i = 0; i < 50; i++) {
		if (!sigsetjmp(out, 1)) {
			*(volatile char *)own_page = 1;
			CHECK(0);
		}
		CHECK(is_made(missing + i * PAGE));
	}
	stop_handler(&handler);
	result("jumps %d messages %d", (int)users, handler.messages);
}

static void *touch_masked(void *arg)
{
	sigset_t set, now;

	sigfillset(&set);
	if (arg == missing) {
		sigdelset(&set, SIGSEGV);
		sigdelset(&set, SIGFPE);
		sigdelset(&set, SIGILL);
	}
	CHECK(pthread_sigmask(SIG_SETMASK, &set, NULL) == 0);
	CHECK(is_made(arg));
	CHECK(pthread_sigmask(SIG_SETMASK, NULL, &now) == 0);
	for (int sig = 1; sig < 32; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			CHECK(sigismember(&set, sig) ==
			      sigismember(&now, sig));
	return NULL;
}

/* Threads that block all signals but SIGSEGV, or that one as well. */
static void masked_threads(void)
{
	struct handler handler = { 0 };
	pthread_t some, all;

	set_up(&handler, 2);
	some = run(touch_masked, missing);
	all = run(touch_masked, missing + PAGE);
	CHECK(pthread_join(some, NULL) == 0);
	CHECK(pthread_join(all, NULL) == 0);
	stop_handler(&handler);
	result("messages %d", handler.messages);
}

/* What was set is what is told. */
static void queries_tell_what_was_set(void)
{
	struct handler handler = { 0 };
	struct sigaction want = { .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct sigaction got;
	stack_t stack = { .ss_size = 16384 }, told;

	set_up(&handler, 1);
	CHECK(sigaction(SIGSEGV, NULL, &got) == 0);
	CHECK(got.sa_handler == SIG_DFL);
	CHECK(sigaction(SIGBUS, NULL, &got) == 0);
	CHECK(got.sa_handler == SIG_DFL);
	want.sa_sigaction = repair;
	sigaddset(&want.sa_mask, SIGUSR2);
	CHECK(sigaction(SIGSEGV, &want, &got) == 0);
	CHECK(got.sa_handler == SIG_DFL);
	CHECK(is_made(missing));
	CHECK(sigaction(SIGSEGV, NULL, &got) == 0);
	CHECK(got.sa_sigaction == repair);
	CHECK((got.sa_flags & (SA_SIGINFO | SA_NODEFER | SA_ONSTACK |
			       SA_RESTART)) == (SA_SIGINFO | SA_NODEFER));
	CHECK(sigismember(&got.sa_mask, SIGUSR2) == 1);
	CHECK(sigismember(&got.sa_mask, SIGUSR1) == 0);
	CHECK(sigaltstack(NULL, &told) == 0);
	CHECK(told.ss_flags == SS_DISABLE);
	stack.ss_sp = map_pages(4);
	CHECK(sigaltstack(&stack, &told) == 0);
	CHECK(told.ss_flags == SS_DISABLE);
	CHECK(sigaltstack(NULL, &told) == 0);
	CHECK(told.ss_sp == stack.ss_sp && told.ss_size == stack.ss_size);
	stop_handler(&handler);
	result("messages %d", handler.messages);
}

static int bus_fd;
static void *volatile bus_at;
static volatile int bus_code;

static void fill_there(int sig, siginfo_t *info, void *context)
{
	static uint64_t page[PAGE / 8];
	char *at = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));

	(void)sig;
	(void)context;
	users++;
	bus_at = info->si_addr;
	bus_code = info->si_code;
	make_page(at, page);
	if (copy_page(bus_fd, at, page))
		_exit(9);
}

/* SIGBUS mode: the program fills in the faulting thread. */
static void sigbus_feature(void)
{
	bus_fd = open_uffd(O_CLOEXEC, UFFD_FEATURE_SIGBUS);
	missing = map_pages(100);
	watch(bus_fd, missing, 100);
	install(SIGBUS, fill_there, 0);
	for (size_t i = 0; i < 100; i++) {
		*(volatile char *)(missing + i * PAGE + i * 3);
		CHECK(bus_at == missing + i * PAGE + i * 3);
		CHECK(bus_code == BUS_ADRERR);
		CHECK(is_made(missing + i * PAGE));
	}
	result("filled %d", (int)users);
}

const struct scene scenes[] = {
	{ "own_handler_on_alternate_stack", own_handler_on_alternate_stack },
	{ "own_handler_installed_late", own_handler_installed_late },
	{ "second_handler_while_waiting", second_handler_while_waiting },
	{ "handler_while_waiting_on_a_stack_between",
	  handler_while_waiting_on_a_stack_between },
	{ "handler_faults_on_alternate_stack",
	  handler_faults_on_alternate_stack },
	{ "nodefer", nodefer },
	{ "nested_without_nodefer_kills", nested_without_nodefer_kills },
	{ "resethand", resethand },
	{ "default_action_kills", default_action_kills },
	{ "jump_out_of_a_wait", jump_out_of_a_wait },
	{ "jump_out_of_own_fault", jump_out_of_own_fault },
	{ "masked_threads", masked_threads },
	{ "queries_tell_what_was_set", queries_tell_what_was_set },
	{ "sigbus_feature", sigbus_feature },
	{ NULL, NULL },
};
