/* SPDX-License-Identifier: MIT */
/*
 * Copies that may meet bad or missing memory, and the bounce.
 *
 * trap.c recognises these instructions by address, not by a flag in
 * thread-local storage: threads made by raw clone share their parent's.
 */
	.text

/*
 * size_t host_copy_nofault(void *dst, const void *src, size_t n)
 * size_t host_copy_fault(void *dst, const void *src, size_t n)
 *
 * A refused access continues at *_fixup with the rest in rcx.
 */
	.macro usercopy name
	.globl \name
	.hidden \name
	.type \name, @function
\name:
	mov	%rdx, %rcx
	mov	%rdx, %rax
	.globl \name\()_insn
	.hidden \name\()_insn
\name\()_insn:
	rep movsb
	.globl \name\()_fixup
	.hidden \name\()_fixup
\name\()_fixup:
	sub	%rcx, %rax
	ret
	.size \name, . - \name
	.endm

	usercopy host_copy_nofault
	usercopy host_copy_fault

/*
 * bool host_touch_write(void *byte): a write access that changes nothing.
 */
	.globl host_touch_write
	.hidden host_touch_write
	.type host_touch_write, @function
host_touch_write:
	mov	$1, %eax
	.globl host_touch_write_insn
	.hidden host_touch_write_insn
host_touch_write_insn:
	lock orb $0, (%rdi)
	ret
	.globl host_touch_write_fixup
	.hidden host_touch_write_fixup
host_touch_write_fixup:
	xor	%eax, %eax
	ret
	.size host_touch_write, . - host_touch_write

/*
 * void trap_on_stack(void (*fn)(void *), void *arg, void *stack_top)
 */
	.globl trap_on_stack
	.hidden trap_on_stack
	.type trap_on_stack, @function
trap_on_stack:
	push	%rbp
	mov	%rsp, %rbp
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsp
	call	*%rax
	mov	%rbp, %rsp
	pop	%rbp
	ret
	.size trap_on_stack, . - trap_on_stack

	.section .note.GNU-stack, "", @progbits
