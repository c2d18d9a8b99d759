/* SPDX-License-Identifier: MIT */
/*
 * Atomic page filling on another's behalf: the heart.
 *
 * A range of a watched VMA is filled page by page (or run by run), each step
 * in four stages: decide, reserve, provide, commit. A page is never visible
 * with partial content. The first failure ends the fill; what was filled
 * before it stays, and the answer is then the number of bytes.
 *
 * Usable without a userfaultfd: it needs a space and a gate.
 */
#ifndef FILL_FILL_H
#define FILL_FILL_H

#include "base/types.h"
#include "space/space.h"

enum fill_kind { FILL_COPY, FILL_ZERO };

struct fill_request {
	enum fill_kind kind;
	struct range dst;  /* page-aligned, not empty (checked by bug()) */
	va_t src;          /* FILL_COPY: in the same space */
	const void *bytes; /* FILL_COPY: when not NULL, our memory, not src */
	bool wants_wp;
	bool is_awaited;   /* a thread trapped on dst and waits for it */
	struct watch_gate *gate; /* NULL: nobody changes anything */
	bool (*is_killed)(void); /* NULL: never; a fatal signal is pending */
};

/*
 * Pages from the start of req->dst hold their bytes and are visible.
 *
 * Locks:   takes map_lock for reading, the gate for reading and leaf locks;
 *          all are dropped while a copy may sleep; none on exit.
 * Context: may sleep.
 * Returns: bytes filled, when any; else
 *          -ENOENT  no VMA there, not watched, or not wholly inside one
 *          -EAGAIN  the gate says changing
 *          -EEXIST  the first page's entry is not free
 *          -EFAULT  the source is bad
 *          -EINVAL  a kind of memory that cannot be filled; wp without mode
 *          -ENOMEM  table page, frame or charge
 *          never 0.
 * Spec:    1.1-1.4, 1.7, 1.13, 1.14, 2.3-2.5; rows E, F.
 */
int64_t fill_run(struct space *space, const struct fill_request *req) must_check;

#endif /* FILL_FILL_H */
