/* SPDX-License-Identifier: MIT */
/*
 * Finding out that a thread died: three questions, cheapest first.
 */
#include "base/owner.h"

#include "base/raw.h"
#include "base/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define STAT_BYTES 256

/* The zombie of a child is told by waitid(), which leaves it to be reaped. */
static bool is_dead_child(uint32_t tid)
{
	siginfo_t info;
	long err;

	info.si_pid = 0;
	err = raw_call(SYS_waitid, P_PID, tid, &info,
		       WNOHANG | WNOWAIT | WEXITED | __WALL, NULL);
	return err == 0 && info.si_pid != 0;
}

/* "/proc/<tid>/stat" is written to `path`, which has room for it. */
static void stat_path(char *path, uint32_t tid)
{
	static const char head[] = "/proc/";
	static const char tail[] = "/stat";
	char digits[10];
	unsigned n = 0;

	for (unsigned i = 0; head[i]; i++)
		*path++ = head[i];
	do {
		digits[n++] = (char)('0' + tid % 10);
		tid /= 10;
	} while (tid);
	while (n)
		*path++ = digits[--n];
	for (unsigned i = 0; i < sizeof(tail); i++)
		*path++ = tail[i];
}

/*
 * The state letter stands after the last ')': the name between the
 * parentheses may hold anything, a ')' too.
 */
static char state_letter(const char *text, long n)
{
	for (long i = n - 3; i >= 0; i--)
		if (text[i] == ')')
			return text[i + 2];
	return 0;
}

/* Zombies that are not our children are seen in /proc only. */
static bool is_zombie(uint32_t tid)
{
	char path[32];
	char text[STAT_BYTES];
	char state;
	long fd;
	long n;

	stat_path(path, tid);
	fd = raw_call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = raw_call(SYS_read, fd, text, sizeof(text));
	raw_call(SYS_close, fd);
	state = state_letter(text, n);
	return state == 'Z' || state == 'X';
}

bool sync_is_dead(uint32_t tid)
{
	if (raw_call(SYS_tkill, tid, 0) == -ESRCH)
		return true;
	return is_dead_child(tid) || is_zombie(tid);
}
