#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A build directory is configured with these options and this set of
# meson.build files; nothing is done when it already is.
#
# Usage: configure.sh DIRECTORY [MESON-OPTION...]
set -e

cd "$(dirname "$0")/.."
dir=$1
shift
stamp=$dir/.configured
now="$* CC=${CC:-}
$(find . -name meson.build -not -path './build*' | sort)"

if [ -e "$dir/build.ninja" ] && [ "$now" = "$(cat "$stamp" 2>/dev/null)" ]
then
	exit 0
fi

# Another compiler needs a new directory.
if [ -e "$stamp" ] &&
	[ "$(head -n 1 "$stamp" | sed 's/.*CC=//')" != "${CC:-}" ]; then
	rm -rf "$dir"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ -e "$dir/build.ninja" ]; then
	set -- --reconfigure "$@"
fi
if ! meson setup "$dir" "$@" >"$log" 2>&1; then
	cat "$log" >&2
	exit 1
fi
printf '%s\n' "$now" >"$stamp"
