/* SPDX-License-Identifier: MIT */
/* Section E: COPY, the rows in which nobody waits. */
#include "conform.h"

#include "polyfault/embed.h"
#include "world_real.h"

#include <string.h>

/* The common company: an object, a watched range, a filled source. */
struct scene {
	struct w_uffd *u;
	uint64_t dst;
	uint64_t src;
};

static struct scene scene(struct world *w, uint64_t pages)
{
	struct scene s;

	s.u = op_ready(w, 0);
	s.src = w_map_filled(w, pages, 'a');
	s.dst = op_map_watched(s.u, pages);
	return s;
}

static int copy_one(const struct scene *s, uint64_t mode)
{
	return op_copy(s->u, s->dst, s->src, PG, mode);
}

static void E01_bad_pointer(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);

	T_EQ(w_ioctl_at(u, PF_UFFDIO_COPY, W_BAD_POINTER), -EFAULT);
}

static void E02_length_0(struct world *w)
{
	struct scene s = scene(w, 1);

	T_EQ(op_copy(s.u, s.dst, s.src, 0, 0), -EINVAL);
	T_EQ(s.u->out, OP_UNTOUCHED);
}

static void E03_length_or_destination_is_not_aligned(struct world *w)
{
	struct scene s = scene(w, 2);

	T_EQ(op_copy(s.u, s.dst, s.src, PG + 1, 0), -EINVAL);
	T_EQ(s.u->out, OP_UNTOUCHED);
	T_EQ(op_copy(s.u, s.dst, s.src, 100, 0), -EINVAL);
	T_EQ(op_copy(s.u, s.dst + 1, s.src, PG, 0), -EINVAL);
	T_EQ(op_copy(s.u, s.dst + 2048, s.src, PG, 0), -EINVAL);
	T_EQ(s.u->out, OP_UNTOUCHED);
}

static void E05_destination_is_too_high(struct world *w)
{
	struct scene s = scene(w, 1);

	T_EQ(op_copy(s.u, W_TASK_SIZE, s.src, PG, 0), -EINVAL);
	T_EQ(op_copy(s.u, W_TASK_SIZE - PG, s.src, 2 * PG, 0), -EINVAL);
	T_EQ(op_copy(s.u, -PG, s.src, PG, 0), -EINVAL);
	T_EQ(s.u->out, OP_UNTOUCHED);
}

/* Is a source beyond the task's addresses an argument error? */
static void E06_source_is_too_high(struct world *w)
{
	/* Takes the highest place, which must be free below. */
	uint64_t top = w_map(w, PG, RW);
	struct scene s = scene(w, 2);
	int want = w_is_seed(w) ? -EFAULT : -EINVAL;
	int64_t out = w_is_seed(w) ? -EFAULT : OP_UNTOUCHED;

	T_OK(w_unmap(w, top, PG));
	T_EQ(op_copy(s.u, s.dst, W_TASK_SIZE, PG, 0), want);
	T_EQ(s.u->out, out);
	T_EQ(op_copy(s.u, s.dst, W_TASK_SIZE - PG, 2 * PG, 0), want);
	T_EQ(op_copy(s.u, s.dst, -PG, 2 * PG, 0), -EINVAL);
	T_EQ(s.u->out, OP_UNTOUCHED);
}

static void E07_unknown_modes(struct world *w)
{
	struct scene s = scene(w, 1);

	for (unsigned bit = w_is_seed(w) ? 1 : 2; bit < 64; bit++) {
		T_EQ(copy_one(&s, 1ull << bit), -EINVAL);
		T_EQ(s.u->out, OP_UNTOUCHED);
	}
	T_OK(copy_one(&s, 0));
}

static void E08_destination_is_not_registered(struct world *w)
{
	struct scene s = scene(w, 1);
	uint64_t plain = w_map(w, 3 * PG, RW);

	T_OK(w_unmap(w, plain, PG));
	T_EQ(op_copy(s.u, plain, s.src, PG, 0), -ENOENT);
	T_EQ(s.u->out, -ENOENT);
	T_EQ(op_copy(s.u, plain + PG, s.src, PG, 0), -ENOENT);
	T_EQ(s.u->out, -ENOENT);
}

static void E09_range_runs_past_the_mapping(struct world *w)
{
	struct scene s = scene(w, 3);

	T_OK(w_unmap(w, s.dst + PG, 2 * PG));
	T_EQ(op_copy(s.u, s.dst, s.src, 2 * PG, 0), -ENOENT);
	T_EQ(s.u->out, -ENOENT);
	T_TRUE(!w_entry(w, s.dst).is_present);
	T_OK(copy_one(&s, 0));
}

static void E10_range_spans_two_mappings(struct world *w)
{
	struct scene s = scene(w, 2);

	T_OK(w_protect(w, s.dst + PG, PG, PROT_READ));
	T_EQ(op_copy(s.u, s.dst, s.src, 2 * PG, 0), -ENOENT);
	T_TRUE(!w_entry(w, s.dst).is_present);
}

static void E11_source_is_not_mapped(struct world *w)
{
	struct scene s = scene(w, 1);

	T_OK(w_unmap(w, s.src, PG));
	T_EQ(copy_one(&s, 0), -EFAULT);
	T_EQ(s.u->out, -EFAULT);
	T_TRUE(!w_entry(w, s.dst).is_present);
}

static void E12_second_source_page_is_not_mapped(struct world *w)
{
	struct scene s = scene(w, 2);

	T_OK(w_unmap(w, s.src + PG, PG));
	T_EQ(op_copy(s.u, s.dst, s.src, 2 * PG, 0), -EAGAIN);
	T_EQ(s.u->out, PG);
	T_EQ(w_peek(w, s.dst), 'a');
	T_TRUE(!w_entry(w, s.dst + PG).is_present);
}

static void E12b_page_crosses_into_an_unmapped_source(struct world *w)
{
	struct scene s = scene(w, 2);

	T_OK(w_unmap(w, s.src + PG, PG));
	T_EQ(op_copy(s.u, s.dst, s.src + 8, PG, 0), -EFAULT);
	T_EQ(s.u->out, -EFAULT);
	T_TRUE(!w_entry(w, s.dst).is_present);
}

static void E13_copy_refuses_a_present_page(struct world *w)
{
	struct scene s = scene(w, 2);

	T_OK(copy_one(&s, 0));
	T_EQ(s.u->out, PG);
	T_EQ(op_copy(s.u, s.dst, s.src + PG, PG, 0), -EEXIST);
	T_EQ(s.u->out, -EEXIST);
	T_EQ(w_peek(w, s.dst), 'a');
}

static void E14_source_need_not_be_aligned(struct world *w)
{
	struct scene s = scene(w, 2);
	uint8_t page[PG];

	T_OK(op_copy(s.u, s.dst, s.src + 1001, PG, 0));
	T_EQ(w_load(w, s.dst, page, PG).end, W_DONE);
	T_EQ(page[PG - 1002], 'a');
	T_EQ(page[PG - 1001], 'b');
	T_EQ(page[PG - 1], 'b');
}

static void E15_second_page_is_present(struct world *w)
{
	struct scene s = scene(w, 2);

	T_OK(op_copy(s.u, s.dst + PG, s.src, PG, 0));
	T_EQ(op_copy(s.u, s.dst, s.src, 2 * PG, 0), -EAGAIN);
	T_EQ(s.u->out, PG);
	T_EQ(w_peek(w, s.dst), 'a');
	T_EQ(w_peek(w, s.dst + PG), 'a');
}

static void E16_wp_mode_needs_wp_registration(struct world *w)
{
	struct scene s = scene(w, 1);

	T_EQ(copy_one(&s, PF_UFFDIO_COPY_MODE_WP), -EINVAL);
	if (w->offered & PF_UFFD_FEATURE_PAGEFAULT_FLAG_WP)
		T_EQ(s.u->out, -EINVAL);
	T_TRUE(!w_entry(w, s.dst).is_present);
}

/* Is the work done, but nobody woken, when the field cannot be stored? */
static void E17_unwritable_field_still_fills(struct world *w)
{
	struct scene s = scene(w, 1);
	struct pf_uffdio_copy copy = { s.dst, s.src, PG, 0, 0 };
	struct w_task *task = w_touch(w, W_LOAD, s.dst);

	op_next(s.u);
	T_EQ(w_ioctl_at(s.u, PF_UFFDIO_COPY,
			op_block(w, &copy, sizeof(copy), 8)), -EFAULT);
	w_still_waits(task);
	T_TRUE(w_entry(w, s.dst).is_present);
	T_OK(op_wake(s.u, s.dst, PG));
	w_join(task);
	T_EQ(task->byte, 'a');
}

static void E18_another_object_may_fill_but_not_wake(struct world *w)
{
	struct scene s = scene(w, 1);
	struct w_uffd *other = op_ready(w, 0);
	struct w_task *task = w_touch(w, W_LOAD, s.dst);

	op_next(s.u);
	T_OK(op_copy(other, s.dst, s.src, PG, 0));
	w_still_waits(task);
	T_OK(op_wake(s.u, s.dst, PG));
	w_join(task);
	T_EQ(task->byte, 'a');
}

static void E20_read_only_mapping_is_filled(struct world *w)
{
	struct scene s = scene(w, 1);
	uint8_t byte = 1;

	T_OK(w_protect(w, s.dst, PG, PROT_READ));
	T_OK(copy_one(&s, 0));
	T_EQ(w_peek(w, s.dst), 'a');
	T_EQ(w_store(w, s.dst, &byte, 1).end, W_SEGV);
}

static void E20b_page_of_a_read_only_mapping_is_dirty(struct world *w)
{
	struct scene s = scene(w, 1);

	T_OK(w_protect(w, s.dst, PG, PROT_READ));
	T_OK(copy_one(&s, 0));
	T_EQ(w_count(w, s.dst, W_DIRTY_PAGES), !w_is_seed(w));
}

static void E20c_inaccessible_mapping_is_filled(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t src = w_map_filled(w, 1, 'a');
	uint64_t dst = w_map(w, PG, PROT_NONE);

	op_watch(u, dst, PG);
	T_OK(op_copy(u, dst, src, PG, 0));
	T_OK(w_protect(w, dst, PG, PROT_READ));
	T_EQ(w_peek(w, dst), 'a');
}

static void E98_mapping_made_inaccessible_is_filled(struct world *w)
{
	struct scene s = scene(w, 2);

	T_OK(w_protect(w, s.dst, 2 * PG, PROT_NONE));
	T_OK(copy_one(&s, 0));
	T_OK(w_protect(w, s.dst, 2 * PG, RW));
	T_EQ(w_peek(w, s.dst), 'a');
	T_TRUE(!w_entry(w, s.dst + PG).is_present);
}

static void E22_page_is_anonymous_and_exclusive(struct world *w)
{
	struct scene s = scene(w, 1);

	T_OK(copy_one(&s, 0));
	T_TRUE(w_entry(w, s.dst).is_present);
	T_TRUE(w_entry(w, s.dst).is_exclusive);
	T_TRUE(!w_entry(w, s.dst).is_zero_page);
}

static void E65_each_page_is_counted_and_dirty(struct world *w)
{
	struct scene s = scene(w, 3);
	int64_t before = w_count(w, s.dst, W_ANON_PAGES);

	T_OK(op_copy(s.u, s.dst, s.src, 2 * PG, 0));
	T_EQ(w_count(w, s.dst, W_ANON_PAGES), before + 2);
	T_TRUE(w_count(w, s.dst, W_DIRTY_PAGES) >= 1);
}

/* Is a page that has been dropped missing again? */
static void O07_dropped_page_is_missing_again(struct world *w)
{
	struct scene s = scene(w, 2);
	struct w_task *task;

	T_OK(copy_one(&s, 0));
	T_OK(w_discard(w, s.dst, PG));
	task = w_touch(w, W_LOAD, s.dst);
	T_EQ(op_next(s.u).arg.pagefault.address, s.dst);
	T_OK(op_copy(s.u, s.dst, s.src + PG, PG, 0));
	w_join(task);
	T_EQ(task->byte, 'b');
}

static uint64_t map_huge(struct world *w)
{
	const uint64_t huge = 2 << 20;
	uint64_t at = w_map(w, 2 * huge, RW);
	uint8_t byte = 7;

	at = (at + huge - 1) & ~(huge - 1);
	if (real(w)->madvise((void *)(uintptr_t)at, huge, MADV_HUGEPAGE))
		t_skip("no transparent huge pages here");
	T_EQ(w_store(w, at, &byte, 1).end, W_DONE);
	if (!w_entry(w, at + huge - PG).is_present)
		t_skip("no huge page could be had");
	return at;
}

static void E23_huge_page_counts_as_present(struct world *w)
{
	struct scene s = scene(w, 1);
	uint64_t at = map_huge(w);

	op_watch(s.u, at, 2 << 20);
	T_EQ(op_copy(s.u, at + 5 * PG, s.src, PG, 0), -EEXIST);
	T_EQ(s.u->out, -EEXIST);
	T_EQ(op_zeropage(s.u, at + 5 * PG, PG, 0), -EEXIST);
	T_EQ(w_peek(w, at), 7);
}

static void E28_source_was_never_touched(struct world *w)
{
	struct scene s = scene(w, 2);
	uint64_t fresh = w_map(w, 2 * PG, RW);

	T_OK(op_copy(s.u, s.dst, fresh, 2 * PG, 0));
	T_EQ(s.u->out, 2 * PG);
	T_EQ(w_peek(w, s.dst), 0);
	T_EQ(w_peek(w, s.dst + PG), 0);
}

static void E28b_source_is_not_readable(struct world *w)
{
	struct scene s = scene(w, 1);

	T_OK(w_protect(w, s.src, PG, PROT_NONE));
	T_EQ(copy_one(&s, 0), -EFAULT);
	T_EQ(s.u->out, -EFAULT);
}

static void E21_address_space_is_gone(struct world *w)
{
	uint64_t src = w_map_filled(w, 1, 'a');
	uint64_t at = w_map(w, PG, RW);
	struct w_uffd *u = w_orphan(w, at);

	T_EQ(op_copy(u, at, src, PG, 0), -ESRCH);
	T_EQ(u->out, OP_UNTOUCHED);
}

static void E50b_guard_is_overwritten(struct world *w)
{
	struct scene s = scene(w, 2);

	if (w_guard(w, s.dst, PG))
		t_skip("no guard pages here");
	T_OK(copy_one(&s, 0));
	T_EQ(w_peek(w, s.dst), 'a');
}

static void E72_refused_page_is_not_charged(struct world *w)
{
	struct scene s = scene(w, 1);
	int64_t charged;

	T_OK(copy_one(&s, 0));
	charged = w_count(w, s.dst, W_CHARGED_PAGES);
	for (unsigned i = 0; i < 10; i++)
		T_EQ(copy_one(&s, 0), -EEXIST);
	T_EQ(w_count(w, s.dst, W_CHARGED_PAGES), charged);
	T_EQ(w_count(w, s.dst, W_ANON_PAGES), charged);
}

static void E93_failing_allocations_give_enomem(struct world *w)
{
	struct scene s = scene(w, 1);
	int64_t charged = w_count(w, s.dst, W_CHARGED_PAGES);
	int err = -ENOMEM;
	uint64_t n;

	for (n = 1; err && n < 100; n++) {
		pf_fail_nth(n);
		err = copy_one(&s, 0);
		pf_fail_nth(0);
		T_TRUE(err == 0 || err == -ENOMEM);
		if (err)
			T_EQ(w_count(w, s.dst, W_CHARGED_PAGES), charged);
	}
	T_OK(err);
	T_TRUE(n > 2);
	T_EQ(w_peek(w, s.dst), 'a');
}

const struct conform_case copy_cases[] = {
	CASE(E01, bad_pointer, ""),
	CASE(E02, length_0, ""),
	CASE(E03, length_or_destination_is_not_aligned, "E04"),
	CASE(E05, destination_is_too_high, "E05b"),
	CASE(E06, source_is_too_high, "E06b E06c"),
	CASE(E07, unknown_modes, ""),
	CASE(E08, destination_is_not_registered, "E08b"),
	CASE(E09, range_runs_past_the_mapping, ""),
	CASE(E10, range_spans_two_mappings, ""),
	CASE(E11, source_is_not_mapped, ""),
	CASE(E12, second_source_page_is_not_mapped, ""),
	CASE(E12b, page_crosses_into_an_unmapped_source, ""),
	CASE(E13, copy_refuses_a_present_page, ""),
	CASE(E14, source_need_not_be_aligned, ""),
	CASE(E15, second_page_is_present, ""),
	CASE(E16, wp_mode_needs_wp_registration, ""),
	CASE(E17, unwritable_field_still_fills, ""),
	CASE(E18, another_object_may_fill_but_not_wake, ""),
	CASE(E20, read_only_mapping_is_filled, ""),
	CASE(E20b, page_of_a_read_only_mapping_is_dirty, ""),
	CASE(E20c, inaccessible_mapping_is_filled, ""),
	CASE(E21, address_space_is_gone, ""),
	CASE(E22, page_is_anonymous_and_exclusive, ""),
	CASE(E23, huge_page_counts_as_present, "F12"),
	CASE(E28, source_was_never_touched, ""),
	CASE(E28b, source_is_not_readable, ""),
	CASE(E50b, guard_is_overwritten, ""),
	CASE(E65, each_page_is_counted_and_dirty, "E65b"),
	CASE(E72, refused_page_is_not_charged, ""),
	CASE(E93, failing_allocations_give_enomem, ""),
	CASE(E98, mapping_made_inaccessible_is_filled, ""),
	CASE(O07, dropped_page_is_missing_again, ""),
	{ 0 },
};
