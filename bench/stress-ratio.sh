#!/bin/sh
# SPDX-License-Identifier: MIT
#
# stress-ng's rate of userfaults by us to that by the kernel, in one run:
# rounds alternate, the median of their ratios counts. Judges nothing.
#
# Usage: stress-ratio.sh BUILD-DIRECTORY [ROUNDS [SECONDS]]
set -u

polyfault=$1/polyfault
rounds=${2:-3}
seconds=${3:-5}

if ! command -v stress-ng >/dev/null 2>&1; then
	echo "stress-ng: left out, it is not installed" \
		"(scripts/install-packages.sh run)"
	exit 0
fi

# Faults per second of real time; nothing where none was served.
rate() {
	"$@" stress-ng --userfaultfd 2 --metrics -t "$seconds" 2>&1 |
		awk '/metrc:/ && $4 == "userfaultfd" && $5 ~ /^[0-9]+$/ &&
			$5 > 0 { print $9; exit }'
}

median() {
	sort -n | awk '{ v[NR] = $1 }
		END { printf "%.2f", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

echo "stress-ng --userfaultfd 2, faults per second, $rounds rounds of" \
	"$seconds s"
printf '%-10s %12s %12s %8s\n' '' ours kernel ratio
ratios=
for round in $(seq "$rounds"); do
	ours=$(rate "$polyfault" run --deny-kernel --)
	theirs=$(rate env)
	if [ -n "$ours" ] && [ -n "$theirs" ]; then
		ratio=$(echo "$ours $theirs" | awk '{ printf "%.2f", $1 / $2 }')
		ratios="$ratios $ratio"
	else
		ratio=-
	fi
	printf '%-10s %12s %12s %8s\n' "round $round" "${ours:--}" \
		"${theirs:--}" "$ratio"
done
if [ -n "$ratios" ]; then
	# shellcheck disable=SC2086
	echo "median ratio of the rates, ours to the kernel's:" \
		"$(printf '%s\n' $ratios | median) (above 1 is faster)"
else
	echo "no ratio: the kernel, or we, served nothing here"
fi
