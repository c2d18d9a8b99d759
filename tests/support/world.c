/* SPDX-License-Identifier: MIT */
/* What all worlds have in common: bookkeeping, threads, leak accounts. */
#include "world.h"

#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Long enough for a thread to come back if it is going to. */
#define GRACE_MS 40
#define PATIENCE_MS 4000

static const struct {
	const char *name;
	const struct world_ops *ops;
} kinds[W_KINDS] = {
	[W_KERNEL] = { "kernel", &world_kernel },
	[W_HOST] = { "host", &world_host },
	[W_SOFT] = { "soft", &world_soft },
	[W_SEED] = { "soft-5.4", &world_soft },
	[W_SHIM] = { "shim", &world_shim },
};

const char *w_name(enum w_kind kind)
{
	return kinds[kind].name;
}

bool w_is_seed(const struct world *w)
{
	return w->kind == W_SEED;
}

bool w_is_real(const struct world *w)
{
	return w->kind != W_SOFT && w->kind != W_SEED;
}

static void ask_what_is_offered(struct world *w)
{
	struct pf_uffdio_api api = { .api = PF_UFFD_API };
	struct w_uffd *u = w_create(w, O_CLOEXEC);

	T_OK(w_ioctl(u, PF_UFFDIO_API, &api));
	w->offered = api.features;
	w_release(u);
}

void w_open(struct world *w, enum w_kind kind)
{
	int err;

	memset(w, 0, sizeof(*w));
	w->kind = kind;
	w->ops = kinds[kind].ops;
	err = w->ops->open(w);
	if (err)
		t_skip("no such world here: %s", strerror(-err));
	ask_what_is_offered(w);
}

void w_close(struct world *w)
{
	struct w_task *task;

	while (w->uffds)
		w_release(w->uffds);
	for (task = w->tasks; task; task = task->next)
		w_join(task);
	while (w->tasks) {
		task = w->tasks;
		w->tasks = task->next;
		free(task);
	}
	w->ops->close(w);
}

uint64_t w_map(struct world *w, uint64_t len, int prot)
{
	int64_t at = w->ops->map(w, 0, len, prot, 0);

	T_TRUE(at > 0);
	return (uint64_t)at;
}

int64_t w_map_at(struct world *w, uint64_t at, uint64_t len)
{
	return w->ops->map(w, at, len, RW, MAP_FIXED);
}

int w_unmap(struct world *w, uint64_t at, uint64_t len)
{
	return w->ops->unmap(w, at, len);
}

int w_protect(struct world *w, uint64_t at, uint64_t len, int prot)
{
	return w->ops->protect(w, at, len, prot);
}

int w_discard(struct world *w, uint64_t at, uint64_t len)
{
	return w->ops->discard(w, at, len);
}

int w_guard(struct world *w, uint64_t at, uint64_t len)
{
	return w->ops->guard(w, at, len);
}

uint64_t w_map_filled(struct world *w, uint64_t pages, uint8_t first)
{
	uint64_t at = w_map(w, pages * PG, RW);
	uint8_t page[PG];

	for (uint64_t i = 0; i < pages; i++) {
		memset(page, (uint8_t)(first + i), PG);
		T_EQ(w_store(w, at + i * PG, page, PG).end, W_DONE);
	}
	return at;
}

struct w_outcome w_load(struct world *w, uint64_t va, void *buf, size_t n)
{
	return w->ops->access(w, va, buf, n, false);
}

struct w_outcome w_store(struct world *w, uint64_t va, const void *buf,
			 size_t n)
{
	uint8_t copy[PG];

	memcpy(copy, buf, n);
	return w->ops->access(w, va, copy, n, true);
}

uint8_t w_peek(struct world *w, uint64_t va)
{
	uint8_t byte = 0;

	T_EQ(w_load(w, va, &byte, 1).end, W_DONE);
	return byte;
}

int64_t w_kernel_load(struct world *w, uint64_t va, void *buf, size_t n)
{
	return w->ops->kernel_access(w, va, buf, n, false);
}

int64_t w_kernel_store(struct world *w, uint64_t va, const void *buf,
		       size_t n)
{
	uint8_t copy[PG];

	memcpy(copy, buf, n);
	return w->ops->kernel_access(w, va, copy, n, true);
}

struct w_entry w_entry(struct world *w, uint64_t va)
{
	struct w_entry entry = { 0 };

	T_OK(w->ops->entry(w, va, &entry));
	return entry;
}

int64_t w_count(struct world *w, uint64_t va, int what)
{
	return w->ops->count(w, va, what);
}

struct w_uffd *w_try_create(struct world *w, int flags, int *err)
{
	struct w_uffd *u = calloc(1, sizeof(*u));

	u->world = w;
	u->fd = -1;
	*err = w->ops->create(w, flags, u);
	if (*err) {
		free(u);
		return NULL;
	}
	u->next = w->uffds;
	w->uffds = u;
	return u;
}

struct w_uffd *w_create(struct world *w, int flags)
{
	struct w_uffd *u;
	int err;

	u = w_try_create(w, flags, &err);
	T_OK(err);
	return u;
}

void w_release(struct w_uffd *u)
{
	struct w_uffd **link = &u->world->uffds;

	while (*link != u)
		link = &(*link)->next;
	*link = u->next;
	u->world->ops->release(u);
	free(u);
}

int w_ioctl(struct w_uffd *u, uint32_t command, void *block)
{
	return u->world->ops->ioctl(u, command, block);
}

int w_ioctl_at(struct w_uffd *u, uint32_t command, uint64_t va)
{
	return u->world->ops->ioctl_at(u, command, va);
}

int64_t w_read(struct w_uffd *u, void *buf, size_t n)
{
	return u->world->ops->read(u, buf, n);
}

int w_poll(struct w_uffd *u)
{
	return u->world->ops->poll(u);
}

void w_set_nonblocking(struct w_uffd *u, bool is_nonblocking)
{
	u->world->ops->set_nonblocking(u, is_nonblocking);
}

void w_fdinfo(struct w_uffd *u, char *text, size_t n)
{
	int64_t got = u->world->ops->fdinfo(u, text, n - 1);

	T_TRUE(got >= 0);
	text[got] = '\0';
}

struct w_uffd *w_orphan(struct world *w, uint64_t at)
{
	struct w_uffd *u = calloc(1, sizeof(*u));
	int err;

	u->world = w;
	u->fd = -1;
	err = w->ops->orphan(w, at, u);
	if (err)
		t_skip("objects do not outlive their process here");
	u->next = w->uffds;
	w->uffds = u;
	return u;
}

void w_raise(struct w_uffd *u, bool is_raised)
{
	if (u->world->ops->raise(u, is_raised))
		t_skip("no mapping-change events here");
}

void w_drop_privilege(struct world *w)
{
	w->ops->drop_privilege(w);
}

struct w_task *w_task(struct world *w, enum w_task_kind kind)
{
	struct w_task *task = calloc(1, sizeof(*task));

	task->world = w;
	task->kind = kind;
	task->next = w->tasks;
	w->tasks = task;
	return task;
}

static void perform(struct w_task *task)
{
	const struct world_ops *ops = task->world->ops;
	bool is_store = task->kind == W_STORE || task->kind == W_KERNEL_STORE;

	switch (task->kind) {
	case W_LOAD:
	case W_STORE:
		task->outcome = ops->access(task->world, task->va,
					    &task->byte, 1, is_store);
		break;
	case W_KERNEL_LOAD:
	case W_KERNEL_STORE:
		task->result = ops->kernel_access(task->world, task->va,
						  &task->byte, 1, is_store);
		break;
	case W_IOCTL:
		task->result = ops->ioctl(task->uffd, task->command,
					  &task->block);
		break;
	case W_READ:
		task->result = ops->read(task->uffd, &task->block,
					 sizeof(task->block));
		break;
	case W_DISCARD:
		task->result = ops->discard(task->world, task->va, PG);
		break;
	case W_FUNCTION:
		task->result = task->call(task->arg);
		break;
	}
}

static void *task_main(void *arg)
{
	struct w_task *task = arg;

	task->tid = (pid_t)syscall(SYS_gettid);
	perform(task);
	task->world->ops->thread_ends(task->world);
	task->is_done = true;
	return NULL;
}

void w_start(struct w_task *task)
{
	T_OK(pthread_create(&task->thread, NULL, task_main, task));
	while (!task->tid)
		sched_yield();
}

struct w_task *w_touch(struct world *w, enum w_task_kind kind, uint64_t va)
{
	struct w_task *task = w_task(w, kind);

	task->va = va;
	task->byte = 0xee;
	w_start(task);
	return task;
}

void w_join(struct w_task *task)
{
	int64_t end = t_now_ms() + PATIENCE_MS;

	if (task->is_joined || !task->tid)
		return;
	while (!task->is_done && t_now_ms() < end)
		t_nap_ms(1);
	if (!task->is_done)
		t_fail(__FILE__, __LINE__, "a thread still waits at %#llx",
		       (unsigned long long)task->va);
	T_OK(pthread_join(task->thread, NULL));
	task->is_joined = true;
}

void w_still_waits(struct w_task *task)
{
	t_nap_ms(GRACE_MS);
	T_TRUE(!task->is_done);
}
