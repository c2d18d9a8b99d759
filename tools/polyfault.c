/* SPDX-License-Identifier: MIT */
/* The polyfault command: finds the subcommand. */
#include "tool.h"

#include "polyfault/version.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct command {
	const char *name;
	const char *summary;
	int (*carry_out)(int argc, char **argv);
	void (*help)(void);
};

static const struct command commands[] = {
	{ "run", "run a program with userfaultfd in user space", cmd_run,
	  help_run },
	{ "probe", "tell what this machine offers and what would be chosen",
	  cmd_probe, help_probe },
};

static const size_t command_count = sizeof(commands) / sizeof(commands[0]);

int tool_say(enum tool_status status, const char *format, ...)
{
	va_list args;

	fputs("polyfault: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return (int)status;
}

int tool_failed(const char *what)
{
	return tool_say(TOOL_FAILED, "%s: %s", what, strerror(errno));
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < command_count; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static void print_help(void)
{
	puts("Usage: polyfault COMMAND ...\n");
	for (size_t i = 0; i < command_count; i++)
		printf("  %-8s%s\n", commands[i].name, commands[i].summary);
	puts("  help    [COMMAND]: this text, or more about one command\n"
	     "\n"
	     "  polyfault --version\n"
	     "\n"
	     "Environment, where no option says otherwise:\n"
	     "  POLYFAULT_WORLD    auto, kernel or host\n"
	     "  POLYFAULT_PROFILE  linux-5.4 to linux-6.18\n"
	     "  POLYFAULT_POLICY   grant or strict");
}

static int unknown(const char *word)
{
	const char *kind = word[0] == '-' ? "option" : "command";

	return tool_say(TOOL_USAGE, "unknown %s %s (see: polyfault help)",
			kind, word);
}

static int give_help(const char *topic)
{
	const struct command *command;

	if (!topic) {
		print_help();
		return 0;
	}
	command = find_command(topic);
	if (!command)
		return unknown(topic);
	command->help();
	return 0;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int dispatch(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	const struct command *command;

	if (!word)
		return tool_say(TOOL_USAGE,
				"no command given (see: polyfault help)");
	if (is_help(word))
		return give_help(NULL);
	if (strcmp(word, "help") == 0)
		return give_help(argc > 2 ? argv[2] : NULL);
	if (strcmp(word, "--version") == 0) {
		printf("polyfault %s\n", pf_version());
		return 0;
	}
	command = find_command(word);
	if (!command)
		return unknown(word);
	if (argc > 2 && is_help(argv[2]))
		return give_help(word);
	return command->carry_out(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int status = dispatch(argc, argv);

	if (fflush(stdout) && !status)
		return tool_failed("cannot write");
	return status;
}
