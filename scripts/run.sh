#!/bin/sh
# SPDX-License-Identifier: MIT
#
# `make run`: Debian's own stress-ng, unmodified, with the kernel's userfaultfd
# out of reach; then a file that is loaded as it is touched. Or the program
# that is named.
#
# Usage: run.sh BUILD-DIRECTORY [PROGRAM ARGS...]
#        SECONDS_OF_STRESS=N   how long stress-ng runs (default: 10)
set -u

here=$(dirname "$0")
build=$1
shift
polyfault=$build/polyfault
lazy_load=$build/examples/02-lazy-load
seconds=${SECONDS_OF_STRESS:-10}

fail() {
	echo "make run: $*" >&2
	exit 1
}

[ -x "$polyfault" ] || fail "$polyfault is not there: make failed or was not run"

if [ $# -gt 0 ]; then
	exec "$polyfault" run "$@"
fi

command -v stress-ng >/dev/null 2>&1 || "$here/install-packages.sh" run ||
	fail "stress-ng is needed and could not be installed"
[ -x "$lazy_load" ] || fail "$lazy_load was not built"

log=$(mktemp) || fail "cannot make a file in ${TMPDIR:-/tmp}"
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

# It exits with 0 where it was refused everything, so only its count tells.
bogo_ops() {
	awk '/metrc:/ && $4 == "userfaultfd" && $5 ~ /^[0-9]+$/ {
		print $5; exit }' "$log"
}

echo "\$ polyfault run --deny-kernel --stats --" \
	"stress-ng --userfaultfd 2 --verify --metrics -t $seconds"
"$polyfault" run --deny-kernel --stats -- \
	stress-ng --userfaultfd 2 --verify --metrics -t "$seconds" \
	>"$log" 2>&1
status=$?
cat "$log"
[ "$status" -eq 0 ] || fail "stress-ng failed (exit status $status)"
grep -q 'stress-ng: fail:' "$log" && fail "stress-ng found wrong contents"
ops=$(bogo_ops)
[ "${ops:-0}" -gt 0 ] ||
	fail "stress-ng did nothing: it was refused, or its output has changed"
echo "make run: stress-ng served $ops faults without the kernel's userfaultfd"

echo
echo "\$ POLYFAULT_WORLD=host $lazy_load"
POLYFAULT_WORLD=host "$lazy_load" || fail "$lazy_load failed"
