/* SPDX-License-Identifier: MIT */
/*
 * System calls whose buffers lie in watched memory.
 *
 * An access by the kernel does not trap: it gives EFAULT. What the kernel is
 * to read is faulted in before, and the call repeated if a page has gone
 * again meanwhile; EFAULT has no side effect there. What the kernel is to
 * write goes through a buffer of ours, for a repeated call would lose data.
 */
#ifndef PRELOAD_BUFFER_H
#define PRELOAD_BUFFER_H

#include "shim.h"

/* How often a call is repeated while pages come and go. */
#define BUFFER_TRIES 1000

/* Whether a failed call is worth repeating after a fault-in. */
static inline bool buffer_must_repeat(ssize_t result, int *tries)
{
	return result == -1 && errno == EFAULT && (*tries)++ < BUFFER_TRIES;
}

/* `call` is made with [addr, addr+n) present, again if that changes. */
#define BUFFER_CALL(result, addr, n, is_write, call)                        \
	do {                                                                \
		int tries_ = 0;                                             \
		do {                                                        \
			if (pf_fault_in((addr), (n), (is_write)))           \
				return -1;                                  \
			result = (call);                                    \
		} while (buffer_must_repeat(result, &tries_));              \
	} while (0)

/* Whether one of the program's buffers is watched. Safe for bad pointers. */
bool buffer_iov_is_watched(const struct iovec *iov, int count);

/*
 * All the buffers are present, for the kernel to read.
 * Returns: 0; -1 and EFAULT.
 */
int buffer_iov_fault_in(const struct iovec *iov, int count, bool is_write);

/* A string that the kernel is to read is present. Returns: 0; -1, EFAULT. */
int buffer_fault_in_string(const char *text);

/* One system call that writes into the program's buffers. */
struct buffer_in {
	const struct iovec *iov; /* [I] where the bytes shall go */
	int count;               /* [I] */
	/* The call itself, into `buf`. Returns: bytes; -1 and errno. */
	ssize_t (*fetch)(struct buffer_in *in, void *buf, size_t n);
	int fd;            /* [I] for fetch, as the rest */
	int flags;         /* [I] */
	off_t offset;      /* [I] */
	void *more;        /* [I] */
	size_t fetched;    /* out: bytes that the call gave */
};

/*
 * The call is made into a buffer of ours, and what came is copied to the
 * program, waiting for userfaults like the kernel would.
 *
 * Context: may sleep; a cancellation point if fetch is one.
 * Returns: bytes that arrived; -1 and errno. Where fewer arrived than
 *          were fetched, the memory is bad or refuses.
 * Spec:    L24b, L25, L51.
 */
ssize_t buffer_in_run(struct buffer_in *in);

/* The same for one plain buffer. */
ssize_t buffer_in_plain(struct buffer_in *in, void *buf, size_t n);

#endif /* PRELOAD_BUFFER_H */
