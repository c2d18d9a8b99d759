#!/bin/sh
# SPDX-License-Identifier: MIT
# KNOWN.md says what the table in the code says: same-as-known.sh CONFORM FILE
"$1" --known | diff -u "$2" -
