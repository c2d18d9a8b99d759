/* SPDX-License-Identifier: MIT */
/* One missing page, supplied by another thread the moment it is touched. */
#include <polyfault/userfaultfd.h>

#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#define PAGE 4096
#define DO(call) ((call) < 0 ? err(1, "%s", #call) : (void)0)

static _Alignas(PAGE) char page[PAGE] = "hello, fault";
static int fd;

static void *serve(void *unused)
{
	struct pf_uffdio_copy copy = { .src = (uint64_t)page, .len = PAGE };
	struct pf_uffd_msg msg;

	DO(pf_read(fd, &msg, sizeof(msg)));
	copy.dst = msg.arg.pagefault.address & ~(PAGE - 1ull);
	DO(pf_ioctl(fd, PF_UFFDIO_COPY, &copy)); /* fills it and wakes */
	return unused;
}

int main(int argc, char **argv)
{
	struct pf_uffdio_api api = { .api = PF_UFFD_API };
	char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct pf_uffdio_register watched = {
		.range = { (uint64_t)memory, PAGE },
		.mode = PF_UFFDIO_REGISTER_MODE_MISSING,
	};
	pthread_t server;
	char first;

	if (argc > 1)
		return printf("usage: %s (POLYFAULT_WORLD=auto|kernel|host "
			      "chooses who answers)\n", argv[0]) < 0;
	DO(fd = pf_userfaultfd(0));
	DO(pf_ioctl(fd, PF_UFFDIO_API, &api));
	DO(pf_ioctl(fd, PF_UFFDIO_REGISTER, &watched));
	DO(-pthread_create(&server, NULL, serve, NULL));

	first = *(volatile char *)memory; /* missing: waits for serve() */
	printf("%c... %s\n", first, memory);
	DO(-pthread_join(server, NULL));
	DO(pf_close(fd));
	return 0;
}
