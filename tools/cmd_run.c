/* SPDX-License-Identifier: MIT */
/*
 * polyfault run: an unmodified program, its userfaultfd ours. Everything is
 * said through the environment, so the programs that it starts do the same.
 */
#include "program.h"
#include "stats_table.h"
#include "supervise.h"
#include "tool.h"

#include "polyfault/interpose.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum denial { DENY_NOT, DENY_ERRNO, DENY_KILL };

struct run_options {
	const char *world, *profile, *policy;
	enum denial denial;
	bool wants_stats;
	char **program; /* NULL: only help was asked for */
};

void help_run(void)
{
	puts("Usage: polyfault run [OPTIONS] [--] PROGRAM [ARGS]\n"
	     "\n"
	     "  --world auto|kernel|host  who answers (default: auto, the\n"
	     "                            kernel where it grants userfaultfd)\n"
	     "  --profile NAME            behave as linux-5.4 ... linux-6.18\n"
	     "  --policy grant|strict     strict refuses to the unprivileged\n"
	     "                            what the kernel would refuse them\n"
	     "  --deny-kernel[=errno|kill]\n"
	     "                            the kernel's own userfaultfd gives\n"
	     "                            EPERM, or ends the program;\n"
	     "                            implies --world host\n"
	     "  --stats                   print what happened, at the end\n"
	     "\n"
	     "The exit status is the program's (128 + n: ended by signal n),\n"
	     "127 when it is not found, 126 when it cannot be run so.");
}

static int parse_denial(const char *how, enum denial *out)
{
	if (!how || strcmp(how, "errno") == 0)
		*out = DENY_ERRNO;
	else if (strcmp(how, "kill") == 0)
		*out = DENY_KILL;
	else
		return tool_say(TOOL_USAGE,
				"run: --deny-kernel=%s: not errno or kill",
				how);
	return 0;
}

static int refuse_option(int what, char **argv)
{
	const char *word = argv[optind - 1];

	if (what == ':')
		return tool_say(TOOL_USAGE, "run: %s needs a value", word);
	/* A bundle of short options leaves optind where it is. */
	if (optopt && !strchr("wpods", optopt))
		return tool_say(TOOL_USAGE,
				"run: unknown option -%c (see: polyfault help "
				"run)", optopt);
	return tool_say(TOOL_USAGE,
			"run: unknown option %s (see: polyfault help run)",
			word);
}

static int take_option(int option, char **argv, struct run_options *run)
{
	switch (option) {
	case 'w':
		run->world = optarg;
		return 0;
	case 'p':
		run->profile = optarg;
		return 0;
	case 'o':
		run->policy = optarg;
		return 0;
	case 'd':
		return parse_denial(optarg, &run->denial);
	case 's':
		run->wants_stats = true;
		return 0;
	default:
		return refuse_option(option, argv);
	}
}

static int parse(int argc, char **argv, struct run_options *run)
{
	static const struct option options[] = {
		{ "world", required_argument, NULL, 'w' },
		{ "profile", required_argument, NULL, 'p' },
		{ "policy", required_argument, NULL, 'o' },
		{ "deny-kernel", optional_argument, NULL, 'd' },
		{ "stats", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, status;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:h", options, NULL)) >= 0) {
		if (option == 'h')
			return 0;
		status = take_option(option, argv, run);
		if (status)
			return status;
	}
	run->program = argv + optind;
	if (!*run->program)
		return tool_say(TOOL_USAGE,
				"run: no program given (see: polyfault help "
				"run)");
	return 0;
}

static bool set(const char *name, const char *value)
{
	return !value || setenv(name, value, 1) == 0;
}

/* The shim first, before what is preloaded already; once is enough. */
static bool preload(const char *shim)
{
	const char *others = getenv("LD_PRELOAD");
	size_t n = strlen(shim);
	char *both;
	bool is_set;

	if (!others || !*others)
		return set("LD_PRELOAD", shim);
	if (strncmp(others, shim, n) == 0 && (!others[n] || others[n] == ':'))
		return true;
	if (asprintf(&both, "%s:%s", shim, others) < 0)
		return false;
	is_set = set("LD_PRELOAD", both);
	free(both);
	return is_set;
}

/* What the options say is in the environment, and is valid. */
static int choose(struct run_options *run)
{
	if (run->denial != DENY_NOT && !run->world)
		run->world = "host";
	if (!set("POLYFAULT_WORLD", run->world) ||
	    !set("POLYFAULT_PROFILE", run->profile) ||
	    !set("POLYFAULT_POLICY", run->policy))
		return tool_failed("cannot set the environment");
	if (run->denial != DENY_NOT && strcmp(run->world, "kernel") == 0)
		return tool_say(TOOL_USAGE,
				"run: --world kernel and --deny-kernel "
				"exclude each other");
	return tool_check_environment();
}

static int start(const struct run_options *run, char *path)
{
	struct stats_file stats;
	int status;

	if (!run->wants_stats)
		return become(path, run->program);
	status = stats_begin(&stats);
	if (status)
		return status;
	status = supervise(path, run->program);
	stats_end(&stats);
	return status;
}

static int run_program(const struct run_options *run)
{
	char path[PATH_MAX], shim[PATH_MAX];
	int status = shim_find(shim);

	if (status)
		return status;
	/* Also sets no_new_privs, which bears on what can be preloaded. */
	if (run->denial != DENY_NOT && pf_deny_kernel(run->denial == DENY_KILL))
		return tool_failed("cannot deny the kernel's userfaultfd");
	status = program_find(run->program[0], path);
	if (status)
		return status;
	if (!preload(shim))
		return tool_failed("cannot set LD_PRELOAD");
	return start(run, path);
}

int cmd_run(int argc, char **argv)
{
	struct run_options run = { .world = NULL };
	int status = parse(argc, argv, &run);

	if (status)
		return status;
	if (!run.program) {
		help_run();
		return 0;
	}
	status = choose(&run);
	if (status)
		return status;
	return run_program(&run);
}
