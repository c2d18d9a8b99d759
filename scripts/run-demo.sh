#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `make run`: the first example, with the kernel's userfaultfd out of reach,
# or the program that is named.
#
# Usage: run-demo.sh BUILD-DIRECTORY [PROGRAM ARGS...]
set -e

build=$1
shift
if [ $# -gt 0 ]; then
	exec "$build/polyfault" run "$@"
fi

"$build/polyfault" probe
demo=$build/examples/01-hello-fault
if [ -x "$demo" ]; then
	echo
	echo "\$ polyfault run --deny-kernel --stats -- $demo"
	exec "$build/polyfault" run --deny-kernel --stats -- "$demo"
fi
