/* SPDX-License-Identifier: MIT */
/*
 * Reading an x86-64 instruction, just far enough to tell a store from a load.
 *
 * Used where the trap carries no error code (gVisor). Only the opcode and
 * the ModRM reg field matter: which operand is memory is known, it trapped.
 * The tables hold a bit for each opcode whose memory operand is written; a
 * second set those where the reg field decides.
 */
#include "mmu/host/decode.h"

/* An opcode with its prefixes taken off. */
struct decoded {
	unsigned map; /* 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A */
	uint8_t opcode;
	uint8_t reg; /* ModRM bits 5..3 */
	bool is_vex;
	uint8_t repeat; /* 2: F3, 3: F2, as VEX has it; 0, 1: neither */
};

static bool is_legacy_prefix(uint8_t b)
{
	switch (b) {
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
	case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3:
		return true;
	default:
		return (b & 0xf0) == 0x40;
	}
}

static struct decoded decode_escaped(const uint8_t *at, uint8_t repeat)
{
	struct decoded d = { .map = 1, .opcode = at[0], .repeat = repeat };

	if (at[0] == 0x38 || at[0] == 0x3a) {
		d.map = at[0] == 0x38 ? 2 : 3;
		at++;
		d.opcode = at[0];
	}
	d.reg = at[1] >> 3 & 7;
	return d;
}

static struct decoded decode_at(const uint8_t *at)
{
	uint8_t repeat = 0;

	for (; is_legacy_prefix(*at); at++)
		if (*at == 0xf2 || *at == 0xf3)
			repeat = *at == 0xf3 ? 2 : 3;
	if (*at == 0x0f)
		return decode_escaped(at + 1, repeat);
	if (*at == 0xc5)
		return (struct decoded){ 1, at[2], at[3] >> 3 & 7, true,
					 at[1] & 3 };
	if (*at == 0xc4)
		return (struct decoded){ at[1] & 0x1f, at[3], at[4] >> 3 & 7,
					 true, at[2] & 3 };
	if (*at == 0x62)
		return (struct decoded){ at[1] & 7, at[4], at[5] >> 3 & 7,
					 true, at[2] & 3 };
	return (struct decoded){ 0, at[0], at[1] >> 3 & 7, false, 0 };
}

/* add or adc sbb and sub xor, "r to m" forms; cmp (38, 39) only reads. */
static bool is_alu_store(uint8_t op)
{
	return op < 0x38 && (op & 7) < 2;
}

static bool one_byte_writes(const struct decoded *d)
{
	switch (d->opcode) {
	case 0x80: case 0x81: case 0x83: /* group 1, /7 is cmp */
		return d->reg != 7;
	case 0x86: case 0x87:            /* xchg */
	case 0x88: case 0x89: case 0x8c: /* mov */
	case 0x8f:                       /* pop */
	case 0xa2: case 0xa3:            /* mov to moffs */
	case 0xaa: case 0xab:            /* stos */
	case 0xc0: case 0xc1:            /* shifts */
	case 0xc6: case 0xc7:            /* mov immediate */
	case 0xd0: case 0xd1: case 0xd2: case 0xd3:
	case 0xe8:                       /* call pushes */
	case 0x68: case 0x6a: case 0x9c: case 0xc8: /* push, pushf, enter */
	case 0x6c: case 0x6d:            /* ins */
		return true;
	case 0xf6: case 0xf7: /* group 3: not, neg */
		return d->reg == 2 || d->reg == 3;
	case 0xfe:
		return true;
	case 0xff: /* inc, dec; the others read it */
		return d->reg < 2;
	case 0xd9: /* fst, fstp, fnstenv, fnstcw */
		return d->reg == 2 || d->reg == 3 || d->reg >= 6;
	case 0xdb: case 0xdd: case 0xdf:
		return d->reg == 1 || d->reg == 2 || d->reg == 3 ||
		       d->reg >= 6;
	default:
		return is_alu_store(d->opcode) || (d->opcode & 0xf8) == 0x50;
	}
}

static bool two_byte_writes(const struct decoded *d)
{
	switch (d->opcode) {
	case 0x7e: /* F3 0F 7E is movq from memory */
		return d->repeat != 2;
	case 0x11: case 0x13: case 0x17: case 0x29: case 0x2b:
	case 0x7f: case 0xd6: case 0xe7: /* vector stores */
	case 0xc3:                       /* movnti */
	case 0xa4: case 0xa5: case 0xac: case 0xad: /* shld, shrd */
	case 0xb0: case 0xb1:            /* cmpxchg */
	case 0xc0: case 0xc1:            /* xadd */
	case 0xab: case 0xb3: case 0xbb: /* bts btr btc */
		return true;
	case 0xba:
		return d->reg > 4;
	case 0xc7: /* cmpxchg8b/16b, xsavec, xsaves */
		return d->reg == 1 || d->reg == 4 || d->reg == 5;
	case 0xae: /* fxsave, stmxcsr, xsave, xsaveopt */
		return d->reg == 0 || d->reg == 3 || d->reg == 4 ||
		       d->reg == 6;
	default:
		return (d->opcode & 0xf0) == 0x90; /* setcc */
	}
}

static bool three_byte_writes(const struct decoded *d)
{
	if (d->map == 2)
		return d->is_vex ? d->opcode == 0x8e || d->opcode == 0x2e ||
					   d->opcode == 0x2f
				 : d->opcode == 0xf1 && d->repeat != 3;
	/* pextr*, extractps, vextract* */
	return (d->opcode >= 0x14 && d->opcode <= 0x17) ||
	       d->opcode == 0x19 || d->opcode == 0x1b || d->opcode == 0x39 ||
	       d->opcode == 0x3b;
}

bool decode_is_write(const ucontext_t *uc, va_t va)
{
	const greg_t *regs = uc->uc_mcontext.gregs;
	struct decoded d =
		decode_at((const uint8_t *)(uintptr_t)regs[REG_RIP]);

	if (d.map == 0 && (d.opcode == 0xa4 || d.opcode == 0xa5)) /* movs */
		return page_down((va_t)regs[REG_RDI]) == page_down(va);
	/* Indirect call and push read one operand and write another. */
	if (d.map == 0 && d.opcode == 0xff && (d.reg >> 1 == 1 || d.reg == 6))
		return page_down((va_t)regs[REG_RSP] - 8) == page_down(va);
	if (d.map == 0)
		return one_byte_writes(&d);
	if (d.map == 1)
		return two_byte_writes(&d);
	return three_byte_writes(&d);
}
