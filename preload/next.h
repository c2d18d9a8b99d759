/* SPDX-License-Identifier: MIT */
/*
 * libc's own functions, behind the ones that the shim puts before them.
 *
 * The table is filled once, by whoever needs it first: constructors of other
 * libraries run before ours, and so may their threads.
 *
 * This header comes first in every file of the shim: it undoes the settings
 * under which libc's headers would give another function's name to a
 * definition (64-bit file offsets) or define it themselves (fortification).
 */
#ifndef PRELOAD_NEXT_H
#define PRELOAD_NEXT_H

#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* Second names as macros. */
#undef fread_unlocked
#undef fwrite_unlocked

/* Every function that the shim calls behind its own back, once. */
#define NEXT_CALLS(X)                                                       \
	X(read) X(pread) X(readv) X(preadv) X(preadv2)                      \
	X(write) X(pwrite) X(writev) X(pwritev) X(pwritev2)                 \
	X(recv) X(recvfrom) X(recvmsg) X(recvmmsg)                          \
	X(send) X(sendto) X(sendmsg) X(sendmmsg)                            \
	X(lseek) X(ioctl) X(open) X(openat) X(fopen) X(fclose)              \
	X(poll) X(ppoll) X(select) X(pselect)                               \
	X(epoll_ctl) X(epoll_wait) X(epoll_pwait) X(epoll_pwait2)           \
	X(close) X(dup) X(dup2) X(dup3) X(fcntl)                            \
	X(readlink) X(readlinkat) X(getcwd) X(getrandom) X(getdents64)      \
	X(stat) X(lstat) X(fstat) X(fstatat) X(statx)                       \
	X(fork) X(_Fork) X(clone) X(_exit) X(quick_exit)                    \
	X(execve) X(execvpe) X(execveat) X(fexecve)                         \
	X(posix_spawn) X(posix_spawnp)                                      \
	X(sigaction) X(sigsuspend) X(pthread_attr_setsigmask_np)            \
	X(mmap) X(munmap) X(mprotect) X(pkey_mprotect) X(mremap)            \
	X(madvise) X(mlock) X(mlock2) X(mlockall) X(brk) X(sbrk)            \
	X(fread) X(fread_unlocked) X(fwrite) X(fwrite_unlocked)             \
	X(pipe) X(pipe2) X(socketpair) X(accept) X(accept4)                 \
	X(getsockname) X(getpeername) X(getsockopt) X(setsockopt)           \
	X(wait4) X(waitpid) X(waitid) X(uname) X(sysinfo) X(times)          \
	X(getrusage) X(free) X(realloc)

struct next_calls {
#define NEXT_FIELD(name) __typeof__(name) *name; /* [I] once resolved */
	NEXT_CALLS(NEXT_FIELD)
#undef NEXT_FIELD
};

extern struct next_calls next_table;
extern atomic_bool next_is_ready;

/*
 * The table is filled and the library begun with it, by this thread or by
 * another that was faster.
 *
 * Context: any. A call that comes from inside the search itself (the dynamic
 *          linker's) is served by raw system calls.
 * Returns: the table to use.
 */
const struct next_calls *next_resolve(void);

/*
 * The table of libc's functions. Asking for it also is what makes the
 * library's functions usable: where one is called before any test that an
 * object exists, the table is asked for first.
 */
static inline const struct next_calls *next(void)
{
	if (__builtin_expect(
		    atomic_load_explicit(&next_is_ready, memory_order_acquire),
		    1))
		return &next_table;
	return next_resolve();
}

/* Whether free() behind ours is glibc's own, whose blocks we know. */
bool next_malloc_is_glibc(void);

#endif /* PRELOAD_NEXT_H */
