/* SPDX-License-Identifier: MIT */
/* Children of every make: private stays private, the parent stays whole. */
#include "prog.h"

#include <fcntl.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 32

static char *area;
static struct handler handler;
static int uffd;

/* The first half is filled, the second half missing. */
static void set_up(void)
{
	uffd = open_uffd(O_CLOEXEC, 0);
	area = map_pages(PAGES);
	watch(uffd, area, PAGES);
	start_handler(&handler, uffd);
	for (size_t i = 0; i < PAGES / 2; i++)
		CHECK(is_made(area + i * PAGE));
}

static void expect_exit(pid_t child, int code)
{
	int status;

	CHECK(child > 0);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == code);
}

/* Nothing that a child did shows here, and the second half still faults. */
static void expect_parent_whole(void)
{
	int before = handler.messages;

	for (size_t i = 0; i < PAGES; i++)
		CHECK(is_made(area + i * PAGE));
	CHECK(handler.messages == before + PAGES / 2);
	stop_handler(&handler);
	result("messages %d", handler.messages);
}

/* In a child: the filled half is there, the other half is plain zeros. */
static int child_looks(void)
{
	for (size_t i = 0; i < PAGES / 2; i++)
		if (!is_made(area + i * PAGE))
			return 1;
	for (size_t i = PAGES / 2 * PAGE; i < PAGES * PAGE; i++)
		if (area[i])
			return 2;
	return 42;
}

static int child_scribbles(void)
{
	for (size_t i = 0; i < PAGES; i++)
		memset(area + i * PAGE, 'c', PAGE);
	for (size_t i = 0; i < PAGES * PAGE; i++)
		if (area[i] != 'c')
			return 3;
	return 43;
}

static void fork_gives_a_private_copy(void)
{
	pid_t child;

	set_up();
	child = fork();
	if (child == 0)
		_exit(child_looks());
	expect_exit(child, 42);
	child = fork();
	if (child == 0)
		_exit(child_scribbles());
	expect_exit(child, 43);
	expect_parent_whole();
}

/* What the parent writes or fills later does not show in the child. */
static void child_keeps_what_was(void)
{
	pid_t child;
	int gate[2];
	char byte;

	set_up();
	CHECK(pipe(gate) == 0);
	child = fork();
	if (child == 0) {
		if (read(gate[0], &byte, 1) != 1)
			_exit(9);
		_exit(child_looks());
	}
	for (size_t i = 0; i < PAGES; i++)
		area[i * PAGE + 9] = 'p';
	CHECK(write(gate[1], "x", 1) == 1);
	expect_exit(child, 42);
	result("messages %d", handler.messages);
	stop_handler(&handler);
}

/* The child of a child, and an object of the child's own. */
static void child_uses_userfaultfd_itself(void)
{
	pid_t child;

	set_up();
	child = fork();
	if (child == 0) {
		static struct handler own;
		char *mine = map_pages(8);
		int fd = open_uffd(O_CLOEXEC, 0);
		pid_t grandchild;

		watch(fd, mine, 8);
		watch(fd, area + PAGES / 2 * PAGE, 2);
		start_handler(&own, fd);
		CHECK(is_made(mine + 3 * PAGE));
		CHECK(is_made(area + PAGES / 2 * PAGE));
		grandchild = fork();
		if (grandchild == 0)
			_exit(is_made(mine + 3 * PAGE) && !mine[0] ? 7 : 8);
		expect_exit(grandchild, 7);
		/* The handler counts after its COPY has let us go on. */
		for (int i = 0; i < 5000 && own.filled < 2; i++)
			usleep(1000);
		_exit(own.filled == 2 ? 44 : 4);
	}
	expect_exit(child, 44);
	expect_parent_whole();
}

/* The descriptor in the child acts on the parent's memory. */
static void child_closes_the_descriptor(void)
{
	pid_t child;

	set_up();
	child = fork();
	if (child == 0) {
		close(uffd);
		_exit(child_looks());
	}
	expect_exit(child, 42);
	expect_parent_whole();
}

/* A fork that no wrapper sees must not harm the parent. */
static void raw_fork_does_not_harm_the_parent(void)
{
	pid_t child;

	set_up();
	for (int i = 0; i < 3; i++) {
		child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
		if (child == 0) {
			child_scribbles();
			_exit(0);
		}
		CHECK(child > 0);
		CHECK(waitpid(child, NULL, 0) == child);
	}
	expect_parent_whole();
}

static void forkpty_does_not_harm_the_parent(void)
{
	pid_t child;
	int master;

	set_up();
	child = forkpty(&master, NULL, NULL, NULL);
	if (child == 0) {
		child_scribbles();
		_exit(0);
	}
	CHECK(child > 0);
	CHECK(waitpid(child, NULL, 0) == child);
	close(master);
	expect_parent_whole();
}

static void spawned_programs_run(void)
{
	char *argv[] = { "sh", "-c", "exit 5", NULL };
	char *env[] = { NULL };
	pid_t child;

	set_up();
	CHECK(posix_spawnp(&child, "sh", NULL, NULL, argv, env) == 0);
	expect_exit(child, 5);
	CHECK(WEXITSTATUS(system("exit 6")) == 6);
	child = vfork();
	if (child == 0) {
		execlp("sh", "sh", "-c", "exit 7", (char *)NULL);
		_exit(1);
	}
	expect_exit(child, 7);
	expect_parent_whole();
}

static void *fork_and_look(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(is_made(area) ? 42 : 1);
		expect_exit(child, 42);
	}
	return NULL;
}

/* Forks while other threads fault. */
static void fork_while_others_fault(void)
{
	pthread_t forker;

	set_up();
	forker = run(fork_and_look, NULL);
	for (int round = 0; round < 20; round++) {
		CHECK(madvise(area + PAGES / 2 * PAGE, PAGES / 2 * PAGE,
			      MADV_DONTNEED) == 0);
		for (size_t i = 0; i < PAGES; i++)
			CHECK(is_made(area + i * PAGE));
	}
	CHECK(pthread_join(forker, NULL) == 0);
	stop_handler(&handler);
	result("messages %d", handler.messages);
}

const struct scene scenes[] = {
	{ "fork_gives_a_private_copy", fork_gives_a_private_copy },
	{ "child_keeps_what_was", child_keeps_what_was },
	{ "child_uses_userfaultfd_itself", child_uses_userfaultfd_itself },
	{ "child_closes_the_descriptor", child_closes_the_descriptor },
	{ "raw_fork_does_not_harm_the_parent",
	  raw_fork_does_not_harm_the_parent },
	{ "forkpty_does_not_harm_the_parent",
	  forkpty_does_not_harm_the_parent },
	{ "spawned_programs_run", spawned_programs_run },
	{ "fork_while_others_fault", fork_while_others_fault },
	{ NULL, NULL },
};
