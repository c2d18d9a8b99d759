/* SPDX-License-Identifier: MIT */
/* The environment's wishes, the machine's means, and what follows of both. */
#include "sys/process.h"

#include "base/mem.h"
#include "base/raw.h"
#include "base/sync.h"
#include "sys/kernel/kernel.h"
#include "sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sys_choice choice;
static struct lock lock = LOCK_INIT(RANK_NONE);
static _Atomic bool is_made;

struct word_value {
	const char *word;
	int value;
};

static const struct word_value worlds[] = {
	{ "auto", PF_WORLD_AUTO },
	{ "kernel", PF_WORLD_KERNEL },
	{ "host", PF_WORLD_HOST },
	{ NULL, 0 },
};

static const struct word_value revokes[] = {
	{ "auto", HOST_REVOKE_AUTO },
	{ "guard", HOST_GUARD },
	{ "protect", HOST_PROTECT },
	{ NULL, 0 },
};

static const struct word_value publishes[] = {
	{ "auto", HOST_PUBLISH_AUTO },
	{ "write", HOST_WRITE },
	{ "move", HOST_MOVE },
	{ NULL, 0 },
};

static const struct word_value policies[] = {
	{ "grant", 0 },
	{ "strict", 1 },
	{ NULL, 0 },
};

static void refuse(const char *name, const char *word, const char *known)
{
	if (!choice.refused[0])
		snprintf(choice.refused, sizeof(choice.refused),
			 "%s=%.32s: not one of %s", name, word, known);
}

/* The value of a variable that takes one of a few words; 0 when unset. */
static int wish(const char *name, const struct word_value *words,
		const char *known)
{
	const char *word = getenv(name);

	if (!word || !*word)
		return 0;
	for (; words->word; words++)
		if (mem_same_string(words->word, word))
			return words->value;
	refuse(name, word, known);
	return 0;
}

static const struct profile *wish_profile(void)
{
	const char *word = getenv("POLYFAULT_PROFILE");
	const struct profile *profile;

	if (!word || !*word)
		return profile_default();
	profile = profile_find(word);
	if (profile)
		return profile;
	refuse("POLYFAULT_PROFILE", word,
	       "linux-5.4, 6.1, 6.6, 6.12, 6.18");
	return profile_default();
}

/* Fewer mappings than the system allows: for trying out how that is borne. */
static void wish_fewer_mappings(void)
{
	const char *word = getenv("POLYFAULT_MAX_MAPS");
	unsigned long n;
	char *end;

	if (!word || !*word)
		return;
	n = strtoul(word, &end, 10);
	if (*end || !n)
		refuse("POLYFAULT_MAX_MAPS", word, "the numbers above 0");
	else if (n < choice.means.max_map_count)
		choice.means.max_map_count = n;
}

static void choose_host(void)
{
	int err = host_choose(&choice.means, &choice.host, &choice.why_revoke,
			      &choice.why_publish);

	if (err && !choice.refused[0])
		snprintf(choice.refused, sizeof(choice.refused), "%s",
			 choice.host.revoke == HOST_GUARD &&
					 !choice.means.guard_anon
				 ? choice.why_revoke
				 : choice.why_publish);
}

static void choose(void)
{
	mem_set(&choice, 0, sizeof(choice));
	choice.asked_world = (enum pf_world)wish("POLYFAULT_WORLD", worlds,
						 "auto, kernel, host");
	choice.host.revoke = (enum host_revoke)wish("POLYFAULT_REVOKE",
						    revokes,
						    "auto, guard, protect");
	choice.host.publish = (enum host_publish)wish("POLYFAULT_PUBLISH",
						      publishes,
						      "auto, write, move");
	choice.is_strict = wish("POLYFAULT_POLICY", policies,
				"grant, strict");
	choice.profile = wish_profile();
	host_find_means(&choice.means);
	wish_fewer_mappings();
	choose_host();
}

const struct sys_choice *sys_choice(void)
{
	if (!atomic_load(&is_made)) {
		lock_take(&lock);
		if (!atomic_load(&is_made))
			choose();
		atomic_store(&is_made, true);
		lock_drop(&lock);
	}
	return &choice;
}

/* ---- kernel or host ---- */

static bool kernel_grants(int *err)
{
	int fd = kernel_userfaultfd(O_CLOEXEC);

	*err = fd < 0 ? -fd : 0;
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

bool sys_prefers_kernel(const char **why)
{
	const struct sys_choice *c = sys_choice();
	const char *unused;
	int err;

	if (!why)
		why = &unused;
	*why = kernel_is_denied() ? "the kernel's userfaultfd is denied "
				    "(--deny-kernel)"
				  : "POLYFAULT_WORLD says so";
	if (c->asked_world != PF_WORLD_AUTO)
		return c->asked_world == PF_WORLD_KERNEL;
	*why = "another profile than the kernel's was asked for";
	if (c->profile != profile_default())
		return false;
	*why = "the kernel's userfaultfd is denied (--deny-kernel)";
	if (kernel_is_denied())
		return false;
	*why = "a seccomp filter is in force, and might kill who asks";
	if (kernel_is_filtered())
		return false;
	*why = "the kernel grants userfaultfd";
	if (kernel_grants(&err))
		return true;
	*why = err == ENOSYS ? "the kernel has no userfaultfd (ENOSYS)"
			     : "the kernel refuses userfaultfd (EPERM)";
	return false;
}

int sys_deny_kernel(bool kill)
{
	return kernel_deny(kill);
}

bool sys_kernel_is_denied(void)
{
	return kernel_is_denied();
}

/* ---- the probe ---- */

static void probe_kernel(struct pf_probe *out)
{
	int err = 0;

	out->kernel_denied_by_us = kernel_is_denied();
	out->seccomp_active = kernel_is_filtered();
	out->kernel_was_asked = kernel_may_be_asked() ||
				sys_choice()->asked_world == PF_WORLD_KERNEL;
	if (!out->kernel_was_asked) {
		out->kernel_errno = EPERM;
		return;
	}
	kernel_grants(&err);
	out->kernel_errno = err;
	out->kernel_features = kernel_features();
	err = kernel_device_new(O_CLOEXEC);
	out->device_granted = err >= 0;
	if (err >= 0)
		close(err);
}

/* What the soft world's shootdowns use to do without barriers of readers. */
static bool has_membarrier(void)
{
	long commands = raw_call(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0);

	return commands > 0 &&
	       (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

static void probe_host(struct pf_probe *out)
{
	const struct sys_choice *c = sys_choice();

	out->guard_anon = c->means.guard_anon;
	out->proc_mem_write = c->means.proc_mem_write;
	out->pagemap = c->means.pagemap;
	out->procmap_query = c->means.procmap_query;
	out->memfd = c->means.memfd;
	out->wipe_on_fork = c->means.wipe_on_fork;
	out->fault_code = c->means.fault_code;
	out->max_map_count = c->means.max_map_count;
	out->membarrier = has_membarrier();
	out->cpus = sync_cpus();
	out->backing = "private";
	snprintf(out->backing_why, sizeof(out->backing_why),
		 "the program's own memory stays its own: fork, "
		 "MADV_DONTNEED, core dumps are the kernel's");
	out->revoke = c->host.revoke == HOST_GUARD ? "guard" : "protect";
	out->publish = c->host.publish == HOST_WRITE ? "write" : "move";
	snprintf(out->revoke_why, sizeof(out->revoke_why), "%s",
		 c->why_revoke);
	snprintf(out->publish_why, sizeof(out->publish_why), "%s",
		 c->why_publish);
}

void sys_probe(struct pf_probe *out, int *err)
{
	const struct sys_choice *c = sys_choice();
	const char *why;

	mem_set(out, 0, sizeof(*out));
	*err = 0;
	probe_kernel(out);
	probe_host(out);
	out->profile = c->profile->name;
	out->policy = c->is_strict ? "strict" : "grant";
	out->world = sys_prefers_kernel(&why) ? PF_WORLD_KERNEL
					      : PF_WORLD_HOST;
	snprintf(out->world_why, sizeof(out->world_why), "%s", why);
	if (c->refused[0]) {
		snprintf(out->world_why, sizeof(out->world_why), "%s",
			 c->refused);
		*err = -EINVAL;
	}
}
