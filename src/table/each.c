/* SPDX-License-Identifier: MIT */
/*
 * Many entries at once: visit those that are there, measure runs.
 *
 * Both go from leaf to leaf and jump over a missing level in one step, so a
 * sparse range of terabytes costs what is in it.
 */
#include "table/levels.h"

#include "base/check.h"

static struct slot slot_of(const struct leaf *leaf, va_t va)
{
	return (struct slot){
		.va = va,
		.entry = &leaf->entries[table_index(va, TABLE_LEAF_SHIFT)],
		.lock = leaf->lock,
	};
}

/* Locks: the leaf's, held. */
static int visit_leaf(const struct leaf *leaf, struct range r,
		      table_visit_fn fn, void *arg)
{
	struct slot slot;
	struct pte pte;
	int ret;

	for (va_t va = r.start; va < r.end; va += PAGE_BYTES) {
		slot = slot_of(leaf, va);
		pte = table_read(&slot);
		if (pte_is_none(pte))
			continue;
		ret = fn(arg, &slot, pte);
		if (ret)
			return ret;
	}
	return 0;
}

/* The part of the range that the leaf, or the hole, at its start covers. */
static struct range first_part(struct range r, const struct leaf *leaf)
{
	return (struct range){ r.start, r.end < leaf->end ? r.end : leaf->end };
}

int table_each(struct table *table, struct range r, table_visit_fn fn,
	       void *arg)
{
	struct range part;
	struct leaf leaf;
	int ret = 0;

	check(is_page_aligned(r.start) && is_page_aligned(r.end));
	for (; !range_is_empty(r) && !ret; r.start = part.end) {
		leaf = table_leaf(table, r.start);
		part = first_part(r, &leaf);
		if (!leaf.entries)
			continue;
		lock_take(leaf.lock);
		ret = visit_leaf(&leaf, part, fn, arg);
		lock_drop(leaf.lock);
	}
	return ret;
}

/* Where the run that begins at part.start ends, at most part.end. */
static va_t run_end(const struct leaf *leaf, struct range part, bool is_none)
{
	struct slot slot;
	va_t va;

	if (!leaf->entries)
		return is_none ? part.end : part.start;
	for (va = part.start; va < part.end; va += PAGE_BYTES) {
		slot = slot_of(leaf, va);
		if (pte_is_none(table_read(&slot)) != is_none)
			break;
	}
	return va;
}

uint64_t table_run(struct table *table, struct range r, bool is_none)
{
	va_t at = r.start;
	struct range part;
	struct leaf leaf;

	check(is_page_aligned(r.start) && is_page_aligned(r.end));
	while (at < r.end) {
		leaf = table_leaf(table, at);
		part = first_part((struct range){ at, r.end }, &leaf);
		at = run_end(&leaf, part, is_none);
		if (at < part.end)
			break;
	}
	return at - r.start;
}
