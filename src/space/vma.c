/* SPDX-License-Identifier: MIT */
/*
 * One mapping: what it permits, how it is cut and joined, what its watch is,
 * and the entries below it.
 */
#include "space/vma.h"

#include "base/check.h"
#include "base/heap.h"

#include <errno.h>

bool vma_permits(const struct vma *vma, unsigned access)
{
	if (access & (ACCESS_WRITE | ACCESS_EXEC))
		return (vma->prot & access) == access;
	return vma->prot & (ACCESS_READ | ACCESS_WRITE | ACCESS_EXEC);
}

bool vma_never_traps(const struct vma *vma)
{
	return vma->kind == VMA_STACK;
}

void vma_anchor(struct vma *vma)
{
	if (!atomic_load_explicit(&vma->has_anchor, memory_order_relaxed))
		atomic_store_explicit(&vma->has_anchor, true,
				      memory_order_relaxed);
}

struct vma *vma_new(const struct vma *like)
{
	struct vma *vma = heap_zalloc(sizeof(*vma));

	if (!vma)
		return NULL;
	vma->range = like->range;
	vma->prot = like->prot;
	vma->kind = like->kind;
	vma->is_shared = like->is_shared;
	vma->may_write = like->may_write;
	vma->is_locked = like->is_locked;
	atomic_init(&vma->has_anchor, atomic_load(&like->has_anchor));
	vma->is_surveyed = like->is_surveyed;
	vma->ops = like->ops;
	vma->watch = like->watch;
	vma->modes = like->modes;
	return vma;
}

void vma_free(struct vma *vma)
{
	heap_free(vma, sizeof(*vma));
}

static bool vma_is_like(const struct vma *a, const struct vma *b)
{
	return a->prot == b->prot && a->kind == b->kind &&
	       a->is_shared == b->is_shared && a->may_write == b->may_write &&
	       a->is_locked == b->is_locked && a->ops == b->ops &&
	       a->watch == b->watch && a->modes == b->modes;
}

/* The upper one becomes part of the lower one. */
static struct vma *vma_join(struct space *space, struct vma *lower,
			    struct vma *upper)
{
	va_t end = upper->range.end;

	if (atomic_load(&upper->has_anchor))
		vma_anchor(lower);
	vma_tree_remove(space, upper);
	vma_free(upper);
	lower->range.end = end;
	return lower;
}

static bool vma_may_join(const struct vma *lower, const struct vma *upper)
{
	return lower && upper && lower->range.end == upper->range.start &&
	       vma_is_like(lower, upper);
}

struct vma *vma_merge(struct space *space, struct vma *vma)
{
	struct vma *prev = vma_tree_prev(space, vma);
	struct vma *next = space_next_vma(space, vma);

	if (vma_may_join(vma, next))
		vma_join(space, vma, next);
	if (vma_may_join(prev, vma))
		vma = vma_join(space, prev, vma);
	return vma;
}

/* Two VMAs meet at `at`, where one was. *upper is the one above. */
static int vma_cut(struct space *space, struct vma *vma, va_t at,
		   struct vma **upper)
{
	struct vma *fresh;

	check(at > vma->range.start && at < vma->range.end);
	fresh = vma_new(vma);
	if (!fresh)
		return -ENOMEM;
	fresh->range.start = at;
	vma->range.end = at;
	vma_tree_insert(space, fresh);
	*upper = fresh;
	return 0;
}

int space_clip_vma(struct space *space, struct vma *vma, struct range r,
		   struct vma **out)
{
	struct vma *inside = vma;
	struct vma *above;
	int err;

	r = range_clip(r, vma->range);
	check(!range_is_empty(r));
	if (r.start > vma->range.start) {
		err = vma_cut(space, vma, r.start, &inside);
		if (err)
			return err;
	}
	if (r.end < inside->range.end) {
		err = vma_cut(space, inside, r.end, &above);
		if (err) {
			vma_merge(space, inside);
			return err;
		}
	}
	*out = inside;
	return 0;
}

static int vma_cut_at(struct space *space, va_t at)
{
	struct vma *vma = space_find_vma(space, at);
	struct vma *upper;

	if (!vma || vma->range.start >= at)
		return 0;
	return vma_cut(space, vma, at, &upper);
}

int space_cut(struct space *space, struct range r)
{
	struct vma *vma;
	int err;

	err = vma_cut_at(space, r.start);
	if (err)
		return err;
	err = vma_cut_at(space, r.end);
	if (err) {
		vma = space_find_vma(space, r.start);
		if (vma)
			vma_merge(space, vma);
	}
	return err;
}

static void merge_at(struct space *space, va_t at)
{
	struct vma *vma = space_find_vma(space, at);

	if (vma && vma->range.start == at)
		vma_merge(space, vma);
}

void space_uncut(struct space *space, struct range r)
{
	merge_at(space, r.start);
	merge_at(space, r.end);
}

/* ---- the watch ---- */

bool space_is_watched(const struct space *space, struct range r)
{
	return watched_meets(&space->watched, r);
}

void vma_hint_watched(struct space *space, struct range r)
{
	watched_add(&space->watched, r);
}

/* Where there were too many ranges to tell apart, there may be few again. */
void vma_unhint_watched(struct space *space, struct range r)
{
	struct watched *watched = &space->watched;
	struct watched_list *list;
	struct vma *vma;

	if (!watched_is_vague(watched)) {
		watched_remove(watched, r);
		return;
	}
	list = watched_begin(watched);
	for (vma = vma_tree_first(space); vma;
	     vma = space_next_vma(space, vma))
		if (vma->watch)
			watched_tell(list, vma->range);
	watched_end(watched);
}

void vma_remove(struct space *space, struct vma *vma)
{
	vma_tree_remove(space, vma);
	if (vma->watch)
		vma_unhint_watched(space, vma->range);
	vma_free(vma);
}

/* Write protection by a watch ends with the mode. */
static int forget_wp(void *arg, const struct slot *slot, struct pte pte)
{
	(void)arg;
	if (pte_has(pte, PTE_MARKER_WP) && !pte_is_present(pte))
		table_set(slot, (struct pte){ 0 });
	else if (pte_is_present(pte) && (pte.bits & PTE_WP))
		table_set(slot, (struct pte){ pte.bits & ~PTE_WP });
	return 0;
}

struct vma *space_set_watch(struct space *space, struct vma *vma,
			    struct watch *watch, unsigned modes)
{
	unsigned lost = vma->modes & ~modes;

	check((watch != NULL) == (modes != 0));
	if ((lost & WATCH_WP) &&
	    table_each(space->table, vma->range, forget_wp, NULL))
		bug("forget_wp never refuses");
	vma->watch = watch;
	vma->modes = modes;
	vma->is_surveyed = !watch && space->home.mmu->is_native;
	if (watch)
		vma_hint_watched(space, vma->range);
	else
		vma_unhint_watched(space, vma->range);
	return vma_merge(space, vma);
}

/* ---- entries ---- */

struct zap {
	const struct object_home *home;
	const struct object_ops *ops;
	bool keep_guards;
};

static int zap_entry(void *arg, const struct slot *slot, struct pte pte)
{
	const struct zap *zap = arg;

	if (zap->keep_guards && !pte_is_present(pte) &&
	    pte_has(pte, PTE_MARKER_GUARD))
		return 0;
	table_set(slot, (struct pte){ 0 });
	zap->ops->drop(zap->home, pte);
	return 0;
}

/*
 * Translations are shot down first, once: map_lock is held for writing, and
 * only its readers make new ones.
 */
void vma_zap(struct space *space, struct vma *vma, struct range r,
	     bool keep_guards)
{
	struct zap zap = { &space->home, vma->ops, keep_guards };
	struct mmu *mmu = space->home.mmu;

	check(range_covers(vma->range, r) && !range_is_empty(r));
	if (!vma->ops)
		return;
	mmu->ops->shoot(mmu, r);
	if (table_each(space->table, r, zap_entry, &zap))
		bug("zap_entry never refuses");
}

static int clear_bits(void *arg, const struct slot *slot, struct pte pte)
{
	const uint64_t *bits = arg;

	if (pte_is_present(pte) && (pte.bits & *bits))
		table_set(slot, (struct pte){ pte.bits & ~*bits });
	return 0;
}

void vma_clear_bits(struct space *space, struct range r, uint64_t bits)
{
	struct mmu *mmu = space->home.mmu;

	mmu->ops->shoot(mmu, r);
	if (bits && table_each(space->table, r, clear_bits, &bits))
		bug("clear_bits never refuses");
}
