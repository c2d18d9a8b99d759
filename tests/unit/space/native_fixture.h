/* SPDX-License-Identifier: MIT */
/*
 * A native mmu without hardware: a line of pages at NATIVE_BASE with states,
 * and a list of mappings for the survey. What the space asks for is counted,
 * and can be made to fail.
 */
#ifndef UNIT_NATIVE_FIXTURE_H
#define UNIT_NATIVE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "space/space.h"

#define PAGE PAGE_BYTES
#define RW (ACCESS_READ | ACCESS_WRITE)
/* Two pages before the end of a leaf. */
#define NATIVE_BASE ((va_t)0x40000000 - 2 * PAGE_BYTES)
#define NATIVE_PAGES 16
#define NATIVE_MAPPINGS 8

enum native_state {
	NATIVE_PLAIN,    /* ordinary memory, empty */
	NATIVE_RESIDENT, /* ordinary memory, something in it */
	NATIVE_GUARDED,  /* ordinary memory, guarded by the program */
	NATIVE_MISSING,
	NATIVE_PROVIDED,
	NATIVE_VISIBLE
};

struct native {
	struct mmu mmu; /* first: an mmu is cast to it */
	enum native_state pages[NATIVE_PAGES];
	unsigned char byte[NATIVE_PAGES];
	unsigned prot[NATIVE_PAGES];
	struct mmu_mapping mappings[NATIVE_MAPPINGS];
	unsigned mapping_count;
	int fail;                /* of the next op that may fail */
	size_t readable_bytes;   /* of a source with faults refused */
	size_t fetchable_bytes;  /* of a source with faults allowed */
	unsigned char source;    /* the byte it is made of */
	unsigned most_pages;     /* of one provide; 0: all */
	unsigned protects, revokes, releases, forgets, refreshes, provides;
	bool is_refused;         /* refresh: not by our doing */
	struct space *space;
	struct watch watch;
	uint64_t heap_before;
};

int native_setup(void **state);
int native_teardown(void **state);

/* One private anonymous mapping of the pages, read-write. */
void native_map(struct native *n, unsigned first, unsigned pages);
/* The pages, by survey and arm, are watched MISSING. */
int native_watch(struct native *n, unsigned first, unsigned pages);

struct range native_range(unsigned first, unsigned pages);
struct pte native_pte(struct native *n, unsigned page);
unsigned native_vmas(struct native *n);

#endif /* UNIT_NATIVE_FIXTURE_H */
