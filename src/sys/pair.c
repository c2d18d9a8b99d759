/* SPDX-License-Identifier: MIT */
/* Socket pairs in a process that counts its descriptors. */
#include "sys/pair.h"

#include "base/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Out of the way of programs that expect the next number. */
#define PAIR_FD_FLOOR 700
/* Below that there is no out of the way. */
#define PAIR_FD_LOWEST 10

int pair_copy_high(int fd)
{
	for (int floor = PAIR_FD_FLOOR; floor >= PAIR_FD_LOWEST;
	     floor /= 2) {
		long high = raw_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, floor);

		if (high >= 0)
			return (int)high;
	}
	return -EMFILE;
}

int pair_move_high(int fd)
{
	int high;

	/* So it is already; it may be beyond a limit that was lowered. */
	if (fd >= PAIR_FD_FLOOR)
		return fd;
	high = pair_copy_high(fd);
	if (high < 0)
		return fd;
	raw_call(SYS_close, fd);
	return high;
}

/*
 * A thread that guesses the number before we know it reads from a mere
 * socket: it must not get stuck in that.
 */
static int pair(int ends[2])
{
	int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;

	return (int)raw_call(SYS_socketpair, AF_UNIX, type, 0, ends);
}

/*
 * The program has a number left for its end, and we make one for ours, which
 * it does not know of: beyond its soft limit, lifted for a moment. A limit
 * that another thread sets meanwhile is put back.
 */
static int pair_beyond_limit(int ends[2])
{
	struct rlimit was, lifted, now;
	int err;

	if (raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &was) ||
	    was.rlim_cur >= was.rlim_max)
		return -EMFILE;
	lifted = was;
	lifted.rlim_cur = was.rlim_max;
	if (raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, &lifted, NULL))
		return -EMFILE;
	err = pair(ends);
	if (!raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, &was, &now) &&
	    (now.rlim_cur != lifted.rlim_cur ||
	     now.rlim_max != lifted.rlim_max))
		raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, &now, NULL);
	if (err || (rlim_t)ends[0] < was.rlim_cur)
		return err;
	raw_call(SYS_close, ends[0]);
	raw_call(SYS_close, ends[1]);
	return -EMFILE;
}

int pair_make(int ends[2])
{
	int err = pair(ends);

	return err == -EMFILE ? pair_beyond_limit(ends) : err;
}
