/* SPDX-License-Identifier: MIT */
/* What an interposer tells and asks. */
#include "polyfault/interpose.h"

#include "polyfault/version.h"

#include "api/export.h"
#include "api/rim.h"
#include "base/types.h"
#include "sys/sys.h"

static struct range bytes_at(const void *addr, size_t len)
{
	return range_of((va_t)(uintptr_t)addr, len);
}

pf_export const char *pf_version(void)
{
	return PF_VERSION_STRING;
}

pf_export void pf_interpose_init(const struct pf_real_calls *real)
{
	sys_interposed(real);
}

/* ---- descriptors ---- */

pf_export bool pf_is_userfaultfd(int fd)
{
	return sys_is_ours(fd);
}

pf_export void pf_note_dup(int old_fd, int fd)
{
	sys_note_dup(old_fd, fd);
}

pf_export void pf_note_closing(int fd)
{
	sys_note_closing(fd);
}

pf_export void pf_note_closed(void)
{
	sys_note_closed();
}

pf_export bool pf_note_received(int fd)
{
	return sys_note_received(fd);
}

pf_export bool pf_is_internal_fd(int fd)
{
	return sys_is_internal(fd);
}

pf_export void pf_note_polled_elsewhere(int fd)
{
	sys_expose(fd);
}

pf_export int pf_poll_now(int fd)
{
	return (int)rim(sys_poll_now(fd));
}

pf_export ssize_t pf_fdinfo(int fd, char *text, size_t n)
{
	return rim(sys_fdinfo(fd, text, n));
}

/* ---- memory ---- */

pf_export bool pf_is_watched(const void *addr, size_t len)
{
	return sys_is_watched(bytes_at(addr, len));
}

pf_export int pf_fault_in(const void *addr, size_t len, bool is_write)
{
	return (int)rim(sys_fault_in(bytes_at(addr, len), is_write));
}

pf_export size_t pf_copy_to_program(void *addr, const void *buf, size_t n)
{
	return sys_copy_user(addr, buf, n);
}

pf_export size_t pf_copy_from_program(void *buf, const void *addr, size_t n)
{
	return sys_copy_user(buf, addr, n);
}

pf_export int pf_unwatch(void *addr, size_t len)
{
	return (int)rim(sys_unwatch(bytes_at(addr, len)));
}

/* ---- what is going on ---- */

pf_export int pf_probe(struct pf_probe *out)
{
	int err;

	sys_probe(out, &err);
	return (int)rim(err);
}

pf_export int pf_deny_kernel(bool kill)
{
	return (int)rim(sys_deny_kernel(kill));
}

pf_export bool pf_kernel_is_denied(void)
{
	return sys_kernel_is_denied();
}

pf_export void pf_read_stats(struct pf_stats *out)
{
	sys_read_stats(out);
}

/* Within its bucket a time is taken to be the middle, 1.5 * 2^i. */
pf_export uint64_t pf_stats_wait_ns(const struct pf_stats *stats,
				    unsigned permille)
{
	uint64_t total = 0, below = 0;
	unsigned i;

	for (i = 0; i < array_len(stats->wait_ns_log2); i++)
		total += stats->wait_ns_log2[i];
	if (!total)
		return 0;
	for (i = 0; i < array_len(stats->wait_ns_log2) - 1; i++) {
		below += stats->wait_ns_log2[i];
		if (below * 1000 >= total * permille)
			break;
	}
	return (1ull << i) + (1ull << i) / 2;
}
