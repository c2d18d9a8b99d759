# SPDX-License-Identifier: MIT
"""What the place tests share: verdicts, programs, ways to run them.

A place is where a program meets Polyfault in earnest: a sandbox, an
unprivileged account, a process that has run out of something.  Verdicts and
the running of programs are those of the preload tests.
"""
import argparse
import os
import re
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PRELOAD = os.path.join(HERE, '..', 'preload')
sys.path.insert(0, PRELOAD)

# pylint: disable=wrong-import-position
import manpage
import run as preload
from run import Failed, Refused, run

CLEAN = {k: v for k, v in os.environ.items()
         if not k.startswith('POLYFAULT_') and k != 'LD_PRELOAD'}


class Place(preload.Suite):
    """A suite with a directory of its own and the programs in it."""

    def __init__(self, options, where):
        super().__init__(options)
        self.where = where
        self.polyfault = os.path.abspath(options.polyfault)
        self.examples = os.path.abspath(options.examples)
        os.chmod(where, 0o755)

    def program(self, name):
        """tests/places/place_NAME.c, built as an outsider would."""
        out = f'{self.where}/place_{name}'
        if not os.path.exists(out):
            preload.compiled(['-I', PRELOAD, f'{PRELOAD}/prog.c',
                              f'{HERE}/place_{name}.c'], out)
        return out

    def launcher(self):
        out = f'{self.where}/launcher'
        if not os.path.exists(out):
            preload.compiled([f'{HERE}/launcher.c'], out)
        return out

    def manual_page(self):
        """The example of userfaultfd(2), built."""
        source = manpage.source()
        if source is None:
            raise Refused('the manual page is not installed')
        with open(f'{self.where}/demo.c', 'w', encoding='utf-8') as file:
            file.write(source)
        return preload.compiled([f'{self.where}/demo.c'],
                                f'{self.where}/demo')

    def play(self, name, scene, *args, **kwargs):
        """attempt(), if it was asked for."""
        if self.options.only in name:
            self.attempt(name, lambda: scene(*args, **kwargs))


def with_env(argv, **variables):
    """argv, in an environment where only these POLYFAULT_* are set."""
    return ['env'] + [f'{k}={v}' for k, v in variables.items()] + argv


def expect(text, status, *patterns, want=0):
    """The exit status is `want`, and every pattern is found."""
    for pattern in patterns:
        if not re.search(pattern, text, re.M):
            raise Failed(f'no {pattern!r} (exit status {status})\n{text}')
    if status != want:
        raise Failed(f'exit status {status}, not {want}\n{text}')


def results(argv, seconds=preload.SECONDS):
    """The results of a scene that verified something."""
    text, status = run(argv, seconds)
    if status == 77:
        raise Refused(text.strip() or 'refused')
    verified = re.search(r'^verified (\d+)$', text, re.M)
    if status or not verified or int(verified[1]) == 0:
        raise Failed(f'exit status {status}\n{text}')
    return re.findall(r'^result: (.*)$', text, re.M)


def same_as(want, got):
    if want != got:
        raise Failed(f'results differ\nwant {want}\ngot  {got}')


def expect_demo(text, status, pages):
    """The manual page's program touches 4 places in each of its pages."""
    got = preload.unmixed(preload.without_addresses(text))
    expect(text, status)
    if text.count('UFFD_EVENT_PAGEFAULT event') != pages:
        raise Failed(f'not {pages} faults\n{text}')
    for page in range(pages):
        letter = chr(ord('A') + page % 20)
        for offset in range(15, 4096, 1024):
            at = f'<+{page * 4096 + offset:x}>'
            line = f'Read address {at} in main(): {letter}'
            if line not in got:
                raise Failed(f'not {letter} at {at}\n{text}')


def need(command):
    if not shutil.which(command):
        raise Refused(f'{command} is not installed')


def main(play):
    """play(place) attempts its scenes."""
    parser = argparse.ArgumentParser()
    build = f'{HERE}/../../build'
    parser.add_argument('--polyfault', default=f'{build}/polyfault')
    parser.add_argument('--examples', default=f'{build}/examples')
    parser.add_argument('--only', default='')
    os.environ.clear()
    os.environ.update(CLEAN)
    name = os.path.basename(sys.argv[0]).removesuffix('.py')
    with tempfile.TemporaryDirectory(prefix='polyfault-') as where:
        place = Place(parser.parse_args(), where)
        try:
            play(place)
        except (Failed, Refused) as why:
            place.say('failed', 'preparation', str(why))
    print(f'1..{place.number}')
    count = place.count
    print(f'{name}: {count["passed"]} passed, {count["failed"]} failed, '
          f'{count["skipped"]} skipped')
    sys.exit(1 if count['failed'] else 0 if count['passed'] else 77)
