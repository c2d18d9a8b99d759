/* SPDX-License-Identifier: MIT */
/* Which variables were there at the start, and putting them back. */
#include "childenv.h"

#include "shim.h"

#include <dlfcn.h>
#include <string.h>

#define MAX_KEPT 32
#define KEPT_BYTES 8192
#define PRELOAD "LD_PRELOAD="
#define OURS "POLYFAULT_"

/* [I] after the constructor: copies, for programs overwrite the originals. */
static char kept_text[KEPT_BYTES];
static size_t kept_used;
static char *kept[MAX_KEPT];
static size_t kept_count;
/* [I] LD_PRELOAD as it was, and the shim's own path in it; NULL: not so. */
static char *kept_preload;
static char *shim_path;

static char *keep(const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = kept_text + kept_used;

	if (n > KEPT_BYTES - kept_used)
		return NULL;
	memcpy(copy, text, n);
	kept_used += n;
	return copy;
}

static bool starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Whether `list`, separated by colons or blanks, has the shim in it. */
static bool names_shim(const char *list)
{
	size_t n = strlen(shim_path);
	const char *at = list;

	while ((at = strstr(at, shim_path)) != NULL) {
		bool begins = at == list || at[-1] == ':' || at[-1] == ' ';

		at += n;
		if (begins && (*at == '\0' || *at == ':' || *at == ' '))
			return true;
	}
	return false;
}

/* The word of LD_PRELOAD by which the shim was loaded. */
static void find_own_path(const char *list)
{
	Dl_info info;
	const char *name;
	size_t n;

	if (!dladdr(kept_text, &info) || !info.dli_fname)
		return;
	name = strrchr(info.dli_fname, '/');
	name = name ? name + 1 : info.dli_fname;
	n = strlen(name);
	while (*list) {
		size_t word = strcspn(list, ": ");
		char *copy;

		if (word >= n && strncmp(list + word - n, name, n) == 0) {
			copy = keep(list);
			if (copy)
				copy[word] = '\0';
			shim_path = copy;
			return;
		}
		list += word;
		list += strspn(list, ": ");
	}
}

void childenv_remember(void)
{
	char **env = environ;

	for (; env && *env; env++) {
		char *copy;

		if (starts(*env, PRELOAD)) {
			kept_preload = keep(*env);
			find_own_path(*env + strlen(PRELOAD));
		} else if (starts(*env, OURS) && kept_count < MAX_KEPT) {
			copy = keep(*env);
			if (copy)
				kept[kept_count++] = copy;
		}
	}
}

/* The entry of `env` for the same variable as `entry`, or NULL. */
static char *same_variable(char *const *env, const char *entry)
{
	size_t n = strcspn(entry, "=") + 1;

	for (; env && *env; env++)
		if (strncmp(*env, entry, n) == 0)
			return *env;
	return NULL;
}

bool childenv_is_incomplete(char *const *env, struct childenv_size *size)
{
	const char *preload;
	size_t missing = 0;

	size->entries = 1;
	size->bytes = 1;
	if (!shim_path || !kept_preload)
		return false;
	for (size_t i = 0; i < kept_count; i++)
		missing += !same_variable(env, kept[i]);
	preload = same_variable(env, PRELOAD);
	if (!preload) {
		missing++;
	} else if (!names_shim(preload + strlen(PRELOAD))) {
		missing++;
		size->bytes = strlen(preload) + strlen(shim_path) + 2;
	}
	for (; env && *env; env++)
		size->entries++;
	size->entries += missing;
	return missing != 0;
}

/* LD_PRELOAD= with the shim before what the program wants there. */
static char *join_preload(const char *theirs, char *text)
{
	size_t prefix = strlen(PRELOAD), n = strlen(shim_path);

	memcpy(text, PRELOAD, prefix);
	memcpy(text + prefix, shim_path, n);
	text[prefix + n] = ':';
	strcpy(text + prefix + n + 1, theirs + prefix);
	return text;
}

void childenv_build(char *const *env, char **out, char *text)
{
	bool has_preload = false;

	for (size_t i = 0; i < kept_count; i++)
		if (!same_variable(env, kept[i]))
			*out++ = kept[i];
	for (; env && *env; env++) {
		if (!has_preload && starts(*env, PRELOAD)) {
			has_preload = true;
			*out++ = names_shim(*env + strlen(PRELOAD)) ?
					 *env :
					 join_preload(*env, text);
			continue;
		}
		*out++ = *env;
	}
	if (!has_preload)
		*out++ = kept_preload;
	*out = NULL;
}
