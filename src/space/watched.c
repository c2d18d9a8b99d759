/* SPDX-License-Identifier: MIT */
/* The published list of watched ranges. */
#include "space/watched.h"

static va_t load(const va_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void store(va_t *word, va_t va)
{
	__atomic_store_n(word, va, __ATOMIC_RELAXED);
}

static struct range load_range(const struct range *r)
{
	return (struct range){ load(&r->start), load(&r->end) };
}

static void store_range(struct range *to, struct range r)
{
	store(&to->start, r.start);
	store(&to->end, r.end);
}

/* ---- reading ---- */

/* What is read may be torn; the caller finds that out. */
static bool list_meets(const struct watched_list *list, struct range r)
{
	uint32_t low = 0;
	uint32_t high = __atomic_load_n(&list->count, __ATOMIC_RELAXED);

	if (!range_meets(r, load_range(&list->hull)))
		return false;
	if (!__atomic_load_n(&list->is_exact, __ATOMIC_RELAXED))
		return true;
	/* The first range that ends above r.start. */
	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (load(&list->ranges[middle].end) > r.start)
			high = middle;
		else
			low = middle + 1;
	}
	return low < WATCHED_MOST &&
	       low < __atomic_load_n(&list->count, __ATOMIC_RELAXED) &&
	       load(&list->ranges[low].start) < r.end;
}

bool watched_meets(const struct watched *watched, struct range r)
{
	for (unsigned tries = 0; tries < 4; tries++) {
		uint32_t seen = atomic_load_explicit(&watched->generation,
						     memory_order_acquire);
		bool is_met = list_meets(&watched->lists[seen & 1], r);

		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&watched->generation,
					 memory_order_relaxed) == seen)
			return is_met;
	}
	return true;
}

/* ---- writing ---- */

static const struct watched_list *current(const struct watched *watched)
{
	return &watched->lists[atomic_load(&watched->generation) & 1];
}

struct watched_list *watched_begin(struct watched *watched)
{
	uint32_t next = atomic_load(&watched->generation) + 1;
	struct watched_list *list = &watched->lists[next & 1];

	/* Who reads this list from here on finds the generation raised. */
	atomic_thread_fence(memory_order_seq_cst);
	store_range(&list->hull, (struct range){ 0, 0 });
	__atomic_store_n(&list->count, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&list->is_exact, true, __ATOMIC_RELAXED);
	return list;
}

void watched_end(struct watched *watched)
{
	atomic_fetch_add(&watched->generation, 1);
}

void watched_tell(struct watched_list *list, struct range r)
{
	uint32_t n = list->count;

	if (range_is_empty(r))
		return;
	if (range_is_empty(list->hull))
		store(&list->hull.start, r.start);
	if (r.end > list->hull.end)
		store(&list->hull.end, r.end);
	if (n && list->ranges[n - 1].end >= r.start) {
		if (r.end > list->ranges[n - 1].end)
			store(&list->ranges[n - 1].end, r.end);
	} else if (n < WATCHED_MOST) {
		store_range(&list->ranges[n], r);
		__atomic_store_n(&list->count, n + 1, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&list->is_exact, false, __ATOMIC_RELAXED);
	}
}

bool watched_is_vague(const struct watched *watched)
{
	return !current(watched)->is_exact;
}

/* Only the bounds are known: they grow. */
static void add_vaguely(struct watched *watched, struct range r)
{
	struct range hull = current(watched)->hull;
	struct watched_list *list = watched_begin(watched);

	if (r.start < hull.start)
		hull.start = r.start;
	if (r.end > hull.end)
		hull.end = r.end;
	store_range(&list->hull, hull);
	__atomic_store_n(&list->is_exact, false, __ATOMIC_RELAXED);
	watched_end(watched);
}

void watched_add(struct watched *watched, struct range r)
{
	const struct watched_list *old = current(watched);
	struct watched_list *list;
	uint32_t i = 0;

	if (!old->is_exact && !range_is_empty(old->hull)) {
		add_vaguely(watched, r);
		return;
	}
	list = watched_begin(watched);
	for (; i < old->count && old->ranges[i].start < r.start; i++)
		watched_tell(list, old->ranges[i]);
	watched_tell(list, r);
	for (; i < old->count; i++)
		watched_tell(list, old->ranges[i]);
	watched_end(watched);
}

void watched_remove(struct watched *watched, struct range r)
{
	const struct watched_list *old = current(watched);
	struct watched_list *list;

	if (!old->is_exact)
		return;
	list = watched_begin(watched);
	for (uint32_t i = 0; i < old->count; i++) {
		struct range each = old->ranges[i];

		if (!range_meets(each, r)) {
			watched_tell(list, each);
			continue;
		}
		watched_tell(list, (struct range){ each.start, r.start });
		watched_tell(list, (struct range){ r.end, each.end });
	}
	watched_end(watched);
}
