/* SPDX-License-Identifier: MIT */
/*
 * Memory that the kernel may drop at any moment (MAP_DROPPABLE, Linux 6.11)
 * cannot be watched. Only the flags line of /proc/self/smaps tells it; it is
 * read once for each mapping that is registered, where the kernel has such
 * memory at all.
 */
#include "mmu/host/state.h"

#include "base/raw.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
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

/* The address at the head of "start-end ..."; 0: another line. */
static va_t line_start(const char *line)
{
	va_t start = 0;

	for (; *line != '-'; line++) {
		if (*line >= '0' && *line <= '9')
			start = start << 4 | (va_t)(*line - '0');
		else if (*line >= 'a' && *line <= 'f')
			start = start << 4 | (va_t)(*line - 'a' + 10);
		else
			return 0;
	}
	return start;
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

bool host_is_droppable(struct range mapping)
{
	struct smaps s = { .at = 0 };
	bool is_found = false;
	bool is_droppable = false;

	s.fd = (int)raw_call(SYS_open, "/proc/self/smaps",
			     O_RDONLY | O_CLOEXEC);
	if (s.fd < 0)
		return false;
	while (smaps_line(&s)) {
		va_t start = line_start(s.line);

		if (start && start > mapping.start)
			break;
		is_found = is_found || start == mapping.start;
		if (!is_found || s.line[0] != 'V' || s.line[1] != 'm')
			continue;
		is_droppable = line_has_flag(s.line, 'd', 'p');
		break;
	}
	raw_call(SYS_close, s.fd);
	return is_droppable;
}
