/* SPDX-License-Identifier: MIT */
/*
 * A look inside a soft space: entries and counts, as /proc would tell them.
 */
#include "sys/softworld.h"

#include "charge/charge.h"
#include "frame/frame.h"

#include <errno.h>

static bool is_exclusive(struct space *space, struct pte pte)
{
	if (pte.bits & (PTE_ZERO | PTE_NATIVE))
		return false;
	return frame_meta(space->home.frames, pte_pfn(pte))->flags &
	       FRAME_EXCLUSIVE;
}

static unsigned present_flags(struct space *space, struct pte pte)
{
	unsigned flags = SOFT_ENTRY_PRESENT;

	if (pte.bits & PTE_WRITABLE)
		flags |= SOFT_ENTRY_WRITABLE;
	if (pte.bits & PTE_DIRTY)
		flags |= SOFT_ENTRY_DIRTY;
	if (pte.bits & PTE_ZERO)
		flags |= SOFT_ENTRY_ZERO;
	if (pte.bits & PTE_WP)
		flags |= SOFT_ENTRY_WP;
	if (is_exclusive(space, pte))
		flags |= SOFT_ENTRY_EXCLUSIVE;
	return flags;
}

static unsigned marker_flags(struct pte pte)
{
	unsigned flags = 0;

	if (pte_has(pte, PTE_MARKER_WP))
		flags |= SOFT_ENTRY_WP;
	if (pte_has(pte, PTE_MARKER_GUARD))
		flags |= SOFT_ENTRY_GUARD;
	if (pte_has(pte, PTE_MARKER_POISON))
		flags |= SOFT_ENTRY_POISON;
	return flags;
}

int soft_space_entry(struct soft_space *s, va_t va, struct soft_entry *out)
{
	struct slot slot;
	struct pte pte;
	int err;

	if (va >= TASK_BYTES)
		return -EINVAL;
	err = table_walk(s->space->table, page_down(va), false, &slot);
	if (err)
		return err;
	pte = table_read(&slot);
	*out = (struct soft_entry){ 0 };
	if (pte_is_present(pte)) {
		out->flags = present_flags(s->space, pte);
		out->frame = pte_pfn(pte).n;
	} else if (pte_is_marker(pte)) {
		out->flags = marker_flags(pte);
	}
	return 0;
}

static uint64_t count_vmas(struct space *space)
{
	struct vma *vma;
	uint64_t count = 0;

	space_begin(space);
	vma = space_find_vma(space, 0);
	for (; vma; vma = space_next_vma(space, vma))
		count++;
	space_end(space);
	return count;
}

void soft_space_read_counts(struct soft_space *s, struct soft_counts *out)
{
	struct space *space = s->space;
	struct frame_counts frames = frame_read_counts(space->home.frames);

	*out = (struct soft_counts){
		.anon_pages = atomic_load(&space->counts.anon_pages),
		.charged_pages = charge_read(s->group).charged_pages,
		.frames = frames.used,
		.table_pages = frames.tables,
		.vmas = count_vmas(space),
	};
}
