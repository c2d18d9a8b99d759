/* SPDX-License-Identifier: MIT */
/*
 * A soft space with a charge group, and a watch that does as the case says.
 */
#ifndef UNIT_SPACE_FIXTURE_H
#define UNIT_SPACE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/heap.h"
#include "space/space.h"

#define PAGE PAGE_BYTES
#define RW (ACCESS_READ | ACCESS_WRITE)

/* Where cases map when they need to know: one leaf, and the next. */
#define BASE ((va_t)0x40000000)

struct fake_watch {
	struct watch watch; /* first: a watch is cast to it */
	enum watch_answer answer;
	_Atomic uint32_t word; /* changed to wake everybody */
	_Atomic uint32_t posted;
	_Atomic uint32_t announced;
	_Atomic uint32_t withdrawn;
	struct lock lock;
	struct watch_fault last; /* under the lock */
	void (*during)(void *arg); /* called while a fault is queued */
	void *arg;
};

struct sx {
	struct space *space;
	struct charge_group *group;
	struct fake_watch watch;
	uint64_t heap_before;
};

/* What must be the same after a failure as before. */
struct sx_counts {
	uint64_t used, active, unevictable, charged, pending, anon, heap;
};

void fake_watch_init(struct fake_watch *fake);
/* Everybody who waits tries again. */
void fake_watch_wake(struct fake_watch *fake);
/* Until `n` faults have been announced; fails the case after 10 s. */
void fake_watch_await(struct fake_watch *fake, uint32_t n);

int sx_setup(void **state);      /* linux-6.18 */
int sx_setup_seed(void **state); /* linux-5.4 */
int sx_teardown(void **state);

/* A space for cases that make their own; NULL group: not charged. */
struct space *sx_space(const char *profile, struct charge_group *group);

/* Maps that many pages at that place. */
void sx_map(struct sx *sx, va_t at, uint64_t pages, unsigned prot);
/* As above, watched by the fixture's watch. */
void sx_map_watched(struct sx *sx, va_t at, uint64_t pages, unsigned modes);
/* The VMAs of the range belong to the watch; NULL and 0: to nobody. */
void sx_watch(struct sx *sx, struct range r, struct watch *watch,
	      unsigned modes);

/* Every byte of the pages is set, by system call. */
void sx_write(struct sx *sx, va_t at, uint64_t pages, int byte);
/* Every byte of the page has that value, by system call without faults. */
bool sx_holds(struct sx *sx, va_t at, int byte);

struct pte sx_entry(struct sx *sx, va_t va);
unsigned sx_vmas(struct sx *sx);
struct sx_counts sx_count(struct sx *sx);
/* The counts are what they were. */
void sx_unchanged(struct sx *sx, const struct sx_counts *before);

#endif /* UNIT_SPACE_FIXTURE_H */
