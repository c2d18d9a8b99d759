/* SPDX-License-Identifier: MIT */
/* Which rows which world does not have, and why. KNOWN.md is made of it. */
#include "conform.h"

#include <stdio.h>
#include <string.h>

const struct conform_known conform_known[] = {
	/* What a world cannot have. */
	{ IN_SOFT, "A02 A03 A14b A15 L18 L19 L26",
	  "a soft object is not a descriptor" },
	{ IN_SOFT | IN(W_HOST), "A13 A14 A16",
	  "made by the preload shim" },
	{ IN_SOFT, "L17",
	  "a soft object is not a descriptor" },
	{ IN_SOFT, "A04 A05 A06 A07 A08 A12a A12b",
	  "whoever can call the embedded interface may create objects" },
	{ IN_OURS, "A09 A10 A11 A12c A12d A12e",
	  "about files of the kernel's, which are not ours to make" },
	{ IN(W_KERNEL) | IN_HOST, "A17 C31 E93 E72",
	  "allocations fail, and charges are seen, in the soft worlds only" },
	{ IN_SOFT, "C09 C09c C10 C20 C20b C20c C20d C20e C22 C22b C22d C22e "
		   "C24 D04 E23 F12 L61 L62 L25c L67 L67b",
	  "the soft worlds have plain private anonymous memory only" },
	{ IN_HOST, "C27 D09 E21 F09 G06 L30 L31 L70",
	  "not yet: objects that outlive their process" },
	{ IN_SOFT, "L70", "the soft worlds have no exec; see C27, E21" },
	{ IN_HOST, "C30 C30b C30c",
	  "the host's mappings are not those of the engine" },
	{ IN_SOFT, "L04 L04b",
	  "the buffer is the caller's own memory: a bad one crashes" },
	{ IN_SOFT, "L13 L13b L20 L21 L21b L92 L93",
	  "the soft worlds have no signals" },
	{ IN_OURS, "L91",
	  "the kernel's storm of duplicate messages is not imitated" },
	{ IN_OURS, "L71",
	  "an access from another process enters the kernel only" },
	{ IN_SOFT, "L50", "a thread of a soft world cannot be killed" },
	{ IN_OURS, "E70",
	  "a thread inside the engine cannot be killed alone" },
	{ IN_HOST, "L61 L62 L25c",
	  "mlock and MADV_POPULATE enter the kernel only" },
	{ IN(W_SEED), "E27 L25 L25b", "5.4 has no user-mode-only objects" },
	{ IN(W_SEED), "E50b E50c L48", "5.4 has no guard pages" },
	{ IN(W_SEED), "S54", "in 5.4 an access that waited once gets SIGBUS" },
	/* Rows without a case. */
	{ IN_ALL, "C11 C11b C12 C12b C18d C22c E29 E30 E31 E32 E33 E34 E35 "
		  "E36 E37 E81 F08 F10 F10b F11 F17 L40 L41 L63",
	  "not yet: shared memory" },
	{ IN_ALL, "C13 C13b C13c C14 C14b D08 D08b E38 E39 E40 E41 E42 E43 "
		  "E45 E46 E47 E48 E48b E48c E48e E49 F13 L23 L23b L23c L66",
	  "not yet: huge pages of hugetlb" },
	{ IN_ALL, "C16b C16c C16d C18b C18c C18f C18h1 C19 C19b C19c C20b2 "
		  "C20e2 D06b D06c D11 E19 E19b E51 E69 E90 E92 F14 F21 H19e "
		  "L24c L26c L80 L81",
	  "not yet: write-protection" },
	{ IN_ALL, "C18e C18g C18i C18h2 C18h3 D12 D12b L45 L46 L47 L64 L65 "
		  "L73 L82",
	  "not yet: MINOR faults" },
	{ IN_ALL, "E91 F22 J06b", "not yet: POISON" },
	{ IN_ALL, "E97 F23", "not yet: shared memory (guard markers there)" },
	{ IN_ALL, "E80 F20 L72", "no world here has pages in swap" },
	{ IN_ALL, "C32", "no such mapping can be made by a program" },
	{ IN_ALL, "E71", "needs memory cgroups of its own" },
	{ IN_ALL, "E94 E95 E96", "races inside the kernel" },
	{ 0, NULL, NULL },
};

static bool names(const char *rows, const char *label)
{
	size_t n = strlen(label);
	const char *at = rows;

	while ((at = strstr(at, label))) {
		bool begins = at == rows || at[-1] == ' ';

		if (begins && (at[n] == ' ' || at[n] == '\0'))
			return true;
		at += n;
	}
	return false;
}

const char *known_reason(const char *label, enum w_kind kind)
{
	for (const struct conform_known *k = conform_known; k->rows; k++)
		if ((k->worlds & IN(kind)) && names(k->rows, label))
			return k->reason;
	return NULL;
}

void known_print(void)
{
	printf("# Rows that a world does not have\n\n"
	       "Printed by `conform --known`; the table itself is in\n"
	       "conform_known.c. The matrix shows these as `-`.\n\n"
	       "| rows | worlds | why |\n|---|---|---|\n");
	for (const struct conform_known *k = conform_known; k->rows; k++) {
		printf("| %s |", k->rows);
		for (int kind = 0; kind < W_KINDS; kind++)
			if (k->worlds & IN(kind))
				printf(" %s", w_name((enum w_kind)kind));
		printf(" | %s |\n", k->reason);
	}
}
