/* SPDX-License-Identifier: MIT */
/* The three variables that choose, checked before a program depends on them. */
#include "tool.h"

#include "polyfault/embed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_one_of(const char *value, const char *const *choices)
{
	for (; *choices; choices++) {
		if (strcmp(value, *choices) == 0)
			return true;
	}
	return false;
}

static bool is_profile(const char *name)
{
	const struct pf_space_config config = { .profile = name };
	struct pf_space *space;
	int err = pf_space_create(&config, &space);

	if (!err)
		pf_space_destroy(space);
	return err != -EINVAL;
}

int tool_check_environment(void)
{
	static const char *const worlds[] = { "auto", "kernel", "host", NULL };
	static const char *const policies[] = { "grant", "strict", NULL };
	const char *world = getenv("POLYFAULT_WORLD");
	const char *policy = getenv("POLYFAULT_POLICY");
	const char *profile = getenv("POLYFAULT_PROFILE");

	if (world && !is_one_of(world, worlds))
		return tool_say(TOOL_USAGE,
				"POLYFAULT_WORLD=%s: not auto, kernel or host",
				world);
	if (policy && !is_one_of(policy, policies))
		return tool_say(TOOL_USAGE,
				"POLYFAULT_POLICY=%s: not grant or strict",
				policy);
	if (profile && !is_profile(profile))
		return tool_say(TOOL_USAGE,
				"POLYFAULT_PROFILE=%s: no such profile",
				profile);
	return 0;
}
