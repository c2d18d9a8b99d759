/* SPDX-License-Identifier: MIT */
/*
 * What the messages say of an access, by the instruction that made it; and
 * what becomes of pages that were there before.
 */
#include "prog.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static _Alignas(64) uint8_t room[64];

/* An access to `p`, which is aligned to 64 and has a page above and below. */
struct access {
	const char *name;
	bool is_write;
	bool needs_avx2;
	void (*make)(uint8_t *p);
};

#define ASM(name, ...) \
	static void name(uint8_t *p) \
	{ \
		__asm__ volatile(__VA_ARGS__ : "memory", "cc", "rax", "rbx", \
				 "rcx", "rdx", "rsi", "rdi", "r10", "xmm1"); \
	} \
	struct access /* takes the semicolon */
#define USES(text) text : : "r"(p), "r"(room)

/* Operand 0 is the page, operand 1 memory that is there. */
ASM(store_byte, USES("movb %%al, (%0)"));
ASM(store_quad, USES("movq %%rax, (%0)"));
ASM(store_high_reg, USES("mov %0, %%r10; movq %%rax, 8(%%r10)"));
ASM(store_word, USES("movw $1, (%0)"));
ASM(store_imm, USES("movl $7, 4(%0)"));
ASM(movs_to, USES("mov %0, %%rdi; mov %1, %%rsi; movsb"));
ASM(rep_movs_to, USES("mov %0, %%rdi; mov %1, %%rsi; mov $32, %%ecx;"
		      "rep movsb"));
ASM(stosb, USES("mov %0, %%rdi; stosb"));
ASM(rep_stosq, USES("mov %0, %%rdi; mov $8, %%ecx; rep stosq"));
ASM(xchg, USES("xchg %%eax, (%0)"));
ASM(cmpxchg, USES("lock cmpxchg %%ecx, (%0)"));
ASM(cmpxchg16b, USES("lock cmpxchg16b (%0)"));
ASM(xadd, USES("lock xadd %%rax, (%0)"));
ASM(add_to, USES("addl %%ecx, (%0)"));
ASM(add_imm_to, USES("lock addl $1, (%0)"));
ASM(inc, USES("lock incl (%0)"));
ASM(neg, USES("negl (%0)"));
ASM(shl, USES("shll $1, (%0)"));
ASM(bts, USES("lock btsl $3, (%0)"));
ASM(setcc, USES("sete (%0)"));
ASM(movaps_to, USES("movaps %%xmm1, (%0)"));
ASM(movups_to, USES("movups %%xmm1, (%0)"));
ASM(movdqa_to, USES("movdqa %%xmm1, (%0)"));
ASM(movntdq, USES("movntdq %%xmm1, (%0)"));
ASM(movnti, USES("movnti %%rax, (%0)"));
ASM(movq_to, USES("movq %%xmm1, (%0)"));
ASM(movd_to, USES("movd %%xmm1, (%0)"));
ASM(movss_to, USES("movss %%xmm1, (%0)"));
ASM(fst, USES("fld1; fstpl (%0)"));
ASM(vmovups_to, USES("vmovups %%ymm1, (%0)"));
ASM(vmovdqu_to, USES("vmovdqu %%xmm1, (%0)"));
ASM(vextract_to, USES("vextracti128 $1, %%ymm1, (%0)"));

ASM(load_byte, USES("movb (%0), %%al"));
ASM(load_quad, USES("movq (%0), %%rax"));
ASM(load_zero_ext, USES("movzbl (%0), %%eax"));
ASM(load_sign_ext, USES("movslq (%0), %%rax"));
ASM(cmp_mem, USES("cmpl %%eax, (%0)"));
ASM(cmp_imm, USES("cmpb $5, (%0)"));
ASM(test_mem, USES("testl %%eax, (%0)"));
ASM(movs_from, USES("mov %1, %%rdi; mov %0, %%rsi; movsb"));
ASM(rep_movs_from, USES("mov %1, %%rdi; mov %0, %%rsi; mov $32, %%ecx;"
			"rep movsb"));
ASM(lodsq, USES("mov %0, %%rsi; lodsq"));
ASM(scasb, USES("mov %0, %%rdi; scasb"));
ASM(cmpsb, USES("mov %0, %%rdi; mov %1, %%rsi; cmpsb"));
ASM(add_from, USES("addl (%0), %%eax"));
ASM(imul_from, USES("imull (%0), %%eax"));
ASM(bt, USES("btl $3, (%0)"));
ASM(cmov, USES("cmovel (%0), %%eax"));
/* Past the red zone. */
ASM(push_from, USES("sub $128, %%rsp; pushq (%0); popq %%rax;"
		    "add $128, %%rsp"));
ASM(movaps_from, USES("movaps (%0), %%xmm1"));
ASM(movups_from, USES("movups (%0), %%xmm1"));
ASM(movdqu_from, USES("movdqu (%0), %%xmm1"));
ASM(movq_from, USES("movq (%0), %%xmm1"));
ASM(movd_from, USES("movd (%0), %%xmm1"));
ASM(movsd_from, USES("movsd (%0), %%xmm1"));
ASM(pxor_from, USES("pxor (%0), %%xmm1"));
ASM(fld, USES("fldl (%0); fstp %%st(0)"));
ASM(crc32_from, USES("crc32l (%0), %%eax"));
ASM(vmovups_from, USES("vmovups (%0), %%ymm1"));
ASM(vmovq_from, USES("vmovq (%0), %%xmm1"));
ASM(vpaddd_from, USES("vpaddd (%0), %%ymm1, %%ymm1"));

/* The page is the stack: its top is at p + 64 for a moment. */
#define ON_STACK(text) \
	USES("mov %%rsp, %%r10; lea 64(%0), %%rsp;" text "mov %%r10, %%rsp")
ASM(push, ON_STACK("push %%rax;"));
ASM(push_imm, ON_STACK("pushq $5;"));
ASM(pushf, ON_STACK("pushfq;"));
ASM(push_mem, ON_STACK("pushq (%1);"));
ASM(call_rel, ON_STACK("call 1f; 1:"));
ASM(call_reg, ON_STACK("lea 1f(%%rip), %%rax; call *%%rax; 1:"));
ASM(pop, ON_STACK("pop %%rax;"));

#define WRITES(call) { #call, true, false, call }
#define READS(call) { #call, false, false, call }
#define AVX_WRITES(call) { #call, true, true, call }
#define AVX_READS(call) { #call, false, true, call }

static const struct access accesses[] = {
	WRITES(store_byte), WRITES(store_quad), WRITES(store_high_reg),
	WRITES(store_word), WRITES(store_imm), WRITES(movs_to),
	WRITES(rep_movs_to), WRITES(stosb), WRITES(rep_stosq), WRITES(xchg),
	WRITES(cmpxchg), WRITES(cmpxchg16b), WRITES(xadd), WRITES(add_to),
	WRITES(add_imm_to), WRITES(inc), WRITES(neg), WRITES(shl),
	WRITES(bts), WRITES(setcc), WRITES(movaps_to), WRITES(movups_to),
	WRITES(movdqa_to), WRITES(movntdq), WRITES(movnti), WRITES(movq_to),
	WRITES(movd_to), WRITES(movss_to), WRITES(fst),
	AVX_WRITES(vmovups_to), AVX_WRITES(vmovdqu_to),
	AVX_WRITES(vextract_to),
	READS(load_byte), READS(load_quad), READS(load_zero_ext),
	READS(load_sign_ext), READS(cmp_mem), READS(cmp_imm),
	READS(test_mem), READS(movs_from), READS(rep_movs_from),
	READS(lodsq), READS(scasb), READS(cmpsb), READS(add_from),
	READS(imul_from), READS(bt), READS(cmov), READS(push_from),
	READS(movaps_from), READS(movups_from), READS(movdqu_from),
	READS(movd_from), READS(movsd_from), READS(pxor_from), READS(fld),
	AVX_READS(vmovups_from), AVX_READS(vpaddd_from),
};

/* With another prefix these would be stores: movd and movbe. */
static const struct access by_prefix[] = {
	READS(movq_from), READS(crc32_from), AVX_READS(vmovq_from),
};

static const struct access on_stack[] = {
	WRITES(push), WRITES(push_imm), WRITES(pushf), WRITES(push_mem),
	WRITES(call_rel), WRITES(call_reg), READS(pop),
};

/* The first message of an access, before it is answered. */
static void *touch(void *arg)
{
	void *const *pair = arg;
	const struct access *access = pair[0];
	stack_t other = { .ss_sp = malloc(65536), .ss_size = 65536 };

	/* For the signal frame, where the page is the stack. */
	CHECK(sigaltstack(&other, NULL) == 0);
	access->make(pair[1]);
	other.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&other, NULL) == 0);
	free(other.ss_sp);
	return NULL;
}

/* Wrong ones are told all together, so that one run shows them all. */
static int look_at(int fd, const struct access *access, uint8_t *p)
{
	bool is_write = false;
	void *pair[2] = { (void *)(uintptr_t)access, p };
	struct uffd_msg msg;
	pthread_t thread;

	if (access->needs_avx2 && !__builtin_cpu_supports("avx2"))
		return 0;
	thread = run(touch, pair);
	CHECK(next_message(fd, &msg, 10000));
	CHECK((msg.arg.pagefault.address & ~(PAGE - 1)) ==
	      ((uintptr_t)p & ~(PAGE - 1)));
	is_write = msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE;
	CHECK(zero_page(fd, (void *)((uintptr_t)p & ~(PAGE - 1))) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	if (is_write != access->is_write)
		printf("WRONG: %s is told as a %s\n", access->name,
		       is_write ? "write" : "read");
	return is_write != access->is_write;
}

static void look_at_all(const struct access *table, size_t n)
{
	int fd = open_uffd(O_CLOEXEC | O_NONBLOCK, 0), wrong = 0;
	uint8_t *area = (uint8_t *)map_pages(n);

	watch(fd, area, n);
	for (size_t i = 0; i < n; i++)
		wrong += look_at(fd, &table[i], area + i * PAGE + 512);
	fflush(stdout);
	CHECK(wrong == 0);
	close(fd);
	result("%zu accesses told rightly", n);
}

static void writes_and_reads(void)
{
	look_at_all(accesses, sizeof(accesses) / sizeof(*accesses));
}

static void reads_by_their_prefix(void)
{
	look_at_all(by_prefix, sizeof(by_prefix) / sizeof(*by_prefix));
}

static void writes_and_reads_of_a_stack(void)
{
	look_at_all(on_stack, sizeof(on_stack) / sizeof(*on_stack));
}

/* Pages with something in them stay, also where nobody can list them. */
static void present_pages_stay(void)
{
	const size_t pages = 24;
	int fd = open_uffd(O_CLOEXEC, 0);
	struct handler handler = { 0 };
	char *area = map_pages(pages);
	uint64_t page[PAGE / 8];

	for (size_t i = 0; i < pages; i += 3) {
		make_page(area + i * PAGE, page);
		memcpy(area + i * PAGE, page, PAGE);
		if (i == 6)
			memset(area + i * PAGE, 0, PAGE - 1);
	}
	area[7 * PAGE - 1] = 'z';
	watch(fd, area, pages);
	for (size_t i = 0; i < pages; i += 3) {
		CHECK(copy_page(fd, area + i * PAGE, page) == -1);
		CHECK(errno == EEXIST);
	}
	start_handler(&handler, fd);
	for (size_t i = 0; i < pages; i++)
		if (i != 6)
			CHECK(is_made(area + i * PAGE));
	CHECK(area[6 * PAGE] == 0 && area[7 * PAGE - 1] == 'z');
	stop_handler(&handler);
	CHECK(handler.filled == pages - pages / 3);
	result("messages %d, filled %d", handler.messages, handler.filled);
	unwatch(fd, area, pages);
	close(fd);
	for (size_t i = 0; i < pages; i++)
		if (i != 6)
			CHECK(is_made(area + i * PAGE));
}

/* Dropped pages are asked for again, all of them. */
static void dropped_pages_are_filled_again(void)
{
	const size_t pages = 16;
	int fd = open_uffd(O_CLOEXEC, 0);
	struct handler handler = { 0 };
	char *area = map_pages(pages);

	watch(fd, area, pages);
	start_handler(&handler, fd);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < pages; i++)
			CHECK(is_made(area + (i * 7 % pages) * PAGE));
		CHECK(madvise(area, pages * PAGE, MADV_DONTNEED) == 0);
	}
	stop_handler(&handler);
	result("filled %d", handler.filled);
}

const struct scene scenes[] = {
	{ "writes_and_reads", writes_and_reads },
	{ "reads_by_their_prefix", reads_by_their_prefix },
	{ "writes_and_reads_of_a_stack", writes_and_reads_of_a_stack },
	{ "present_pages_stay", present_pages_stay },
	{ "dropped_pages_are_filled_again", dropped_pages_are_filled_again },
	{ NULL, NULL },
};
