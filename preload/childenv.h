/* SPDX-License-Identifier: MIT */
/*
 * The environment under which programs that this one starts are served too.
 *
 * Programs clean the environment of their children; what the shim needs is
 * put back: itself in LD_PRELOAD, and the POLYFAULT_ variables.
 */
#ifndef PRELOAD_CHILDENV_H
#define PRELOAD_CHILDENV_H

#include <stdbool.h>
#include <stddef.h>

/* The variables of this process' start are remembered. Context: once. */
void childenv_remember(void);

/* How much room childenv_build() needs for `env`. */
struct childenv_size {
	size_t entries; /* pointers, the final NULL included */
	size_t bytes;   /* text of a changed LD_PRELOAD */
};

/*
 * Whether something must be put back, and how much room that takes.
 *
 * `env` may be NULL, an empty environment.
 *
 * Context: trap (between vfork and exec).
 */
bool childenv_is_incomplete(char *const *env, struct childenv_size *size);

/*
 * The entries of `env` and what was missing are in `out`; a changed
 * LD_PRELOAD is in `text`. Both have the room that was asked for.
 *
 * Context: trap.
 */
void childenv_build(char *const *env, char **out, char *text);

#endif /* PRELOAD_CHILDENV_H */
