/* SPDX-License-Identifier: MIT */
/* Reading an x86-64 instruction, where the trap does not say what it did. */
#ifndef HOST_DECODE_H
#define HOST_DECODE_H

#include "base/types.h"

#include <ucontext.h>

/*
 * Whether the instruction at the context's rip writes the memory at `va` (as
 * opposed to reading it); unknown instructions count as reads.
 *
 * Context: trap.
 */
bool decode_is_write(const ucontext_t *uc, va_t va);

#endif /* HOST_DECODE_H */
