/* SPDX-License-Identifier: MIT */
/*
 * The mark of a function that leaves the library; all others are hidden.
 */
#ifndef API_EXPORT_H
#define API_EXPORT_H

#define pf_export __attribute__((visibility("default")))

#endif /* API_EXPORT_H */
