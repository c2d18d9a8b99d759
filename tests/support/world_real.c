/* SPDX-License-Identifier: MIT */
/* Worlds on real memory: traps, /proc, and a table of functions. */
#include "world_real.h"

#include "t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

struct real_state {
	const struct real_calls *calls;
	int descriptors;          /* open when the case began */
	uint64_t event_page;      /* its discarding raises an event */
	struct w_task *discarder;
};

/* The access in progress in this thread, and how it ended. */
static _Thread_local sigjmp_buf *escape;
static _Thread_local struct w_outcome trapped;

static struct real_state *state_of(const struct world *w)
{
	return w->state;
}

const struct real_calls *real(const struct world *w)
{
	if (!w_is_real(w))
		t_skip("no real memory");
	return state_of(w)->calls;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!escape)
		_exit(128 + sig);
	trapped.end = sig == SIGBUS ? W_BUS : W_SEGV;
	trapped.code = info->si_code;
	trapped.at = (uint64_t)(uintptr_t)info->si_addr;
	siglongjmp(*escape, 1);
}

static int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Whatever is opened once and kept is open after this. */
static void warm_up(struct world *w)
{
	struct pf_uffdio_api api = { .api = PF_UFFD_API };
	struct pf_uffdio_register reg = { .mode = 1 };
	struct w_uffd *u = w_create(w, O_CLOEXEC);

	reg.range.start = w_map(w, PG, RW);
	reg.range.len = PG;
	T_OK(w_ioctl(u, PF_UFFDIO_API, &api));
	T_OK(w_ioctl(u, PF_UFFDIO_REGISTER, &reg));
	w_release(u);
	T_EQ(w_peek(w, reg.range.start), 0);
	T_OK(w_unmap(w, reg.range.start, PG));
}

int real_open(struct world *w, const struct real_calls *calls)
{
	struct sigaction trap = { .sa_sigaction = on_trap,
				  .sa_flags = SA_SIGINFO };
	struct real_state *state = calloc(1, sizeof(*state));
	int fd;

	state->calls = calls;
	w->state = state;
	fd = calls->userfaultfd(O_CLOEXEC);
	if (fd == -1)
		return -errno;
	calls->close(fd);
	calls->sigaction(SIGSEGV, &trap, NULL);
	calls->sigaction(SIGBUS, &trap, NULL);
	warm_up(w);
	state->descriptors = count_descriptors();
	return 0;
}

void real_close(struct world *w)
{
	T_EQ(count_descriptors(), state_of(w)->descriptors);
	free(w->state);
}

static void *ptr(uint64_t va)
{
	return (void *)(uintptr_t)va;
}

static int result(int64_t got)
{
	return got == -1 ? -errno : (int)got;
}

int64_t real_map(struct world *w, uint64_t at, uint64_t len, int prot,
		 int flags)
{
	void *p = real(w)->mmap(ptr(at), len, prot,
				flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -errno : (int64_t)(uintptr_t)p;
}

int real_unmap(struct world *w, uint64_t at, uint64_t len)
{
	return result(real(w)->munmap(ptr(at), len));
}

int real_protect(struct world *w, uint64_t at, uint64_t len, int prot)
{
	return result(real(w)->mprotect(ptr(at), len, prot));
}

int real_discard(struct world *w, uint64_t at, uint64_t len)
{
	return result(real(w)->madvise(ptr(at), len, MADV_DONTNEED));
}

int real_guard(struct world *w, uint64_t at, uint64_t len)
{
	return result(real(w)->madvise(ptr(at), len, MADV_GUARD_INSTALL));
}

/* One machine access when one byte is asked for. */
static void move_bytes(uint64_t va, void *buf, size_t n, bool is_store)
{
	volatile uint8_t *at = ptr(va);

	if (n == 1 && is_store)
		*at = *(uint8_t *)buf;
	else if (n == 1)
		*(uint8_t *)buf = *at;
	else if (is_store)
		memcpy(ptr(va), buf, n);
	else
		memcpy(buf, ptr(va), n);
}

struct w_outcome real_access(struct world *w, uint64_t va, void *buf,
			     size_t n, bool is_store)
{
	struct w_outcome done = { .end = W_DONE };
	sigjmp_buf back;

	(void)w;
	if (sigsetjmp(back, 1)) {
		escape = NULL;
		return trapped;
	}
	escape = &back;
	move_bytes(va, buf, n, is_store);
	escape = NULL;
	return done;
}

int64_t real_kernel_access(struct world *w, uint64_t va, void *buf, size_t n,
			   bool is_store)
{
	const struct real_calls *calls = real(w);
	size_t done = is_store ? calls->kernel_store(ptr(va), buf, n)
			       : calls->kernel_load(buf, ptr(va), n);

	return done ? (int64_t)done : -EFAULT;
}

static uint64_t read_word(const char *path, uint64_t index)
{
	uint64_t word = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		t_skip("%s cannot be read", path);
	if (pread(fd, &word, 8, (off_t)(index * 8)) != 8)
		word = 0;
	close(fd);
	return word;
}

int real_entry(struct world *w, uint64_t va, struct w_entry *out)
{
	uint64_t word = read_word("/proc/self/pagemap", va / PG);
	uint64_t frame = word & ((1ull << 55) - 1);

	(void)w;
	out->is_present = word >> 63;
	out->is_guard = word >> 58 & 1;
	out->is_wp = word >> 57 & 1;
	out->is_exclusive = word >> 56 & 1;
	if (out->is_present && frame)
		out->is_zero_page =
			read_word("/proc/kpageflags", frame) >> 24 & 1;
	return 0;
}

/* The first number after `field` in the part of smaps about va. */
static int64_t smaps_kib(uint64_t va, const char *field)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long start, end;
	bool is_inside = false;
	int64_t kib = -1;
	char line[512];

	T_TRUE(file);
	while (kib < 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			is_inside = start <= va && va < end;
		else if (is_inside && !strncmp(line, field, strlen(field)))
			kib = atoll(line + strlen(field));
	}
	fclose(file);
	return kib;
}

static int64_t count_vmas(void)
{
	static char text[1 << 16];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	int64_t lines = 0;
	ssize_t n;

	while ((n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	close(fd);
	return lines;
}

int64_t real_count(struct world *w, uint64_t va, int what)
{
	switch (what) {
	case W_ANON_PAGES:
		return smaps_kib(va, "Anonymous:") / 4;
	case W_DIRTY_PAGES:
		return smaps_kib(va, "Private_Dirty:") / 4;
	case W_VMAS:
		/* Ours splits none; what the host has is its own affair. */
		return w->kind == W_KERNEL ? count_vmas() : -1;
	default:
		return -1;
	}
}

int real_create(struct world *w, int flags, struct w_uffd *out)
{
	out->fd = real(w)->userfaultfd(flags);
	return out->fd == -1 ? -errno : 0;
}

void real_release(struct w_uffd *u)
{
	real(u->world)->close(u->fd);
}

int real_ioctl(struct w_uffd *u, uint32_t command, void *block)
{
	return result(real(u->world)->ioctl(u->fd, command, block));
}

int real_ioctl_at(struct w_uffd *u, uint32_t command, uint64_t va)
{
	return real_ioctl(u, command, ptr(va));
}

int64_t real_read(struct w_uffd *u, void *buf, size_t n)
{
	return result(real(u->world)->read(u->fd, buf, n));
}

int real_poll(struct w_uffd *u)
{
	struct pollfd p = { u->fd, POLLIN, 0 };
	int n = real(u->world)->poll(&p, 1, 0);

	return n == -1 ? -errno : p.revents;
}

void real_set_nonblocking(struct w_uffd *u, bool is_nonblocking)
{
	const struct real_calls *calls = real(u->world);
	int flags = calls->fcntl(u->fd, F_GETFL, 0);

	flags = is_nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	T_OK(calls->fcntl(u->fd, F_SETFL, flags));
}

int64_t real_fdinfo(struct w_uffd *u, char *text, size_t n)
{
	return real(u->world)->fdinfo(u->fd, text, n);
}

static int raise_event(struct w_uffd *u)
{
	struct real_state *state = state_of(u->world);

	if (!(u->world->offered & PF_UFFD_FEATURE_EVENT_REMOVE))
		return -ENOSYS;
	state->event_page = w_map(u->world, PG, RW);
	T_OK(w_ioctl(u, PF_UFFDIO_REGISTER,
		     &(struct pf_uffdio_register){
			     { state->event_page, PG }, 1, 0 }));
	state->discarder = w_touch(u->world, W_DISCARD, state->event_page);
	w_still_waits(state->discarder);
	return 0;
}

int real_raise(struct w_uffd *u, bool is_raised)
{
	struct real_state *state = state_of(u->world);
	struct pf_uffd_msg msg;

	if (is_raised)
		return raise_event(u);
	do
		T_EQ(w_read(u, &msg, sizeof(msg)), 32);
	while (msg.event != PF_UFFD_EVENT_REMOVE);
	w_join(state->discarder);
	return 0;
}

void real_drop_privilege(struct world *w)
{
	(void)w;
	if (geteuid() != 0)
		return;
	T_OK(setresgid(65534, 65534, 65534));
	T_OK(setresuid(65534, 65534, 65534));
	/* Or /proc/self would be root's from now on. */
	T_OK(prctl(PR_SET_DUMPABLE, 1));
}

void real_thread_ends(struct world *w)
{
	(void)w;
}
