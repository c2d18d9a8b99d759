/* SPDX-License-Identifier: MIT */
/* Where -errno becomes -1 and errno: the only place. */
#ifndef API_RIM_H
#define API_RIM_H

#include <errno.h>

/* A result of the rooms below, as libc's callers know it. Context: any. */
static inline long rim(long ret)
{
	if (ret >= 0 || ret < -4095)
		return ret;
	errno = (int)-ret;
	return -1;
}

#endif /* API_RIM_H */
