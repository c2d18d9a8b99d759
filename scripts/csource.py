# SPDX-License-Identifier: MIT
"""C sources as the tidy scripts see them: text, code without comments,
functions, prototypes and structs. A scanner, not a parser: it knows our own
style and nothing else."""
import os
import re
import subprocess
from collections import namedtuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

Function = namedtuple("Function", "name line lines params nesting")

BLANKED = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def files(*endings, below=""):
    """Paths in the tree, from its root, tracked or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard",
         "-z", "--", below or "."],
        cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        paths = sorted(set(filter(None, listed.stdout.split("\0"))))
    else:
        paths = sorted(walk(below))
    return [p for p in paths if p.endswith(endings or "")
            and os.path.isfile(os.path.join(ROOT, p))]


def walk(below):
    """The same in an unpacked archive, where there is no git."""
    for top, dirs, names in os.walk(os.path.join(ROOT, below)):
        dirs[:] = [d for d in dirs if d != ".git" and
                   not d.startswith("build") and d != "__pycache__"]
        for name in names:
            yield os.path.relpath(os.path.join(top, name), ROOT)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def blank(text):
    """The text with comments and literals made blank, lines kept."""
    def fill(match):
        found = match.group(0)
        if found.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + " " * (len(found) - 2) + found[-1]
    return BLANKED.sub(fill, text)


def without_directives(code):
    """Blanked code, preprocessor lines and their continuations blank too."""
    out, inside = [], False
    for line in code.split("\n"):
        is_directive = inside or line.lstrip().startswith("#")
        inside = is_directive and line.rstrip().endswith("\\")
        out.append(" " * len(line) if is_directive else line)
    return "\n".join(out)


def split_params(text):
    depth, parts, start = 0, [], 0
    for i, c in enumerate(text):
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    parts = [p.strip() for p in parts]
    return [] if parts in ([""], ["void"]) else parts


def head_of(head):
    """(name, parameters) of what stands before a brace, if a function."""
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head, flags=re.S)
    m = re.match(r"[^={]*?\b(\w+)\s*\((.*)\)[\w\s]*$", head.strip(),
                 re.S)
    if not m or m.group(1) in ("if", "for", "while", "switch", "sizeof") or \
            m.group(1).isupper():
        return None
    return m.group(1), split_params(m.group(2))


def top_level(code):
    """(head, body, offset of head, offset after) of each braced thing at the
    top; `extern "C" {` is looked through."""
    code = re.sub(r'extern\s+" *"\s*\{', lambda m: " " * len(m.group(0)), code)
    depth, start, open_at = 0, 0, 0
    for i, c in enumerate(code):
        if c == "{":
            if depth == 0:
                open_at = i
            depth += 1
        elif c == "}":
            depth = max(0, depth - 1)
            if depth == 0:
                yield code[start:open_at], code[open_at:i + 1], start, i
                start = i + 1
        elif c == ";" and depth == 0:
            start = i + 1


def deepest(body):
    depth = most = 0
    for c in body:
        if c == "{":
            depth += 1
            most = max(most, depth)
        elif c == "}":
            depth -= 1
    return most - 1


def functions(text):
    code = without_directives(blank(text))
    for head, body, start, end in top_level(code):
        found = head_of(head)
        if not found:
            continue
        start += len(head) - len(head.lstrip())
        first = code.count("\n", 0, start) + 1
        last = code.count("\n", 0, end) + 1
        yield Function(found[0], first, last - first + 1, len(found[1]),
                       deepest(body))


def structs(text):
    """(name, line, body text with comments) of structs defined at the top."""
    code = without_directives(blank(text))
    for head, body, start, end in top_level(code):
        m = re.search(r"\b(?:struct|union)\s+(\w+)\s*$", head)
        if m and "=" not in head:
            begin = end - len(body) + 2
            stop = text.find("\n", end)
            yield (m.group(1), code.count("\n", 0, start + len(head)) + 1,
                   text[begin:end], text[end:stop])
