/* SPDX-License-Identifier: MIT */
/*
 * Per-thread storage that the trap may touch.
 *
 * Private to base. The model is initial-exec, so an access is one load from
 * the thread register and never a call into the dynamic linker.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/types.h"

#define THREAD_LOCAL \
	_Thread_local __attribute__((tls_model("initial-exec")))

/* Whether threads may share their storage (sync_share_threads()). */
bool thread_is_shared(void);

#endif /* BASE_THREAD_H */
