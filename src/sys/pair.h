/* SPDX-License-Identifier: MIT */
/*
 * Socket pairs in a process that counts its descriptors.
 *
 * An object is one descriptor to the program, and takes two: the second one
 * is to be where the program neither meets nor misses it.
 */
#ifndef SYS_PAIR_H
#define SYS_PAIR_H

#include "base/types.h"

/*
 * A pair, close-on-exec and nonblocking. ends[0] has the lowest number that
 * is free; the other one may be beyond the soft limit.
 *
 * Context: any but the trap. Returns: 0; -EMFILE, -ENFILE, -ENOMEM.
 */
int pair_make(int ends[2]) must_check;

/* The descriptor, or a copy far up that replaces it. Context: trap. */
int pair_move_high(int fd) must_check;

/* A copy as far up as the limit allows. Returns: its number; -EMFILE. */
int pair_copy_high(int fd) must_check;

#endif /* SYS_PAIR_H */
