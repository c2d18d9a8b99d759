/* SPDX-License-Identifier: MIT */
/*
 * What exists once per process: the space of its memory, and how it was
 * chosen to make it real.
 */
#ifndef SYS_PROCESS_H
#define SYS_PROCESS_H

#include "base/profile.h"
#include "mmu/host/host.h"
#include "space/space.h"

#include "polyfault/interpose.h"

/* What the environment asks for, and what the machine allows. */
struct sys_choice {
	enum pf_world asked_world;
	const struct profile *profile;
	bool is_strict; /* policy: answer as the kernel would */
	struct host_means means;
	struct host_choice host;
	const char *why_revoke;
	const char *why_publish;
	char refused[128]; /* what is wrong with the environment; "" : nothing */
};

/* The choice, made at the first call and kept. Never NULL. */
const struct sys_choice *sys_choice(void);

/*
 * Whether a new object shall be the kernel's; asks the kernel if it may be
 * asked. `why`, when not NULL, becomes a static sentence.
 */
bool sys_prefers_kernel(const char **why);

/*
 * The space of this process' memory, with the trap installed; made at the
 * first call.
 * Returns: 0 and *out; -errno (-EINVAL: broken environment, -ENOSYS: what was
 *          forced is impossible here, -ENOMEM).
 */
int sys_process_space(struct space **out) must_check;

/* The space if it was made; NULL else. Context: trap. */
struct space *sys_space(void);

/* This process is a fork's child: nothing of the parent's is ours. */
void sys_process_after_fork(void);

/* Fork is followed from now on (pthread_atfork). Returns: 0; -ENOMEM. */
int sys_follow_forks(void);

#endif /* SYS_PROCESS_H */
