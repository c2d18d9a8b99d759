#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rooms include downwards, and only through doors.

src/LAYERS says which rooms a room may include. Of another room only its doors
may be named: the header called like the room, what LAYERS lists as `door`, and
everything of base. Outside src/ there are only the public headers.
"""
import os
import re
import sys

import csource

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
# Outside the library: which directories' headers may be named.
CLIENTS = {"preload": {"preload"}, "tools": {"tools", "preload"},
           "examples": {"examples"}, "bench": {"bench"}}


def read_layers():
    allowed, doors = {}, set()
    for line in csource.read("src/LAYERS").splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("door "):
            doors.update(line.split()[1:])
        elif line:
            room, _, others = line.partition(":")
            allowed[room.strip()] = others.split()
    return allowed, doors


def room_of(path, rooms):
    """The innermost room of a path below src/; a room may be one file."""
    fits = [r for r in rooms if path.startswith((r + "/", r + "."))]
    return max(fits, key=len, default=None)


def is_door(header, room, doors):
    return (room == "base" or header in doors or
            header == f"{room}/{os.path.basename(room)}.h")


def check_include(path, header, allowed, doors):
    """What is wrong with an include in a file of the library, or None."""
    if header.startswith("polyfault/"):
        return None
    room = room_of(path, allowed)
    other = room_of(header, allowed)
    if other is None:
        return f"includes {header}, which is in no room"
    if other == room or room.startswith(other + "/") and \
            is_door(header, other, doors):
        return None
    if other not in allowed[room]:
        return f"includes {header}: {room} may not include {other}"
    if not is_door(header, other, doors):
        return f"includes {header}, which is no door of {other}"
    return None


def check_library(allowed, doors):
    for path in csource.files(".c", ".h", ".S", below="src"):
        inside = path[len("src/"):]
        if room_of(inside, allowed) is None:
            yield f"{path}: in no room of src/LAYERS"
            continue
        headers = INCLUDE.findall(csource.read(path))
        for header in headers:
            wrong = check_include(inside, header, allowed, doors)
            if wrong:
                yield f"{path}: {wrong}"
        own = inside[:-2] + ".h"
        if path.endswith(".c") and \
                os.path.exists(os.path.join(csource.ROOT, "src", own)) and \
                headers[:1] != [own]:
            yield f"{path}: does not include its own header first"


def check_clients():
    for client, homes in CLIENTS.items():
        for path in csource.files(".c", ".h", below=client):
            for header in INCLUDE.findall(csource.read(path)):
                is_known = header.startswith("polyfault/") or any(
                    os.path.exists(os.path.join(csource.ROOT, home, header))
                    for home in homes)
                if not is_known:
                    yield f"{path}: includes {header}, which is not public"


def check_public():
    for path in csource.files(".h", below="include"):
        for header in INCLUDE.findall(csource.read(path)):
            if not header.startswith("polyfault/"):
                yield f"{path}: includes {header}, which is not public"


def check_order(allowed):
    seen = set()
    for room, others in allowed.items():
        for other in others:
            if other not in seen:
                yield f"src/LAYERS: {room} names {other} before it is there"
        seen.add(room)


def main():
    allowed, doors = read_layers()
    problems = [*check_order(allowed), *check_library(allowed, doors),
                *check_clients(), *check_public()]
    for problem in problems:
        print(problem)
    print(f"layers: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
