/* SPDX-License-Identifier: MIT */
/* Section M: what /proc/self/fdinfo says about the object. */
#include "conform.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* The last number is the mask of all commands, of which ours has fewer. */
static void expect_api(struct w_uffd *u, unsigned long long features)
{
	uint64_t least = 0x800000000000001full;
	uint64_t most = w_is_seed(u->world) ? least : 0x80000000000001ffull;
	unsigned long long api, got, mask;
	char text[400], *line;
	int pending, total;

	w_fdinfo(u, text, sizeof(text));
	line = strstr(text, "API:\t");
	T_TRUE(line);
	T_EQ(sscanf(line, "API:\t%llx:%llx:%llx\n", &api, &got, &mask), 3);
	T_EQ(api, 0xaa);
	T_EQ(got, features);
	T_EQ(mask & least, least);
	T_EQ(mask & ~most, 0);
	if (u->world->kind == W_KERNEL)
		T_EQ(mask, most);
	op_counts(u, &pending, &total);
	T_EQ(pending, 0);
	T_EQ(total, 0);
}

static void M01_before_the_handshake(struct world *w)
{
	expect_api(w_create(w, O_CLOEXEC), 0);
}

static void M02_after_the_handshake(struct world *w)
{
	unsigned long long internal = w_is_seed(w) ? 0 : 0x80000000;

	expect_api(op_ready(w, 0), internal);
	expect_api(op_ready(w, PF_UFFD_FEATURE_THREAD_ID), internal | 0x100);
}

static void M03_events_are_not_counted(struct world *w)
{
	struct w_uffd *u = op_ready(w, PF_UFFD_FEATURE_EVENT_REMOVE);
	int pending, total;

	w_raise(u, true);
	op_counts(u, &pending, &total);
	T_EQ(pending, 0);
	T_EQ(total, 0);
	w_raise(u, false);
}

static void M04_unread_and_read_faults(struct world *w)
{
	struct w_uffd *u = op_ready(w, 0);
	uint64_t at = op_map_watched(u, 2);
	struct w_task *first = w_touch(w, W_LOAD, at), *second;
	int pending, total;

	op_await(u);
	op_counts(u, &pending, &total);
	T_EQ(pending, 1);
	T_EQ(total, 1);
	op_next(u);
	second = w_touch(w, W_LOAD, at + PG);
	op_await(u);
	op_counts(u, &pending, &total);
	T_EQ(pending, 1);
	T_EQ(total, 2);
	T_OK(op_zeropage(u, at, 2 * PG, 0));
	w_join(first);
	w_join(second);
	op_counts(u, &pending, &total);
	T_EQ(total, 0);
}

const struct conform_case fdinfo_cases[] = {
	CASE(M01, before_the_handshake, ""),
	CASE(M02, after_the_handshake, ""),
	CASE(M03, events_are_not_counted, ""),
	CASE(M04, unread_and_read_faults, ""),
	{ 0 },
};
