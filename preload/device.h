/* SPDX-License-Identifier: MIT */
/*
 * Names under which programs look for userfaultfd: /dev/userfaultfd and the
 * files of our descriptors in /proc.
 */
#ifndef PRELOAD_DEVICE_H
#define PRELOAD_DEVICE_H

#include <stdbool.h>

/*
 * A stand-in for an open /dev/userfaultfd. It is an ordinary descriptor that
 * carries a mark, so it survives dup, fork and exec without any table.
 *
 * Returns: a descriptor; -1 and errno.
 */
int device_stand_in(int flags);

/* Whether `fd` is such a stand-in. Costs system calls; errno is kept. */
bool device_is_stand_in(int fd);

/*
 * What an open of `path` answers, when libc's own answered `fd` (-1: errno):
 * for the device a stand-in, for the fdinfo of an object its text, else `fd`.
 *
 * Context: any; `path` is not looked at after an EFAULT.
 * Returns: a descriptor; -1 and errno.
 * Spec:    A10-A12e, 3.7.
 */
int device_opened(const char *path, int fd, int flags);

/*
 * The object's descriptor that `path` names in a directory `dir` ("/fd/",
 * "/fdinfo/") of this process in /proc. Returns: it; -1: none.
 */
int device_proc_fd(const char *path, const char *dir);

#endif /* PRELOAD_DEVICE_H */
