/* SPDX-License-Identifier: MIT */
/* Offsets of struct bounce_record, for C and assembler alike. */
#ifndef HOST_BOUNCE_LAYOUT_H
#define HOST_BOUNCE_LAYOUT_H

/* General registers in the order of the x86-64 ucontext: r8..r15, rdi, rsi,
 * rbp, rbx, rdx, rax, rcx, rsp. */
#define BOUNCE_REG(i) ((i)*8)
#define BOUNCE_WORD 128
#define BOUNCE_SEEN 136
#define BOUNCE_SPIN 140
#define BOUNCE_TIMEOUT 144
#define BOUNCE_SLOT 160
#define BOUNCE_REASON 164
#define BOUNCE_OWNER 168
#define BOUNCE_SIGINFO 176
#define BOUNCE_FLAGS 304
#define BOUNCE_RIP 312
#define BOUNCE_BYTES 320
#define BOUNCE_RED_ZONE 128

/* rcx, rax, flags and rip, popped last, as offsets from the interrupted rsp. */
#define BOUNCE_TAIL_BYTES 32
#define BOUNCE_TAIL(i) ((i)*8 - BOUNCE_TAIL_BYTES - BOUNCE_RED_ZONE)

#define BOUNCE_NR_FUTEX 202
#define BOUNCE_NR_GETPID 39
#define BOUNCE_NR_GETTID 186
#define BOUNCE_NR_TGSIGQUEUEINFO 297
#define BOUNCE_EINTR 4
#define BOUNCE_ETIMEDOUT 110
#define BOUNCE_SIGSEGV 11

#endif /* HOST_BOUNCE_LAYOUT_H */
