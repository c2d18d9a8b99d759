/* SPDX-License-Identifier: MIT */
/*
 * Making the kernel's userfaultfd impossible, and knowing that it is.
 *
 * A seccomp filter refuses the system call, the device's NEW and the API
 * handshake. It also answers a question that no kernel knows, a prctl option
 * of our own, with an errno that prctl never gives: so every descendant can
 * tell that the filter is ours, whatever became of its environment.
 */
#include "sys/kernel/kernel.h"

#include "base/raw.h"

#include "polyfault/abi.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define DENY_QUESTION 0x50464b44 /* "PFKD" */
#define DENY_ANSWER ENOTUNIQ
#define I386_USERFAULTFD 374

#define OFFSET(field) ((uint32_t)offsetof(struct seccomp_data, field))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFFSET(field))
/* Low half of an argument on a little-endian machine. */
#define LOAD_ARG(i) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFFSET(args) + 8u * (i))
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define IF_EQUAL(value, yes, no) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))

static int deny_install(uint32_t refusal)
{
	/* Jumps count from the next instruction. */
	struct sock_filter program[] = {
		/* 0 */ LOAD(arch),
		/* 1 */ IF_EQUAL(AUDIT_ARCH_X86_64, 2, 0),
		/* 2 */ LOAD(nr),
		/* 3 */ IF_EQUAL(I386_USERFAULTFD, 11, 10),
		/* 4 */ LOAD(nr),
		/* 5 */ IF_EQUAL(PF_SYS_USERFAULTFD, 9, 0),
		/* 6 */ IF_EQUAL(SYS_ioctl, 2, 0),
		/* 7 */ IF_EQUAL(SYS_prctl, 4, 0),
		/* 8 */ ANSWER(SECCOMP_RET_ALLOW),
		/* 9 */ LOAD_ARG(1),
		/* 10 */ IF_EQUAL(PF_USERFAULTFD_IOC_NEW, 4, 0),
		/* 11 */ IF_EQUAL(PF_UFFDIO_API, 3, 2),
		/* 12 */ LOAD_ARG(0),
		/* 13 */ IF_EQUAL(DENY_QUESTION, 2, 0),
		/* 14 */ ANSWER(SECCOMP_RET_ALLOW),
		/* 15 */ ANSWER(refusal),
		/* 16 */ ANSWER(SECCOMP_RET_ERRNO | DENY_ANSWER),
	};
	struct sock_fprog filter = {
		.len = sizeof(program) / sizeof(program[0]),
		.filter = program,
	};

	return (int)raw_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0,
			     &filter);
}

int kernel_deny(bool kill)
{
	uint32_t refusal = kill ? SECCOMP_RET_KILL_PROCESS
				: SECCOMP_RET_ERRNO | EPERM;
	int err = deny_install(refusal);

	if (err != -EACCES)
		return err;
	/* Without CAP_SYS_ADMIN the kernel wants this promise first. */
	err = (int)raw_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return err ? err : deny_install(refusal);
}

bool kernel_is_denied(void)
{
	return raw_call(SYS_prctl, DENY_QUESTION, 0, 0, 0, 0) == -DENY_ANSWER;
}
