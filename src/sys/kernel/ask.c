/* SPDX-License-Identifier: MIT */
/* Asking the running kernel. */
#include "sys/kernel/kernel.h"

#include "base/check.h"
#include "base/raw.h"

#include "polyfault/abi.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>

int kernel_userfaultfd(int flags)
{
	return (int)raw_call(PF_SYS_USERFAULTFD, flags);
}

int kernel_device_new(int flags)
{
	long fd = raw_call(SYS_open, "/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	long made;

	if (fd < 0)
		return (int)fd;
	made = raw_call(SYS_ioctl, fd, PF_USERFAULTFD_IOC_NEW, flags);
	raw_call(SYS_close, fd);
	return (int)made;
}

uint64_t kernel_features(void)
{
	struct pf_uffdio_api api = { .api = PF_UFFD_API };
	int fd = kernel_userfaultfd(O_CLOEXEC);
	long err;

	if (fd < 0)
		fd = kernel_userfaultfd(O_CLOEXEC | PF_UFFD_USER_MODE_ONLY);
	if (fd < 0)
		return 0;
	err = raw_call(SYS_ioctl, fd, PF_UFFDIO_API, &api);
	raw_call(SYS_close, fd);
	return err ? 0 : api.features;
}

/* The text after `key` on its line of a file of /proc; 0 where it lacks. */
static int digit_after(const char *path, const char *key)
{
	char text[2048];
	long fd = raw_call(SYS_open, path, O_RDONLY | O_CLOEXEC);
	long got, k;

	if (fd < 0)
		return -1;
	got = raw_call(SYS_read, fd, text, sizeof(text));
	raw_call(SYS_close, fd);
	for (long at = 0; at < got; at++) {
		for (k = 0; key[k] && at + k < got && text[at + k] == key[k];)
			k++;
		if (!key[k] && at + k < got)
			return text[at + k] - '0';
	}
	return -1;
}

bool kernel_is_filtered(void)
{
	return digit_after("/proc/self/status", "\nSeccomp:\t") > 0;
}

bool kernel_may_be_asked(void)
{
	return !kernel_is_denied() && !kernel_is_filtered();
}

bool kernel_has_ptrace_capability(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = { { 0 }, { 0 } };

	if (raw_call(SYS_capget, &head, data))
		return false;
	return data[0].effective & (1u << CAP_SYS_PTRACE);
}

bool kernel_unprivileged_allowed(bool otherwise)
{
	int digit = digit_after("/proc/sys/vm/unprivileged_userfaultfd", "");

	return digit < 0 ? otherwise : digit == 1;
}
