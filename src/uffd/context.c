/* SPDX-License-Identifier: MIT */
/*
 * Life of an object: created or recycled, referred to, released.
 */
#include "uffd/context.h"

#include "base/check.h"
#include "base/heap.h"
#include "base/raw.h"

#include <errno.h>
#include <sys/syscall.h>

/*
 * Objects waiting to be used again. A forked child must not use those of its
 * parent, whose conversations it shares, nor a lock that a thread held which
 * it has not got: the pool knows whose it is.
 */
static struct {
	struct lock lock;
	struct uffd *free;   /* [pool lock] */
	_Atomic long owner;  /* [a] process id; POOL_CLAIMED while it moves in */
} pool = { .lock = LOCK_INIT(RANK_QUEUE) };

#define POOL_CLAIMED (-1)

static void pool_lock(void)
{
	long self = raw_call(SYS_getpid);
	long owner = atomic_load(&pool.owner);

	while (owner != self) {
		if (owner == POOL_CLAIMED) {
			sync_relax();
			owner = atomic_load(&pool.owner);
		} else if (atomic_compare_exchange_weak(&pool.owner, &owner,
							POOL_CLAIMED)) {
			lock_init(&pool.lock, RANK_QUEUE);
			pool.free = NULL;
			owner = self;
			atomic_store(&pool.owner, self);
		}
	}
	lock_take(&pool.lock);
}

static struct uffd *pool_take(void)
{
	struct uffd *uffd;

	pool_lock();
	uffd = pool.free;
	if (uffd)
		pool.free = uffd->next_free;
	lock_drop(&pool.lock);
	return uffd;
}

static void pool_give(struct uffd *uffd)
{
	pool_lock();
	uffd->next_free = pool.free;
	pool.free = uffd;
	lock_drop(&pool.lock);
}

static int object_make(struct uffd **out)
{
	struct conversation *talk;
	void *at;
	int err;

	err = conversation_create(&talk);
	if (err)
		return err;
	err = heap_map(sizeof(struct uffd), false, &at);
	if (err) {
		conversation_destroy(talk);
		return err;
	}
	*out = at;
	(*out)->talk = talk;
	return 0;
}

/* A recycled object costs no allocation, but counts as one that may fail. */
static int object_take(struct uffd **out)
{
	struct uffd *uffd = pool_take();

	if (!uffd)
		return object_make(out);
	if (heap_should_fail()) {
		pool_give(uffd);
		return -ENOMEM;
	}
	*out = uffd;
	return 0;
}

int uffd_create(const struct uffd_options *options, struct uffd **out)
{
	const struct profile *profile = options->profile;
	struct uffd *uffd;
	int err;

	if (!profile)
		profile = options->space->home.profile;
	if (options->flags & ~profile->create_flags)
		return -EINVAL;
	err = object_take(&uffd);
	if (err)
		return err;

	conversation_restart(uffd->talk);
	uffd->watch.ops = &uffd_watch_ops;
	rwlock_init(&uffd->watch.gate.lock, RANK_CHANGING);
	atomic_store(&uffd->watch.gate.changing, 0);
	uffd->space = options->space;
	space_get(uffd->space);
	uffd->profile = profile;
	uffd->host = options->host;
	uffd->flags = options->flags;
	atomic_store(&uffd->features, 0);
	atomic_store(&uffd->is_ready, 0);
	atomic_store(&uffd->is_released, 0);
	atomic_store(&uffd->refs, 1);
	*out = uffd;
	return 0;
}

struct uffd *uffd_of_watch(struct watch *watch)
{
	check(watch->ops == &uffd_watch_ops);
	return container_of(watch, struct uffd, watch);
}

void uffd_get(struct uffd *uffd)
{
	uint32_t before = atomic_fetch_add(&uffd->refs, 1);

	check(before > 0);
}

bool uffd_try_get(struct uffd *uffd)
{
	uint32_t refs = atomic_load(&uffd->refs);

	while (refs > 0)
		if (atomic_compare_exchange_weak(&uffd->refs, &refs, refs + 1))
			return true;
	return false;
}

void uffd_put(struct uffd *uffd)
{
	uint32_t before = atomic_fetch_sub(&uffd->refs, 1);

	check(before > 0);
	if (before > 1)
		return;
	check(atomic_load(&uffd->is_released));
	space_put(uffd->space);
	uffd->space = NULL;
	pool_give(uffd);
}

/* Every VMA of the object belongs to nobody and is ordinary memory. */
static void let_go(struct uffd *uffd)
{
	const struct range all = { 0, TASK_BYTES };
	struct space *space = uffd->space;
	struct vma *vma;
	va_t va = 0;

	while ((vma = space_find_vma(space, va))) {
		va = vma->range.end;
		if (vma->watch != &uffd->watch)
			continue;
		space_disarm(space, vma);
		(void)space_set_watch(space, vma, NULL, 0);
	}
	space_settle(space, all);
}

void uffd_release(struct uffd *uffd)
{
	check(!atomic_load(&uffd->is_released));
	atomic_store(&uffd->is_released, 1);

	space_begin(uffd->space);
	if (!atomic_load(&uffd->space->is_dead))
		let_go(uffd);
	space_end(uffd->space);

	uffd_wake(uffd, (struct range){ 0, UINT64_MAX });
	uffd_ring(uffd);
	uffd_put(uffd);
}

void uffd_space_gone(struct uffd *uffd)
{
	check(atomic_load(&uffd->space->is_dead));
	uffd_wake(uffd, (struct range){ 0, UINT64_MAX });
}

void uffd_raise_changing(struct uffd *uffd, bool raise)
{
	struct watch_gate *gate = &uffd->watch.gate;
	uint32_t now;

	rwlock_write(&gate->lock);
	now = atomic_load(&gate->changing);
	if (!uffd->profile->changing_is_counted) {
		now = raise;
	} else if (raise) {
		now++;
	} else {
		check(now > 0);
		now--;
	}
	atomic_store(&gate->changing, now);
	rwlock_write_drop(&gate->lock);
}

bool uffd_is_ready(const struct uffd *uffd)
{
	return atomic_load(&uffd->is_ready);
}

unsigned uffd_flags(const struct uffd *uffd)
{
	return uffd->flags;
}
