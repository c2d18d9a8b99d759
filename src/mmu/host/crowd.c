/* SPDX-License-Identifier: MIT */
/*
 * Is it worth looking a while before sleeping?
 *
 * Putting a thread to sleep and waking it again on an idle CPU takes tens of
 * microseconds, much more where the CPU is virtual; a page is often there
 * sooner. But who looks while other threads want the CPU delays the very
 * thread it waits for. So a thread looks only while no more threads are
 * runnable than there are CPUs (fourth field of /proc/loadavg, read now and
 * then), and only while looking brings something.
 */
#include "mmu/host/host.h"

#include "base/raw.h"
#include "base/sync.h"
#include "mmu/host/state.h"

#include <fcntl.h>
#include <sys/syscall.h>

/* About as long as a sleep and a wake take. */
#define LOOK_NS 50000u
#define LOOK_MOST 8000u
#define SAMPLE_EVERY 32
#define CROWD_WINDOW 64

static _Atomic int loadavg_fd = -1;
static _Atomic uint32_t look_budget; /* looks that take LOOK_NS */
static _Atomic bool is_crowded;

void crowd_open(void)
{
	uint64_t start = sync_now_ns();
	uint64_t ns;

	for (int i = 0; i < 1000; i++)
		sync_relax();
	ns = (sync_now_ns() - start) / 1000 + 1;
	atomic_store(&look_budget, LOOK_NS / ns < LOOK_MOST
					   ? (uint32_t)(LOOK_NS / ns)
					   : LOOK_MOST);
	if (loadavg_fd < 0)
		loadavg_fd = host_open_file("/proc/loadavg", O_RDONLY);
}

/* "0.00 0.01 0.05 2/345 6789": the 2; 0 when it cannot be known. */
static unsigned runnable_threads(void)
{
	char text[64];
	long got = raw_call(SYS_pread64, loadavg_fd, text, sizeof(text), 0);
	unsigned blanks = 0, n = 0;

	for (long i = 0; i < got && text[i] != '/'; i++) {
		if (text[i] == ' ')
			blanks++;
		else if (blanks == 3 && text[i] >= '0' && text[i] <= '9')
			n = n * 10 + (unsigned)(text[i] - '0');
	}
	return n;
}

static void sample(void)
{
	atomic_store(&is_crowded, runnable_threads() > sync_cpus());
}

uint32_t crowd_looks(struct crowd *crowd)
{
	uint32_t waits = atomic_fetch_add_explicit(&crowd->waits, 1,
						   memory_order_relaxed);
	uint32_t sleeps;

	if (sync_cpus() < 2)
		return 0;
	if (waits % SAMPLE_EVERY == 0)
		sample();
	if (waits % CROWD_WINDOW == 0) {
		sleeps = atomic_exchange(&crowd->sleeps, 0);
		if (crowd->is_vain)
			crowd->is_vain = waits % (CROWD_WINDOW * 16) != 0;
		else
			crowd->is_vain = sleeps > CROWD_WINDOW / 2;
	}
	if (crowd->is_vain || atomic_load(&is_crowded))
		return 0;
	return atomic_load_explicit(&look_budget, memory_order_relaxed);
}
