/* SPDX-License-Identifier: MIT */
/*
 * Programs that this one starts are served too: what a cleaned environment
 * lacks is put back. The arrays live on the stack, for the caller may be
 * between vfork and exec, where memory that is taken is lost to the parent.
 */
#include "calls.h"
#include "childenv.h"

#include <stdarg.h>

/* One way to become or to start another program. */
struct exec_call {
	/* The call itself. Returns: what it returns; errno is its own. */
	int (*run)(const struct exec_call *call, char *const *env);
	const char *path;     /* [I] */
	char *const *argv;    /* [I] */
	char *const *env;     /* [I] */
	int fd, flags;        /* [I] */
	void *more;           /* [I] */
};

static int run_exec(const struct exec_call *call)
{
	struct childenv_size size;

	shim_flush_stats();
	if (!childenv_is_incomplete(call->env, &size))
		return call->run(call, call->env);

	char *env[size.entries];
	char text[size.bytes];

	childenv_build(call->env, env, text);
	return call->run(call, env);
}

static int run_execve(const struct exec_call *call, char *const *env)
{
	return next()->execve(call->path, call->argv, env);
}

static int run_execvpe(const struct exec_call *call, char *const *env)
{
	return next()->execvpe(call->path, call->argv, env);
}

static int run_execveat(const struct exec_call *call, char *const *env)
{
	return next()->execveat(call->fd, call->path, call->argv, env,
				call->flags);
}

static int run_fexecve(const struct exec_call *call, char *const *env)
{
	return next()->fexecve(call->fd, call->argv, env);
}

SHIM int execve(const char *path, char *const argv[], char *const env[])
{
	const struct exec_call call = { .run = run_execve, .path = path,
					.argv = argv, .env = env };

	return run_exec(&call);
}

SHIM int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

SHIM int execvpe(const char *file, char *const argv[], char *const env[])
{
	const struct exec_call call = { .run = run_execvpe, .path = file,
					.argv = argv, .env = env };

	return run_exec(&call);
}

SHIM int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

SHIM int execveat(int dir, const char *path, char *const argv[],
		  char *const env[], int flags)
{
	const struct exec_call call = { .run = run_execveat, .path = path,
					.argv = argv, .env = env, .fd = dir,
					.flags = flags };

	return run_exec(&call);
}

SHIM int fexecve(int fd, char *const argv[], char *const env[])
{
	const struct exec_call call = { .run = run_fexecve, .argv = argv,
					.env = env, .fd = fd };

	return run_exec(&call);
}

/* Entries of an argv whose first is `first`, the final NULL included. */
static size_t count_args(const char *first, va_list args)
{
	size_t n = 1;

	while (first) {
		n++;
		first = va_arg(args, char *);
	}
	return n;
}

/* argv from a call that spells its arguments out; `args` is past them. */
static void take_args(char **argv, const char *first, va_list *args)
{
	while ((*argv++ = (char *)(uintptr_t)first) != NULL)
		first = va_arg(*args, char *);
}

/* libc's headers promise a first argument; programs do not. */
#define COUNT_ARGS(first, n)                                                \
	do {                                                                \
		va_list args_;                                              \
		va_start(args_, first);                                     \
		n = count_args(shim_address(first), args_);                 \
		va_end(args_);                                              \
	} while (0)

SHIM int execl(const char *path, const char *first, ...)
{
	va_list args;
	size_t n;

	COUNT_ARGS(first, n);
	char *argv[n];

	va_start(args, first);
	take_args(argv, shim_address(first), &args);
	va_end(args);
	return execv(path, argv);
}

SHIM int execlp(const char *file, const char *first, ...)
{
	va_list args;
	size_t n;

	COUNT_ARGS(first, n);
	char *argv[n];

	va_start(args, first);
	take_args(argv, shim_address(first), &args);
	va_end(args);
	return execvp(file, argv);
}

SHIM int execle(const char *path, const char *first, ...)
{
	char *const *env;
	va_list args;
	size_t n;

	COUNT_ARGS(first, n);
	char *argv[n];

	va_start(args, first);
	take_args(argv, shim_address(first), &args);
	env = va_arg(args, char *const *);
	va_end(args);
	return execve(path, argv, env);
}

struct spawn {
	pid_t *pid;                                 /* [I] */
	const posix_spawn_file_actions_t *actions;  /* [I] */
	const posix_spawnattr_t *attr;              /* [I] */
};

static int run_spawn(const struct exec_call *call, char *const *env)
{
	const struct spawn *spawn = call->more;

	return next()->posix_spawn(spawn->pid, call->path, spawn->actions,
				   spawn->attr, call->argv, env);
}

static int run_spawnp(const struct exec_call *call, char *const *env)
{
	const struct spawn *spawn = call->more;

	return next()->posix_spawnp(spawn->pid, call->path, spawn->actions,
				    spawn->attr, call->argv, env);
}

SHIM int posix_spawn(pid_t *pid, const char *path,
		     const posix_spawn_file_actions_t *actions,
		     const posix_spawnattr_t *attr, char *const argv[],
		     char *const env[])
{
	struct spawn spawn = { pid, actions, attr };
	const struct exec_call call = { .run = run_spawn, .path = path,
					.argv = argv, .env = env,
					.more = &spawn };

	return run_exec(&call);
}

SHIM int posix_spawnp(pid_t *pid, const char *file,
		      const posix_spawn_file_actions_t *actions,
		      const posix_spawnattr_t *attr, char *const argv[],
		      char *const env[])
{
	struct spawn spawn = { pid, actions, attr };
	const struct exec_call call = { .run = run_spawnp, .path = file,
					.argv = argv, .env = env,
					.more = &spawn };

	return run_exec(&call);
}
