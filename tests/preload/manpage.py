#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Print the example program of the installed userfaultfd(2) page.

The program is not ours to copy into the tree; it is taken from the page as
it is installed, each time.  Exits with 77 when there is no such page.
"""
import glob
import gzip
import re
import sys

PAGES = '/usr/share/man/man2/userfaultfd.2*'
ESCAPES = {
    r'\e': '\\', r'\-': '-', r'\&': '', r'\(aq': "'", r'\[aq]': "'",
    r'\(ti': '~', r'\[ti]': '~', r'\(ha': '^', r'\[ha]': '^',
    r'\(dq': '"', r'\[dq]': '"', r'\[rs]': '\\', r'\(rs': '\\',
    r'\[ga]': '`', r'\(ga': '`',
}
ESCAPE = re.compile(r'\\\[..\]|\\\(..|\\.')


def page_text():
    for path in sorted(glob.glob(PAGES)):
        opener = gzip.open if path.endswith('.gz') else open
        with opener(path, 'rt', encoding='utf-8') as page:
            return page.read()
    return None


def example(text):
    """The longest literal block with a main() in it."""
    blocks = re.findall(r'^\.EX\n(.*?)^\.EE', text, re.M | re.S)
    blocks += re.findall(r'^\.nf\n(.*?)^\.fi', text, re.M | re.S)
    programs = [b for b in blocks if re.search(r'^main\(', b, re.M)]
    return max(programs, key=len, default=None)


def plain(block):
    lines = [l for l in block.splitlines() if not l.startswith('.')]
    text = '\n'.join(lines) + '\n'
    return ESCAPE.sub(lambda m: ESCAPES.get(m.group(), m.group()), text)


def source():
    """The program, or None."""
    text = page_text()
    block = example(text) if text else None
    return plain(block) if block else None


if __name__ == '__main__':
    program = source()
    if program is None:
        sys.exit(77)
    sys.stdout.write(program)
