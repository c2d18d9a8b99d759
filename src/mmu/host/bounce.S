/* SPDX-License-Identifier: MIT */
/*
 * Where a thread waits for its page: on its own stack, outside the handler.
 *
 * The handler left a struct bounce_record (bounce.h) on the interrupted
 * stack, pointed rsp at it and returned here. Only general registers are
 * used; all are in the record, so vector state is the program's throughout.
 * rsp stays at the record until everything but rcx, rax, flags and rip is
 * restored, so a signal that comes meanwhile finds the record from rip and
 * rsp alone (bounce.c), and can undo the bounce as if the access had not been
 * made yet.
 *
 * It ends by making the access again. The last four words are put below the
 * red zone of the interrupted stack, where nothing lives any more.
 */
#include "mmu/host/bounce_layout.h"

	.text
	.globl bounce_begin, bounce_tail, bounce_end
	.hidden bounce_begin, bounce_tail, bounce_end
	.type bounce_begin, @function
bounce_begin:
	mov	BOUNCE_WORD(%rsp), %rbx
	mov	BOUNCE_SEEN(%rsp), %r12d
	mov	BOUNCE_SPIN(%rsp), %r13d
.Llook:
	cmp	%r12d, (%rbx)
	jne	.Ldone
	test	%r13d, %r13d
	jz	.Lsleep
	dec	%r13d
	jz	.Lvain
	pause
	jmp	.Llook
.Lvain:
	lock incl bounce_sleeps(%rip)
.Lsleep:
	mov	$BOUNCE_NR_FUTEX, %eax
	mov	%rbx, %rdi
	mov	sync_futex_scope(%rip), %esi
	mov	%r12d, %edx
	lea	BOUNCE_TIMEOUT(%rsp), %r10
	syscall
	cmp	%r12d, (%rbx)
	jne	.Ldone
	cmp	$-BOUNCE_EINTR, %eax
	je	.Ltell
	cmp	$-BOUNCE_ETIMEDOUT, %eax
	jne	.Llook
.Ltell:
	/* Have the handler run on our behalf: it knows what to do. */
	mov	%eax, BOUNCE_REASON(%rsp)
	mov	$BOUNCE_NR_GETPID, %eax
	syscall
	mov	%rax, %r14
	mov	$BOUNCE_NR_GETTID, %eax
	syscall
	mov	%rax, %rsi
	mov	%r14, %rdi
	mov	$BOUNCE_SIGSEGV, %edx
	lea	BOUNCE_SIGINFO(%rsp), %r10
	mov	$BOUNCE_NR_TGSIGQUEUEINFO, %eax
	syscall
	jmp	.Llook
.Ldone:
	mov	BOUNCE_REG(15)(%rsp), %rax
	mov	BOUNCE_REG(14)(%rsp), %rcx
	mov	%rcx, BOUNCE_TAIL(0)(%rax)
	mov	BOUNCE_REG(13)(%rsp), %rcx
	mov	%rcx, BOUNCE_TAIL(1)(%rax)
	mov	BOUNCE_FLAGS(%rsp), %rcx
	mov	%rcx, BOUNCE_TAIL(2)(%rax)
	mov	BOUNCE_RIP(%rsp), %rcx
	mov	%rcx, BOUNCE_TAIL(3)(%rax)
	mov	BOUNCE_REG(0)(%rsp), %r8
	mov	BOUNCE_REG(1)(%rsp), %r9
	mov	BOUNCE_REG(2)(%rsp), %r10
	mov	BOUNCE_REG(3)(%rsp), %r11
	mov	BOUNCE_REG(4)(%rsp), %r12
	mov	BOUNCE_REG(5)(%rsp), %r13
	mov	BOUNCE_REG(6)(%rsp), %r14
	mov	BOUNCE_REG(7)(%rsp), %r15
	mov	BOUNCE_REG(8)(%rsp), %rdi
	mov	BOUNCE_REG(9)(%rsp), %rsi
	mov	BOUNCE_REG(10)(%rsp), %rbp
	mov	BOUNCE_REG(11)(%rsp), %rbx
	mov	BOUNCE_REG(12)(%rsp), %rdx
	lea	BOUNCE_TAIL(0)(%rax), %rsp
bounce_tail:
	pop	%rcx
	pop	%rax
	popfq
	ret	$BOUNCE_RED_ZONE
bounce_end:
	.size bounce_begin, . - bounce_begin

	.section .note.GNU-stack, "", @progbits
