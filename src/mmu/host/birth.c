/* SPDX-License-Identifier: MIT */
/*
 * Is this the process that was set up, or a fork of it that nobody announced?
 *
 * A page marked MADV_WIPEONFORK reads as zero in a child with memory of its
 * own, and as it was in a child that shares ours (raw clone(CLONE_VM)), which
 * a process id could not tell apart.
 */
#include "mmu/host/host.h"

#include "base/heap.h"
#include "mmu/host/state.h"

#define BIRTH_MAGIC 0x62697274u
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

static uint32_t *birth;
static bool birth_is_wiped;

void trap_after_fork(void)
{
	void *page;

	if (!birth && !heap_map(PAGE_BYTES, false, &page)) {
		struct range r = range_of((va_t)(uintptr_t)page, PAGE_BYTES);

		birth = page;
		birth_is_wiped = !host_advise(r, MADV_WIPEONFORK);
	}
	if (birth)
		*birth = BIRTH_MAGIC;
}

bool trap_is_same_process(void)
{
	return !birth_is_wiped || *birth == BIRTH_MAGIC;
}
