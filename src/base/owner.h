/* SPDX-License-Identifier: MIT */
/*
 * Is the thread whose id stands in a lock word still able to drop it?
 *
 * Private to base: lock.c and rwlock.c ask it when a wait took long.
 */
#ifndef BASE_OWNER_H
#define BASE_OWNER_H

#include "base/types.h"

/* How long a waiter sleeps before it asks about the owner. */
#define OWNER_PATIENCE_NS ((int64_t)50 * 1000 * 1000)

/*
 * sync_is_dead() in sync.h is answered here. A killed CLONE_VM child stays a
 * zombie, which still has its id, until its parent waits for it; and the
 * parent may be the one who waits for the lock. Threads that share a lock are
 * in one pid namespace.
 */

#endif /* BASE_OWNER_H */
