/* SPDX-License-Identifier: MIT */
/* What 02-lazy-load says at the end. */
#include "lazy.h"

#include <polyfault/interpose.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t lazy_count_vmas(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uint64_t lines = 0;
	int c;

	while (maps && (c = getc_unlocked(maps)) != EOF)
		lines += c == '\n';
	if (maps)
		fclose(maps);
	return lines;
}

static int compare_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_choice(const char *name, const char *choice,
			 const char *why)
{
	printf("  %-10s %s (%s)\n", name, choice, why);
}

static void print_probe(void)
{
	static const char *const worlds[] = { "auto", "kernel", "host" };
	struct pf_probe probe;

	if (pf_probe(&probe))
		err(1, "cannot probe");
	print_choice("world", worlds[probe.world], probe.world_why);
	if (probe.world == PF_WORLD_KERNEL) {
		puts("  The kernel served: the library counted nothing.");
		return;
	}
	print_choice("backing", probe.backing, probe.backing_why);
	print_choice("revoke", probe.revoke, probe.revoke_why);
	print_choice("publish", probe.publish, probe.publish_why);
}

/* The kernel's world leaves no figures in the library. */
static void print_row(const char *name, double here, double library,
		      bool has_library)
{
	int digits = strstr(name, " us") ? 1 : 0;

	printf("  %-15s %14.*f", name, digits, here);
	if (has_library)
		printf(" %14.*f\n", digits, library);
	else
		printf(" %14s\n", "-");
}

static void print_counts(const struct lazy *lazy)
{
	size_t n = lazy->size / lazy->chunk;
	struct pf_stats its;
	bool has;

	pf_read_stats(&its);
	has = its.objects > 0;
	printf("\n  %-15s %14s %14s\n", "", "counted here", "library");
	print_row("faults served", (double)lazy->faults, (double)its.faults,
		  has);
	print_row("fills", (double)lazy->fills, (double)its.fills, has);
	print_row("bytes", (double)lazy->bytes, (double)its.bytes, has);
	print_row("fault p50 us", (double)lazy->touch_ns[n / 2] / 1e3,
		  (double)pf_stats_wait_ns(&its, 500) / 1e3, has);
	print_row("fault p99 us", (double)lazy->touch_ns[n * 99 / 100] / 1e3,
		  (double)pf_stats_wait_ns(&its, 990) / 1e3, has);
	print_row("VMAs (mappings)", (double)lazy->vmas, (double)its.vmas_peak, has);
	putchar('\n');
}

void lazy_report(struct lazy *lazy)
{
	qsort(lazy->touch_ns, lazy->size / lazy->chunk,
	      sizeof(*lazy->touch_ns), compare_ns);
	printf("%zu MiB served %zu KiB at a time, in %s order; each byte is "
	       "right\n", lazy->size >> 20, lazy->chunk >> 10,
	       lazy->is_random ? "random" : "sequential");
	printf("  first byte after %.3f ms (after %.3f ms if the file is read "
	       "first)\n", (double)lazy->first_byte_ns / 1e6,
	       (double)lazy->read_first_ns / 1e6);
	printf("  all bytes after  %.0f ms, compared\n",
	       (double)lazy->all_bytes_ns / 1e6);
	print_counts(lazy);
	print_probe();
}
