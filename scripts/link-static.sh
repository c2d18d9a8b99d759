#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Makes the static library: one object, in which only what is not hidden is
# still global, so that the short names inside never meet a user's.
#
# Usage: link-static.sh OUT.a OBJECT...
set -e

out=$1
shift
object=$out.p.o
trap 'rm -f "$object"' EXIT

"${LD:-ld}" -r -o "$object" "$@"
"${OBJCOPY:-objcopy}" --localize-hidden "$object"
rm -f "$out"
"${AR:-ar}" rcs "$out" "$object"
