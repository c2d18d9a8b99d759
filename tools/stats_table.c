/* SPDX-License-Identifier: MIT */
/*
 * The program and all it starts leave their numbers in a file, which is made
 * here and read when the program has ended.
 */
#include "stats_table.h"

#include "tool.h"

#include "polyfault/interpose.h"
#include "statsfile.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int make_in(struct stats_file *file, const char *dir)
{
	if (!dir || snprintf(file->path, sizeof(file->path),
			     "%s/polyfault-stats.XXXXXX", dir) >=
			    (int)sizeof(file->path))
		return -1;
	return mkostemp(file->path, O_CLOEXEC);
}

static bool fill_empty(int fd)
{
	const struct pf_statsfile empty = { .magic = PF_STATSFILE_MAGIC };

	return write(fd, &empty, sizeof(empty)) == (ssize_t)sizeof(empty);
}

int stats_begin(struct stats_file *file)
{
	int fd = make_in(file, "/dev/shm");
	bool is_made;

	if (fd < 0)
		fd = make_in(file, getenv("TMPDIR"));
	if (fd < 0)
		fd = make_in(file, "/tmp");
	if (fd < 0)
		return tool_failed("cannot make a file for --stats");
	is_made = fill_empty(fd) && !setenv("POLYFAULT_STATS", file->path, 1);
	close(fd);
	if (!is_made) {
		unlink(file->path);
		return tool_failed("cannot prepare --stats");
	}
	return 0;
}

static bool read_stats(const struct stats_file *file, struct pf_stats *out)
{
	struct pf_statsfile content;
	int fd = open(file->path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, &content, sizeof(content));
	close(fd);
	if (n != (ssize_t)sizeof(content) ||
	    memcmp(content.magic, PF_STATSFILE_MAGIC, sizeof(content.magic)))
		return false;
	memcpy(out, content.words, sizeof(*out));
	return true;
}

static void print_number(const char *name, uint64_t n)
{
	fprintf(stderr, "  %-10s %" PRIu64 "\n", name, n);
}

static void print_time(const char *name, uint64_t ns)
{
	fprintf(stderr, "  %-10s %.1f us\n", name, (double)ns / 1000);
}

static void print_choice(const char *name, const char *choice,
			 const char *why)
{
	fprintf(stderr, "  %-10s %s%s%s%s\n", name, choice ? choice : "-",
		*why ? " (" : "", why, *why ? ")" : "");
}

static const char *world_name(enum pf_world world)
{
	static const char *const names[] = { "auto", "kernel", "host" };

	return names[world];
}

static void print_choices(void)
{
	struct pf_probe probe;

	if (pf_probe(&probe))
		return;
	print_choice("world", world_name(probe.world), probe.world_why);
	if (probe.world == PF_WORLD_KERNEL)
		return;
	print_choice("backing", probe.backing, probe.backing_why);
	print_choice("revoke", probe.revoke, probe.revoke_why);
	print_choice("publish", probe.publish, probe.publish_why);
}

static void print_stats(const struct pf_stats *stats)
{
	print_number("objects", stats->objects);
	print_number("faults", stats->faults);
	print_number("fills", stats->fills);
	print_number("bytes", stats->bytes);
	print_time("wait p50", pf_stats_wait_ns(stats, 500));
	print_time("wait p99", pf_stats_wait_ns(stats, 990));
	print_number("VMAs peak", stats->vmas_peak);
	print_number("traps", stats->traps);
	print_number("forwarded", stats->forwarded);
}

void stats_end(const struct stats_file *file)
{
	struct pf_stats stats;
	bool is_good = read_stats(file, &stats);

	unlink(file->path);
	fprintf(stderr, "polyfault:\n");
	if (is_good)
		print_stats(&stats);
	else
		fprintf(stderr, "  the numbers are lost: %s is damaged\n",
			file->path);
	print_choices();
}
