/* SPDX-License-Identifier: MIT */
/*
 * The commands of a userfaultfd as plain functions, and what cases do with
 * them again and again. Each command leaves its output field in u->out, which
 * is preset, so that a field that was not written shows.
 */
#ifndef SUPPORT_OPS_H
#define SUPPORT_OPS_H

#include "world.h"

/* The output field as it was before the command. */
#define OP_UNTOUCHED 0x5a5a5a5a5a5aLL

int op_api(struct w_uffd *u, uint64_t features);
int op_register(struct w_uffd *u, uint64_t at, uint64_t len, uint64_t mode);
int op_unregister(struct w_uffd *u, uint64_t at, uint64_t len);
int op_wake(struct w_uffd *u, uint64_t at, uint64_t len);
int op_copy(struct w_uffd *u, uint64_t dst, uint64_t src, uint64_t len,
	    uint64_t mode);
int op_zeropage(struct w_uffd *u, uint64_t at, uint64_t len, uint64_t mode);

/* A handshaken object, non-blocking, with these features. */
struct w_uffd *op_ready(struct world *w, uint64_t features);

/* Ends the case as skipped when the world does not offer the features. */
void op_need(struct world *w, uint64_t features);

/* op_register for MISSING, which must succeed. */
void op_watch(struct w_uffd *u, uint64_t at, uint64_t len);

/* A fresh mapping, readable and writable, watched for MISSING. */
uint64_t op_map_watched(struct w_uffd *u, uint64_t pages);

/* A message is there within a few seconds, or the case fails. */
void op_await(struct w_uffd *u);
/* ... and read. */
struct pf_uffd_msg op_next(struct w_uffd *u);
/* No message is there, nor comes in a while. */
void op_silent(struct w_uffd *u);
/* How many of fdinfo's `pending` and `total`. */
void op_counts(struct w_uffd *u, int *pending, int *total);
/* Waits until fdinfo's total is `n`. */
void op_await_total(struct w_uffd *u, int n);

/* A COPY of `pages` in a thread of its own, which may wait. */
struct w_task *op_copy_in_thread(struct w_uffd *u, uint64_t dst, uint64_t src,
				 uint64_t pages);

/* A block of `n` bytes in world memory, the last `tail` bytes read-only. */
uint64_t op_block(struct world *w, const void *block, size_t n, size_t tail);

#endif /* SUPPORT_OPS_H */
