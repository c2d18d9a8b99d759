/* SPDX-License-Identifier: MIT */
/*
 * How an arena lies in the memory that the mmu gave.
 *
 * Private to frame. The head lies in the mapping too, so whoever shares the
 * mapping shares the free list and the counts.
 *
 *   |head|metadata, one struct frame per number|pages, number 0 first|
 */
#ifndef FRAME_ARENA_H
#define FRAME_ARENA_H

#include "base/sync.h"
#include "frame/frame.h"

#define FRAME_FIRST 2u /* below are none and the zero page */

/* [I] immutable  [F] lock */
struct frame_arena {
	struct lock lock;      /* [a] rank frame */
	struct mmu *mmu;       /* [I] */
	struct frame *meta;    /* [I] */
	uint8_t *pages;        /* [I] */
	uint32_t end;          /* [I] one past the highest number */
	uint32_t brk;          /* [F] lowest number never handed out */
	uint32_t ready;        /* [F] lowest number not populated ahead */
	uint32_t free;         /* [F] free list by number, last in first out */
	uint64_t used;         /* [F] without tables */
	uint64_t tables;       /* [F] */
	uint64_t lru[3];       /* [F] lengths, by enum frame_lru */
};

#endif /* FRAME_ARENA_H */
