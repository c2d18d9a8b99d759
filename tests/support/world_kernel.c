/* SPDX-License-Identifier: MIT */
/*
 * The running kernel: the oracle.
 *
 * Through libc's functions, so that the same cases also run under the preload
 * shim with the kernel's userfaultfd denied.
 */
#include "t.h"
#include "world_real.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static int call_userfaultfd(int flags)
{
	return (int)syscall(PF_SYS_USERFAULTFD, flags);
}

static int call_device_new(int flags)
{
	int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd, err;

	if (device == -1)
		return -1;
	fd = ioctl(device, PF_USERFAULTFD_IOC_NEW, flags);
	err = errno;
	close(device);
	errno = err;
	return fd;
}

static int call_ioctl(int fd, unsigned long command, void *arg)
{
	return ioctl(fd, command, arg);
}

static int call_fcntl(int fd, int command, long arg)
{
	return fcntl(fd, command, arg);
}

/* The memory is the buffer of a write(2) to a pipe, then of a read(2). */
static size_t call_kernel_load(void *buf, const void *va, size_t n)
{
	ssize_t got;
	int ends[2];

	T_OK(pipe2(ends, O_CLOEXEC));
	got = write(ends[1], va, n);
	if (got > 0)
		got = read(ends[0], buf, (size_t)got);
	close(ends[0]);
	close(ends[1]);
	return got > 0 ? (size_t)got : 0;
}

static size_t call_kernel_store(void *va, const void *buf, size_t n)
{
	ssize_t got;
	int ends[2];

	T_OK(pipe2(ends, O_CLOEXEC));
	T_EQ(write(ends[1], buf, n), n);
	got = read(ends[0], va, n);
	close(ends[0]);
	close(ends[1]);
	return got > 0 ? (size_t)got : 0;
}

static ssize_t call_fdinfo(int fd, char *text, size_t n)
{
	char path[64];
	ssize_t got;
	int file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file == -1)
		return -1;
	got = read(file, text, n);
	close(file);
	return got;
}

static void call_watch_elsewhere(int fd)
{
	(void)fd;
}

static const struct real_calls kernel_calls = {
	.userfaultfd = call_userfaultfd,
	.device_new = call_device_new,
	.ioctl = call_ioctl,
	.read = read,
	.readv = readv,
	.preadv2 = preadv2,
	.poll = poll,
	.close = close,
	.dup = dup,
	.fcntl = call_fcntl,
	.mmap = mmap,
	.munmap = munmap,
	.mprotect = mprotect,
	.madvise = madvise,
	.sigaction = sigaction,
	.kernel_load = call_kernel_load,
	.kernel_store = call_kernel_store,
	.fdinfo = call_fdinfo,
	.watch_elsewhere = call_watch_elsewhere,
};

static int kernel_open(struct world *w)
{
	unsigned major = 0, minor = 0;
	struct utsname name;

	uname(&name);
	sscanf(name.release, "%u.%u", &major, &minor);
	if (major * 1000 + minor < 6018 && !getenv("CONFORM_ANY_KERNEL"))
		t_skip("the cases state Linux 6.18, this is %s", name.release);
	return real_open(w, &kernel_calls);
}

/* What the short-lived owner of an orphan leaves behind. */
struct will {
	int fd;
	int err;
};

static void live_and_die(struct will *will, uint64_t at)
{
	struct pf_uffdio_api api = { .api = PF_UFFD_API };
	struct pf_uffdio_register reg = { { at, PG }, 1, 0 };

	will->fd = call_userfaultfd(O_CLOEXEC | O_NONBLOCK);
	if (will->fd == -1 || ioctl(will->fd, PF_UFFDIO_API, &api) ||
	    mmap((void *)(uintptr_t)at, PG, RW,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		    MAP_FAILED ||
	    ioctl(will->fd, PF_UFFDIO_REGISTER, &reg))
		will->err = -errno;
	_exit(0);
}

/* A process with our descriptors but its own memory makes it and exits. */
static int kernel_orphan(struct world *w, uint64_t at, struct w_uffd *out)
{
	struct will *will = mmap(NULL, PG, RW, MAP_SHARED | MAP_ANONYMOUS,
				 -1, 0);
	long child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	(void)w;
	if (child == 0)
		live_and_die(will, at);
	T_EQ(waitpid((pid_t)child, NULL, 0), child);
	T_OK(will->err);
	out->fd = will->fd;
	return 0;
}

static int shim_open(struct world *w)
{
	const char *preload = getenv("LD_PRELOAD");

	if (!preload || !strstr(preload, "polyfault"))
		t_skip("this is not running under the shim");
	return real_open(w, &kernel_calls);
}

static int shim_orphan(struct world *w, uint64_t at, struct w_uffd *out)
{
	(void)w;
	(void)at;
	(void)out;
	return -ENOSYS;
}

const struct world_ops world_kernel = {
	.open = kernel_open,
	.close = real_close,
	.map = real_map,
	.unmap = real_unmap,
	.protect = real_protect,
	.discard = real_discard,
	.guard = real_guard,
	.access = real_access,
	.kernel_access = real_kernel_access,
	.entry = real_entry,
	.count = real_count,
	.create = real_create,
	.release = real_release,
	.ioctl = real_ioctl,
	.ioctl_at = real_ioctl_at,
	.read = real_read,
	.poll = real_poll,
	.set_nonblocking = real_set_nonblocking,
	.fdinfo = real_fdinfo,
	.orphan = kernel_orphan,
	.raise = real_raise,
	.drop_privilege = real_drop_privilege,
	.thread_ends = real_thread_ends,
};

const struct world_ops world_shim = {
	.open = shim_open,
	.close = real_close,
	.map = real_map,
	.unmap = real_unmap,
	.protect = real_protect,
	.discard = real_discard,
	.guard = real_guard,
	.access = real_access,
	.kernel_access = real_kernel_access,
	.entry = real_entry,
	.count = real_count,
	.create = real_create,
	.release = real_release,
	.ioctl = real_ioctl,
	.ioctl_at = real_ioctl_at,
	.read = real_read,
	.poll = real_poll,
	.set_nonblocking = real_set_nonblocking,
	.fdinfo = real_fdinfo,
	.orphan = shim_orphan,
	.raise = real_raise,
	.drop_privilege = real_drop_privilege,
	.thread_ends = real_thread_ends,
};
