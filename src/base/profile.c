/* SPDX-License-Identifier: MIT */
/*
 * The generations: one row each, as data.
 *
 * Masks are written as that generation has them and cut down to what this
 * build implements, so that a feature that comes to be implemented shows up
 * in exactly the generations that had it. Where only the oldest and the
 * newest generation are known to differ, the ones between follow the newest.
 */
#include "base/profile.h"

#include "base/mem.h"

#include <fcntl.h>
#include <polyfault/abi.h>

/* What this build can do, whatever the generation. */
#define PROFILE_IMPLEMENTED_FEATURES                        \
	(PF_UFFD_FEATURE_SIGBUS | PF_UFFD_FEATURE_THREAD_ID | \
	 PF_UFFD_FEATURE_EXACT_ADDRESS)
#define PROFILE_IMPLEMENTED_RANGE_IOCTLS                     \
	(1ull << PF_UFFD_BIT_WAKE | 1ull << PF_UFFD_BIT_COPY | \
	 1ull << PF_UFFD_BIT_ZEROPAGE)
#define PROFILE_IMPLEMENTED_MODES PF_UFFDIO_REGISTER_MODE_MISSING

/* Commands on the descriptor itself; every generation has them. */
#define API_IOCTLS                                                   \
	(1ull << PF_UFFD_BIT_API | 1ull << PF_UFFD_BIT_REGISTER |     \
	 1ull << PF_UFFD_BIT_UNREGISTER)

#define FEATURES(mask) .features = (mask) & PROFILE_IMPLEMENTED_FEATURES
#define RANGE_IOCTLS(mask)                                          \
	.range_ioctls = (mask) & PROFILE_IMPLEMENTED_RANGE_IOCTLS,    \
	.fdinfo_ioctls = API_IOCTLS |                                \
			 ((mask) & PROFILE_IMPLEMENTED_RANGE_IOCTLS)
#define MODES(mask) .register_modes = (mask) & PROFILE_IMPLEMENTED_MODES

#define OLD_CREATE_FLAGS (O_NONBLOCK | O_CLOEXEC)
#define NEW_CREATE_FLAGS (OLD_CREATE_FLAGS | PF_UFFD_USER_MODE_ONLY)
#define INTERNAL_FEATURE (1ull << 31)

/* What has been so since the generation after the oldest. */
#define SINCE_6_1                         \
	.internal_feature = INTERNAL_FEATURE, \
	.create_flags = NEW_CREATE_FLAGS,     \
	.changing_is_counted = true,          \
	.copy_src_is_bounded = true,          \
	.always_dirty = true,                 \
	.markers_overwritten = true,          \
	.handshake_twice_zeroes = true,       \
	.handshake_fork_first = true,         \
	.fork_needs_privilege = true,         \
	.user_mode_only_known = true,         \
	.descriptor_read_only = true,         \
	.fault_retries_endlessly = true,      \
	.pmd_race_is_eexist = true

static const struct profile profiles[] = {
	{
		.name = "linux-5.4",
		FEATURES(0x1fe),
		RANGE_IOCTLS(0x1c),
		MODES(1),
		.create_flags = OLD_CREATE_FLAGS,
		.low_addresses_refused = true,
		.fork_needs_privilege = true,
		.hole_above_is_enomem = true,
		.foreign_unregister_ok = true,
		.unprivileged_default = true,
	},
	{
		.name = "linux-6.1",
		FEATURES(0x1fff),
		RANGE_IOCTLS(0xdc),
		MODES(7),
		SINCE_6_1,
		.foreign_unregister_ok = true,
	},
	{
		.name = "linux-6.6",
		FEATURES(0x7fff),
		RANGE_IOCTLS(0x1dc),
		MODES(7),
		SINCE_6_1,
		.foreign_unregister_ok = true,
	},
	{
		.name = "linux-6.12",
		FEATURES(0x1ffff),
		RANGE_IOCTLS(0x1fc),
		MODES(7),
		SINCE_6_1,
		.lookup_before_changing = true,
		.foreign_unregister_ok = true,
	},
	{
		.name = "linux-6.18",
		FEATURES(0x1ffff),
		RANGE_IOCTLS(0x1fc),
		MODES(7),
		SINCE_6_1,
		.lookup_before_changing = true,
		.fills_report_eagain = true,
	},
};

#define PREFIX "linux-"

const struct profile *profile_at(unsigned i)
{
	return i < array_len(profiles) ? &profiles[i] : NULL;
}

const struct profile *profile_default(void)
{
	return &profiles[array_len(profiles) - 1];
}

const struct profile *profile_find(const char *name)
{
	const struct profile *p;

	for (unsigned i = 0; (p = profile_at(i)); i++)
		if (mem_same_string(name, p->name) ||
		    mem_same_string(name, p->name + sizeof(PREFIX) - 1))
			return p;
	return NULL;
}
