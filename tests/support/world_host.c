/* SPDX-License-Identifier: MIT */
/* Ours on the real memory of this process, through the drop-in interface. */
#include "world_real.h"

#include "polyfault/interpose.h"
#include "polyfault/userfaultfd.h"

#include <errno.h>

static const struct real_calls host_calls = {
	.userfaultfd = pf_userfaultfd,
	.device_new = pf_device_new,
	.ioctl = pf_ioctl,
	.read = pf_read,
	.readv = pf_readv,
	.preadv2 = pf_preadv2,
	.poll = pf_poll,
	.close = pf_close,
	.dup = pf_dup,
	.fcntl = pf_fcntl,
	.mmap = pf_mmap,
	.munmap = pf_munmap,
	.mprotect = pf_mprotect,
	.madvise = pf_madvise,
	.sigaction = pf_sigaction,
	.kernel_load = pf_copy_from_program,
	.kernel_store = pf_copy_to_program,
	.fdinfo = pf_fdinfo,
	.watch_elsewhere = pf_note_polled_elsewhere,
};

static int host_open(struct world *w)
{
	return real_open(w, &host_calls);
}

static int host_orphan(struct world *w, uint64_t at, struct w_uffd *out)
{
	(void)w;
	(void)at;
	(void)out;
	return -ENOSYS;
}

const struct world_ops world_host = {
	.open = host_open,
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
	.orphan = host_orphan,
	.raise = real_raise,
	.drop_privilege = real_drop_privilege,
	.thread_ends = real_thread_ends,
};
