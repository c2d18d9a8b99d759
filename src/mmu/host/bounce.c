/* SPDX-License-Identifier: MIT */
/* Waiting outside the signal handler: the C side of bounce.S. */
#include "mmu/host/bounce.h"

#include "base/mem.h"
#include "base/sync.h"

#include <assert.h>
#include <errno.h>

#define BOUNCE_MAGIC 0x506f6c7966617574ull

extern _Atomic uint32_t bounce_sleeps;
extern const char bounce_begin[], bounce_tail[], bounce_end[];

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

/* Whether the address lies on the alternate stack. */
static bool is_alternate(const ucontext_t *uc, uint64_t at)
{
	uint64_t base = (uintptr_t)uc->uc_stack.ss_sp;

	return uc->uc_stack.ss_size && at >= base &&
	       at < base + uc->uc_stack.ss_size;
}

/* In the handler's frame when that is on the interrupted stack, else below
 * the red zone there. */
static struct bounce_record *record_place(const ucontext_t *uc,
					  struct bounce_room *room)
{
	uint64_t rsp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];

	if (is_alternate(uc, rsp) ==
	    is_alternate(uc, (uintptr_t)&room->record))
		return &room->record;
	rsp -= BOUNCE_RED_ZONE + BOUNCE_TAIL_BYTES + BOUNCE_BYTES;
	return (struct bounce_record *)(uintptr_t)rsp;
}

bool bounce_arm(ucontext_t *uc, const struct host_wait *wait,
		struct bounce_room *room,
		bool (*is_watched)(const void *at, size_t n))
{
	greg_t *regs = uc->uc_mcontext.gregs;
	struct bounce_record *record = record_place(uc, room);

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
	regs[REG_RSP] = (greg_t)(uintptr_t)record;
	regs[REG_RIP] = (greg_t)(uintptr_t)bounce_begin;
	return true;
}

/*
 * The context is in the last instructions: they are carried out here. `at` is
 * how many of the four words are popped.
 */
static void finish_tail(ucontext_t *uc, unsigned at)
{
	static const int order[] = { REG_RCX, REG_RAX, REG_EFL, REG_RIP };
	greg_t *regs = uc->uc_mcontext.gregs;
	uint64_t rsp = (uint64_t)regs[REG_RSP];

	for (; at < array_len(order); at++, rsp += 8)
		regs[order[at]] = *(const greg_t *)(uintptr_t)rsp;
	regs[REG_RSP] = (greg_t)(rsp + BOUNCE_RED_ZONE);
}

struct bounce_record *bounce_of(ucontext_t *uc)
{
	uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	uint64_t rsp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];

	if (rip < (uintptr_t)bounce_begin || rip >= (uintptr_t)bounce_end)
		return NULL;
	if (rip >= (uintptr_t)bounce_tail) {
		/* pop, pop and popfq are one byte long. */
		finish_tail(uc, (unsigned)(rip - (uintptr_t)bounce_tail));
		return NULL;
	}
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
