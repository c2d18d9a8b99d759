#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of lock ranks in docs/locking.md, from src/base/rank.h.

Without arguments the table is written between its two markers; with --check
nothing is written, and a table that is out of date is a failure.
"""
import os
import re
import sys

import csource

PAGE = "docs/locking.md"
BEGIN = "<!-- ranks: made by scripts/gen-locking.py -->"
END = "<!-- ranks end -->"
RANK = re.compile(r"^\tRANK_(\w+)(?: = 0)?,\s*/\*\s*(.*?)\s*\*/$", re.M)


def table():
    rows = ["| order | rank | room | what it guards |", "|---|---|---|---|"]
    ranks = [(n, t) for n, t in RANK.findall(csource.read("src/base/rank.h"))
             if n != "NONE"]
    for order, (name, text) in enumerate(ranks, 1):
        room, _, what = text.partition(":")
        rows.append(f"| {order} | `RANK_{name}` | {room} | {what.strip()} |")
    return "\n".join(rows)


def main():
    page = os.path.join(csource.ROOT, PAGE)
    if not os.path.exists(page):
        print(f"{PAGE} is missing")
        return 77
    text = csource.read(PAGE)
    if BEGIN not in text or END not in text:
        print(f"{PAGE} has no place for the table ({BEGIN} ... {END})")
        return 1
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    new = f"{head}{BEGIN}\n{table()}\n{END}{tail}"
    if new == text:
        return 0
    if "--check" in sys.argv[1:]:
        print(f"{PAGE} is out of date: run scripts/gen-locking.py")
        return 1
    with open(page, "w", encoding="utf-8") as f:
        f.write(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
