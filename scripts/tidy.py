#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The limits of docs/coding.md, as a test.

Every rule is a function that yields problems; a rule that needs a compiler or
a built library says so when that is missing and is left out.
"""
import argparse
import collections
import os
import re
import shutil
import subprocess
import sys

import csource

FUNCTION_LINES, TEST_FUNCTION_LINES = 70, 60
PARAMS = 5
FILE_LINES, TEST_FILE_LINES, EXAMPLE_LINES = 600, 900, 120
NESTING = 4
COLUMNS = 100
IFS_PER_1000, GOTOS_PER_1000 = 3, 15
CHECKS_PER_1000 = 20
COMMENT_SHARE = (0.15, 0.40)
# Where invariants live.
CHECKED_ROOMS = ("table", "frame", "space", "fill", "uffd")

C_FILES = (".c", ".h", ".S")
SPDX_FILES = C_FILES + (".py", ".sh", ".map", "meson.build",
                        "meson_options.txt", "Makefile")
CALLED_ALIKE = {"README.md", "meson.build", "KNOWN.md", ".gitignore"}
WORDS = re.compile(r"\b(TODO|FIXME|XXX|acceptance)\b|/work/\w|\.\./shared\b")
# These name what is forbidden.
WORDS_EXEMPT = {"scripts/tidy.py", "CONTRIBUTING.md"}


def is_test(path):
    return path.startswith(("tests/", "bench/"))


def is_example(path):
    return re.match(r"examples/\d", path) is not None


def takes_a_calls_parameters(path, function):
    """Where the signature is a system call's, not ours."""
    return (path.startswith("preload/calls_") or
            function.name in ("raw_call6", "early_mmap", "pf_mmap",
                              "sys_mmap"))


def rule_function_shape():
    for path in csource.files(".c", ".h"):
        limit = TEST_FUNCTION_LINES if is_test(path) else FUNCTION_LINES
        for f in csource.functions(csource.read(path)):
            at = f"{path}:{f.line}: {f.name}()"
            if f.lines > limit:
                yield f"{at} has {f.lines} lines, more than {limit}"
            if f.params > PARAMS and not takes_a_calls_parameters(path, f):
                yield f"{at} has {f.params} parameters, more than {PARAMS}"
            if f.nesting > NESTING:
                yield f"{at} nests {f.nesting} deep, more than {NESTING}"


def rule_file_length():
    for path in csource.files(*C_FILES):
        limit = (TEST_FILE_LINES if is_test(path) else
                 EXAMPLE_LINES if is_example(path) else FILE_LINES)
        lines = csource.read(path).count("\n")
        if lines > limit:
            yield f"{path}: {lines} lines, more than {limit}"


def rule_columns():
    for path in csource.files(*C_FILES):
        for i, line in enumerate(csource.read(path).splitlines(), 1):
            width = len(line.expandtabs(8))
            if width > COLUMNS:
                yield f"{path}:{i}: {width} columns, more than {COLUMNS}"
            if line.rstrip() != line:
                yield f"{path}:{i}: blanks at the end"


def room(path):
    """The directory whose density is measured."""
    return os.path.dirname(path)


def density(count, of=room, endings=(".c", ".h"), also=()):
    """{room: how many in 1000 lines} of the library."""
    found, lines = collections.Counter(), collections.Counter()
    for path in csource.files(*endings, below="src") + list(also):
        text = csource.read(path)
        found[of(path)] += count(text)
        lines[of(path)] += sum(bool(l.strip()) for l in text.split("\n"))
    return {name: 1000 * found[name] / lines[name] for name in lines}


def count_ifs(text):
    """Conditionals that are neither an include guard nor about C++."""
    found = re.findall(r"^[ \t]*#[ \t]*(if\w*)[ \t]+(.*)$",
                       csource.blank(text), re.M)
    return sum(not (kind == "ifndef" and name.strip().endswith("_H") or
                    name.strip() == "__cplusplus") for kind, name in found)


def rule_ifs():
    for name, value in density(count_ifs).items():
        if name in ("src/base", "src/mmu/host"):
            continue
        if value > IFS_PER_1000:
            yield (f"{name}: {value:.1f} #if in 1000 lines, more than"
                   f" {IFS_PER_1000}")


def rule_gotos():
    by_room = density(
        lambda text: len(re.findall(r"\bgoto\b", csource.blank(text))))
    for name, value in by_room.items():
        if value > GOTOS_PER_1000:
            yield (f"{name}: {value:.1f} gotos in 1000 lines, more than"
                   f" {GOTOS_PER_1000}")


def rule_checks():
    by_room = density(
        lambda text: len(re.findall(r"\b(?:check|check_more|check_all|bug)\(",
                                    csource.blank(text))), endings=(".c",))
    for name in CHECKED_ROOMS:
        value = by_room.get("src/" + name, CHECKS_PER_1000)
        if value < CHECKS_PER_1000:
            yield (f"src/{name}: {value:.1f} checks in 1000 lines, fewer than"
                   f" {CHECKS_PER_1000}")


def comment_lines(text):
    """Lines with a comment on them, the licence line apart."""
    code = csource.blank(text).split("\n")
    return sum(old.rstrip() != new.rstrip() and '"' not in new
               for old, new in zip(text.split("\n"), code)) - 1


def rule_comments():
    low, high = COMMENT_SHARE
    # What api's functions promise is said in the public headers.
    by_room = density(
        comment_lines, also=csource.files(".h", below="include"),
        of=lambda path: "api" if path.startswith("include/")
        else path.split("/")[1])
    for name, value in by_room.items():
        share = value / 1000
        if not low <= share <= high:
            yield (f"src/{name}: {share:.0%} comments, not {low:.0%} to"
                   f" {high:.0%}")


def prototype_paragraphs(text):
    """Paragraphs of a header that declare functions, with their lines."""
    at = 1
    for part in re.split(r"(\n[ \t]*\n)", text):
        yield at, part
        at += part.count("\n")


def declares_function(paragraph):
    code = csource.without_directives(csource.blank(paragraph))
    # Bodies, braces of structs and typedefs of functions are no prototypes.
    while re.search(r"\{[^{}]*\}", code):
        code = re.sub(r"\{[^{}]*\}", " @ ", code)
    for statement in code.split(";")[:-1]:
        statement = statement.rpartition("@")[2].strip()
        m = re.match(r"(?!typedef\b|static\b|return\b)"
                     r"[\w\s*]*?\b(\w+)\s*\(.*\)[\w\s(),\"]*$", statement,
                     re.S)
        if m and not m.group(1).isupper() and m.group(1)[:2] != "_S":
            return m.group(1)
    return None


def rule_contracts():
    for path in csource.files(".h"):
        if not path.startswith(("src/", "include/", "preload/", "tools/")):
            continue
        text = re.sub(r'#ifdef __cplusplus.*?#endif\n(#pragma.*\n)?', "\n",
                      csource.read(path), flags=re.S)
        text = strip_braced(text)
        for line, part in prototype_paragraphs(text):
            name = declares_function(part)
            if name and not part.lstrip().startswith("/*"):
                yield f"{path}: {name}() has no contract above it"


def strip_braced(text):
    """Braced things made a mark, so that paragraphs in them do not count."""
    out, depth = [], 0
    code = csource.blank(text)
    for c, real in zip(code, text):
        if c == "{":
            depth += 1
        if depth == 0:
            out.append(real)
        if c == "}":
            depth -= 1
            if depth == 0:
                out.append("@")
    return "".join(out)


def fields_of(body, tail):
    """(field text, comments beside or above it) of a struct's body."""
    whole = body + tail
    code = csource.blank(whole)
    depth, start = 0, 0
    for i, c in enumerate(code[:len(body)]):
        depth += (c == "{") - (c == "}")
        if c == ";" and depth == 0:
            stop = whole.find("\n", i)
            stop = len(whole) if stop < 0 else stop
            # A comment that begins beside the field may go on below it.
            note = re.match(r"\s*/\*.*?\*/", whole[i + 1:], re.S)
            if note and "\n" not in note.group(0).split("/*")[0]:
                stop = max(stop, i + 1 + note.end())
            yield code[start:i].strip(), whole[start:stop]
            start = stop


SHARED = re.compile(r"\b_Atomic \w+ \w|\bstruct (?:rw)?lock \w")
LOCK = re.compile(r"struct (?:rw)?lock \w")


def rule_field_letters():
    letter = re.compile(r"\[[^\]\n]{1,40}\]")
    for path in csource.files(".c", ".h", below="src"):
        for name, line, body, tail in csource.structs(csource.read(path)):
            comments = " ".join(re.findall(r"/\*.*?\*/", body, re.S))
            # What is never shared, as an argument or a cursor, needs none.
            if not letter.search(comments) and not SHARED.search(body):
                continue
            for field, text in fields_of(body, tail):
                notes = " ".join(re.findall(r"/\*.*?(?:\*/|$)", text, re.S))
                if not letter.search(notes) and not LOCK.match(field):
                    words = " ".join(field.split())
                    yield (f"{path}:{line}: struct {name}: no guard letter on"
                           f" '{words}'")


def rule_unique_names():
    seen = collections.defaultdict(list)
    for path in csource.files():
        name = os.path.basename(path)
        if name not in CALLED_ALIKE and "/corpus/" not in path:
            seen[name].append(path)
    for name, paths in seen.items():
        if len(paths) > 1:
            yield f"{name} is the name of {' and '.join(paths)}"


def rule_licence_line():
    for path in csource.files(*SPDX_FILES):
        head = csource.read(path).split("\n")[:2]
        if not any("SPDX-License-Identifier: MIT" in line for line in head):
            yield f"{path}: no SPDX line at the top"


def rule_words():
    for path in csource.files():
        if path in WORDS_EXEMPT or "/corpus/" in path:
            continue
        try:
            text = csource.read(path)
        except UnicodeDecodeError:
            continue
        for i, line in enumerate(text.splitlines(), 1):
            found = WORDS.search(line)
            if found:
                yield f"{path}:{i}: '{found.group(0)}'"


def rule_header_guards():
    for path in csource.files(".h"):
        text = csource.read(path)
        if not re.search(r"^#ifndef (\w+_H)\n#define \1$", text, re.M):
            yield f"{path}: no guard ROOM_FILE_H"


def rule_doc_links():
    link = re.compile(r"\]\(([^)\s]+)\)")
    for path in csource.files(".md"):
        for target in link.findall(csource.read(path)):
            target = target.partition("#")[0]
            if not target or re.match(r"\w+:", target):
                continue
            at = os.path.join(csource.ROOT, os.path.dirname(path), target)
            if not os.path.exists(at):
                yield f"{path}: the link {target} leads nowhere"


def rule_shown_files():
    """What a page shows after <!-- PATH --> is that file."""
    shown = re.compile(r"^<!-- (\S+\.\w+) -->\n```\w*\n(.*?)^```$", re.M | re.S)
    for path in csource.files(".md"):
        text = csource.read(path)
        for name, block in shown.findall(text):
            if block != csource.read(name):
                yield f"{path}: what it shows is not {name}"
    if "<!-- examples/01-hello-fault.c -->" not in csource.read("README.md"):
        yield "README.md: does not show examples/01-hello-fault.c"


def rule_one_version():
    text = csource.read("include/polyfault/version.h")
    header = re.search(r'PF_VERSION_STRING "([^"]+)"', text).group(1)
    build = re.search(r"^  version: '([^']+)'", csource.read("meson.build"),
                      re.M).group(1)
    numbers = ".".join(re.search(rf"PF_VERSION_{n} (\d+)", text).group(1)
                       for n in ("MAJOR", "MINOR", "PATCH"))
    if len({header, build, numbers}) > 1:
        yield f"version.h says {header} and {numbers}, meson.build {build}"


def compile_alone(path, compiler, *options):
    done = subprocess.run(
        [*compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror",
         "-fsyntax-only", "-D_GNU_SOURCE", "-Iinclude", "-Isrc", "-Ipreload",
         "-include", path, *options, "-"],
        cwd=csource.ROOT, input="typedef int alone;\n", capture_output=True, text=True,
        check=False)
    return done.stderr.splitlines()[:1] if done.returncode else []


def rule_headers_alone():
    public = csource.files(".h", below="include")
    inside = [p for p in csource.files(".h")
              if p.startswith(("src/", "preload/", "tools/"))]
    for path in public + inside:
        for problem in compile_alone(path, ["cc", "-std=gnu11"], "-xc"):
            yield f"{path} alone in C: {problem}"
    if not shutil.which("c++"):
        print("headers in C++: left out, there is no C++ compiler")
        return
    for path in public:
        for problem in compile_alone(path, ["c++", "-std=c++11"], "-xc++"):
            yield f"{path} alone in C++: {problem}"


def symbols(*command):
    done = subprocess.run(["nm", "--defined-only", *command],
                          capture_output=True, text=True, check=True)
    found = [line.split() for line in done.stdout.splitlines()]
    return {f[2].partition("@")[0] for f in found if len(f) == 3
            and f[1] not in "aA"}


def promised():
    """The functions that the public headers declare."""
    found = set()
    for path in csource.files(".h", below="include"):
        code = csource.without_directives(csource.blank(csource.read(path)))
        code = strip_braced(re.sub(r'extern " *" *\{', "", code))
        found.update(re.findall(r"^[\w\s*]*?\b(pf_\w+)\s*\([^;]*;", code,
                                re.M))
    return found


def rule_symbols(build):
    libraries = {"libpolyfault.so": ["-D"], "libpolyfault.a": ["-g"]}
    functions = promised()
    for name, options in libraries.items():
        found = symbols(*options, os.path.join(build, name))
        for symbol in sorted(found):
            if not symbol.startswith("pf_"):
                yield f"{name} exports {symbol}"
        for symbol in sorted(functions - found):
            yield f"{name} lacks {symbol}(), which a public header declares"


RULES = {name[len("rule_"):].replace("_", "-"): rule
         for name, rule in list(globals().items())
         if name.startswith("rule_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", metavar="DIRECTORY",
                        help="where the libraries are, for the rule symbols")
    parser.add_argument("rules", nargs="*", metavar="RULE",
                        help="of: " + ", ".join(RULES))
    args = parser.parse_args()

    total = 0
    for name in args.rules or RULES:
        if name == "symbols" and not args.build:
            continue
        found = list(RULES[name](args.build) if name == "symbols"
                     else RULES[name]())
        for problem in found:
            print(f"{name}: {problem}")
        total += len(found)
    print(f"tidy: {total} problems")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
