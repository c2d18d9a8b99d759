/* SPDX-License-Identifier: MIT */
/* Waiting outside the signal handler: the C side of bounce.S. */
#include "mmu/host/bounce.h"

#include "base/mem.h"
#include "base/sync.h"

#include <assert.h>
#include <errno.h>

#define BOUNCE_MAGIC 0x506f6c7966617574ull

extern _Atomic uint32_t bounce_sleeps;
extern const char bounce_begin[], bounce_pop[], bounce_ret[], bounce_end[];

static_assert(offsetof(struct bounce_record, word) == BOUNCE_WORD, "layout");
static_assert(offsetof(struct bounce_record, seen) == BOUNCE_SEEN, "layout");
static_assert(offsetof(struct bounce_record, spin) == BOUNCE_SPIN, "layout");
static_assert(offsetof(struct bounce_record, timeout) == BOUNCE_TIMEOUT,
	      "layout");
static_assert(offsetof(struct bounce_record, slot) == BOUNCE_SLOT, "layout");
static_assert(offsetof(struct bounce_record, reason) == BOUNCE_REASON,
	      "layout");
static_assert(offsetof(struct bounce_record, owner) == BOUNCE_OWNER, "layout");
static_assert(offsetof(struct bounce_record, info) == BOUNCE_SIGINFO,
	      "layout");
static_assert(offsetof(struct bounce_record, flags) == BOUNCE_FLAGS, "layout");
static_assert(offsetof(struct bounce_record, rip) == BOUNCE_RIP, "layout");
static_assert(sizeof(struct bounce_record) == BOUNCE_BYTES, "layout");
static_assert(REG_R8 == 0 && REG_RSP == 15, "register order");

_Atomic uint32_t bounce_sleeps; /* counted by bounce.S */

static struct crowd crowd;

static uint32_t looks_to_spend(void)
{
	uint32_t looks = crowd_looks(&crowd);

	/* Sleeps without looking say nothing about looking. */
	if (looks)
		atomic_fetch_add(&crowd.sleeps,
				 atomic_exchange(&bounce_sleeps, 0));
	return looks;
}

bool bounce_arm(ucontext_t *uc, const struct host_wait *wait,
		bool (*is_watched)(const void *at, size_t n))
{
	greg_t *regs = uc->uc_mcontext.gregs;
	uint64_t at = (uint64_t)regs[REG_RSP] - BOUNCE_RED_ZONE - BOUNCE_BYTES;
	struct bounce_record *record = (struct bounce_record *)(uintptr_t)at;

	if (is_watched(record, sizeof(*record)))
		return false;
	mem_copy(record->regs, regs, sizeof(record->regs));
	record->word = wait->word;
	record->seen = wait->seen;
	record->spin = looks_to_spend();
	record->timeout = (struct timespec){ .tv_sec = 1 };
	record->slot = wait->slot;
	record->reason = 0;
	record->owner = wait->owner;
	mem_set(&record->info, 0, sizeof(record->info));
	record->info.si_signo = SIGSEGV;
	record->info.si_code = SI_QUEUE;
	record->info.si_value.sival_ptr = (void *)(uintptr_t)BOUNCE_MAGIC;
	record->flags = (uint64_t)regs[REG_EFL];
	record->rip = (uint64_t)regs[REG_RIP];
	regs[REG_RSP] = (greg_t)at;
	regs[REG_RIP] = (greg_t)(uintptr_t)bounce_begin;
	return true;
}

struct bounce_record *bounce_of(const ucontext_t *uc)
{
	uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	uint64_t rsp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];

	if (rip < (uintptr_t)bounce_begin || rip >= (uintptr_t)bounce_end)
		return NULL;
	if (rip == (uintptr_t)bounce_pop)
		rsp -= BOUNCE_FLAGS;
	else if (rip == (uintptr_t)bounce_ret)
		rsp -= BOUNCE_RIP;
	return (struct bounce_record *)(uintptr_t)rsp;
}

struct host_wait bounce_wait(const struct bounce_record *record)
{
	return (struct host_wait){
		.word = record->word,
		.seen = record->seen,
		.slot = record->slot,
		.owner = record->owner,
	};
}

void bounce_undo(ucontext_t *uc, const struct bounce_record *record)
{
	greg_t *regs = uc->uc_mcontext.gregs;

	mem_copy(regs, record->regs, sizeof(record->regs));
	regs[REG_EFL] = (greg_t)record->flags;
	regs[REG_RIP] = (greg_t)record->rip;
}

bool bounce_is_tick(const siginfo_t *info)
{
	return info->si_code == SI_QUEUE &&
	       info->si_value.sival_ptr == (void *)(uintptr_t)BOUNCE_MAGIC;
}
