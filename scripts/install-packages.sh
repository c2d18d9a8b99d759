#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Sees to it that the Debian packages for a purpose are there. Touches the
# network only when one is missing and apt-get may be used.
#
# Usage: install-packages.sh [--look] build|run|check
#        --look   only says what is missing
set -u

build="gcc libc6-dev meson ninja-build pkg-config libbsd-dev libcmocka-dev
       python3"
check="stress-ng manpages-dev"
# Without these a test is skipped, with the reason.
optional="g++ runsc clang libclang-rt-14-dev clang-format"

look=
if [ "${1:-}" = --look ]; then
	look=yes
	shift
fi

case "${1:-}" in
build) check= optional= ;;
run) check=stress-ng optional= ;;
check) ;;
*) echo "usage: install-packages.sh [--look] build|run|check" >&2; exit 2 ;;
esac

# The packages of the list that are not installed. pkg-config may be pkgconf;
# on a system without dpkg, the commands stand for the packages.
missing_of() {
	for package in $1; do
		is_there "$package" || printf ' %s' "$package"
	done
}

is_there() {
	case "$1" in
	gcc | g++ | meson | pkg-config | python3 | clang | clang-format | \
		stress-ng | runsc) command -v "$1" >/dev/null 2>&1 ;;
	ninja-build) command -v ninja >/dev/null 2>&1 ;;
	libbsd-dev) [ -e /usr/include/bsd/sys/tree.h ] ;;
	libcmocka-dev) [ -e /usr/include/cmocka.h ] ;;
	libc6-dev) [ -e /usr/include/stdio.h ] ;;
	*)
		command -v dpkg-query >/dev/null 2>&1 || return 0
		dpkg-query -W -f='${Status}' "$1" 2>/dev/null |
			grep -q ' installed$'
		;;
	esac
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		if [ -t 0 ]; then sudo "$@"; else sudo -n "$@"; fi
	else
		return 1
	fi
}

may_install() {
	command -v apt-get >/dev/null 2>&1 && as_root true 2>/dev/null
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -q --no-install-recommends "$@" \
		>/dev/null 2>&1
}

apt_update() {
	as_root apt-get update -q >/dev/null 2>&1
}

required=$(missing_of "$build $check")
wanted=$(missing_of "$optional")

if [ -z "$look" ] && [ -n "$required$wanted" ] && may_install; then
	echo "installing:$required$wanted"
	# The lists may be old or absent: once more with new ones.
	# shellcheck disable=SC2086
	apt_install $required $wanted || { apt_update
		if [ -n "$required" ]; then apt_install $required; fi
		for package in $wanted; do apt_install "$package"; done; }
	required=$(missing_of "$build $check")
	wanted=$(missing_of "$optional")
fi

if [ -n "$required" ]; then
	echo "polyfault: missing Debian packages:$required" \
		"(as root: apt-get install$required)" >&2
	exit 1
fi
if [ -n "$wanted" ]; then
	echo "optional packages are missing, their tests are skipped:$wanted"
fi
