/* SPDX-License-Identifier: MIT */
/*
 * Zeros: nothing to read, so nothing to fetch.
 */
#include "fill/page.h"

#include "base/check.h"

static int zero_prepare(struct fill *fill)
{
	fill->step.from = OBJECT_ZERO;
	return 0;
}

static int zero_fetch(struct fill *fill)
{
	(void)fill;
	bug("zeros are always at hand");
}

const struct fill_source fill_source_zero = {
	.name = "zero",
	.overwrites_markers = false,
	.prepare = zero_prepare,
	.fetch = zero_fetch,
};
