/* SPDX-License-Identifier: MIT */
/*
 * The userfaultfd ABI, in our own words.
 *
 * Numbers and layouts that every side of the conversation agrees on: command
 * numbers, argument blocks, messages, feature bits. They equal the kernel's,
 * so a block filled for one can be handed to the other; this file needs no
 * kernel header and may be included beside linux/userfaultfd.h.
 */
#ifndef POLYFAULT_ABI_H
#define POLYFAULT_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The only API number there is. */
#define PF_UFFD_API 0xAAull

/* System call number (x86-64) and creation flags. */
#define PF_SYS_USERFAULTFD 323
#define PF_UFFD_USER_MODE_ONLY 1
/* O_NONBLOCK and O_CLOEXEC are the other two flags. */

/* Commands. UNREGISTER and WAKE carry the historic "read" direction. */
#define PF_UFFDIO_API 0xC018AA3Fu
#define PF_UFFDIO_REGISTER 0xC020AA00u
#define PF_UFFDIO_UNREGISTER 0x8010AA01u
#define PF_UFFDIO_WAKE 0x8010AA02u
#define PF_UFFDIO_COPY 0xC028AA03u
#define PF_UFFDIO_ZEROPAGE 0xC020AA04u
#define PF_UFFDIO_MOVE 0xC028AA05u
#define PF_UFFDIO_WRITEPROTECT 0xC018AA06u
#define PF_UFFDIO_CONTINUE 0xC020AA07u
#define PF_UFFDIO_POISON 0xC020AA08u
/* The one command of /dev/userfaultfd; its argument is the flags. */
#define PF_USERFAULTFD_IOC_NEW 0xAA00u

/* Bit numbers inside the `ioctls` masks. */
#define PF_UFFD_BIT_REGISTER 0
#define PF_UFFD_BIT_UNREGISTER 1
#define PF_UFFD_BIT_WAKE 2
#define PF_UFFD_BIT_COPY 3
#define PF_UFFD_BIT_ZEROPAGE 4
#define PF_UFFD_BIT_MOVE 5
#define PF_UFFD_BIT_WRITEPROTECT 6
#define PF_UFFD_BIT_CONTINUE 7
#define PF_UFFD_BIT_POISON 8
#define PF_UFFD_BIT_API 63

/* Feature bits. */
#define PF_UFFD_FEATURE_PAGEFAULT_FLAG_WP (1ull << 0)
#define PF_UFFD_FEATURE_EVENT_FORK (1ull << 1)
#define PF_UFFD_FEATURE_EVENT_REMAP (1ull << 2)
#define PF_UFFD_FEATURE_EVENT_REMOVE (1ull << 3)
#define PF_UFFD_FEATURE_MISSING_HUGETLBFS (1ull << 4)
#define PF_UFFD_FEATURE_MISSING_SHMEM (1ull << 5)
#define PF_UFFD_FEATURE_EVENT_UNMAP (1ull << 6)
#define PF_UFFD_FEATURE_SIGBUS (1ull << 7)
#define PF_UFFD_FEATURE_THREAD_ID (1ull << 8)
#define PF_UFFD_FEATURE_MINOR_HUGETLBFS (1ull << 9)
#define PF_UFFD_FEATURE_MINOR_SHMEM (1ull << 10)
#define PF_UFFD_FEATURE_EXACT_ADDRESS (1ull << 11)
#define PF_UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1ull << 12)
#define PF_UFFD_FEATURE_WP_UNPOPULATED (1ull << 13)
#define PF_UFFD_FEATURE_POISON (1ull << 14)
#define PF_UFFD_FEATURE_WP_ASYNC (1ull << 15)
#define PF_UFFD_FEATURE_MOVE (1ull << 16)

/* Mode bits. */
#define PF_UFFDIO_REGISTER_MODE_MISSING 1ull
#define PF_UFFDIO_REGISTER_MODE_WP 2ull
#define PF_UFFDIO_REGISTER_MODE_MINOR 4ull
#define PF_UFFDIO_COPY_MODE_DONTWAKE 1ull
#define PF_UFFDIO_COPY_MODE_WP 2ull
#define PF_UFFDIO_ZEROPAGE_MODE_DONTWAKE 1ull
#define PF_UFFDIO_WRITEPROTECT_MODE_WP 1ull
#define PF_UFFDIO_WRITEPROTECT_MODE_DONTWAKE 2ull
#define PF_UFFDIO_CONTINUE_MODE_DONTWAKE 1ull
#define PF_UFFDIO_CONTINUE_MODE_WP 2ull
#define PF_UFFDIO_POISON_MODE_DONTWAKE 1ull
#define PF_UFFDIO_MOVE_MODE_DONTWAKE 1ull
#define PF_UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES 2ull

/* Message events and page-fault flags. */
#define PF_UFFD_EVENT_PAGEFAULT 0x12
#define PF_UFFD_EVENT_FORK 0x13
#define PF_UFFD_EVENT_REMAP 0x14
#define PF_UFFD_EVENT_REMOVE 0x15
#define PF_UFFD_EVENT_UNMAP 0x16
#define PF_UFFD_PAGEFAULT_FLAG_WRITE 1ull
#define PF_UFFD_PAGEFAULT_FLAG_WP 2ull
#define PF_UFFD_PAGEFAULT_FLAG_MINOR 4ull

/* Argument blocks. The output field is always last. */
struct pf_uffdio_range {
	uint64_t start;
	uint64_t len;
};

struct pf_uffdio_api {
	uint64_t api;
	uint64_t features;
	uint64_t ioctls;
};

struct pf_uffdio_register {
	struct pf_uffdio_range range;
	uint64_t mode;
	uint64_t ioctls;
};

struct pf_uffdio_copy {
	uint64_t dst;
	uint64_t src;
	uint64_t len;
	uint64_t mode;
	int64_t copy;
};

struct pf_uffdio_zeropage {
	struct pf_uffdio_range range;
	uint64_t mode;
	int64_t zeropage;
};

struct pf_uffdio_writeprotect {
	struct pf_uffdio_range range;
	uint64_t mode;
};

struct pf_uffdio_continue {
	struct pf_uffdio_range range;
	uint64_t mode;
	int64_t mapped;
};

struct pf_uffdio_poison {
	struct pf_uffdio_range range;
	uint64_t mode;
	int64_t updated;
};

struct pf_uffdio_move {
	uint64_t dst;
	uint64_t src;
	uint64_t len;
	uint64_t mode;
	int64_t move;
};

/*
 * One message as read from the descriptor, 32 bytes, unused bytes zero.
 * Which member of `arg` speaks depends on `event`.
 */
struct pf_uffd_msg {
	uint8_t event;
	uint8_t reserved[7];
	union {
		struct {
			uint64_t flags;
			uint64_t address;
			uint32_t ptid;
			uint32_t zero;
		} pagefault;
		struct {
			uint32_t ufd;
		} fork;
		struct {
			uint64_t from;
			uint64_t to;
			uint64_t len;
		} remap;
		struct {
			uint64_t start;
			uint64_t end;
		} remove;
		uint64_t words[3];
	} arg;
};

#ifdef __cplusplus
}
#endif

#endif /* POLYFAULT_ABI_H */
