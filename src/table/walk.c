/* SPDX-License-Identifier: MIT */
/*
 * The one walk, and the life of a table's pages.
 *
 * A level, once installed, stays until the table is destroyed; so walkers
 * need no lock, and of two who make the same level one loses and gives its
 * page back.
 */
#include "table/levels.h"

#include "base/check.h"
#include "base/heap.h"

#include <errno.h>

_Atomic uint64_t *table_entries(const struct table *table, struct pfn pfn)
{
	return frame_bytes(table->arena, pfn);
}

static struct pte load(const _Atomic uint64_t *entry)
{
	return (struct pte){ atomic_load_explicit(entry,
						  memory_order_acquire) };
}

static struct lock *lock_of(const struct table *table, struct pfn leaf)
{
	return (struct lock *)&table->locks[leaf.n % TABLE_LOCKS];
}

int table_create(struct frame_arena *arena, struct table **out)
{
	struct table *table = heap_zalloc(sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->arena = arena;
	table->root = frame_alloc(arena, FRAME_TABLE);
	if (!table->root.n) {
		heap_free(table, sizeof(*table));
		return -ENOMEM;
	}
	table->top = table_entries(table, table->root);
	for (unsigned i = 0; i < TABLE_LOCKS; i++)
		lock_init(&table->locks[i], RANK_TABLE);
	*out = table;
	return 0;
}

/* The page at `shift` and all below it; three deep at most. */
static void free_level(struct table *table, struct pfn pfn, unsigned shift)
{
	_Atomic uint64_t *entries = table_entries(table, pfn);
	struct pte pte;

	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		pte = load(&entries[i]);
		if (pte_is_none(pte))
			continue;
		check(shift > TABLE_LEAF_SHIFT);
		free_level(table, pte_pfn(pte), shift - TABLE_BITS);
	}
	frame_put(table->arena, pfn);
}

void table_destroy(struct table *table)
{
	free_level(table, table->root, TABLE_ROOT_SHIFT);
	heap_free(table, sizeof(*table));
}

struct leaf table_leaf(const struct table *table, va_t va)
{
	_Atomic uint64_t *entries = table->top;
	struct leaf leaf = { NULL, NULL, 0 };
	unsigned shift = TABLE_ROOT_SHIFT;
	struct pte pte;

	check(va < TABLE_VA_END);
	for (; shift > TABLE_LEAF_SHIFT; shift -= TABLE_BITS) {
		leaf.end = (va >> shift << shift) + ((va_t)1 << shift);
		pte = load(&entries[table_index(va, shift)]);
		if (pte_is_none(pte))
			return leaf;
		entries = table_entries(table, pte_pfn(pte));
	}
	leaf.entries = entries;
	leaf.lock = lock_of(table, pte_pfn(pte));
	return leaf;
}

/* The entry of an upper level leads to a page, made if there is none. */
static int make_level(struct table *table, _Atomic uint64_t *entry)
{
	struct pfn fresh;
	uint64_t seen = 0;

	if (!pte_is_none(load(entry)))
		return 0;
	fresh = frame_alloc(table->arena, FRAME_TABLE);
	if (!fresh.n)
		return -ENOMEM;
	if (!atomic_compare_exchange_strong(entry, &seen,
					    pte_of(fresh, PTE_PRESENT).bits))
		frame_put(table->arena, fresh);
	return 0;
}

static int make_levels(struct table *table, va_t va)
{
	_Atomic uint64_t *entries = table->top;
	_Atomic uint64_t *entry;
	int err;

	for (unsigned shift = TABLE_ROOT_SHIFT; shift > TABLE_LEAF_SHIFT;
	     shift -= TABLE_BITS) {
		entry = &entries[table_index(va, shift)];
		err = make_level(table, entry);
		if (err)
			return err;
		entries = table_entries(table, pte_pfn(load(entry)));
	}
	return 0;
}

int table_walk(struct table *table, va_t va, bool alloc, struct slot *out)
{
	struct leaf leaf = table_leaf(table, va);
	int err;

	if (!leaf.entries && alloc) {
		err = make_levels(table, va);
		if (err)
			return err;
		leaf = table_leaf(table, va);
		check(leaf.entries);
	}
	out->va = page_down(va);
	out->lock = leaf.lock;
	out->entry = NULL;
	if (leaf.entries)
		out->entry = &leaf.entries[table_index(va, TABLE_LEAF_SHIFT)];
	return 0;
}
