/* SPDX-License-Identifier: MIT */
/* Section A: creating the object. */
#include "conform.h"

#include "polyfault/embed.h"
#include "world_real.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int sysctl_value(void)
{
	FILE *file = fopen("/proc/sys/vm/unprivileged_userfaultfd", "re");
	int value = -1;

	if (!file || fscanf(file, "%d", &value) != 1)
		t_skip("no vm.unprivileged_userfaultfd here");
	fclose(file);
	return value;
}

static void need_sysctl(int value)
{
	if (sysctl_value() != value)
		t_skip("vm.unprivileged_userfaultfd is not %d", value);
}

static int create_err(struct world *w, int flags)
{
	int err;
	struct w_uffd *u = w_try_create(w, flags, &err);

	if (u)
		w_release(u);
	return err;
}

/* Does flags 0 give an object? */
static void A01_create_gives_an_object(struct world *w)
{
	struct w_uffd *u = w_create(w, 0);

	T_TRUE(!w_is_real(w) || u->fd >= 0);
}

/* Is it blocking, inherited by exec, and read-only? */
static void A02_flags_0_is_read_only_blocking_inherited(struct world *w)
{
	struct w_uffd *u = w_create(w, 0);
	int flags = real(w)->fcntl(u->fd, F_GETFL, 0);

	T_EQ(flags & O_ACCMODE, O_RDONLY);
	T_EQ(flags & O_NONBLOCK, 0);
	T_EQ(real(w)->fcntl(u->fd, F_GETFD, 0) & FD_CLOEXEC, 0);
}

/* Are both flags applied? */
static void A03_cloexec_and_nonblock_are_applied(struct world *w)
{
	struct w_uffd *u = w_create(w, O_CLOEXEC | O_NONBLOCK);
	int flags = real(w)->fcntl(u->fd, F_GETFL, 0);

	T_EQ(flags & O_NONBLOCK, O_NONBLOCK);
	T_EQ(real(w)->fcntl(u->fd, F_GETFD, 0) & FD_CLOEXEC, FD_CLOEXEC);
}

/* Which of the 32 flag bits are known? */
static void A03b_three_flag_bits_are_known(struct world *w)
{
	for (int bit = 0; bit < 32; bit++) {
		int flag = (int)(1u << bit);
		int want = -EINVAL;

		if (flag == O_NONBLOCK || flag == O_CLOEXEC)
			want = 0;
		if (flag == PF_UFFD_USER_MODE_ONLY && !w_is_seed(w))
			want = 0;
		T_EQ(create_err(w, flag), want);
	}
}

static void A04_unprivileged_may_have_user_mode_only(struct world *w)
{
	w_drop_privilege(w);
	T_OK(create_err(w, PF_UFFD_USER_MODE_ONLY));
}

static void A05_unprivileged_is_refused_when_sysctl_is_0(struct world *w)
{
	need_sysctl(0);
	w_drop_privilege(w);
	T_EQ(create_err(w, 0), -EPERM);
}

/* Is permission tested before flags? */
static void A06_permission_precedes_flag_validity(struct world *w)
{
	need_sysctl(0);
	w_drop_privilege(w);
	T_EQ(create_err(w, 2), -EPERM);
}

static void A07_permitted_caller_with_unknown_flag(struct world *w)
{
	w_drop_privilege(w);
	T_EQ(create_err(w, PF_UFFD_USER_MODE_ONLY | 2), -EINVAL);
}

static void A08_unprivileged_is_allowed_when_sysctl_is_1(struct world *w)
{
	need_sysctl(1);
	w_drop_privilege(w);
	T_OK(create_err(w, 0));
}

static void A09_sysctl_is_0_or_1(struct world *w)
{
	int fd = open("/proc/sys/vm/unprivileged_userfaultfd",
		      O_WRONLY | O_CLOEXEC);

	(void)w;
	if (fd == -1)
		t_skip("the sysctl cannot be written");
	T_EQ(write(fd, "2", 1), -1);
	T_EQ(errno, EINVAL);
	close(fd);
}

static int open_device(int mode)
{
	int fd = open("/dev/userfaultfd", mode | O_CLOEXEC);

	if (fd == -1 && errno == ENOENT)
		t_skip("no /dev/userfaultfd here");
	return fd;
}

static void A10_device_is_for_its_owner(struct world *w)
{
	w_drop_privilege(w);
	T_EQ(open_device(O_RDWR), -1);
	T_EQ(errno, EACCES);
}

static void A11_inherited_device_needs_no_privilege(struct world *w)
{
	int device = open_device(O_RDWR);
	int fd;

	T_TRUE(device >= 0);
	need_sysctl(0);
	w_drop_privilege(w);
	fd = ioctl(device, PF_USERFAULTFD_IOC_NEW, 0);
	T_TRUE(fd >= 0);
	close(fd);
	close(device);
}

static void A12a_device_applies_both_flags(struct world *w)
{
	int fd = real(w)->device_new(O_CLOEXEC | O_NONBLOCK);

	T_TRUE(fd >= 0);
	T_TRUE(real(w)->fcntl(fd, F_GETFL, 0) & O_NONBLOCK);
	T_TRUE(real(w)->fcntl(fd, F_GETFD, 0) & FD_CLOEXEC);
	real(w)->close(fd);
}

static void A12b_device_refuses_unknown_flags(struct world *w)
{
	T_EQ(real(w)->device_new(2), -1);
	T_EQ(errno, EINVAL);
}

static void A12c_device_knows_one_command(struct world *w)
{
	int device = open_device(O_RDWR);

	(void)w;
	T_EQ(ioctl(device, PF_USERFAULTFD_IOC_NEW + 1, 0), -1);
	T_EQ(errno, EINVAL);
	close(device);
}

static void A12d_read_only_device_is_enough(struct world *w)
{
	int device = open_device(O_RDONLY);
	int fd = ioctl(device, PF_USERFAULTFD_IOC_NEW, 0);

	(void)w;
	T_TRUE(fd >= 0);
	close(fd);
	close(device);
}

static void A12e_device_cannot_be_read(struct world *w)
{
	int device = open_device(O_RDWR);
	char byte;

	(void)w;
	T_EQ(read(device, &byte, 1), -1);
	T_EQ(errno, EINVAL);
	close(device);
}

static void A13_lseek_does_nothing(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	T_EQ(lseek(u->fd, 100, SEEK_SET), 0);
	T_EQ(lseek(u->fd, 0, SEEK_CUR), 0);
}

static void A14_write_is_refused(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	T_EQ(write(u->fd, "x", 1), -1);
	T_EQ(errno, EBADF);
}

static void A14b_descriptor_cannot_be_mapped(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	T_TRUE(real(w)->mmap(NULL, PG, PROT_READ, MAP_PRIVATE, u->fd, 0) ==
	       MAP_FAILED);
	T_EQ(errno, ENODEV);
}

static void A15_no_descriptor_slot_is_left(struct world *w)
{
	struct rlimit limit, none = { 0, 0 };

	T_OK(getrlimit(RLIMIT_NOFILE, &limit));
	none.rlim_max = limit.rlim_max;
	T_OK(setrlimit(RLIMIT_NOFILE, &none));
	T_EQ(create_err(w, 0), -EMFILE);
	T_OK(setrlimit(RLIMIT_NOFILE, &limit));
	T_OK(create_err(w, 0));
}

static void A16_link_names_the_object(struct world *w)
{
	struct w_uffd *u = w_create(w, 0);
	char path[64], text[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", u->fd);
	T_TRUE(readlink(path, text, sizeof(text) - 1) > 0);
	T_OK(strcmp(text, "anon_inode:[userfaultfd]"));
}

/* Does every allocation that can fail give ENOMEM and leave nothing? */
static void A17_creation_survives_failing_allocations(struct world *w)
{
	int err = -ENOMEM;
	uint64_t n;

	for (n = 1; err && n < 100; n++) {
		pf_fail_nth(n);
		err = create_err(w, 0);
		pf_fail_nth(0);
		T_TRUE(err == 0 || err == -ENOMEM);
	}
	T_OK(err);
	T_TRUE(n > 2);
}

const struct conform_case create_cases[] = {
	CASE(A01, create_gives_an_object, ""),
	CASE(A02, flags_0_is_read_only_blocking_inherited, ""),
	CASE(A03, cloexec_and_nonblock_are_applied, ""),
	CASE(A03b, three_flag_bits_are_known, ""),
	CASE(A04, unprivileged_may_have_user_mode_only, ""),
	CASE(A05, unprivileged_is_refused_when_sysctl_is_0, ""),
	CASE(A06, permission_precedes_flag_validity, ""),
	CASE(A07, permitted_caller_with_unknown_flag, ""),
	CASE(A08, unprivileged_is_allowed_when_sysctl_is_1, ""),
	CASE(A09, sysctl_is_0_or_1, ""),
	CASE(A10, device_is_for_its_owner, ""),
	CASE(A11, inherited_device_needs_no_privilege, ""),
	CASE(A12a, device_applies_both_flags, ""),
	CASE(A12b, device_refuses_unknown_flags, ""),
	CASE(A12c, device_knows_one_command, ""),
	CASE(A12d, read_only_device_is_enough, ""),
	CASE(A12e, device_cannot_be_read, ""),
	CASE(A13, lseek_does_nothing, ""),
	CASE(A14, write_is_refused, ""),
	CASE(A14b, descriptor_cannot_be_mapped, ""),
	CASE(A15, no_descriptor_slot_is_left, ""),
	CASE(A16, link_names_the_object, ""),
	CASE(A17, creation_survives_failing_allocations, ""),
	{ 0 },
};
