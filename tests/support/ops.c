/* SPDX-License-Identifier: MIT */
/* Commands and their common company. */
#include "ops.h"

#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE_MS 4000
#define SILENCE_MS 30

int op_api(struct w_uffd *u, uint64_t features)
{
	struct pf_uffdio_api api = { PF_UFFD_API, features, 0 };
	int err = w_ioctl(u, PF_UFFDIO_API, &api);

	u->features = api.features;
	u->out = (int64_t)api.ioctls;
	return err;
}

int op_register(struct w_uffd *u, uint64_t at, uint64_t len, uint64_t mode)
{
	struct pf_uffdio_register reg = { { at, len }, mode, OP_UNTOUCHED };
	int err = w_ioctl(u, PF_UFFDIO_REGISTER, &reg);

	u->out = (int64_t)reg.ioctls;
	return err;
}

int op_unregister(struct w_uffd *u, uint64_t at, uint64_t len)
{
	struct pf_uffdio_range range = { at, len };

	return w_ioctl(u, PF_UFFDIO_UNREGISTER, &range);
}

int op_wake(struct w_uffd *u, uint64_t at, uint64_t len)
{
	struct pf_uffdio_range range = { at, len };

	return w_ioctl(u, PF_UFFDIO_WAKE, &range);
}

int op_copy(struct w_uffd *u, uint64_t dst, uint64_t src, uint64_t len,
	    uint64_t mode)
{
	struct pf_uffdio_copy copy = { dst, src, len, mode, OP_UNTOUCHED };
	int err = w_ioctl(u, PF_UFFDIO_COPY, &copy);

	u->out = copy.copy;
	return err;
}

int op_zeropage(struct w_uffd *u, uint64_t at, uint64_t len, uint64_t mode)
{
	struct pf_uffdio_zeropage zero = { { at, len }, mode, OP_UNTOUCHED };
	int err = w_ioctl(u, PF_UFFDIO_ZEROPAGE, &zero);

	u->out = zero.zeropage;
	return err;
}

void op_need(struct world *w, uint64_t features)
{
	if (features & ~w->offered)
		t_skip("features %#llx are not offered",
		       (unsigned long long)(features & ~w->offered));
}

struct w_uffd *op_ready(struct world *w, uint64_t features)
{
	struct w_uffd *u;

	op_need(w, features);
	u = w_create(w, O_CLOEXEC | O_NONBLOCK);
	T_OK(op_api(u, features));
	return u;
}

void op_watch(struct w_uffd *u, uint64_t at, uint64_t len)
{
	T_OK(op_register(u, at, len, PF_UFFDIO_REGISTER_MODE_MISSING));
}

uint64_t op_map_watched(struct w_uffd *u, uint64_t pages)
{
	uint64_t at = w_map(u->world, pages * PG, RW);

	op_watch(u, at, pages * PG);
	return at;
}

void op_await(struct w_uffd *u)
{
	int64_t end = t_now_ms() + PATIENCE_MS;

	while (w_poll(u) != POLLIN) {
		if (t_now_ms() > end)
			t_fail(__FILE__, __LINE__, "no message came");
		t_nap_ms(1);
	}
}

struct pf_uffd_msg op_next(struct w_uffd *u)
{
	struct pf_uffd_msg msg = { 0 };

	op_await(u);
	T_EQ(w_read(u, &msg, sizeof(msg)), 32);
	return msg;
}

void op_silent(struct w_uffd *u)
{
	t_nap_ms(SILENCE_MS);
	T_EQ(w_poll(u), 0);
}

void op_counts(struct w_uffd *u, int *pending, int *total)
{
	char text[400];
	const char *line;

	w_fdinfo(u, text, sizeof(text));
	line = strstr(text, "pending:");
	T_TRUE(line);
	T_EQ(sscanf(line, "pending:\t%d\ntotal:\t%d\n", pending, total), 2);
}

void op_await_total(struct w_uffd *u, int n)
{
	int64_t end = t_now_ms() + PATIENCE_MS;
	int pending, total;

	for (;;) {
		op_counts(u, &pending, &total);
		if (total == n)
			return;
		if (t_now_ms() > end)
			t_fail(__FILE__, __LINE__, "total is %d, want %d",
			       total, n);
		t_nap_ms(1);
	}
}

struct w_task *op_copy_in_thread(struct w_uffd *u, uint64_t dst, uint64_t src,
				 uint64_t pages)
{
	struct w_task *task = w_task(u->world, W_IOCTL);

	task->uffd = u;
	task->command = PF_UFFDIO_COPY;
	task->block.copy = (struct pf_uffdio_copy){ dst, src, pages * PG, 0,
						    OP_UNTOUCHED };
	w_start(task);
	return task;
}

uint64_t op_block(struct world *w, const void *block, size_t n, size_t tail)
{
	uint64_t pages = w_map(w, 2 * PG, RW);
	uint64_t at = pages + PG - (n - tail);

	T_EQ(w_store(w, at, block, n).end, W_DONE);
	T_OK(w_protect(w, pages + PG, PG, PROT_READ));
	return at;
}
