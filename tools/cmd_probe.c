/* SPDX-License-Identifier: MIT */
/* polyfault probe: what this machine offers, and what would be chosen. */
#include "tool.h"

#include "polyfault/interpose.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

void help_probe(void)
{
	puts("Usage: polyfault probe [--json]\n"
	     "\n"
	     "Tells what the kernel grants here, what the host world can stand\n"
	     "on, and what would be chosen, and why. --json: one object, for\n"
	     "programs.");
}

/* A yes or no of the probe. */
struct fact {
	const char *key;
	const char *words;
	size_t offset;
};

#define FACT(field, words) { #field, (words), offsetof(struct pf_probe, field) }

static const struct fact facts[] = {
	FACT(guard_anon, "guard markers"),
	FACT(proc_mem_write, "writes through /proc/self/mem"),
	FACT(pagemap, "/proc/self/pagemap"),
	FACT(procmap_query, "PROCMAP_QUERY"),
	FACT(memfd, "memory files"),
	FACT(wipe_on_fork, "MADV_WIPEONFORK"),
	FACT(fault_code, "the trap tells reads from writes"),
	FACT(membarrier, "membarrier"),
	FACT(seccomp_active, "a seccomp filter is active"),
	FACT(kernel_denied_by_us, "denied by --deny-kernel"),
	FACT(device_granted, "/dev/userfaultfd"),
};

static const char *const world_names[] = { "auto", "kernel", "host" };

static bool is_true(const struct pf_probe *probe, const struct fact *fact)
{
	bool value;

	memcpy(&value, (const char *)probe + fact->offset, sizeof(value));
	return value;
}

static void print_choice(const char *name, const char *choice,
			 const char *why)
{
	printf("  %-9s %s%s%s%s\n", name, choice ? choice : "-",
	       *why ? " (" : "", why, *why ? ")" : "");
}

static void print_text(const struct pf_probe *probe)
{
	printf("kernel's userfaultfd: ");
	if (!probe->kernel_was_asked)
		puts("not asked");
	else if (probe->kernel_errno)
		printf("refused (%s)\n", strerror(probe->kernel_errno));
	else
		printf("granted, features %#" PRIx64 "\n",
		       probe->kernel_features);

	puts("this machine:");
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		printf("  %-4s %s\n", is_true(probe, &facts[i]) ? "yes" : "no",
		       facts[i].words);
	printf("  %u CPUs, %" PRIu64 " mappings at most\n", probe->cpus,
	       probe->max_map_count);

	puts("the choice:");
	print_choice("world", world_names[probe->world], probe->world_why);
	print_choice("backing", probe->backing, probe->backing_why);
	print_choice("revoke", probe->revoke, probe->revoke_why);
	print_choice("publish", probe->publish, probe->publish_why);
	print_choice("profile", probe->profile, "");
	print_choice("policy", probe->policy, "");
}

static void json_string(const char *key, const char *value)
{
	printf(",\n  \"%s\": ", key);
	if (!value) {
		printf("null");
		return;
	}
	putchar('"');
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			printf("\\%c", *value);
		else if ((unsigned char)*value < ' ')
			printf("\\u%04x", (unsigned)*value);
		else
			putchar(*value);
	}
	putchar('"');
}

static void print_json(const struct pf_probe *probe)
{
	printf("{\n  \"kernel_was_asked\": %s",
	       probe->kernel_was_asked ? "true" : "false");
	printf(",\n  \"kernel_errno\": %d", probe->kernel_errno);
	printf(",\n  \"kernel_features\": %" PRIu64, probe->kernel_features);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		printf(",\n  \"%s\": %s", facts[i].key,
		       is_true(probe, &facts[i]) ? "true" : "false");
	printf(",\n  \"cpus\": %u", probe->cpus);
	printf(",\n  \"max_map_count\": %" PRIu64, probe->max_map_count);
	json_string("world", world_names[probe->world]);
	json_string("world_why", probe->world_why);
	json_string("backing", probe->backing);
	json_string("backing_why", probe->backing_why);
	json_string("revoke", probe->revoke);
	json_string("revoke_why", probe->revoke_why);
	json_string("publish", probe->publish);
	json_string("publish_why", probe->publish_why);
	json_string("profile", probe->profile);
	json_string("policy", probe->policy);
	puts("\n}");
}

int cmd_probe(int argc, char **argv)
{
	bool wants_json = argc > 1 && strcmp(argv[1], "--json") == 0;
	struct pf_probe probe;
	int status;

	if (argc > 1 + wants_json)
		return tool_say(TOOL_USAGE,
				"probe: unknown argument %s (see: polyfault "
				"help probe)", argv[1 + wants_json]);
	status = tool_check_environment();
	if (status)
		return status;
	if (pf_probe(&probe)) {
		if (errno == EINVAL)
			return tool_say(TOOL_USAGE, "%s", probe.world_why);
		return tool_failed("cannot probe");
	}
	if (wants_json)
		print_json(&probe);
	else
		print_text(&probe);
	return 0;
}
