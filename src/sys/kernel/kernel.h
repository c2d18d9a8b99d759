/* SPDX-License-Identifier: MIT */
/*
 * The running kernel's own userfaultfd: asked, passed through, or denied.
 *
 * This is the only room that ever makes the kernel's call. Whether it may be
 * asked at all is kernel_may_be_asked(): a filter could end the process for
 * the mere question.
 */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include "base/types.h"

/* As the system call. Returns: a descriptor; -errno. */
int kernel_userfaultfd(int flags);

/* Through /dev/userfaultfd. Returns: a descriptor; -errno. */
int kernel_device_new(int flags);

/* What the handshake on a fresh descriptor answers; 0 when refused. */
uint64_t kernel_features(void);

/*
 * userfaultfd is impossible from now on, here and in all that is started from
 * here: EPERM, or the process ends when `kill`.
 *
 * Returns: 0; -errno of seccomp(2).
 */
int kernel_deny(bool kill) must_check;

/*
 * Whether kernel_deny() is in force, also by a process long gone that
 * executed us: the filter itself answers, no environment is needed.
 */
bool kernel_is_denied(void);

/* Whether any seccomp filter is in force. */
bool kernel_is_filtered(void);

/* Neither of the two. */
bool kernel_may_be_asked(void);

/* Whether this process has CAP_SYS_PTRACE. */
bool kernel_has_ptrace_capability(void);

/* vm.unprivileged_userfaultfd; `otherwise` when there is none. */
bool kernel_unprivileged_allowed(bool otherwise);

#endif /* KERNEL_KERNEL_H */
