#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Can somebody who knows only pkg-config use what was installed? In C and C++,
# with the shared and the static library; and does the installed command find
# the installed shim?
#
# Usage: outsider.sh SOURCE-ROOT BUILD-DIRECTORY
set -eu

build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if grep -q b_sanitize=[at] "$build/.configured" 2>/dev/null; then
	echo "a library with a sanitizer in it cannot be linked without"
	exit 77
fi

say() { echo "outsider: $*"; }

DESTDIR=$work/root meson install -C "$build" --no-rebuild --quiet >/dev/null

pc=$(find "$work/root" -name polyfault.pc)
[ -n "$pc" ] || { say "no polyfault.pc was installed"; exit 1; }
PKG_CONFIG_PATH=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$work/root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
libdir=$(dirname "$(find "$work/root" -name libpolyfault.so.0)")

cat >"$work/program.c" <<'END'
#include <polyfault/embed.h>
#include <polyfault/interpose.h>
#include <polyfault/userfaultfd.h>
#include <polyfault/version.h>
#include <string.h>

int main(void)
{
	struct pf_space *space = NULL;

	if (pf_space_create(NULL, &space))
		return 1;
	pf_space_destroy(space);
	return strcmp(pf_version(), PF_VERSION_STRING) != 0;
}
END
cp "$work/program.c" "$work/program.cc"

# try COMPILER OPTIONS SOURCE LIBRARIES...
try() {
	compiler=$1 options=$2 source=$3
	shift 3
	# shellcheck disable=SC2046,SC2086
	"$compiler" $options -Wall -Wextra -Wpedantic -Werror \
		$(pkg-config --cflags polyfault) "$source" -o "$work/program" \
		"$@"
	LD_LIBRARY_PATH=$libdir "$work/program"
	say "$compiler $options: works"
}

libs=$(pkg-config --libs polyfault)
# shellcheck disable=SC2086
try cc -std=gnu11 "$work/program.c" $libs
# shellcheck disable=SC2086
try cc -std=c11 "$work/program.c" $libs
try cc -std=gnu11 "$work/program.c" "$libdir/libpolyfault.a"
try cc "-std=gnu11 -static" "$work/program.c" "$libdir/libpolyfault.a"
if command -v c++ >/dev/null; then
	# shellcheck disable=SC2086
	try c++ -std=c++17 "$work/program.cc" $libs
fi

command=$(find "$work/root" -path '*/bin/polyfault')
[ "$("$command" run --world host -- sh -c 'echo here')" = here ] ||
	{ say "the installed command does not run programs"; exit 1; }
say "the installed command finds the installed shim"
