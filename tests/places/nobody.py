#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""As a user without privileges.

Root becomes nobody, with copies of what is run in a directory that nobody
can read; anybody else stays who he is.
"""
import json
import os
import re
import shutil

import place
import run as preload
from place import Failed, Refused, run

SYSCTL = '/proc/sys/vm/unprivileged_userfaultfd'
REFUSED = ['plain EPERM', 'user mode only granted', 'unknown flag EPERM',
           'user mode only, unknown flag EINVAL']
GRANTED = ['plain granted', 'user mode only granted', 'unknown flag EINVAL',
           'user mode only, unknown flag EINVAL']


class Nobody:
    """Runs commands as nobody, in a directory of nobody's."""

    def __init__(self, p):
        self.home = f'{p.where}/home'
        os.mkdir(self.home, 0o755)
        build = os.path.dirname(p.polyfault)
        for name in ('polyfault', 'libpolyfault-preload.so'):
            shutil.copy(f'{build}/{name}', self.home)
        self.polyfault = f'{self.home}/polyfault'
        self.become = []
        if os.geteuid() == 0:
            place.need('setpriv')
            os.chown(self.home, 65534, 65534)
            self.become = ['setpriv', '--reuid=65534', '--regid=65534',
                           '--clear-groups', '--bounding-set=-all',
                           '--inh-caps=-all']

    def does(self, argv):
        """argv, as nobody, at home."""
        return self.become + ['env', '-C', self.home] + argv

    def runs(self, *argv):
        """argv is options of `polyfault run`, then the program."""
        return self.does([self.polyfault, 'run', *argv])


def is_unprivileged(nobody):
    text, status = run(nobody.does(['grep', '^CapEff', '/proc/self/status']))
    place.expect(text, status, r'^CapEff:\s*0+$')


def need_refusal():
    """The kernel says no to the unprivileged here."""
    try:
        with open(SYSCTL, encoding='ascii') as file:
            if file.read().strip() != '0':
                raise Refused(f'{SYSCTL} is not 0: the kernel grants it')
    except OSError:
        raise Refused(f'there is no {SYSCTL}') from None


def host_is_chosen(nobody):
    need_refusal()
    text, status = run(nobody.does([nobody.polyfault, 'probe', '--json']))
    place.expect(text, status)
    found = json.loads(text)
    if found['world'] != 'host':
        raise Failed(text)
    return f'because {found["world_why"]}'


def manual_page(p, nobody, *options):
    demo = p.manual_page()
    text, status = run(nobody.runs(*options, '--', demo, '5'))
    place.expect_demo(text, status, 5)
    return '5 faults'


def is_refused_without(p, nobody):
    need_refusal()
    text, status = run(nobody.does([p.manual_page(), '1']))
    place.expect(text, status, 'userfaultfd: Operation not permitted', want=1)


def stress(nobody, *options):
    place.need('stress-ng')
    text, status = run(nobody.runs(
        *options, '--', 'stress-ng', '--userfaultfd', '1', '--verify',
        '--metrics', '-t', '2'), 60)
    if status or re.search(r'fail(ed)?:|unsuccessful', text):
        raise Failed(f'exit status {status}\n{text}')
    ops, rate = preload.stress_metrics(text)
    if ops == 0:
        raise Failed(f'no fault was handled\n{text}')
    return f'{ops} bogo ops, {rate:.0f}/s'


def answers(p, nobody, want, *options):
    got = place.results(nobody.runs(*options, '--', p.program('policy'),
                                    'asked'))
    place.same_as(want, got)


def kernel_answers(p, nobody):
    """What strict is to imitate."""
    need_refusal()
    place.same_as(REFUSED, place.results(
        nobody.does([p.program('policy'), 'asked'])))


def strict_answers(p, nobody):
    need_refusal()
    answers(p, nobody, REFUSED, '--world', 'host', '--policy', 'strict')


def fills(p, nobody, **variables):
    program = p.program('policy')
    got = place.results(nobody.does(place.with_env(
        [nobody.polyfault, 'run', '--deny-kernel=kill', '--', program,
         'filled'], **variables)))
    place.same_as(['filled 64'], got)


def play(p):
    nobody = Nobody(p)
    denied = '--deny-kernel=kill'
    p.play('the user has no capabilities', is_unprivileged, nobody)
    p.play('the host world is chosen', host_is_chosen, nobody)
    p.play('example of userfaultfd(2) is refused by the kernel',
           is_refused_without, p, nobody)
    p.play('example of userfaultfd(2)', manual_page, p, nobody)
    p.play(f'example of userfaultfd(2), {denied}', manual_page, p, nobody,
           denied)
    p.play('stress-ng', stress, nobody)
    p.play(f'stress-ng, {denied}', stress, nobody, denied)
    p.play('the kernel refuses A05 A06', kernel_answers, p, nobody)
    p.play('policy strict refuses A05 A06', strict_answers, p, nobody)
    p.play('policy grant grants', answers, p, nobody, GRANTED, '--world',
           'host', '--policy', 'grant')
    p.play('grant is the default', answers, p, nobody, GRANTED, denied)
    for revoke, publish in (('protect', 'write'), ('protect', 'move')):
        p.play(f'pages are filled by {revoke} and {publish}', fills, p,
               nobody, POLYFAULT_REVOKE=revoke, POLYFAULT_PUBLISH=publish)


if __name__ == '__main__':
    place.main(play)
