/* SPDX-License-Identifier: MIT */
/*
 * Lock ranks in the order of acquisition: data, from which the table in
 * docs/locking.md is generated.
 */
#ifndef BASE_RANK_H
#define BASE_RANK_H

enum lock_rank {
	RANK_NONE = 0,   /* not checked */
	RANK_HANDLE,     /* sys: descriptor table */
	RANK_SPACE,      /* space: VMA tree (map_lock) */
	RANK_CHANGING,   /* watch: map-changing lock of a userfaultfd */
	RANK_TABLE,      /* table: one leaf table page */
	RANK_HOST,       /* mmu/host: runs opened, staging pages */
	RANK_QUEUE,      /* uffd: waiters and messages */
	RANK_FRAME,      /* frame: free lists, LRU */
	RANK_CHARGE,     /* charge: a group's counters */
	RANK_HEAP,       /* base: the heap */
	RANK_LAST
};

#endif /* BASE_RANK_H */
