/* SPDX-License-Identifier: MIT */
/* The polyfault command. */
#include <stdio.h>

int main(void)
{
	return 0;
}
