#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `make bench`: every measuring program that was built, one after another.
#
# Usage: run-bench.sh BUILD-DIRECTORY [ARGS...]
set -e

build=$1
shift
for program in "$build"/bench/bench-*; do
	if [ -x "$program" ] && [ -f "$program" ]; then
		"$program" "$@"
	fi
done
