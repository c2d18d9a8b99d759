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

/* A variable that takes one of a few words. */
struct choice {
	const char *name;
	const char *words[4];
	const char *known;
};

static const struct choice choices[] = {
	{ "POLYFAULT_WORLD", { "auto", "kernel", "host" },
	  "auto, kernel or host" },
	{ "POLYFAULT_POLICY", { "grant", "strict" }, "grant or strict" },
	{ "POLYFAULT_REVOKE", { "auto", "guard", "protect" },
	  "auto, guard or protect" },
	{ "POLYFAULT_PUBLISH", { "auto", "write", "move" },
	  "auto, write or move" },
};

static int check_choice(const struct choice *choice)
{
	const char *word = getenv(choice->name);

	if (!word || !*word || is_one_of(word, choice->words))
		return 0;
	return tool_say(TOOL_USAGE, "%s=%s: not %s", choice->name, word,
			choice->known);
}

static bool is_count(const char *word)
{
	char *end;

	return *word >= '0' && *word <= '9' && strtoul(word, &end, 10) > 0 &&
	       !*end;
}

int tool_check_environment(void)
{
	const char *profile = getenv("POLYFAULT_PROFILE");
	const char *maps = getenv("POLYFAULT_MAX_MAPS");
	int err = 0;

	for (size_t i = 0; i < sizeof(choices) / sizeof(*choices) && !err; i++)
		err = check_choice(&choices[i]);
	if (!err && profile && *profile && !is_profile(profile))
		err = tool_say(TOOL_USAGE,
			       "POLYFAULT_PROFILE=%s: no such profile",
			       profile);
	if (!err && maps && *maps && !is_count(maps))
		err = tool_say(TOOL_USAGE,
			       "POLYFAULT_MAX_MAPS=%s: not a number above 0",
			       maps);
	return err;
}
