/* SPDX-License-Identifier: MIT */
/* Common parts of the programs, and their main(). */
#include "prog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic int checks;

void check(bool holds, const char *text, const char *file, int line)
{
	char out[300];
	int n;

	checks++;
	if (holds)
		return;
	n = snprintf(out, sizeof(out), "FAILED %s:%d: %s (errno %d)\n", file,
		     line, text, errno);
	if (write(STDOUT_FILENO, out, (size_t)n) < 0)
		_exit(2);
	_exit(1);
}

void result(const char *format, ...)
{
	va_list args;

	printf("result: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

int open_uffd(int flags, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = (int)syscall(SYS_userfaultfd, flags);

	if (fd == -1) {
		printf("refused: userfaultfd: %s\n", strerror(errno));
		exit(77);
	}
	if (ioctl(fd, UFFDIO_API, &api)) {
		printf("refused: features %#llx: %s\n",
		       (unsigned long long)features, strerror(errno));
		exit(77);
	}
	return fd;
}

char *map_pages(size_t pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

void watch(int fd, void *at, size_t pages)
{
	struct uffdio_register reg = {
		.range = { (uint64_t)(uintptr_t)at, pages * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	CHECK(ioctl(fd, UFFDIO_REGISTER, &reg) == 0);
	CHECK((reg.ioctls & 0x1c) == 0x1c);
}

void unwatch(int fd, void *at, size_t pages)
{
	struct uffdio_range range = { (uint64_t)(uintptr_t)at, pages * PAGE };

	CHECK(ioctl(fd, UFFDIO_UNREGISTER, &range) == 0);
}

int copy_page(int fd, void *at, const void *from)
{
	struct uffdio_copy copy = {
		.dst = (uint64_t)(uintptr_t)at,
		.src = (uint64_t)(uintptr_t)from,
		.len = PAGE,
	};

	return ioctl(fd, UFFDIO_COPY, &copy);
}

int zero_page(int fd, void *at)
{
	struct uffdio_zeropage zero = {
		.range = { (uint64_t)(uintptr_t)at, PAGE },
	};

	return ioctl(fd, UFFDIO_ZEROPAGE, &zero);
}

int wake_page(int fd, void *at)
{
	struct uffdio_range range = { (uint64_t)(uintptr_t)at, PAGE };

	return ioctl(fd, UFFDIO_WAKE, &range);
}

static uint64_t word_of(const void *at, size_t i)
{
	uint64_t n = (uint64_t)(uintptr_t)at / PAGE * 512 + i;

	return n * 0x9e3779b97f4a7c15ull + 1;
}

void make_page(void *at, void *page)
{
	uint64_t *words = page;

	at = (void *)((uintptr_t)at & ~(PAGE - 1));
	for (size_t i = 0; i < PAGE / 8; i++)
		words[i] = word_of(at, i);
}

bool is_made(const void *at)
{
	const volatile uint64_t *words = at;

	for (size_t i = 0; i < PAGE / 8; i++)
		if (words[i] != word_of(at, i))
			return false;
	return true;
}

static void answer(struct handler *handler, const struct uffd_msg *msg,
		   void *page)
{
	void *at = (void *)(uintptr_t)(msg->arg.pagefault.address &
				       ~(PAGE - 1));

	CHECK(msg->event == UFFD_EVENT_PAGEFAULT);
	handler->messages++;
	handler->writes += (msg->arg.pagefault.flags &
			    UFFD_PAGEFAULT_FLAG_WRITE) != 0;
	make_page(at, page);
	if (copy_page(handler->fd, at, page) == 0) {
		handler->filled++;
		return;
	}
	/* Another message for the same page came first: its waiters wake. */
	CHECK(errno == EEXIST || errno == ENOENT);
	CHECK(wake_page(handler->fd, at) == 0);
}

static void *handler_main(void *arg)
{
	static _Thread_local uint64_t page[PAGE / 8];
	struct handler *handler = arg;
	struct uffd_msg msgs[8];

	for (;;) {
		struct pollfd polled[2] = {
			{ handler->fd, POLLIN, 0 },
			{ handler->stop[0], POLLIN, 0 },
		};
		ssize_t n;

		CHECK(poll(polled, 2, -1) > 0);
		if (polled[1].revents)
			return NULL;
		n = read(handler->fd, msgs, sizeof(msgs));
		if (n == -1 && errno == EAGAIN)
			continue;
		CHECK(n >= 32 && n % 32 == 0);
		for (ssize_t i = 0; i < n / 32; i++)
			answer(handler, &msgs[i], page);
	}
}

void start_handler(struct handler *handler, int fd)
{
	handler->fd = fd;
	CHECK(pipe(handler->stop) == 0);
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	handler->thread = run(handler_main, handler);
}

void stop_handler(struct handler *handler)
{
	CHECK(write(handler->stop[1], "x", 1) == 1);
	CHECK(pthread_join(handler->thread, NULL) == 0);
	close(handler->stop[0]);
	close(handler->stop[1]);
}

bool next_message(int fd, struct uffd_msg *msg, int timeout_ms)
{
	struct pollfd polled = { fd, POLLIN, 0 };

	if (poll(&polled, 1, timeout_ms) <= 0)
		return false;
	CHECK(polled.revents == POLLIN);
	CHECK(read(fd, msg, sizeof(*msg)) == sizeof(*msg));
	return true;
}

pthread_t run(void *(*call)(void *), void *arg)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, call, arg) == 0);
	return thread;
}

void nap_ms(int ms)
{
	struct timespec nap = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&nap, &nap) == -1 && errno == EINTR)
		;
}

void read_counts(int fd, int *pending, int *total)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	CHECK(file != NULL);
	*pending = *total = -1;
	while (fgets(path, sizeof(path), file)) {
		sscanf(path, "pending:\t%d", pending);
		sscanf(path, "total:\t%d", total);
	}
	fclose(file);
	CHECK(*pending >= 0 && *total >= *pending);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	for (const struct scene *s = scenes; s->name; s++) {
		if (!strcmp(argv[1], "--list")) {
			puts(s->name);
		} else if (!strcmp(argv[1], s->name)) {
			s->play();
			printf("verified %d\n", checks);
			return 0;
		}
	}
	return strcmp(argv[1], "--list") ? 2 : 0;
}
