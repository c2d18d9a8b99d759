/* SPDX-License-Identifier: MIT */
/*
 * The kernel's list of mappings: what is really there.
 *
 * One mapping is asked for with PROCMAP_QUERY where the kernel has it (6.11);
 * elsewhere the text of /proc/self/maps is read through.
 */
#include "mmu/host/state.h"

#include "base/mem.h"
#include "base/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

#define MAPS_NAME_BYTES 64
#define MAPS_BUFFER_BYTES 4096

/* The argument of PROCMAP_QUERY, _IOWR('f', 17, 104 bytes). */
struct maps_query {
	uint64_t size;
	uint64_t flags;
	uint64_t addr;
	uint64_t start;
	uint64_t end;
	uint64_t vma_flags;
	uint64_t page_bytes;
	uint64_t offset;
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t name_bytes;
	uint32_t build_id_bytes;
	uint64_t name;
	uint64_t build_id;
};

#define MAPS_QUERY_NR 0xc0686611u
#define MAPS_COVERING_OR_NEXT 0x10u
#define MAPS_SHARED 8u

/* One line of the list, from either source. */
struct maps_line {
	struct range range;
	unsigned prot;
	bool is_shared;
	uint64_t inode;
	bool is_hugetlb;
	char name[MAPS_NAME_BYTES];
};

static bool name_begins(const char *name, const char *prefix)
{
	while (*prefix && *name == *prefix) {
		name++;
		prefix++;
	}
	return !*prefix;
}

static enum mmu_kind kind_of_file(const struct maps_line *line)
{
	if (line->is_hugetlb || name_begins(line->name, "/anon_hugepage") ||
	    name_begins(line->name, "/dev/hugepages"))
		return MMU_HUGETLB;
	if (name_begins(line->name, "/dev/zero"))
		return line->is_shared ? MMU_SHMEM : MMU_ANON;
	if (name_begins(line->name, "/memfd:") ||
	    name_begins(line->name, "/dev/shm/"))
		return MMU_SHMEM;
	if (name_begins(line->name, "/SYSV"))
		return MMU_SPECIAL;
	return MMU_FILE;
}

static enum mmu_kind kind_of(const struct maps_line *line)
{
	va_t here = (va_t)(uintptr_t)__builtin_frame_address(0);

	if (line->inode || line->name[0] == '/')
		return kind_of_file(line);
	if (name_begins(line->name, "[stack") || range_has(line->range, here))
		return MMU_STACK;
	if (!line->name[0] || name_begins(line->name, "[heap]") ||
	    name_begins(line->name, "[anon:"))
		return MMU_ANON;
	return MMU_SPECIAL; /* [vdso], [vvar], [uprobes], ... */
}

static void mapping_of(const struct maps_line *line, struct mmu_mapping *out)
{
	enum mmu_kind kind = kind_of(line);

	*out = (struct mmu_mapping){
		.range = line->range,
		.prot = line->prot,
		.kind = kind,
		.is_shared = line->is_shared,
		.may_write = !line->is_shared || (line->prot & ACCESS_WRITE),
	};
}

/* Returns: 0; -ENOENT: nothing at or above va; -ENOTTY and kin: no query. */
static int query_line(int fd, va_t va, struct maps_line *out)
{
	struct maps_query q = {
		.size = sizeof(q),
		.flags = MAPS_COVERING_OR_NEXT,
		.addr = va,
		.name_bytes = MAPS_NAME_BYTES,
		.name = (uint64_t)(uintptr_t)out->name,
	};
	long err;

	out->name[0] = 0;
	err = raw_call(SYS_ioctl, fd, MAPS_QUERY_NR, &q);
	if (err == -ENAMETOOLONG) {
		/* No kind has a name so long: a file. */
		q.name_bytes = 0;
		q.name = 0;
		err = raw_call(SYS_ioctl, fd, MAPS_QUERY_NR, &q);
	}
	if (err < 0)
		return (int)err;
	out->range = (struct range){ q.start, q.end };
	out->prot = (unsigned)q.vma_flags & 7u;
	out->is_shared = q.vma_flags & MAPS_SHARED;
	out->inode = q.inode;
	out->is_hugetlb = q.page_bytes > PAGE_BYTES;
	return 0;
}

/* ---- the text ---- */

/* A window on /proc/self/maps, read from its beginning. */
struct maps_text {
	int fd;
	unsigned at;
	unsigned filled;
	char bytes[MAPS_BUFFER_BYTES];
};

static int text_next(struct maps_text *text)
{
	long got;

	if (text->at < text->filled)
		return (unsigned char)text->bytes[text->at++];
	got = raw_call(SYS_read, text->fd, text->bytes, sizeof(text->bytes));
	if (got <= 0)
		return -1;
	text->filled = (unsigned)got;
	text->at = 1;
	return (unsigned char)text->bytes[0];
}

/* A hexadecimal (or decimal) number; *stop is what ended it. */
static uint64_t text_number(struct maps_text *text, unsigned base, int *stop)
{
	uint64_t n = 0;

	for (;;) {
		int c = text_next(text);

		if (c >= '0' && c <= '9')
			n = n * base + (unsigned)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			n = n * base + (unsigned)(c - 'a' + 10);
		else {
			*stop = c;
			return n;
		}
	}
}

/* The rest of the line without leading blanks, cut to fit. */
static void text_name(struct maps_text *text, int c, char *name)
{
	unsigned n = 0;

	while (c == ' ')
		c = text_next(text);
	while (c != '\n' && c >= 0) {
		if (n + 1 < MAPS_NAME_BYTES)
			name[n++] = (char)c;
		c = text_next(text);
	}
	name[n] = 0;
}

/* "start-end rwxp offset dev:dev inode   name" */
static int text_line(struct maps_text *text, struct maps_line *out)
{
	int c = 0;

	out->range.start = text_number(text, 16, &c);
	if (c != '-')
		return -ENOENT;
	out->range.end = text_number(text, 16, &c);
	out->prot = text_next(text) == 'r' ? ACCESS_READ : 0;
	out->prot |= text_next(text) == 'w' ? ACCESS_WRITE : 0;
	out->prot |= text_next(text) == 'x' ? ACCESS_EXEC : 0;
	out->is_shared = text_next(text) == 's';
	out->is_hugetlb = false;
	text_next(text);
	text_number(text, 16, &c);
	text_number(text, 16, &c);
	text_number(text, 16, &c);
	out->inode = text_number(text, 10, &c);
	text_name(text, c, out->name);
	return 0;
}

static int text_survey(struct range r, mmu_visit_fn visit, void *arg)
{
	struct maps_text text = { .at = 0, .filled = 0 };
	struct maps_line line;
	struct mmu_mapping m;
	int err = 0;

	text.fd = (int)raw_call(SYS_open, "/proc/self/maps",
				O_RDONLY | O_CLOEXEC);
	if (text.fd < 0)
		return -EIO;
	while (!err && !text_line(&text, &line) && line.range.start < r.end) {
		if (line.range.end <= r.start)
			continue;
		mapping_of(&line, &m);
		err = visit(arg, &m);
	}
	raw_call(SYS_close, text.fd);
	return err;
}

/* ---- either ---- */

static int query_survey(struct host *h, struct range r, mmu_visit_fn visit,
			void *arg)
{
	struct maps_line line;
	struct mmu_mapping m;
	va_t at = r.start;
	int err;

	while (at < r.end) {
		err = query_line(h->maps_fd, at, &line);
		if (err == -ENOENT || (!err && line.range.start >= r.end))
			return 0;
		if (err)
			return err;
		mapping_of(&line, &m);
		err = visit(arg, &m);
		if (err)
			return err;
		at = line.range.end;
	}
	return 0;
}

int host_survey(struct mmu *mmu, struct range r, mmu_visit_fn visit, void *arg)
{
	struct host *h = host_of(mmu);

	/* In a fork's child our file still tells of the parent. */
	if (h->means.procmap_query && trap_is_same_process())
		return query_survey(h, r, visit, arg);
	return text_survey(r, visit, arg);
}

static int take_first(void *arg, const struct mmu_mapping *m)
{
	*(struct mmu_mapping *)arg = *m;
	return 1;
}

int host_query(struct host *h, va_t va, struct mmu_mapping *out)
{
	int found = host_survey(&h->mmu, range_of(page_down(va), PAGE_BYTES),
				take_first, out);

	if (found == 1)
		return 0;
	return found == 0 ? -ENOENT : found;
}

static int count_one(void *arg, const struct mmu_mapping *m)
{
	(void)m;
	++*(uint64_t *)arg;
	return 0;
}

uint64_t host_count_vmas(void)
{
	uint64_t n = 0;
	struct range all = { 0, TASK_BYTES };

	return text_survey(all, count_one, &n) ? 0 : n;
}

bool host_can_query(void)
{
	struct maps_line line;
	long fd = raw_call(SYS_open, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return false;
	err = query_line((int)fd, 0, &line);
	raw_call(SYS_close, fd);
	return !err;
}
