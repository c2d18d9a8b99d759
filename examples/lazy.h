/* SPDX-License-Identifier: MIT */
/*
 * What the parts of 02-lazy-load share: the options, the file, and what was
 * counted on the way.
 */
#ifndef EXAMPLES_LAZY_H
#define EXAMPLES_LAZY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lazy {
	/* The options. */
	size_t size, chunk;
	bool is_random;

	int file, uffd;
	int stop[2];  /* a byte in it ends the server */
	char *memory; /* what is served */

	/* Counted by the server. */
	uint64_t faults, fills, bytes;
	/* Counted by the one who touches. */
	uint64_t *touch_ns; /* of each chunk */
	uint64_t vmas, first_byte_ns, all_bytes_ns;
	/* The other way: everything is read before the first byte is used. */
	uint64_t read_first_ns;
};

/* lazy_options.c: the options are in `lazy`; ends the program if they are not
 * right. */
void lazy_parse(struct lazy *lazy, int argc, char **argv);

/* lazy_file.c: a file of pseudo-random bytes that nobody else sees. */
int lazy_make_file(size_t size);
/* How long it takes until the first byte is there if all are read before. */
uint64_t lazy_time_reading_first(const struct lazy *lazy);
uint64_t now_ns(void);

/* lazy_server.c: each fault of the memory of the struct lazy is answered, until
 * a byte is in `stop`. */
void *lazy_serve(void *lazy);

/* lazy_progress.c */
void lazy_show_progress(const struct lazy *lazy);

/* lazy_report.c: the table at the end. */
void lazy_report(struct lazy *lazy);
/* Mappings that this process has now. */
uint64_t lazy_count_vmas(void);

#endif /* EXAMPLES_LAZY_H */
