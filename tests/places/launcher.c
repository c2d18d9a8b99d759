/* SPDX-License-Identifier: MIT */
/*
 * Starts a program in a broken environment.
 *
 *   launcher [--refuse CALL=ERRNO|kill]... [--limit as|nofile|data=N]
 *            [--fds-left N] -- PROGRAM ARGS...
 *
 * Refusals are seccomp filters, one for each; CALL is a name of the table
 * below. --fds-left opens descriptors until N numbers are free.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOFILE 64
#define ANY UINT32_MAX

static const struct call {
	const char *name;
	uint32_t number;
	uint32_t third; /* only with this third argument, or ANY */
} calls[] = {
	{ "memfd_create", SYS_memfd_create, ANY },
	{ "socketpair", SYS_socketpair, ANY },
	{ "guard_install", SYS_madvise, 102 },
	{ "pwrite64", SYS_pwrite64, ANY },
	{ "userfaultfd", SYS_userfaultfd, ANY },
	{ "membarrier", SYS_membarrier, ANY },
	{ NULL, 0, 0 },
};

/* What stands behind the first '=' of the option. */
static const char *value_of(const char *option)
{
	const char *value = strchr(option, '=');

	if (!value)
		errx(2, "%s: no value", option);
	return value + 1;
}

static const struct call *call_of(const char *option)
{
	size_t n = (size_t)(value_of(option) - option - 1);

	for (const struct call *c = calls; c->name; c++)
		if (strlen(c->name) == n && !strncmp(c->name, option, n))
			return c;
	errx(2, "%s: unknown call", option);
}

static void refuse(const char *option)
{
	const struct call *call = call_of(option);
	const char *how = value_of(option);
	uint32_t answer = !strcmp(how, "kill")
				  ? SECCOMP_RET_KILL_PROCESS
				  : SECCOMP_RET_ERRNO | (uint32_t)atoi(how);
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call->number, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call->third,
			 0, call->third != ANY),
		BPF_STMT(BPF_RET | BPF_K, answer),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { 6, program };

	if (call->third == ANY)
		program[3].jt = program[3].jf = 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		err(2, "seccomp");
}

static void limit(const char *option)
{
	rlim_t n = strtoull(value_of(option), NULL, 0);
	int which = !strncmp(option, "as=", 3)	 ? RLIMIT_AS
		    : !strncmp(option, "data=", 5) ? RLIMIT_DATA
						   : RLIMIT_NOFILE;

	if (setrlimit(which, &(struct rlimit){ n, n }))
		err(2, "%s", option);
}

static void leave_fds(int n)
{
	int fds[NOFILE], count = 0, fd;

	if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){ NOFILE, NOFILE }))
		err(2, "RLIMIT_NOFILE");
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		fds[count++] = fd;
	if (count < n)
		errx(2, "only %d descriptors to leave", count);
	while (n-- > 0)
		close(fds[--count]);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i + 1 < argc && strcmp(argv[i], "--"); i += 2) {
		if (!strcmp(argv[i], "--refuse"))
			refuse(argv[i + 1]);
		else if (!strcmp(argv[i], "--limit"))
			limit(argv[i + 1]);
		else if (!strcmp(argv[i], "--fds-left"))
			leave_fds(atoi(argv[i + 1]));
		else
			errx(2, "unknown option %s", argv[i]);
	}
	if (i + 1 >= argc)
		errx(2, "no program");
	execvp(argv[i + 1], argv + i + 1);
	err(2, "%s", argv[i + 1]);
}
