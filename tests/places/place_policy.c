/* SPDX-License-Identifier: MIT */
/* Who is granted what: rows A05 and A06 of the specification. */
#include "prog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *ask(int flags)
{
	int fd = (int)syscall(SYS_userfaultfd, flags);
	int err = fd < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return err ? strerrorname_np(err) : "granted";
}

static void asked(void)
{
	CHECK(fcntl(STDOUT_FILENO, F_GETFD) == 0);
	result("plain %s", ask(O_CLOEXEC));
	result("user mode only %s", ask(O_CLOEXEC | UFFD_USER_MODE_ONLY));
	result("unknown flag %s", ask(2));
	result("user mode only, unknown flag %s", ask(2 | UFFD_USER_MODE_ONLY));
}

/* 64 pages in random order, checked. */
static void filled(void)
{
	int fd = open_uffd(O_CLOEXEC | UFFD_USER_MODE_ONLY, 0);
	struct handler handler = { 0 };
	char *area = map_pages(64);

	watch(fd, area, 64);
	start_handler(&handler, fd);
	for (size_t i = 0; i < 64; i++)
		CHECK(is_made(area + (i * 37 % 64) * PAGE));
	stop_handler(&handler);
	result("filled %d", handler.filled);
}

const struct scene scenes[] = {
	{ "asked", asked },
	{ "filled", filled },
	{ NULL, NULL },
};
