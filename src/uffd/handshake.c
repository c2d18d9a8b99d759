/* SPDX-License-Identifier: MIT */
/*
 * UFFDIO_API: version and features, agreed on once.
 */
#include "uffd/command.h"

#include <errno.h>

#define IOCTLS_OF_API                                                     \
	(1ull << PF_UFFD_BIT_API | 1ull << PF_UFFD_BIT_REGISTER | \
	 1ull << PF_UFFD_BIT_UNREGISTER)

/* The answer is err, or -EFAULT when the block cannot be zeroed. */
static int refuse(const struct uffd_arg *arg, int err)
{
	const struct pf_uffdio_api zero = { 0 };

	return arg_out(arg, 0, &zero, sizeof(zero)) ? -EFAULT : err;
}

static bool is_fork_denied(const struct uffd *uffd, uint64_t features)
{
	if (!(features & PF_UFFD_FEATURE_EVENT_FORK) ||
	    !uffd->profile->fork_needs_privilege)
		return false;
	return uffd->host.is_privileged &&
	       !uffd->host.is_privileged(uffd->host.arg);
}

/* Returns: 0; -EINVAL, -EPERM in the generation's order. */
static int decide(const struct uffd *uffd, const struct pf_uffdio_api *api)
{
	bool is_unknown = api->features & ~uffd->profile->features;
	bool is_denied = is_fork_denied(uffd, api->features);

	if (api->api != PF_UFFD_API)
		return -EINVAL;
	if (is_denied && uffd->profile->handshake_fork_first)
		return -EPERM;
	if (is_unknown)
		return -EINVAL;
	return is_denied ? -EPERM : 0;
}

/* Features are final once is_ready is set; of two racers one sets it. */
static bool become_ready(struct uffd *uffd, uint64_t features)
{
	uint64_t unset = 0;
	uint64_t enabled = features | uffd->profile->internal_feature;

	if (uffd_is_ready(uffd))
		return false;
	if (!enabled)
		return !atomic_exchange(&uffd->is_ready, 1);
	if (!atomic_compare_exchange_strong(&uffd->features, &unset, enabled))
		return false;
	atomic_store(&uffd->is_ready, 1);
	return true;
}

int command_api(struct uffd *uffd, const struct uffd_arg *arg)
{
	const struct profile *profile = uffd->profile;
	struct pf_uffdio_api api;
	uint64_t features;
	int err;

	if (!profile->handshake_twice_zeroes && uffd_is_ready(uffd))
		return -EINVAL;
	err = arg_in(arg, &api, sizeof(api));
	if (err)
		return err;
	err = decide(uffd, &api);
	if (err)
		return refuse(arg, err);

	features = api.features;
	if (features & PF_UFFD_FEATURE_WP_ASYNC)
		features |= PF_UFFD_FEATURE_WP_UNPOPULATED;
	api.features = profile->features;
	api.ioctls = IOCTLS_OF_API;
	err = arg_out(arg, 0, &api, sizeof(api));
	if (err)
		return err;
	if (!become_ready(uffd, features))
		return refuse(arg, -EINVAL);
	return 0;
}
