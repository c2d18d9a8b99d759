/* SPDX-License-Identifier: MIT */
/*
 * Which kernel generation's behaviour is given: data plus a few predicates.
 *
 * Every difference between generations that is observable is a field here,
 * so the engine asks "does this profile ...", never "which version is this".
 */
#ifndef BASE_PROFILE_H
#define BASE_PROFILE_H

#include "base/types.h"

struct profile {
	const char *name; /* [I] "linux-6.18" */

	/* What the handshake offers and what commands and modes exist. */
	uint64_t features;        /* [I] feature bits that this build has */
	uint64_t range_ioctls;    /* [I] REGISTER's answer, before masking */
	uint64_t fdinfo_ioctls;   /* [I] third number of fdinfo's API line */
	uint64_t register_modes;  /* [I] known mode bits of REGISTER */
	uint64_t internal_feature; /* [I] bit that fdinfo shows once enabled */
	uint32_t create_flags;    /* [I] known creation flags */

	/* Predicates, named by what is true when they hold. */
	bool fills_report_eagain; /* [I] -EAGAIN stored when changing (6.15) */
	bool changing_is_counted; /* [I] counter, not boolean */
	bool lookup_before_changing; /* [I] ENOENT comes before EAGAIN */
	bool copy_src_is_bounded; /* [I] COPY src beyond task size: EINVAL */
	bool low_addresses_refused; /* [I] range rule tests mmap_min_addr */
	bool always_dirty; /* [I] copied page dirty without WRITE */
	bool markers_overwritten; /* [I] COPY fills over a marker */
	bool handshake_twice_zeroes; /* [I] the second zeroes its block */
	bool handshake_fork_first; /* [I] privilege before unknown bits */
	bool fork_needs_privilege; /* [I] EVENT_FORK wants CAP_SYS_PTRACE */
	bool hole_above_is_enomem; /* [I] no VMA at or above: ENOMEM */
	bool foreign_unregister_ok; /* [I] UNREGISTER of another's VMA: 0 */
	bool user_mode_only_known; /* [I] creation flag 1 */
	bool unprivileged_default; /* [I] sysctl default is 1 */
	bool descriptor_read_only; /* [I] O_RDONLY, not O_RDWR */
	bool fault_retries_endlessly; /* [I] else SIGBUS at the second */
	bool pmd_race_is_eexist; /* [I] else EFAULT */
};

/*
 * The profile of that name ("linux-5.4", "linux-6.18"; the part after
 * "linux-" will do).
 *
 * Context: any.
 * Returns: NULL when there is no such profile.
 */
const struct profile *profile_find(const char *name);

/* The profile of the newest generation, "linux-6.18". Context: trap. */
const struct profile *profile_default(void);

/* The i-th profile, oldest first; NULL past the last. Context: any. */
const struct profile *profile_at(unsigned i);

#endif /* BASE_PROFILE_H */
