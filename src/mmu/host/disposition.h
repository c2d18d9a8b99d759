/* SPDX-License-Identifier: MIT */
/* What the program believes its signal actions to be, and real ones. */
#ifndef HOST_DISPOSITION_H
#define HOST_DISPOSITION_H

#include "mmu/host/host.h"

#include <ucontext.h>

typedef void (*disposition_fn)(int sig, siginfo_t *info, void *context);

/*
 * SIGSEGV and SIGBUS go to `on_trap`, every signal that the program handles
 * to `on_signal`; what it had set is kept and answered to its queries.
 *
 * Returns: 0; -errno of rt_sigaction.
 */
int disposition_install(disposition_fn on_trap, disposition_fn on_signal);

/*
 * The program's action for `sig` was carried out as the kernel would have:
 * mask, NODEFER, RESETHAND; the default action ends the process. `really` is
 * the signal whose handler we are in.
 *
 * Context: trap. May not return (a handler that jumps).
 */
void disposition_deliver(int sig, siginfo_t *info, ucontext_t *uc, int really);

/*
 * The thread is in a call of ours: the signal will be delivered when that
 * ends, and no other before. Called in the signal's handler.
 *
 * Context: trap. Returns: false when the thread is not, and nothing was done.
 */
bool busy_keeps(const siginfo_t *info, ucontext_t *uc);

#endif /* HOST_DISPOSITION_H */
