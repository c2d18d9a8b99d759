/* SPDX-License-Identifier: MIT */
/*
 * Accesses through the tables: what the hardware does elsewhere.
 *
 * An access that hits the TLB takes no lock, and where it is an aligned word
 * makes no call. One that misses looks under map_lock for a translation to
 * cache, and when the table has none to give, faults, perhaps sleeps, and
 * begins again.
 */
#include "space/vma.h"

#include "base/check.h"
#include "base/heap.h"
#include "base/mem.h"
#include "mmu/tlb.h"

#include <errno.h>

/* How long a sleeper goes on before it looks whether the space has exited. */
#define LOOK_NS 50000000

struct space_cpu {
	struct space *space; /* [I] with a reference */
	struct mmu_tlb tlb;  /* [owner thread] */
};

/* One move of bytes between the space and memory of the engine. */
struct transfer {
	va_t va;
	uint8_t *into;       /* a load; NULL: a store */
	const uint8_t *from; /* a store; NULL: a load */
	size_t n;
};

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Of n bytes at va, those in the page of va. */
static size_t in_page(va_t va, size_t n)
{
	return least(n, (size_t)(PAGE_BYTES - (va & (PAGE_BYTES - 1))));
}

/* ---- faults of an access ---- */

/*
 * Sleeps until the watch says that the access may be tried again. A signal
 * ends the wait: an access of the program's own then starts afresh, one made
 * by a system call goes on (and in older generations does not notice).
 */
static void access_wait(struct space *space, const struct watch_ticket *ticket,
			unsigned *access)
{
	bool is_deaf = (*access & FAULT_KERNEL) &&
		       !space->home.profile->fault_retries_endlessly;
	int err;

	do {
		err = sync_wait_change(ticket->word, ticket->seen, LOOK_NS);
	} while ((err == -ETIMEDOUT && !atomic_load(&space->is_dead)) ||
		 (err == -EINTR && is_deaf));

	if (err)
		ticket->watch->ops->withdraw(ticket);
	if (err == -EINTR && !(*access & FAULT_KERNEL))
		*access &= ~FAULT_AGAIN;
	else
		*access |= FAULT_AGAIN;
}

/* Returns: 0: try the access again; -EFAULT, -EIO, -ENOMEM. */
static int access_fault(struct space *space, va_t va, unsigned *access)
{
	struct watch_ticket ticket;

	switch (space_fault(space, va, *access, &ticket)) {
	case SPACE_RETRY:
		return 0;
	case SPACE_WAIT:
		access_wait(space, &ticket, access);
		return 0;
	case SPACE_BUS:
		return -EIO;
	case SPACE_NOMEM:
		return -ENOMEM;
	case SPACE_SEGV_MAPERR:
	case SPACE_SEGV_ACCERR:
	case SPACE_NOT_OURS:
		return -EFAULT;
	}
	bug("a fault has an outcome");
}

/* ---- the program's own accesses ---- */

int space_cpu_create(struct space *space, struct space_cpu **out)
{
	struct space_cpu *cpu;

	check(!space->home.mmu->is_native);
	cpu = heap_zalloc(sizeof(*cpu));
	if (!cpu)
		return -ENOMEM;
	space_get(space);
	cpu->space = space;
	mmu_soft_attach(space->home.mmu, &cpu->tlb);
	*out = cpu;
	return 0;
}

void space_cpu_destroy(struct space_cpu *cpu)
{
	struct space *space = cpu->space;

	mmu_soft_detach(space->home.mmu, &cpu->tlb);
	heap_free(cpu, sizeof(*cpu));
	space_put(space);
}

/* What the TLB may remember of an entry; 0: nothing. */
static unsigned cacheable_rights(const struct vma *vma, struct pte pte)
{
	unsigned rights = 0;

	if (!pte_is_present(pte))
		return 0;
	if (vma_permits(vma, ACCESS_READ))
		rights |= ACCESS_READ;
	if (vma_permits(vma, ACCESS_WRITE) && (pte.bits & PTE_WRITABLE))
		rights |= ACCESS_WRITE;
	return rights;
}

/*
 * The generation is read before the entry: a translation that is shot down
 * between the two is not cached.
 */
static bool cpu_translate_locked(struct space_cpu *cpu, va_t page,
				 unsigned right)
{
	struct space *space = cpu->space;
	struct mmu *mmu = space->home.mmu;
	struct vma *vma = space_find_vma(space, page);
	uint64_t generation = mmu_soft_generation(mmu);
	struct slot slot;
	struct pte pte;
	unsigned rights;

	if (!vma || !range_has(vma->range, page) ||
	    table_walk(space->table, page, false, &slot))
		return false;
	pte = table_read(&slot);
	rights = cacheable_rights(vma, pte);
	if (!(rights & right))
		return false;
	mmu_soft_cache(&cpu->tlb, page, rights,
		       frame_bytes(space->home.frames, pte_pfn(pte)),
		       generation);
	return true;
}

/* Whether the TLB now has, or just had, what the access needs. */
static bool cpu_translate(struct space_cpu *cpu, va_t va, unsigned right)
{
	struct rwlock *map_lock = &cpu->space->map_lock;
	unsigned reader = rwlock_read(map_lock);
	bool is_there = cpu_translate_locked(cpu, page_down(va), right);

	rwlock_read_drop(map_lock, reader);
	return is_there;
}

/* A condition that the compiler shall make the straight path. */
#define is_usual(condition) __builtin_expect((condition), true)

typedef uint16_t __attribute__((may_alias)) word16;
typedef uint32_t __attribute__((may_alias)) word32;
typedef uint64_t __attribute__((may_alias)) word64;

/* A word is moved by one load and one store: nobody sees half of it. */
static bool is_word(size_t n)
{
	return n == 1 || n == 2 || n == 4 || n == 8;
}

/* `dst` is aligned; `src` need not be. */
static inline void word_store(uint8_t *dst, const uint8_t *src, size_t n)
{
	word64 w64;
	word32 w32;
	word16 w16;

	if (n == 8) {
		__builtin_memcpy(&w64, src, sizeof(w64));
		__atomic_store_n((word64 *)(void *)dst, w64, __ATOMIC_RELEASE);
	} else if (n == 4) {
		__builtin_memcpy(&w32, src, sizeof(w32));
		__atomic_store_n((word32 *)(void *)dst, w32, __ATOMIC_RELEASE);
	} else if (n == 2) {
		__builtin_memcpy(&w16, src, sizeof(w16));
		__atomic_store_n((word16 *)(void *)dst, w16, __ATOMIC_RELEASE);
	} else {
		__atomic_store_n(dst, *src, __ATOMIC_RELEASE);
	}
}

/* `src` is aligned; `dst` need not be. */
static inline void word_load(uint8_t *dst, const uint8_t *src, size_t n)
{
	word64 w64;
	word32 w32;
	word16 w16;

	if (n == 8) {
		w64 = __atomic_load_n((const word64 *)(const void *)src,
				      __ATOMIC_ACQUIRE);
		__builtin_memcpy(dst, &w64, sizeof(w64));
	} else if (n == 4) {
		w32 = __atomic_load_n((const word32 *)(const void *)src,
				      __ATOMIC_ACQUIRE);
		__builtin_memcpy(dst, &w32, sizeof(w32));
	} else if (n == 2) {
		w16 = __atomic_load_n((const word16 *)(const void *)src,
				      __ATOMIC_ACQUIRE);
		__builtin_memcpy(dst, &w16, sizeof(w16));
	} else {
		*dst = __atomic_load_n(src, __ATOMIC_ACQUIRE);
	}
}

static void bytes_store(uint8_t *dst, const uint8_t *src, size_t n)
{
	if (is_word(n) && ((uintptr_t)dst & (n - 1)) == 0)
		word_store(dst, src, n);
	else
		mem_copy(dst, src, n);
}

static void bytes_load(uint8_t *dst, const uint8_t *src, size_t n)
{
	if (is_word(n) && ((uintptr_t)src & (n - 1)) == 0)
		word_load(dst, src, n);
	else
		mem_copy(dst, src, n);
}

/*
 * The fast path: an aligned word, if the TLB has its page. The length is a
 * constant of each call, so that nothing is left of the choices above.
 */
static inline __attribute__((always_inline)) bool
load_word(struct space_cpu *cpu, va_t va, uint8_t *dst, size_t n)
{
	bool hits;

	mmu_tlb_enter(&cpu->tlb);
	hits = mmu_tlb_hits(&cpu->tlb, va, ACCESS_READ, n);
	if (is_usual(hits))
		word_load(dst, mmu_tlb_byte(&cpu->tlb, va), n);
	mmu_tlb_leave(&cpu->tlb);
	return hits;
}

static inline __attribute__((always_inline)) bool
store_word(struct space_cpu *cpu, va_t va, const uint8_t *src, size_t n)
{
	bool hits;

	mmu_tlb_enter(&cpu->tlb);
	hits = mmu_tlb_hits(&cpu->tlb, va, ACCESS_WRITE, n);
	if (is_usual(hits))
		word_store(mmu_tlb_byte(&cpu->tlb, va), src, n);
	mmu_tlb_leave(&cpu->tlb);
	return hits;
}

/* Bytes inside one page, as one access, if the TLB has it. */
static bool part_hits(struct space_cpu *cpu, const struct transfer *t)
{
	unsigned right = t->into ? ACCESS_READ : ACCESS_WRITE;
	uint8_t *bytes = mmu_soft_enter(cpu->space->home.mmu, &cpu->tlb, t->va,
					right);

	if (bytes) {
		bytes += t->va & (PAGE_BYTES - 1);
		if (t->into)
			bytes_load(t->into, bytes, t->n);
		else
			bytes_store(bytes, t->from, t->n);
	}
	mmu_soft_leave(&cpu->tlb);
	return bytes != NULL;
}

/* Bytes inside one page, whatever it takes. */
static int cpu_move(struct space_cpu *cpu, const struct transfer *t)
{
	unsigned right = t->into ? ACCESS_READ : ACCESS_WRITE;
	unsigned access = t->into ? FAULT_READ : FAULT_WRITE;
	int err;

	for (;;) {
		if (part_hits(cpu, t))
			return 0;
		if (cpu_translate(cpu, t->va, right))
			continue;
		err = access_fault(cpu->space, t->va, &access);
		if (err)
			return err;
	}
}

/* The first n bytes are done. */
static void transfer_advance(struct transfer *t, size_t n)
{
	t->va += n;
	t->n -= n;
	if (t->into)
		t->into += n;
	else
		t->from += n;
}

static int cpu_move_all(struct space_cpu *cpu, struct transfer *t,
			va_t *fault_va)
{
	struct transfer part;
	int err;

	while (t->n) {
		part = *t;
		part.n = in_page(t->va, t->n);
		err = cpu_move(cpu, &part);
		if (err) {
			if (fault_va)
				*fault_va = t->va;
			return err;
		}
		transfer_advance(t, part.n);
	}
	return 0;
}

/*
 * All that is not a hit of an aligned word. Kept out of the fast path, and
 * with the same parameters, so that it is left by a jump.
 */
static __attribute__((noinline)) int
load_slow(struct space_cpu *cpu, va_t va, void *dst, size_t n, va_t *fault_va)
{
	struct transfer t = { va, dst, NULL, n };

	return cpu_move_all(cpu, &t, fault_va);
}

static __attribute__((noinline)) int
store_slow(struct space_cpu *cpu, va_t va, const void *src, size_t n,
	   va_t *fault_va)
{
	struct transfer t = { va, NULL, src, n };

	return cpu_move_all(cpu, &t, fault_va);
}

int space_load(struct space_cpu *cpu, va_t va, void *dst, size_t n,
	       va_t *fault_va)
{
	bool hits;

	if (is_usual(n == 8))
		hits = load_word(cpu, va, dst, 8);
	else if (n == 4)
		hits = load_word(cpu, va, dst, 4);
	else if (n == 2)
		hits = load_word(cpu, va, dst, 2);
	else
		hits = n == 1 && load_word(cpu, va, dst, 1);
	if (is_usual(hits))
		return 0;
	return load_slow(cpu, va, dst, n, fault_va);
}

int space_store(struct space_cpu *cpu, va_t va, const void *src, size_t n,
		va_t *fault_va)
{
	bool hits;

	if (is_usual(n == 8))
		hits = store_word(cpu, va, src, 8);
	else if (n == 4)
		hits = store_word(cpu, va, src, 4);
	else if (n == 2)
		hits = store_word(cpu, va, src, 2);
	else
		hits = n == 1 && store_word(cpu, va, src, 1);
	if (is_usual(hits))
		return 0;
	return store_slow(cpu, va, src, n, fault_va);
}

/* ---- a system call's accesses ---- */

/*
 * The frame of the page, with a reference, so that copy-on-write in another
 * thread does not free it under us; 0: an access would fault.
 */
static struct pfn frame_pin(struct space *space, va_t va, unsigned right)
{
	struct vma *vma = space_find_vma(space, va);
	struct pfn pfn = { 0 };
	struct slot slot;
	struct pte pte;

	if (!vma || !range_has(vma->range, va) ||
	    table_walk(space->table, page_down(va), false, &slot) ||
	    !slot.entry)
		return pfn;
	table_lock(&slot);
	pte = table_read(&slot);
	if (cacheable_rights(vma, pte) & right) {
		pfn = pte_pfn(pte);
		if (!(pte.bits & PTE_ZERO))
			frame_get(space->home.frames, pfn);
	}
	table_unlock(&slot);
	return pfn;
}

static void frame_unpin(struct space *space, struct pfn pfn)
{
	if (pfn.n != FRAME_ZERO_PAGE.n)
		frame_put(space->home.frames, pfn);
}

/* Locks: map_lock held. Returns: bytes moved before an access would fault. */
static size_t peek_or_poke(struct space *space, const struct transfer *t)
{
	unsigned right = t->into ? ACCESS_READ : ACCESS_WRITE;
	struct pfn pfn;
	size_t done = 0;
	size_t n;
	uint8_t *bytes;

	while (done < t->n) {
		n = in_page(t->va + done, t->n - done);
		pfn = frame_pin(space, t->va + done, right);
		if (pfn.n == 0)
			break;
		bytes = frame_bytes(space->home.frames, pfn);
		bytes += (t->va + done) & (PAGE_BYTES - 1);
		if (t->into)
			bytes_load(t->into + done, bytes, n);
		else
			bytes_store(bytes, t->from + done, n);
		frame_unpin(space, pfn);
		done += n;
	}
	return done;
}

size_t space_peek(struct space *space, void *dst, va_t src, size_t n)
{
	struct transfer t = { src, dst, NULL, n };

	check(!space->home.mmu->is_native);
	return peek_or_poke(space, &t);
}

static size_t copy_soft(struct space *space, struct transfer t, bool may_fault)
{
	unsigned kind = FAULT_KERNEL | (t.into ? FAULT_READ : FAULT_WRITE);
	unsigned access = kind;
	size_t total = t.n;
	size_t done;
	unsigned reader;

	for (;;) {
		reader = rwlock_read(&space->map_lock);
		done = peek_or_poke(space, &t);
		rwlock_read_drop(&space->map_lock, reader);
		if (done)
			access = kind;
		transfer_advance(&t, done);
		if (t.n == 0 || !may_fault ||
		    access_fault(space, t.va, &access))
			return total - t.n;
	}
}

size_t space_copy_in(struct space *space, void *dst, va_t src, size_t n,
		     bool may_fault)
{
	struct mmu *mmu = space->home.mmu;

	if (mmu->is_native)
		return mmu->ops->copy_in(mmu, dst, src, n, may_fault);
	return copy_soft(space, (struct transfer){ src, dst, NULL, n },
			 may_fault);
}

size_t space_copy_out(struct space *space, va_t dst, const void *src, size_t n,
		      bool may_fault)
{
	struct mmu *mmu = space->home.mmu;

	if (mmu->is_native)
		return mmu->ops->copy_out(mmu, dst, src, n, may_fault);
	return copy_soft(space, (struct transfer){ dst, NULL, src, n },
			 may_fault);
}
