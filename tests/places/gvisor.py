#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""In gVisor: no userfaultfd, guards, pagemap, /proc/self/mem or error codes.

Each trap costs about a millisecond there and each start a third of a second,
so what runs there is small.  What a scene must print is first learnt from the
same scene outside.
"""
import json
import subprocess

import place
from place import Failed, Refused, run

SECONDS = 60
SCENES = ['writes_and_reads', 'reads_by_their_prefix',
          'writes_and_reads_of_a_stack', 'present_pages_stay',
          'dropped_pages_are_filled_again']


def boxed(argv):
    """argv in gVisor; its output must be a pipe there."""
    return ['runsc', '--network=none', 'do'] + argv


def need_gvisor():
    place.need('runsc')
    try:
        done = subprocess.run(boxed(['echo', 'inside']), text=True,
                              stdin=subprocess.DEVNULL, timeout=SECONDS,
                              capture_output=True, check=False)
    except subprocess.TimeoutExpired:
        raise Refused('runsc does not start in time') from None
    if done.stdout.strip() != 'inside':
        lines = (done.stderr.strip() or 'no reason given').splitlines()
        raise Refused(f'runsc cannot start: {lines[-1]}')


def shimmed(p, *argv):
    return boxed([p.polyfault, 'run', '--', *argv])


def the_choice(p):
    text, status = run(boxed([p.polyfault, 'probe', '--json']), SECONDS)
    place.expect(text, status)
    found = json.loads(text)
    want = {'world': 'host', 'revoke': 'protect', 'publish': 'move'}
    got = {key: found[key] for key in want}
    if got != want:
        raise Failed(f'the choice is {got}\n{text}')
    return f'{got}, because {found["world_why"]}'


def hello_fault(p):
    text, status = run(boxed([f'{p.examples}/01-hello-fault']), SECONDS)
    place.expect(text, status, r'^h\.\.\. hello, fault$')


def manual_page(p):
    text, status = run(shimmed(p, p.manual_page(), '3'), SECONDS)
    place.expect_demo(text, status, 3)
    return '3 faults'


def is_refused_without(p):
    """Otherwise the test above shows nothing."""
    text, status = run(boxed([p.manual_page(), '1']), SECONDS)
    place.expect(text, status, r'userfaultfd: Function not implemented',
                 want=1)


def same_inside(p, scene):
    program = p.program('access')
    want = place.results([p.polyfault, 'run', '--world', 'host', '--',
                          program, scene])
    got = place.results(shimmed(p, program, scene), SECONDS)
    place.same_as(want, got)
    return ', '.join(got)


def same_as_the_kernel(p, scene):
    """The scene is right, if a kernel can be asked."""
    program = p.program('access')
    want = place.results([program, scene])
    got = place.results([p.polyfault, 'run', '--deny-kernel=kill', '--',
                         program, scene])
    place.same_as(want, got)
    return ', '.join(got)


def play(p):
    for scene in SCENES:
        p.play(f'{scene} as natively', same_as_the_kernel, p, scene)
    try:
        need_gvisor()
    except Refused as why:
        p.say('skipped', 'all in gVisor', str(why))
        return
    p.play('probe in gVisor', the_choice, p)
    p.play('01-hello-fault in gVisor', hello_fault, p)
    p.play('example of userfaultfd(2) is refused in gVisor',
           is_refused_without, p)
    p.play('example of userfaultfd(2) in gVisor', manual_page, p)
    for scene in SCENES:
        p.play(f'{scene} in gVisor', same_inside, p, scene)


if __name__ == '__main__':
    place.main(play)
