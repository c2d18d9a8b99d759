/* SPDX-License-Identifier: MIT */
/*
 * An address space in software: no signals, no privilege, no memory of this
 * process is touched. One thread is the guest that runs in it, another
 * supplies its pages.
 */
#include <polyfault/embed.h>

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096ull
#define PAGES 16ull
#define DO(call) do_or_end((call), #call)

static struct pf_uffd *uffd;
static atomic_bool is_over;

/* The embedded interface answers -errno, and leaves errno alone. */
static int64_t do_or_end(int64_t answer, const char *call)
{
	if (answer < 0) {
		errno = (int)-answer;
		err(1, "%s", call);
	}
	return answer;
}

/* Page n is full of the letter n. */
static void *serve(void *unused)
{
	char page[PAGE];
	struct pf_uffd_msg msg;

	while (!is_over) {
		int n = pf_uffd_read(uffd, &msg, 1, 50);
		uint64_t at;

		if (n == -EAGAIN)
			continue;
		DO(n);
		at = msg.arg.pagefault.address & ~(PAGE - 1);
		memset(page, 'a' + (int)(at / PAGE % 26), sizeof(page));
		printf("missing: %#llx, %s\n", (unsigned long long)at,
		       msg.arg.pagefault.flags & PF_UFFD_PAGEFAULT_FLAG_WRITE ?
			       "to be written" : "to be read");
		DO(pf_uffd_copy_from(uffd, at, page, PAGE, 0));
	}
	return unused;
}

/* Reads the first byte of each page, and writes into every other one. */
static void run_guest(struct pf_space *space, uint64_t base)
{
	char text[PAGES + 1] = "";
	struct pf_cpu *cpu;

	DO(pf_cpu_create(space, &cpu));
	for (uint64_t i = 0; i < PAGES; i++) {
		uint64_t at = base + i * PAGE;

		if (i % 2)
			DO(pf_store(cpu, at + 1, "!", 1, NULL));
		DO(pf_load(cpu, at, &text[i], 1, NULL));
	}
	printf("the guest has read: %s\n", text);
	pf_cpu_destroy(cpu);
}

static uint64_t watch_memory(struct pf_space *space)
{
	struct pf_uffdio_api api = { .api = PF_UFFD_API };
	struct pf_uffdio_register watched = {
		.range.len = PAGES * PAGE,
		.mode = PF_UFFDIO_REGISTER_MODE_MISSING,
	};

	watched.range.start = (uint64_t)DO(pf_space_map(
		space, 0, PAGES * PAGE, PROT_READ | PROT_WRITE, 0));
	DO(pf_uffd_create(space, 0, &uffd));
	DO(pf_uffd_ioctl(uffd, PF_UFFDIO_API, &api));
	DO(pf_uffd_ioctl(uffd, PF_UFFDIO_REGISTER, &watched));
	return watched.range.start;
}

int main(int argc, char **argv)
{
	struct pf_space_counts counts;
	struct pf_space *space;
	pthread_t server;
	uint64_t base;

	if (argc > 1)
		return printf("usage: %s (no arguments)\n", argv[0]) < 0;
	DO(pf_space_create(NULL, &space));
	base = watch_memory(space);
	DO(-pthread_create(&server, NULL, serve, NULL));
	run_guest(space, base);

	is_over = true;
	DO(-pthread_join(server, NULL));
	pf_space_read_counts(space, &counts);
	printf("%llu pages are there, %llu frames in use\n",
	       (unsigned long long)counts.anon_pages,
	       (unsigned long long)counts.frames);
	pf_space_check(space);
	pf_uffd_close(uffd);
	pf_space_destroy(space);
	return 0;
}
