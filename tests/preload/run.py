#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run unmodified programs, natively and under the shim, and compare.

Each scene is played twice: natively, which proves that the scene is right,
and under `polyfault run --deny-kernel=kill`, which proves that the program
does not notice.  A scene passes when it verified something and printed the
same results as natively.  Where the kernel refuses userfaultfd, the native
half is skipped and the shim is judged by the scene's own checks.

usage: run.py [--polyfault COMMAND] [--only TEXT] [--native] [--shim]
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import manpage

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = ['adopt', 'close', 'fd', 'fork', 'io', 'map', 'poll', 'signal', 'thread']
# errc() is a BSD function that the manual page's program takes for granted.
CFLAGS = ['-std=gnu11', '-O2', '-g', '-w', '-D_GNU_SOURCE',
          '-Derrc(status,code,...)=(errno=(code),err(status,__VA_ARGS__))']
SECONDS = 30


class Refused(Exception):
    """The scene cannot be played here, for a reason."""


class Failed(Exception):
    """The scene went wrong."""


class Suite:
    """Counts and prints verdicts, one line each."""

    def __init__(self, options):
        self.options = options
        self.number = 0
        self.count = {'passed': 0, 'failed': 0, 'skipped': 0}

    def say(self, verdict, name, reason=''):
        self.number += 1
        self.count[verdict] += 1
        word = 'not ok' if verdict == 'failed' else 'ok'
        line = f'{word} {self.number} - {name}'
        if verdict == 'skipped':
            line += f' # SKIP {reason}'
        elif reason:
            line += f' # {reason}'
        print(line, flush=True)

    def attempt(self, name, play):
        """play() returns a remark, or raises."""
        try:
            self.say('passed', name, play() or '')
        except Refused as why:
            self.say('skipped', name, str(why))
        except Failed as why:
            first, *rest = str(why).splitlines() or ['no reason given']
            self.say('failed', name, first)
            for line in rest[:20]:
                print(f'#   {line}')


def run(argv, seconds=SECONDS):
    """Output and exit status; a hang is a failure of its own."""
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors='replace', stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        text, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
        raise Failed(f'still running after {seconds} s\n{text}') from None
    return text, process.returncode


def compiled(sources, out):
    cc = os.environ.get('CC', 'cc').split()
    text, status = run(cc + CFLAGS + sources +
                       ['-o', out, '-lpthread', '-lutil'], 120)
    if status:
        raise Failed(f'does not compile\n{text}')
    return out


def under_shim(options, argv):
    return [options.polyfault, 'run', '--deny-kernel=kill', '--'] + argv


def ways(options):
    """('native' or 'shim', how to run argv that way)."""
    if options.native or not options.shim:
        yield 'native', lambda argv: argv
    if options.shim or not options.native:
        yield 'shim', lambda argv: under_shim(options, argv)


def played(argv):
    """The results of a scene; it must have verified something."""
    text, status = run(argv)
    if status == 77:
        raise Refused(text.strip() or 'refused')
    verified = re.search(r'^verified (\d+)$', text, re.M)
    if status or not verified or int(verified[1]) == 0:
        raise Failed(f'exit status {status}\n{text}')
    return re.findall(r'^result: (.*)$', text, re.M)


def play_scene(suite, program, scene):
    want = None
    for way, how in ways(suite.options):
        def play(way=way, how=how):
            nonlocal want
            got = played(how([program, scene]))
            if way == 'shim' and want is not None and got != want:
                raise Failed(f'results differ\nnative {want}\nshim   {got}')
            if way == 'native':
                want = got
            return ', '.join(got)
        suite.attempt(f'{os.path.basename(program)} {scene} ({way})', play)


def play_programs(suite, where):
    for name in PROGRAMS:
        program = compiled(
            [f'{HERE}/prog.c', f'{HERE}/prog_{name}.c'],
            f'{where}/prog_{name}')
        scenes, _ = run([program, '--list'])
        for scene in scenes.split():
            if suite.options.only in f'{name} {scene}':
                play_scene(suite, program, scene)


def without_addresses(text):
    """Addresses become their offset from the first one that is printed."""
    base = re.search(r'mmap\(\) = 0x([0-9a-f]+)', text)
    if not base:
        raise Failed(f'no address is printed\n{text}')
    start = int(base[1], 16)

    def relative(match):
        offset = int(match[1] or match[2], 16) - start
        return f'<+{offset:x}>' if 0 <= offset < 1 << 20 else match[0]
    return re.sub(r'\b0x([0-9a-f]{6,})|\b([0-9a-f]{9,})\b', relative, text)


def unmixed(text):
    """
    The example's main thread prints its line by two calls; what the other
    prints may come between them, and is put after the line.
    """
    return re.sub(r'(Read address \S+ in main\(\): )(?![A-Z]\n)'
                  r'((?:.*\n)*?)([A-Z]\n)', r'\1\3\2', text)


def in_parts(text):
    """What each of its two threads printed; their order is chance."""
    text = unmixed(text)
    main = [l for l in text.splitlines() if l.startswith('Read address')]
    other = [l for l in text.splitlines() if not l.startswith('Read address')]
    return main, other


def play_manual_page(suite, where):
    name = 'example of userfaultfd(2)'
    if suite.options.only not in name:
        return
    program = manpage.source()
    if program is None:
        suite.say('skipped', name, 'the page is not installed')
        return
    with open(f'{where}/demo.c', 'w', encoding='utf-8') as file:
        file.write(program)
    demo = compiled([f'{where}/demo.c'], f'{where}/demo')
    want = None
    for way, how in ways(suite.options):
        def play(way=way, how=how):
            nonlocal want
            text, status = run(how([demo, '5']))
            if status and way == 'native':
                raise Refused(text.strip().splitlines()[-1])
            if status or text.count('UFFD_EVENT_PAGEFAULT event') != 5:
                raise Failed(f'exit status {status}\n{text}')
            got = in_parts(without_addresses(text))
            if want is not None and got != want:
                raise Failed(f'differs\nnative {want}\nshim   {got}')
            want = got
            return '5 faults'
        suite.attempt(f'{name} ({way})', play)


def stress_metrics(text):
    """(bogo ops, ops per second) of the stressor."""
    line = re.search(r'\] userfaultfd +(\d+) +([\d.]+) ', text)
    if not line:
        raise Failed(f'no metrics\n{text}')
    ops = int(line[1])
    return ops, ops / max(float(line[2]), 0.001)


def play_stress(suite):
    name = 'stress-ng --userfaultfd 2 --verify'
    if suite.options.only not in name:
        return
    if not shutil.which('stress-ng'):
        suite.say('skipped', name, 'stress-ng is not installed')
        return
    for way, how in ways(suite.options):
        def play(how=how):
            text, status = run(how(
                ['stress-ng', '--userfaultfd', '2', '--verify', '--metrics',
                 '--timeout', '4']), 60)
            if status or re.search(r'fail(ed)?:|unsuccessful', text):
                raise Failed(f'exit status {status}\n{text}')
            # It ends with success where it could do nothing at all.
            ops, rate = stress_metrics(text)
            if ops == 0:
                raise Failed(f'no fault was handled\n{text}')
            return f'{ops} bogo ops, {rate:.0f}/s'
        suite.attempt(f'{name} ({way})', play)


def play_cases(suite):
    """The conformance cases as an unmodified program."""
    name = 'conform --world shim'
    if suite.options.only not in name or not suite.options.conform:
        return

    def play():
        text, _ = run(under_shim(
            suite.options, [suite.options.conform, '--world', 'shim']), 300)
        last = text.strip().splitlines()[-1]
        count = re.match(r'conform: (\d+) passed, (\d+) failed', last)
        if not count or int(count[2]) or not int(count[1]):
            raise Failed(text)
        return last
    suite.attempt(name, play)


def options_of(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument('--polyfault', default=f'{HERE}/../../build/polyfault')
    parser.add_argument('--conform', default='')
    parser.add_argument('--only', default='')
    parser.add_argument('--native', action='store_true')
    parser.add_argument('--shim', action='store_true')
    return parser.parse_args(argv)


def main():
    suite = Suite(options_of(sys.argv[1:]))
    with tempfile.TemporaryDirectory(prefix='polyfault-') as where:
        try:
            play_manual_page(suite, where)
            play_programs(suite, where)
            play_stress(suite)
            play_cases(suite)
        except Failed as why:
            suite.say('failed', 'preparation', str(why))
    print(f'1..{suite.number}')
    count = suite.count
    print(f'preload: {count["passed"]} passed, {count["failed"]} failed, '
          f'{count["skipped"]} skipped')
    return 1 if count['failed'] or not count['passed'] else 0


if __name__ == '__main__':
    sys.exit(main())
