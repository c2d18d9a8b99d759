/* SPDX-License-Identifier: MIT */
/*
 * What only the flags line of /proc/self/smaps tells of a mapping.
 *
 * Memory that the kernel may drop at any moment (MAP_DROPPABLE, Linux 6.11)
 * cannot be watched: looked for once for each mapping that is registered,
 * where the kernel has such memory at all. Locked memory cannot be emptied:
 * looked for where the kernel refuses an advice, as it does there.
 */
#include "mmu/host/state.h"

#include "base/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#define SMAPS_LINE 256

/* /proc/self/smaps, line by line; long lines are cut. */
struct smaps {
	int fd;
	unsigned at;
	unsigned filled;
	char bytes[2048];
	char line[SMAPS_LINE];
};

static int smaps_next(struct smaps *s)
{
	long got;

	if (s->at == s->filled) {
		got = raw_call(SYS_read, s->fd, s->bytes, sizeof(s->bytes));
		if (got <= 0)
			return -1;
		s->at = 0;
		s->filled = (unsigned)got;
	}
	return (unsigned char)s->bytes[s->at++];
}

static bool smaps_line(struct smaps *s)
{
	unsigned n = 0;
	int c = smaps_next(s);

	if (c < 0)
		return false;
	for (; c >= 0 && c != '\n'; c = smaps_next(s))
		if (n + 1 < SMAPS_LINE)
			s->line[n++] = (char)c;
	s->line[n] = 0;
	return true;
}

/* The hexadecimal number at *text, which ends in `stop`; 0: another. */
static va_t line_number(const char **text, char stop)
{
	va_t n = 0;

	for (; **text != stop; ++*text) {
		char c = **text;

		if (c >= '0' && c <= '9')
			n = n << 4 | (va_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			n = n << 4 | (va_t)(c - 'a' + 10);
		else
			return 0;
	}
	++*text;
	return n;
}

/* "start-end ..."; empty: another line. */
static struct range line_mapping(const char *line)
{
	struct range r;

	r.start = line_number(&line, '-');
	r.end = r.start ? line_number(&line, ' ') : 0;
	return r;
}

static bool line_has_flag(const char *line, char a, char b)
{
	for (; line[0] && line[1]; line++)
		if (line[0] == ' ' && line[1] == a && line[2] == b)
			return true;
	return false;
}

bool host_has_droppable(void)
{
	long at = raw_call(SYS_mmap, 0, PAGE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);

	if (at < 0 && at > -4096)
		return false;
	raw_call(SYS_munmap, at, PAGE_BYTES);
	return true;
}

/* Where the first mapping of the range with that flag begins, or r.end. */
static va_t find_flag(struct range r, char a, char b)
{
	struct smaps s = { .at = 0 };
	struct range mapping = { 0, 0 };
	va_t found = r.end;

	s.fd = (int)raw_call(SYS_open, "/proc/self/smaps",
			     O_RDONLY | O_CLOEXEC);
	if (s.fd < 0)
		return r.end;
	while (found == r.end && mapping.start < r.end && smaps_line(&s)) {
		struct range head = line_mapping(s.line);

		if (!range_is_empty(head))
			mapping = head;
		else if (range_meets(mapping, r) && s.line[0] == 'V' &&
			 s.line[1] == 'm' && line_has_flag(s.line, a, b))
			found = range_clip(mapping, r).start;
	}
	raw_call(SYS_close, s.fd);
	return found;
}

bool host_is_droppable(va_t va)
{
	struct range page = range_of(page_down(va), PAGE_BYTES);

	return find_flag(page, 'd', 'p') == page.start;
}

/* The kernel calls no locked memory cold: EINVAL, with nothing lost. */
va_t host_find_locked(struct range r)
{
	if (host_advise(r, MADV_COLD) != -EINVAL)
		return r.end;
	return find_flag(r, 'l', 'o');
}
