/* SPDX-License-Identifier: MIT */
/* The descriptor as a program handles it: make, command, duplicate, close. */
#include "sys/sys.h"

#include "base/mem.h"
#include "base/raw.h"
#include "sys/handle.h"
#include "sys/kernel/kernel.h"
#include "sys/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

/* ---- what an object asks its surroundings ---- */

static void on_readable(void *arg, bool is_readable)
{
	struct handle *handle = arg;

	(void)is_readable;
	handle_settle(handle);
}

static bool on_is_privileged(void *arg)
{
	(void)arg;
	return !sys_choice()->is_strict || kernel_has_ptrace_capability();
}

/* ---- making one ---- */

/* Spec 3.2: permission before validity, when the policy is the kernel's. */
static int check_permission(unsigned flags)
{
	const struct sys_choice *choice = sys_choice();
	const struct profile *profile = choice->profile;

	if (!choice->is_strict)
		return 0;
	if (profile->user_mode_only_known && (flags & PF_UFFD_USER_MODE_ONLY))
		return 0;
	if (kernel_has_ptrace_capability() ||
	    kernel_unprivileged_allowed(profile->unprivileged_default))
		return 0;
	return -EPERM;
}

static int create_object(struct space *space, unsigned flags)
{
	struct uffd_options options = {
		.space = space,
		.profile = sys_choice()->profile,
		.flags = flags,
		.host = { .readable = on_readable,
			  .is_privileged = on_is_privileged },
	};
	struct handle *handle;
	struct uffd *uffd;
	int fd, err;

	if (flags & ~options.profile->create_flags)
		return -EINVAL;
	fd = handle_open((int)flags, &handle);
	if (fd < 0)
		return fd;
	options.host.arg = handle;
	err = uffd_create(&options, &uffd);
	if (err) {
		handle_abandon(handle);
		raw_call(SYS_close, fd);
		return err;
	}
	handle_attach(handle, uffd, fd);
	return fd;
}

static int make_ours(int flags, bool is_permitted)
{
	struct host_mask mask;
	struct space *space;
	int err = is_permitted ? 0 : check_permission((unsigned)flags);

	if (err)
		return err;
	err = sys_process_space(&space);
	if (err)
		return err;
	host_block_signals(&mask);
	handle_reap(NULL);
	err = create_object(space, (unsigned)flags);
	host_restore_signals(&mask);
	return err;
}

int sys_userfaultfd(int flags)
{
	if (sys_choice()->refused[0])
		return -EINVAL;
	if (sys_prefers_kernel(NULL))
		return kernel_userfaultfd(flags);
	return make_ours(flags, false);
}

int sys_device_new(int flags)
{
	if (sys_prefers_kernel(NULL))
		return kernel_device_new(flags);
	return make_ours(flags, true);
}

/* ---- commands ---- */

static int arg_in(void *at, void *dst, size_t n)
{
	return host_copy_fault(dst, at, n) == n ? 0 : -EFAULT;
}

static int arg_out(void *at, size_t offset, const void *src, size_t n)
{
	return host_copy_fault((char *)at + offset, src, n) == n ? 0 : -EFAULT;
}

/* The commands that every descriptor has. */
static int descriptor_flag(struct handle *handle, int fd,
			   unsigned long command, int *value)
{
	int err = (int)raw_call(SYS_ioctl, fd, command, value);

	if (!err && command == FIONBIO)
		atomic_store(&handle->is_nonblocking, *value != 0);
	return err;
}

/* Another thread may close the descriptor: the command is carried out. */
static int run_command(int fd, unsigned long command, void *at)
{
	const struct uffd_arg block = { .copy_in = arg_in,
					.copy_out = arg_out,
					.at = at };
	struct host_mask mask;
	struct uffd *uffd;
	int err;

	host_block_signals(&mask);
	err = handle_hold(fd, &uffd);
	if (!err) {
		err = uffd_ioctl(uffd, (uint32_t)command, &block);
		uffd_put(uffd);
	}
	host_restore_signals(&mask);
	return err;
}

int sys_ioctl(int fd, unsigned long command, void *arg)
{
	struct handle *handle = handle_of(fd);

	if (!handle)
		return (int)raw_call(SYS_ioctl, fd, command, arg);
	if (command == FIONBIO || command == FIOCLEX || command == FIONCLEX)
		return descriptor_flag(handle, fd, command, arg);
	return run_command(fd, command, arg);
}

/* ---- duplicates ---- */

/* Forgotten first: the next one who opens something gets the number. */
int sys_close(int fd)
{
	struct handle *handle = handle_of(fd);
	struct host_mask mask;
	int err;

	if (!handle)
		return (int)raw_call(SYS_close, fd);
	host_block_signals(&mask);
	handle_forget(fd);
	err = (int)raw_call(SYS_close, fd);
	handle_reap(handle);
	host_restore_signals(&mask);
	return err;
}

static int noted(int fd, struct handle *handle)
{
	struct host_mask mask;

	if (fd < 0 || !handle)
		return fd;
	host_block_signals(&mask);
	handle_note(fd, handle);
	host_restore_signals(&mask);
	return fd;
}

int sys_dup(int fd)
{
	return noted((int)raw_call(SYS_dup, fd), handle_of(fd));
}

/*
 * What the new number stood for is let go of before the kernel replaces it,
 * and taken back when the kernel refuses.
 */
static int dup_over(int fd, int new_fd, int flags)
{
	struct handle *old = handle_of(new_fd);
	struct handle *handle = handle_of(fd);
	bool was_internal;
	int got = handle_make_way(new_fd, &was_internal);

	if (got)
		return got;
	handle_forget(new_fd);
	got = (int)raw_call(SYS_dup3, fd, new_fd, flags);
	if (got < 0 && was_internal)
		raw_call(SYS_close, new_fd);
	if (got < 0)
		handle = old;
	if (handle)
		handle_note(new_fd, handle);
	if (got >= 0 && old)
		handle_reap(old);
	return got;
}

/* The number of a file of the host mmu is no number to the program. */
int sys_dup3(int fd, int new_fd, int flags)
{
	struct host_mask mask;
	int got;

	if (fd == new_fd)
		return (int)raw_call(SYS_dup3, fd, new_fd, flags);
	if (host_owns_fd(new_fd))
		return -EBADF;
	host_block_signals(&mask);
	got = dup_over(fd, new_fd, flags);
	host_restore_signals(&mask);
	return got;
}

int sys_fcntl(int fd, int command, long arg)
{
	struct handle *handle = handle_of(fd);
	int got = (int)raw_call(SYS_fcntl, fd, command, arg);

	if (!handle || got < 0)
		return got;
	if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
		return noted(got, handle);
	if (command == F_SETFL)
		atomic_store(&handle->is_nonblocking, arg & O_NONBLOCK);
	if (command == F_GETFL && sys_choice()->profile->descriptor_read_only)
		return got & ~O_ACCMODE;
	return got;
}

/*
 * Of the parent's object a child sees the figures, which both share; its lock
 * and its waiters are the parent's business.
 */
static ssize_t inherited_fdinfo(int fd, char *text, size_t n)
{
	struct handle *handle = handle_of(fd);
	struct uffd *uffd = handle ? handle->uffd : NULL;

	return uffd ? (ssize_t)uffd_fdinfo(uffd, text, n) : -EBADF;
}

ssize_t sys_fdinfo(int fd, char *text, size_t n)
{
	struct host_mask mask;
	struct uffd *uffd;
	ssize_t bytes;

	host_block_signals(&mask);
	bytes = handle_hold(fd, &uffd);
	if (bytes == -ESRCH) {
		bytes = inherited_fdinfo(fd, text, n);
	} else if (!bytes) {
		uffd_bury(uffd);
		bytes = (ssize_t)uffd_fdinfo(uffd, text, n);
		uffd_put(uffd);
	}
	host_restore_signals(&mask);
	return bytes;
}

/* ---- what an interposer tells ---- */

bool sys_is_ours(int fd)
{
	return handle_of(fd) != NULL;
}

void sys_note_dup(int old_fd, int fd)
{
	noted(fd, handle_of(old_fd));
}

void sys_note_closing(int fd)
{
	struct host_mask mask;

	if (!handle_of(fd))
		return;
	host_block_signals(&mask);
	handle_forget(fd);
	host_restore_signals(&mask);
}

void sys_note_closed(void)
{
	struct host_mask mask;

	host_block_signals(&mask);
	handle_reap(NULL);
	host_restore_signals(&mask);
}

bool sys_note_received(int fd)
{
	struct host_mask mask;
	bool is_known;

	host_block_signals(&mask);
	is_known = handle_recognise(fd);
	host_restore_signals(&mask);
	return is_known;
}

bool sys_is_internal(int fd)
{
	return handle_is_internal(fd) || host_owns_fd(fd);
}

void sys_expose(int fd)
{
	struct handle *handle = handle_of(fd);

	if (!handle)
		return;
	atomic_store(&handle->is_exposed, true);
	handle_settle_calmly(handle);
}
