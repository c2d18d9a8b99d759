/* SPDX-License-Identifier: MIT */
/* Watched memory that the program maps, moves, protects, drops. */
#include "prog.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 32
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

static char *area;
static struct handler handler;
static int uffd;

static void set_up(void)
{
	uffd = open_uffd(O_CLOEXEC, 0);
	area = map_pages(PAGES);
	watch(uffd, area, PAGES);
	start_handler(&handler, uffd);
}

static void tear_down(void)
{
	stop_handler(&handler);
	result("messages %d filled %d", handler.messages, handler.filled);
}

static bool is_zero(const char *at)
{
	for (size_t i = 0; i < PAGE; i++)
		if (at[i])
			return false;
	return true;
}

static sigjmp_buf back;

static void on_segv(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

/* Whether the access ends in SIGSEGV. */
static bool dies(volatile char *at, bool is_write)
{
	struct sigaction action = { .sa_handler = on_segv };

	CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
	if (sigsetjmp(back, 1))
		return true;
	if (is_write)
		*at = 1;
	else
		(void)*at;
	return false;
}

/* What is mapped where watched memory was is not watched. */
static void unmapped_range_is_forgotten(void)
{
	char *again;

	set_up();
	CHECK(is_made(area + 4 * PAGE));
	CHECK(munmap(area + 4 * PAGE, 4 * PAGE) == 0);
	CHECK(dies(area + 4 * PAGE, false));
	CHECK(copy_page(uffd, area + 4 * PAGE, area) == -1 &&
	      errno == ENOENT);
	again = mmap(area + 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(again == area + 4 * PAGE);
	for (size_t i = 0; i < 4; i++)
		CHECK(is_zero(again + i * PAGE));
	CHECK(is_made(area + 3 * PAGE));
	CHECK(is_made(area + 8 * PAGE));
	tear_down();
}

static void mapping_over_a_watched_range(void)
{
	int fd = memfd_create("over", MFD_CLOEXEC);
	char *over;

	set_up();
	CHECK(is_made(area));
	CHECK(ftruncate(fd, 2 * PAGE) == 0);
	CHECK(pwrite(fd, "file", 4, 0) == 4);
	over = mmap(area + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, 0);
	CHECK(over == area + PAGE);
	CHECK(memcmp(over, "file", 4) == 0);
	over[PAGE] = 'x';
	over = mmap(area + 3 * PAGE, PAGE, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(is_zero(over));
	CHECK(is_made(area + 4 * PAGE));
	close(fd);
	tear_down();
}

static void *touch(void *at)
{
	return (void *)(uintptr_t)*(volatile unsigned char *)at;
}

/* A thread waits in a range that is mapped anew: it sees the new memory. */
static void mapping_over_a_waiting_thread(void)
{
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0);
	struct uffd_msg msg;
	pthread_t thread;
	void *seen;

	area = map_pages(2);
	watch(fd, area, 2);
	thread = run(touch, area);
	CHECK(next_message(fd, &msg, 5000));
	CHECK(mmap(area, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area);
	area[0] = 77;
	CHECK(wake_page(fd, area) == 0);
	CHECK(pthread_join(thread, &seen) == 0);
	CHECK(seen == (void *)77);
	result("seen 77");
}

static void protection_is_obeyed(void)
{
	set_up();
	CHECK(is_made(area));
	CHECK(mprotect(area, 2 * PAGE, PROT_NONE) == 0);
	CHECK(dies(area, false) && dies(area + PAGE, false));
	CHECK(mprotect(area, 2 * PAGE, PROT_READ) == 0);
	CHECK(is_made(area) && dies(area, true));
	CHECK(dies(area + PAGE, true));
	CHECK(is_made(area + PAGE) && dies(area + PAGE, true));
	CHECK(mprotect(area, 3 * PAGE, PROT_READ | PROT_WRITE) == 0);
	CHECK(is_made(area) && is_made(area + PAGE));
	CHECK(!dies(area, true) && !dies(area + PAGE, true));
	CHECK(area[0] == 1 && area[PAGE] == 1);
	CHECK(is_made(area + 2 * PAGE));
	tear_down();
}

/* A page filled while it is PROT_NONE or PROT_READ. */
static void protected_pages_can_be_filled(void)
{
	uint64_t page[PAGE / 8];

	set_up();
	CHECK(mprotect(area, 2 * PAGE, PROT_NONE) == 0);
	make_page(area, page);
	CHECK(copy_page(uffd, area, page) == 0);
	CHECK(copy_page(uffd, area, page) == -1 && errno == EEXIST);
	CHECK(zero_page(uffd, area + PAGE) == 0);
	CHECK(mprotect(area, 2 * PAGE, PROT_READ) == 0);
	CHECK(is_made(area) && is_zero(area + PAGE));
	CHECK(dies(area, true) && dies(area + PAGE, true));
	CHECK(mprotect(area, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	area[PAGE] = 5;
	CHECK(area[PAGE] == 5 && area[PAGE + 1] == 0);
	tear_down();
}

static void dropped_pages_are_missing_again(void)
{
	set_up();
	for (int round = 0; round < 5; round++) {
		for (size_t i = 0; i < PAGES; i++) {
			CHECK(is_made(area + i * PAGE));
			area[i * PAGE] ^= 0x55;
		}
		CHECK(madvise(area, PAGES * PAGE, MADV_DONTNEED) == 0);
	}
	CHECK(is_made(area));
	tear_down();
}

/* Advice that changes nothing that can be seen. */
static void harmless_advice(void)
{
	set_up();
	CHECK(is_made(area));
	CHECK(madvise(area, PAGES * PAGE, MADV_WILLNEED) == 0);
	CHECK(madvise(area, PAGES * PAGE, MADV_SEQUENTIAL) == 0);
	CHECK(madvise(area, PAGES * PAGE, MADV_DONTDUMP) == 0);
	CHECK(madvise(area + 1, PAGE, MADV_NORMAL) == -1 && errno == EINVAL);
	CHECK(is_made(area) && is_made(area + PAGE));
	tear_down();
}

/* Locked too: the pages go, and are missing. */
static void dropped_though_locked(void)
{
	set_up();
	CHECK(is_made(area));
	area[0] ^= 0x55;
	CHECK(madvise(area, 2 * PAGE, MADV_DONTNEED_LOCKED) == 0);
	CHECK(is_made(area) && is_made(area + PAGE));
	CHECK(mlock(area, 2 * PAGE) == 0);
	area[0] ^= 0x55;
	CHECK(madvise(area, PAGES * PAGE, MADV_DONTNEED) == -1 &&
	      errno == EINVAL);
	CHECK(madvise(area, PAGE, MADV_FREE) == -1 && errno == EINVAL);
	CHECK(!is_made(area));
	CHECK(madvise(area, 2 * PAGE, MADV_DONTNEED_LOCKED) == 0);
	CHECK(is_made(area) && is_made(area + PAGE));
	tear_down();
}

/* Locking asks for what is missing, for a write; it can be emptied again. */
static void locked_pages_are_asked_for(void)
{
	set_up();
	CHECK(mlock(area, 4 * PAGE) == 0);
	CHECK(handler.messages == 4 && handler.writes == 4);
	CHECK(mprotect(area + 4 * PAGE, PAGE, PROT_READ) == 0);
	CHECK(mlock2(area + 4 * PAGE, PAGE, 0) == 0);
	CHECK(handler.messages == 5 && handler.writes == 4);
	for (size_t i = 0; i < 5; i++)
		CHECK(is_made(area + i * PAGE));
	CHECK(munlock(area, 5 * PAGE) == 0);
	CHECK(madvise(area, PAGE, MADV_DONTNEED) == 0);
	CHECK(is_made(area));
	tear_down();
}

/* Memory that is locked with its pages, and then watched. */
static void locked_range_can_be_watched(void)
{
	char *p = map_pages(4);

	uffd = open_uffd(O_CLOEXEC, 0);
	p[0] = 7;
	CHECK(mlock(p, 4 * PAGE) == 0);
	watch(uffd, p, 4);
	start_handler(&handler, uffd);
	CHECK(p[0] == 7 && is_zero(p + PAGE));
	CHECK(madvise(p, PAGE, MADV_DONTNEED) == -1 && errno == EINVAL);
	CHECK(p[0] == 7);
	tear_down();
}

/* Nothing that lies between two watched ranges is treated as watched. */
static void between_watched_ranges(void)
{
	set_up();
	unwatch(uffd, area + 4 * PAGE, 4);
	area[5 * PAGE] = 1;
	CHECK(madvise(area + 4 * PAGE, 4 * PAGE, MADV_PAGEOUT) == 0 ||
	      errno == EINVAL);
	CHECK(madvise(area + 2 * PAGE, 8 * PAGE, MADV_DONTNEED) == 0);
	CHECK(is_zero(area + 5 * PAGE));
	CHECK(is_made(area + 3 * PAGE) && is_made(area + 8 * PAGE));
	area[5 * PAGE] = 1;
	CHECK(madvise(area + 2 * PAGE, 8 * PAGE, MADV_GUARD_INSTALL) == 0);
	CHECK(dies(area + 3 * PAGE, false) && dies(area + 5 * PAGE, false));
	CHECK(madvise(area + 2 * PAGE, 8 * PAGE, MADV_GUARD_REMOVE) == 0);
	CHECK(is_zero(area + 5 * PAGE));
	CHECK(is_made(area + 3 * PAGE));
	tear_down();
}

/* Guards that were there before stay guards, until they are filled. */
static void own_guards_are_kept(void)
{
	uint64_t page[PAGE / 8];
	char *p = map_pages(8);

	uffd = open_uffd(O_CLOEXEC, 0);
	if (madvise(p + 2 * PAGE, 3 * PAGE, MADV_GUARD_INSTALL))
		_exit(77);
	watch(uffd, p, 8);
	start_handler(&handler, uffd);
	CHECK(is_made(p + PAGE) && is_made(p + 5 * PAGE));
	CHECK(dies(p + 2 * PAGE, false) && dies(p + 4 * PAGE, true));
	make_page(p + 3 * PAGE, page);
	CHECK(copy_page(uffd, p + 3 * PAGE, page) == 0);
	CHECK(is_made(p + 3 * PAGE));
	unwatch(uffd, p, 8);
	CHECK(is_made(p + PAGE) && is_made(p + 3 * PAGE));
	CHECK(is_zero(p) && is_zero(p + 7 * PAGE));
	CHECK(dies(p + 2 * PAGE, false) && dies(p + 4 * PAGE, false));
	CHECK(madvise(p, 8 * PAGE, MADV_GUARD_REMOVE) == 0);
	CHECK(is_zero(p + 2 * PAGE) && is_made(p + PAGE));
	tear_down();
}

/* A call that is refused leaves everything watched. */
static void refused_calls_change_nothing(void)
{
	set_up();
	CHECK(is_made(area));
	CHECK(munmap(area + 1, PAGE) == -1 && errno == EINVAL);
	CHECK(mmap(area, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, -1, 0) ==
	      MAP_FAILED && errno == EBADF);
	CHECK(mmap(area + 1, PAGE, PROT_READ,
		   MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, -1, 0) ==
	      MAP_FAILED && errno == EINVAL);
	CHECK(mremap(area, 4 * PAGE, 4 * PAGE, MREMAP_FIXED, area + PAGE) ==
	      MAP_FAILED && errno == EINVAL);
	CHECK(mremap(area, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     area + PAGE) == MAP_FAILED && errno == EINVAL);
	CHECK(mremap(area, 4 * PAGE, 1ul << 46, MREMAP_MAYMOVE) ==
	      MAP_FAILED && errno == ENOMEM);
	CHECK(madvise(area, PAGE, MADV_REMOVE) == -1 && errno == EINVAL);
	CHECK(is_made(area) && is_made(area + PAGE));
	CHECK(copy_page(uffd, area + PAGE, area) == -1 && errno == EEXIST);
	tear_down();
	result("filled %d", handler.filled);
}

/* The old place stays mapped, empty. */
static void moved_and_kept(void)
{
	uint64_t want[PAGE / 8];
	char *moved;

	set_up();
	CHECK(is_made(area));
	make_page(area, want);
	moved = mremap(area, 4 * PAGE, 4 * PAGE,
		       MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	CHECK(moved != MAP_FAILED && moved != area);
	CHECK(memcmp(moved, want, PAGE) == 0 && is_zero(moved + PAGE));
	CHECK(is_made(area));
	tear_down();
}

/* A mapping that grows where it is stays watched in its new part. */
static void grown_range_is_watched(void)
{
	char *p = map_pages(16);

	CHECK(munmap(p + 8 * PAGE, 8 * PAGE) == 0);
	uffd = open_uffd(O_CLOEXEC, 0);
	watch(uffd, p, 8);
	start_handler(&handler, uffd);
	CHECK(is_made(p + PAGE));
	CHECK(mremap(p, 8 * PAGE, 12 * PAGE, 0) == p);
	CHECK(is_made(p + 9 * PAGE) && is_made(p + 2 * PAGE));
	tear_down();
}

/* Registering a lot of address space costs what is in it. */
static void large_range_is_registered(void)
{
	const size_t pages = (4ul << 30) / PAGE;
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(p != MAP_FAILED);
	p[pages / 2 * PAGE] = 5;
	uffd = open_uffd(O_CLOEXEC, 0);
	watch(uffd, p, pages);
	start_handler(&handler, uffd);
	CHECK(p[pages / 2 * PAGE] == 5);
	CHECK(is_made(p) && is_made(p + (pages - 1) * PAGE));
	tear_down();
}

/* Content moves; the new place is not watched (no EVENT_REMAP). */
static void moved_range_is_not_watched(void)
{
	uint64_t want[PAGE / 8];
	char *moved, *target;

	set_up();
	CHECK(is_made(area));
	make_page(area, want);
	target = map_pages(4);
	moved = mremap(area, 4 * PAGE, 4 * PAGE,
		       MREMAP_MAYMOVE | MREMAP_FIXED, target);
	CHECK(moved == target);
	CHECK(memcmp(moved, want, PAGE) == 0);
	CHECK(is_zero(moved + PAGE) && is_zero(moved + 3 * PAGE));
	CHECK(is_made(area + 4 * PAGE));
	CHECK(dies(area, false));
	tear_down();
}

static void shrunk_range_keeps_its_head(void)
{
	set_up();
	CHECK(is_made(area + PAGE));
	CHECK(mremap(area, PAGES * PAGE, 4 * PAGE, 0) == area);
	CHECK(dies(area + 4 * PAGE, false));
	CHECK(is_made(area + PAGE) && is_made(area + 3 * PAGE));
	tear_down();
}

/* Registered, let go, registered again; content stays. */
static void unregistered_range_is_plain(void)
{
	set_up();
	CHECK(is_made(area));
	unwatch(uffd, area, PAGES);
	CHECK(is_zero(area + PAGE));
	CHECK(is_made(area));
	watch(uffd, area, PAGES);
	CHECK(is_made(area) && is_zero(area + PAGE));
	CHECK(is_made(area + 2 * PAGE));
	unwatch(uffd, area + 2 * PAGE, 2);
	CHECK(is_made(area + 2 * PAGE) && is_zero(area + 3 * PAGE));
	tear_down();
}

/* The whole life of many ranges, one after the other. */
static void ranges_come_and_go(void)
{
	uffd = open_uffd(O_CLOEXEC, 0);
	start_handler(&handler, uffd);
	for (int i = 0; i < 100; i++) {
		char *p = map_pages(8);

		watch(uffd, p, 8);
		CHECK(is_made(p + (i % 8) * (int)PAGE));
		p[(i + 1) % 8 * (int)PAGE] = 1;
		CHECK(munmap(p, 8 * PAGE) == 0);
	}
	tear_down();
}

/* Every second page is filled: many small runs. */
static void every_second_page(void)
{
	const size_t pages = 4096;
	uint64_t page[PAGE / 8];
	char *p = map_pages(pages);

	uffd = open_uffd(O_CLOEXEC, 0);
	watch(uffd, p, pages);
	for (size_t i = 0; i < pages; i += 2) {
		make_page(p + i * PAGE, page);
		CHECK(copy_page(uffd, p + i * PAGE, page) == 0);
	}
	start_handler(&handler, uffd);
	for (size_t i = 0; i < pages; i++)
		CHECK(is_made(p + i * PAGE));
	tear_down();
}

const struct scene scenes[] = {
	{ "unmapped_range_is_forgotten", unmapped_range_is_forgotten },
	{ "mapping_over_a_watched_range", mapping_over_a_watched_range },
	{ "mapping_over_a_waiting_thread", mapping_over_a_waiting_thread },
	{ "protection_is_obeyed", protection_is_obeyed },
	{ "protected_pages_can_be_filled", protected_pages_can_be_filled },
	{ "dropped_pages_are_missing_again",
	  dropped_pages_are_missing_again },
	{ "harmless_advice", harmless_advice },
	{ "dropped_though_locked", dropped_though_locked },
	{ "locked_pages_are_asked_for", locked_pages_are_asked_for },
	{ "locked_range_can_be_watched", locked_range_can_be_watched },
	{ "between_watched_ranges", between_watched_ranges },
	{ "own_guards_are_kept", own_guards_are_kept },
	{ "refused_calls_change_nothing", refused_calls_change_nothing },
	{ "moved_and_kept", moved_and_kept },
	{ "grown_range_is_watched", grown_range_is_watched },
	{ "large_range_is_registered", large_range_is_registered },
	{ "moved_range_is_not_watched", moved_range_is_not_watched },
	{ "shrunk_range_keeps_its_head", shrunk_range_keeps_its_head },
	{ "unregistered_range_is_plain", unregistered_range_is_plain },
	{ "ranges_come_and_go", ranges_come_and_go },
	{ "every_second_page", every_second_page },
	{ NULL, NULL },
};
