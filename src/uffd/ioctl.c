/* SPDX-License-Identifier: MIT */
/*
 * Which command is meant, and where its argument block is.
 */
#include "uffd/command.h"

#include "base/mem.h"

#include <errno.h>

/* Default of vm.mmap_min_addr. */
#define LOWEST_ADDRESS 0x10000ull

/* A command counts only when all its 32 bits match (B14b). */
static const struct {
	uint32_t number;
	int (*run)(struct uffd *uffd, const struct uffd_arg *arg);
} commands[] = {
	{ PF_UFFDIO_COPY, command_copy },
	{ PF_UFFDIO_ZEROPAGE, command_zeropage },
	{ PF_UFFDIO_WAKE, command_wake },
	{ PF_UFFDIO_REGISTER, command_register },
	{ PF_UFFDIO_UNREGISTER, command_unregister },
};

int uffd_ioctl(struct uffd *uffd, uint32_t command,
	       const struct uffd_arg *arg)
{
	size_t i;

	if (command == PF_UFFDIO_API)
		return command_api(uffd, arg);
	if (!uffd_is_ready(uffd))
		return -EINVAL;
	for (i = 0; i < array_len(commands); i++)
		if (commands[i].number == command)
			return commands[i].run(uffd, arg);
	return -EINVAL;
}

int range_decode(const struct uffd *uffd, uint64_t start, uint64_t len,
		 struct range *out)
{
	if (!is_page_aligned(start) || !is_page_aligned(len) || !len)
		return -EINVAL;
	if (uffd->profile->low_addresses_refused && start < LOWEST_ADDRESS)
		return -EINVAL;
	if (start >= TASK_BYTES || len > TASK_BYTES - start)
		return -EINVAL;
	*out = range_of(start, len);
	return 0;
}

int command_wake(struct uffd *uffd, const struct uffd_arg *arg)
{
	struct pf_uffdio_range block;
	struct range r;
	int err;

	err = arg_in(arg, &block, sizeof(block));
	if (err)
		return err;
	err = range_decode(uffd, block.start, block.len, &r);
	if (err)
		return err;
	uffd_wake(uffd, r);
	return 0;
}

static int plain_in(void *at, void *dst, size_t n)
{
	if (!at)
		return -EFAULT;
	mem_copy(dst, at, n);
	return 0;
}

static int plain_out(void *at, size_t offset, const void *src, size_t n)
{
	if (!at)
		return -EFAULT;
	mem_copy((char *)at + offset, src, n);
	return 0;
}

struct uffd_arg uffd_arg_plain(void *block)
{
	return (struct uffd_arg){
		.copy_in = plain_in,
		.copy_out = plain_out,
		.at = block,
	};
}
