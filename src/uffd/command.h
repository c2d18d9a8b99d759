/* SPDX-License-Identifier: MIT */
/*
 * The commands of the descriptor, one function each, and what they share.
 *
 * All of them run without any lock held, may sleep, and answer 0 or -errno
 * as the rows of their section of the specification say.
 */
#ifndef UFFD_COMMAND_H
#define UFFD_COMMAND_H

#include "uffd/context.h"

/*
 * Spec: 3.3; B04-B16. The only command that works before the handshake.
 */
int command_api(struct uffd *uffd, const struct uffd_arg *arg) must_check;

/* Spec: 3.4; rows C. */
int command_register(struct uffd *uffd,
		     const struct uffd_arg *arg) must_check;

/* Spec: 3.5; rows D. */
int command_unregister(struct uffd *uffd,
		       const struct uffd_arg *arg) must_check;

/* Spec: 2.11; rows G. */
int command_wake(struct uffd *uffd, const struct uffd_arg *arg) must_check;

/* Spec: 1.12, 2.2; rows E. */
int command_copy(struct uffd *uffd, const struct uffd_arg *arg) must_check;

/* Spec: 1.12, 2.2; rows F. */
int command_zeropage(struct uffd *uffd,
		     const struct uffd_arg *arg) must_check;

/*
 * The pair is a page-aligned, non-empty range below TASK_BYTES.
 *
 * Context: any.
 * Returns: 0 and *out; -EINVAL.
 * Spec:    1.12 range check, 2.2 range rule; C04-C06c.
 */
int range_decode(const struct uffd *uffd, uint64_t start, uint64_t len,
		 struct range *out) must_check;

/* The first n bytes of the argument block. Returns: 0; -EFAULT. */
static inline int arg_in(const struct uffd_arg *arg, void *dst, size_t n)
{
	return arg->copy_in(arg->at, dst, n);
}

/* `n` bytes of the block from `offset` on. Returns: 0; -EFAULT. */
static inline int arg_out(const struct uffd_arg *arg, size_t offset,
			  const void *src, size_t n)
{
	return arg->copy_out(arg->at, offset, src, n);
}

#endif /* UFFD_COMMAND_H */
