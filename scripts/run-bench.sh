#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `make bench`: the table of figures, then stress-ng's rate. With arguments,
# only the table, with those.
#
# Usage: run-bench.sh BUILD-DIRECTORY [ARGS...]
set -e

here=$(dirname "$0")
build=$1
shift
"$build/bench/bench" "$@"
if [ $# -eq 0 ]; then
	echo
	"$here/../bench/stress-ratio.sh" "$build"
fi
