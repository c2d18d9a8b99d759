/* SPDX-License-Identifier: MIT */
/*
 * The runner: cases down, worlds across.
 *
 *   conform [--world W] [--case LABEL] [--list] [--known]
 *
 * ok: passed. FAIL: failed, the reason is below the row. -: that world does
 * not have the row, or cannot run here; reasons are in KNOWN.md or below.
 */
#include "conform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CASE_SECONDS 10

static const struct conform_case *const tables[] = {
	create_cases, handshake_cases, register_cases, unregister_cases,
	copy_cases, copy_wait_cases, zeropage_cases, wake_cases,
	fault_cases, read_cases, signal_cases, fdinfo_cases,
};

#define TABLES (sizeof(tables) / sizeof(*tables))

static struct {
	unsigned worlds;           /* IN(...) asked for */
	const char *label;         /* or NULL: all */
	bool is_list;
	const char *refusal[W_KINDS];
	int count[3];              /* by verdict */
} run = { .worlds = IN_ALL & ~IN(W_SHIM) };

struct job {
	const struct conform_case *c; /* NULL: only open and close */
	enum w_kind kind;
};

static void perform(void *arg)
{
	const struct job *job = arg;
	struct world w;

	w_open(&w, job->kind);
	if (job->c)
		job->c->run(&w);
	w_close(&w);
}

static void ask_refusals(void)
{
	struct t_report report;

	for (int kind = 0; kind < W_KINDS; kind++) {
		struct job job = { NULL, (enum w_kind)kind };

		if (!(run.worlds & IN(kind)))
			continue;
		if (t_run(perform, &job, CASE_SECONDS, &report) != T_SKIP)
			continue;
		run.refusal[kind] = strdup(report.text);
		printf("# %s: %s\n", w_name(job.kind), report.text);
	}
}

/* One cell. Returns: its text; the reason, if any, is in report. */
static const char *cell(const struct job *job, struct t_report *report)
{
	enum t_verdict verdict = T_SKIP;

	report->text[0] = '\0';
	if (!run.refusal[job->kind] && !known_reason(job->c->label, job->kind))
		verdict = t_run(perform, (void *)job, CASE_SECONDS, report);
	run.count[verdict]++;
	return verdict == T_PASS ? "ok" : verdict == T_FAIL ? "FAIL" : "-";
}

static void print_row(const struct conform_case *c)
{
	static struct t_report reports[W_KINDS];

	printf("%-5s %-48s", c->label, c->name);
	for (int kind = 0; kind < W_KINDS; kind++) {
		struct job job = { c, (enum w_kind)kind };

		reports[kind].text[0] = '\0';
		if (run.worlds & IN(kind))
			printf(" %-8s", cell(&job, &reports[kind]));
		fflush(stdout);
	}
	printf("\n");
	for (int kind = 0; kind < W_KINDS; kind++)
		if (reports[kind].text[0])
			printf("      # %s: %s\n",
			       w_name((enum w_kind)kind), reports[kind].text);
}

static bool is_wanted(const struct conform_case *c)
{
	return !run.label || !strcmp(run.label, c->label) ||
	       strstr(c->more, run.label) || strstr(c->name, run.label);
}

static void print_table(void)
{
	printf("%-5s %-48s", "row", "case");
	for (int kind = 0; kind < W_KINDS; kind++)
		if (run.worlds & IN(kind))
			printf(" %-8s", w_name((enum w_kind)kind));
	printf("\n");
	for (size_t i = 0; i < TABLES; i++)
		for (const struct conform_case *c = tables[i]; c->run; c++)
			if (is_wanted(c))
				print_row(c);
}

static void print_list(void)
{
	for (size_t i = 0; i < TABLES; i++)
		for (const struct conform_case *c = tables[i]; c->run; c++)
			printf("%s %s%s%s\n", c->label, c->name,
			       c->more[0] ? " also " : "", c->more);
}

static unsigned world_named(const char *name)
{
	for (int kind = 0; kind < W_KINDS; kind++)
		if (!strcmp(name, w_name((enum w_kind)kind)))
			return IN(kind);
	fprintf(stderr, "conform: no world named %s\n", name);
	exit(2);
}

static void parse(int argc, char **argv)
{
	unsigned worlds = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--list")) {
			run.is_list = true;
		} else if (!strcmp(argv[i], "--known")) {
			known_print();
			exit(0);
		} else if (!strcmp(argv[i], "--world") && i + 1 < argc) {
			worlds |= world_named(argv[++i]);
		} else if (!strcmp(argv[i], "--case") && i + 1 < argc) {
			run.label = argv[++i];
		} else {
			fprintf(stderr, "usage: conform [--world W] "
					"[--case LABEL] [--list] [--known]\n");
			exit(2);
		}
	}
	if (worlds)
		run.worlds = worlds;
}

/* The host world is chosen before the library looks at its environment. */
static void choose_host_world(char **argv)
{
	if (getenv("CONFORM_STARTED"))
		return;
	setenv("CONFORM_STARTED", "1", 1);
	setenv("POLYFAULT_WORLD", "host", 1);
	setenv("POLYFAULT_POLICY", "strict", 1);
	execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	if (run.is_list) {
		print_list();
		return 0;
	}
	choose_host_world(argv);
	ask_refusals();
	print_table();
	printf("conform: %d passed, %d failed, %d skipped\n",
	       run.count[T_PASS], run.count[T_FAIL], run.count[T_SKIP]);
	return run.count[T_FAIL] ? 1 : run.count[T_PASS] ? 0 : 77;
}
