/* SPDX-License-Identifier: MIT */
/*
 * What the programs of this directory share.
 *
 * They are ordinary users of userfaultfd: the kernel's header, libc's
 * functions, nothing of this project. Each program is a table of scenes; a
 * scene checks contents and counts and prints what must be the same wherever
 * it runs. `prog --list` names the scenes, `prog SCENE` plays one.
 */
#ifndef PRELOAD_PROG_H
#define PRELOAD_PROG_H

#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE 4096ul

struct scene {
	const char *name;
	void (*play)(void);
};

/* The fact holds, or the program ends with its text and place. */
#define CHECK(fact) check((fact) != 0, #fact, __FILE__, __LINE__)
void check(bool holds, const char *text, const char *file, int line);

/* A line that must be equal natively and under the shim. */
__attribute__((format(printf, 1, 2)))
void result(const char *format, ...);

/* A new object with the handshake done; exits with 77 where refused. */
int open_uffd(int flags, uint64_t features);

/* Private anonymous memory, readable and writable. */
char *map_pages(size_t pages);
void watch(int fd, void *at, size_t pages);
void unwatch(int fd, void *at, size_t pages);

/* The fill commands on one page; the answer as of ioctl. */
int copy_page(int fd, void *at, const void *from);
int zero_page(int fd, void *at);
int wake_page(int fd, void *at);

/* The bytes that the handler below gives the page at `at`. */
void make_page(void *at, void *page);
/* The page at `at` holds just those. */
bool is_made(const void *at);

/* A thread that answers every fault on fd with make_page(). */
struct handler {
	int fd;
	int stop[2];
	pthread_t thread;
	_Atomic int messages;
	_Atomic int writes;     /* of the messages: for a write */
	_Atomic int filled;     /* COPY was successful */
};

void start_handler(struct handler *handler, int fd);
void stop_handler(struct handler *handler);

/* A message is there (or not, after a while): read it. */
bool next_message(int fd, struct uffd_msg *msg, int timeout_ms);

/* A thread that runs call(arg). */
pthread_t run(void *(*call)(void *), void *arg);
void nap_ms(int ms);

/* The numbers of /proc/self/fdinfo. */
void read_counts(int fd, int *pending, int *total);

/* The program's own table, ended by an empty scene. */
extern const struct scene scenes[];

#endif /* PRELOAD_PROG_H */
