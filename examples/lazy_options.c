/* SPDX-License-Identifier: MIT */
/* The options of 02-lazy-load. */
#include "lazy.h"

#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096ull

static void print_help(void)
{
	puts("Usage: 02-lazy-load [OPTIONS]\n"
	     "\n"
	     "Makes a file of pseudo-random bytes, serves it into memory as the\n"
	     "memory is touched, and compares each byte.\n"
	     "\n"
	     "  --size MIB    of the file (default: 256)\n"
	     "  --chunk KIB   served at a time (default: 4, one page)\n"
	     "  --order sequential|random\n"
	     "                in which chunks are touched (default: random)\n"
	     "\n"
	     "TMPDIR says where the file is (default: /tmp); it is removed.\n"
	     "POLYFAULT_WORLD=auto|kernel|host chooses who answers.");
}

/* As many bytes as `word` says, counted in `unit`. */
static size_t parse_bytes(const char *option, const char *word, size_t unit)
{
	char *end;
	unsigned long long n = strtoull(word, &end, 10);

	if (*word < '0' || *word > '9' || *end || n == 0 || n > (1ull << 24))
		errx(2, "--%s %s: not a number from 1 to %llu", option, word,
		     1ull << 24);
	return (size_t)n * unit;
}

static bool parse_order(const char *word)
{
	if (strcmp(word, "random") && strcmp(word, "sequential"))
		errx(2, "--order %s: not sequential or random", word);
	return *word == 'r';
}

void lazy_parse(struct lazy *lazy, int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "chunk", required_argument, NULL, 'c' },
		{ "order", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (option == 's')
			lazy->size = parse_bytes("size", optarg, 1 << 20);
		else if (option == 'c')
			lazy->chunk = parse_bytes("chunk", optarg, 1 << 10);
		else if (option == 'o')
			lazy->is_random = parse_order(optarg);
		else if (option == 'h')
			exit((print_help(), 0));
		else
			exit(2);
	}
	if (optind < argc)
		errx(2, "unknown argument %s (see: --help)", argv[optind]);
	if (lazy->chunk % PAGE || lazy->size % lazy->chunk)
		errx(2, "a chunk must be whole pages of 4 KiB, and the file "
			"whole chunks");
}
