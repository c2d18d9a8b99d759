/* SPDX-License-Identifier: MIT */
/*
 * The end of a process whose invariants are broken.
 *
 * It may run anywhere, so it uses system calls only: no stdio, no abort().
 */
#include "base/check.h"

#include "base/mem.h"
#include "base/raw.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ABORT_STATUS 134

/* One line under construction; what does not fit is left out. */
struct line {
	char text[256]; /* [owner] */
	size_t n;       /* [owner] */
};

static void line_add(struct line *line, const char *s)
{
	size_t room = sizeof(line->text) - line->n;
	size_t n = mem_length(s);

	if (n > room)
		n = room;
	mem_copy(line->text + line->n, s, n);
	line->n += n;
}

static void line_add_number(struct line *line, int number)
{
	char digits[12];
	size_t at = sizeof(digits) - 1;

	digits[at] = 0;
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	line_add(line, digits + at);
}

/* SIGABRT does its default work, whatever the program made of it. */
static no_return void die(void)
{
	struct {
		uint64_t handler;
		uint64_t flags;
		uint64_t restorer;
		uint64_t mask;
	} by_default = { 0, 0, 0, 0 };
	uint64_t none = 0;

	raw_call(SYS_rt_sigaction, SIGABRT, &by_default, NULL, sizeof(none));
	raw_call(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
	raw_call(SYS_tgkill, raw_call(SYS_getpid), raw_call(SYS_gettid),
		 SIGABRT);
	for (;;)
		raw_call(SYS_exit_group, ABORT_STATUS);
}

no_return void check_failed(const char *file, int line, const char *what)
{
	struct line out = { .n = 0 };

	line_add(&out, "polyfault: ");
	line_add(&out, file);
	line_add(&out, ":");
	line_add_number(&out, line);
	line_add(&out, ": does not hold: ");
	line_add(&out, what);
	line_add(&out, "\n");
	raw_call(SYS_write, STDERR_FILENO, out.text, out.n);
	die();
}
