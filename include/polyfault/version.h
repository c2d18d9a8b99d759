/* SPDX-License-Identifier: MIT */
/* The version of the interface in these headers. */
#ifndef POLYFAULT_VERSION_H
#define POLYFAULT_VERSION_H

#define PF_VERSION_MAJOR 0
#define PF_VERSION_MINOR 1
#define PF_VERSION_PATCH 0
#define PF_VERSION_STRING "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * The version of the library that is linked, as "major.minor.patch".
 *
 * Context: any.
 */
const char *pf_version(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif /* POLYFAULT_VERSION_H */
