/* SPDX-License-Identifier: MIT */
/*
 * Changes to the address space. Where watched memory is met the library makes
 * them, for it has to follow, or to report them as events.
 */
#include "calls.h"
#include "rawcall.h"

#include <stdarg.h>
#include <sys/syscall.h>

SHIM void *mmap(void *addr, size_t len, int prot, int flags, int fd,
		off_t offset)
{
	if (!shim_is_active())
		return next()->mmap(addr, len, prot, flags, fd, offset);
	if (!(flags & MAP_ANONYMOUS) && pf_is_userfaultfd(fd)) {
		errno = ENODEV;
		return MAP_FAILED;
	}
	if ((flags & MAP_FIXED) && pf_is_watched(addr, len))
		return pf_mmap(addr, len, prot, flags, fd, offset);
	return next()->mmap(addr, len, prot, flags, fd, offset);
}

SHIM_ALIAS(mmap64, mmap);

SHIM int munmap(void *addr, size_t len)
{
	if (watched(addr, len))
		return pf_munmap(addr, len);
	return next()->munmap(addr, len);
}

SHIM int mprotect(void *addr, size_t len, int prot)
{
	if (watched(addr, len))
		return pf_mprotect(addr, len, prot);
	return next()->mprotect(addr, len, prot);
}

/* Protection keys are not followed: the protection is what counts here. */
SHIM int pkey_mprotect(void *addr, size_t len, int prot, int key)
{
	if (watched(addr, len))
		return pf_mprotect(addr, len, prot);
	return next()->pkey_mprotect(addr, len, prot, key);
}

SHIM void *mremap(void *addr, size_t old_len, size_t new_len, int flags, ...)
{
	void *new_addr;
	va_list args;

	va_start(args, flags);
	new_addr = va_arg(args, void *);
	va_end(args);
	/* Length 0 duplicates a shared mapping. */
	if (watched(addr, old_len ? old_len : 1) ||
	    ((flags & MREMAP_FIXED) && watched(new_addr, new_len)))
		return pf_mremap(addr, old_len, new_len, flags, new_addr);
	return next()->mremap(addr, old_len, new_len, flags, new_addr);
}

SHIM int madvise(void *addr, size_t len, int advice)
{
	if (watched(addr, len))
		return pf_madvise(addr, len, advice);
	return next()->madvise(addr, len, advice);
}

SHIM int mlock(const void *addr, size_t len)
{
	if (watched(addr, len))
		return pf_mlock(addr, len);
	return next()->mlock(addr, len);
}

SHIM int mlock2(const void *addr, size_t len, unsigned flags)
{
	if (watched(addr, len))
		return pf_mlock2(addr, len, flags);
	return next()->mlock2(addr, len, flags);
}

SHIM int mlockall(int flags)
{
	return shim_is_active() ? pf_mlockall(flags) : next()->mlockall(flags);
}

/*
 * libc keeps the break in a variable of its own, which only its own call
 * sets: after ours, its call finds the break where it wants it.
 */
static int shrink_first(uintptr_t from, uintptr_t to)
{
	if (to >= from || !pf_is_watched((void *)to, from - to))
		return 0;
	return pf_brk((void *)to);
}

SHIM int brk(void *addr)
{
	if (shim_is_active() && addr &&
	    shrink_first((uintptr_t)next()->sbrk(0), (uintptr_t)addr))
		return -1;
	return next()->brk(addr);
}

SHIM void *sbrk(intptr_t delta)
{
	uintptr_t now;

	if (shim_is_active() && delta < 0) {
		now = (uintptr_t)next()->sbrk(0);
		if (shrink_first(now, now - (uintptr_t)-delta)) {
			errno = ENOMEM;
			return (void *)-1;
		}
	}
	return next()->sbrk(delta);
}

/* syscall(SYS_brk) answers the new break, or the old one when refused. */
static long raw_brk(uintptr_t addr)
{
	uintptr_t now = (uintptr_t)RAW(SYS_brk, 0);

	if (addr && shrink_first(now, addr))
		return (long)now;
	return RAW(SYS_brk, addr);
}

bool syscall_on_memory(const long *arg, long number, long *result)
{
	void *addr = (void *)arg[0];
	size_t len = (size_t)arg[1];

	switch (number) {
	case SYS_mmap:
		*result = (long)mmap(addr, len, (int)arg[2], (int)arg[3],
				     (int)arg[4], arg[5]);
		return true;
	case SYS_munmap:
		*result = munmap(addr, len);
		return true;
	case SYS_mprotect:
		*result = mprotect(addr, len, (int)arg[2]);
		return true;
	case SYS_mremap:
		*result = (long)mremap(addr, len, (size_t)arg[2], (int)arg[3],
				       (void *)arg[4]);
		return true;
	case SYS_madvise:
		*result = madvise(addr, len, (int)arg[2]);
		return true;
	case SYS_mlock:
		*result = mlock(addr, len);
		return true;
	case SYS_mlock2:
		*result = mlock2(addr, len, (unsigned)arg[2]);
		return true;
	case SYS_mlockall:
		*result = mlockall((int)arg[0]);
		return true;
	case SYS_brk:
		*result = raw_brk((uintptr_t)addr);
		return true;
	default:
		return false;
	}
}
