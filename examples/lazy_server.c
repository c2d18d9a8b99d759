/* SPDX-License-Identifier: MIT */
/* The thread of 02-lazy-load that supplies what is missing. */
#include "lazy.h"

#include <polyfault/userfaultfd.h>

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void wake(const struct lazy *lazy, uint64_t start)
{
	struct pf_uffdio_range range = { start, lazy->chunk };

	if (pf_ioctl(lazy->uffd, PF_UFFDIO_WAKE, &range))
		err(1, "cannot wake");
}

static void serve_fault(struct lazy *lazy, char *buffer, uint64_t address)
{
	uint64_t base = (uint64_t)lazy->memory;
	uint64_t offset = (address - base) / lazy->chunk * lazy->chunk;
	struct pf_uffdio_copy copy = { .dst = base + offset,
				       .src = (uint64_t)buffer,
				       .len = lazy->chunk };

	lazy->faults++;
	if (pread(lazy->file, buffer, lazy->chunk, (off_t)offset) !=
	    (ssize_t)lazy->chunk)
		err(1, "cannot read the file");
	if (pf_ioctl(lazy->uffd, PF_UFFDIO_COPY, &copy) == 0) {
		lazy->fills++;
		lazy->bytes += lazy->chunk;
	} else if (errno == EEXIST) {
		wake(lazy, base + offset); /* it is there: go on */
	} else {
		err(1, "cannot fill %zu bytes", lazy->chunk);
	}
}

void *lazy_serve(void *arg)
{
	struct lazy *lazy = arg;
	struct pollfd fds[2] = { { .fd = lazy->uffd, .events = POLLIN },
				 { .fd = lazy->stop[0], .events = POLLIN } };
	char *buffer = aligned_alloc(4096, lazy->chunk);
	struct pf_uffd_msg msg;

	if (!buffer)
		err(1, "no memory for a chunk");
	for (;;) {
		if (pf_poll(fds, 2, -1) < 0 && errno != EINTR)
			err(1, "cannot poll");
		if (fds[1].revents)
			break;
		if (pf_read(lazy->uffd, &msg, sizeof(msg)) == sizeof(msg))
			serve_fault(lazy, buffer, msg.arg.pagefault.address);
		else if (errno != EAGAIN)
			err(1, "cannot read a message");
		lazy_show_progress(lazy);
	}
	free(buffer);
	return NULL;
}
