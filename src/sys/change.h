/* SPDX-License-Identifier: MIT */
/* What the calls that change mappings share. */
#ifndef SYS_CHANGE_H
#define SYS_CHANGE_H

#include "sys/process.h"

/* A change of the space under way: map lock held, signals blocked. */
struct change {
	struct space *space;
	struct host_mask mask;
};

/* Begins, if the range meets watched memory. Returns: whether it did. */
bool change_begin(struct change *change, struct range r) must_check;
/* Begins; there is a space. */
void change_begin_always(struct change *change);
void change_end(struct change *change);

/* Whether the kernel answered -errno. */
static inline bool is_error(long ret)
{
	return ret < 0 && ret > -4096;
}

/* The pages of the bytes; empty when no call can mean them. */
struct range pages_of(va_t addr, size_t len);

/*
 * The range, unmapped for real meanwhile, is forgotten. Its ends were cut
 * before, so nothing can be refused. Locks: inside a change.
 */
void forget_cut(struct space *space, struct range r);

#endif /* SYS_CHANGE_H */
