/* SPDX-License-Identifier: MIT */
/* What 02-lazy-load says on the way, to stderr. */
#include "lazy.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define BAR 40

static void draw_bar(const struct lazy *lazy, unsigned percent)
{
	char bar[BAR + 1];

	for (unsigned i = 0; i < BAR; i++)
		bar[i] = i * 100 < percent * BAR ? '#' : '.';
	bar[BAR] = 0;
	fprintf(stderr, "\r[%s] %3u %%  %" PRIu64 " faults%s", bar, percent,
		lazy->faults, percent == 100 ? "\n" : "");
}

/* A terminal gets a bar, a log a line for each quarter. */
void lazy_show_progress(const struct lazy *lazy)
{
	static unsigned shown;
	unsigned percent = (unsigned)(lazy->bytes * 100 / lazy->size);
	bool is_terminal = isatty(STDERR_FILENO);
	unsigned step = is_terminal ? 1 : 25;

	if (percent < shown + step)
		return;
	shown = percent - percent % step;
	if (is_terminal)
		draw_bar(lazy, percent);
	else
		fprintf(stderr, "%3u %% served, %" PRIu64 " faults\n",
			percent, lazy->faults);
}
