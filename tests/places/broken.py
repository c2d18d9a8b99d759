#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where calls are refused, limits are reached, everything is closed.

What does not work there must say so with an errno, leave the memory of the
program as it was, and work again when there is room again.
"""
import os
import re

import place
from place import Failed, run

WAYS = [('auto', 'auto'), ('protect', 'write'), ('protect', 'move')]
SCENES = ['mappings_run_out', 'memory_is_at_its_limit',
          'memory_is_past_its_limit', 'random_order', 'cycles',
          'everything_is_closed', 'forks_of_forks', 'storm']
WORKS = ['works']
EPERM, ENOSYS, EINVAL = 1, 38, 22

# What the launcher is told, and what comes of it.
REFUSALS = [
    (['--refuse', f'memfd_create={ENOSYS}'], WORKS),
    (['--refuse', f'memfd_create={EPERM}'], WORKS),
    (['--refuse', f'socketpair={EPERM}'], ['userfaultfd refused, EPERM']),
    (['--refuse', f'guard_install={EINVAL}'], WORKS),
    (['--refuse', f'guard_install={EPERM}'], WORKS),
    (['--refuse', f'pwrite64={EPERM}'], WORKS),
    (['--refuse', f'guard_install={EINVAL}', '--refuse',
      f'pwrite64={EPERM}', '--refuse', f'memfd_create={ENOSYS}'], WORKS),
    (['--refuse', f'membarrier={ENOSYS}'], WORKS),
    (['--refuse', 'userfaultfd=kill'], WORKS),
    (['--refuse', f'userfaultfd={ENOSYS}'], WORKS),
    (['--fds-left', '1'], ['userfaultfd refused, EMFILE']),
    (['--fds-left', '3'], ['userfaultfd refused, EMFILE']),
    (['--fds-left', '12'], WORKS),
    (['--limit', 'nofile=8'], ['userfaultfd refused, EMFILE']),
    (['--limit', f'as={128 << 20}'], ['userfaultfd refused, ENOMEM']),
    (['--limit', f'as={512 << 20}'], WORKS),
]
VARIABLES = ['WORLD', 'PROFILE', 'POLICY', 'REVOKE', 'PUBLISH', 'MAX_MAPS']


def served(p, *argv):
    return [p.polyfault, 'run', '--world', 'host', '--', *argv]


def denied(p, *argv):
    return [p.polyfault, 'run', '--deny-kernel=kill', '--', *argv]


def told(p, options, want):
    """As a launcher with these options has it."""
    got = place.results([p.launcher(), *options, '--',
                         *served(p, p.program('broken'),
                                 'works_or_refuses')])
    place.same_as(want, got)
    return got[0]


def room_again(p, left):
    got = place.results([p.launcher(), '--fds-left', left, '--',
                         *served(p, p.program('broken'),
                                 'works_once_there_is_room')])
    place.same_as(WORKS, got)


def auto_does_not_ask(p):
    """A filter that is not ours kills whoever asks: auto asks nobody."""
    got = place.results([p.launcher(), '--refuse', 'userfaultfd=kill', '--',
                         p.polyfault, 'run', '--world', 'auto', '--',
                         p.program('broken'), 'works_or_refuses'])
    place.same_as(WORKS, got)


def scene_by(p, scene, way):
    revoke, publish = way
    got = place.results(place.with_env(
        denied(p, p.program('broken'), scene), POLYFAULT_REVOKE=revoke,
        POLYFAULT_PUBLISH=publish), 90)
    # A move leaves a mapping for each page: a limit that is documented.
    if publish != 'move' or scene != 'random_order':
        place.same_as(place.results([p.program('broken'), scene], 90), got)
    return ', '.join(got)


def few_maps(p, publish):
    got = place.results(place.with_env(
        denied(p, p.program('broken'), 'random_order'),
        POLYFAULT_MAX_MAPS='40', POLYFAULT_REVOKE='protect',
        POLYFAULT_PUBLISH=publish))
    if publish != 'move':
        place.same_as(['mappings bounded'], got)
    return ', '.join(got)


def bad_value_is_one_line(p, variable):
    """As docs/environment.md has it."""
    name = f'POLYFAULT_{variable}'
    text, status = run(place.with_env([p.polyfault, 'run', 'true'],
                                      **{name: 'banana'}))
    lines = text.splitlines()
    if status != 2 or len(lines) != 1 or f'{name}=banana' not in lines[0]:
        raise Failed(f'polyfault run: exit status {status}\n{text}')


def bad_value_is_einval(p, variable):
    """Where only the shim reads it."""
    shim = os.path.dirname(p.polyfault) + '/libpolyfault-preload.so'
    wish = {'POLYFAULT_WORLD': 'host', f'POLYFAULT_{variable}': 'banana',
            'LD_PRELOAD': shim}
    got = place.results(place.with_env(
        [p.program('broken'), 'works_or_refuses'], **wish))
    place.same_as(['userfaultfd refused, EINVAL'], got)


def without_stdio(p, closed):
    """Nothing can be printed, but scenes fail by their exit status."""
    text, status = run(denied(
        p, 'sh', '-c', f'exec "$0" forks_of_forks {closed}',
        p.program('broken')))
    if status or re.search('FAILED', text):
        raise Failed(f'exit status {status}\n{text}')


def cleaned(p, *argv):
    """An unserved userfaultfd would end the program by SIGSYS."""
    place.same_as(WORKS, place.results(denied(p, *argv)))


def play_environments(p):
    program = p.program('broken')
    for variable in VARIABLES:
        p.play(f'POLYFAULT_{variable}=banana is one line',
               bad_value_is_one_line, p, variable)
        p.play(f'POLYFAULT_{variable}=banana is EINVAL', bad_value_is_einval,
               p, variable)
    p.play('env -i', cleaned, p, 'env', '-i', program, 'works_or_refuses')
    p.play('env -i sh, env -i again', cleaned, p, 'env', '-i', '/bin/sh',
           '-c', f'env -i {program} forks_of_forks')
    p.play('perl with a cleaned environment', cleaned, p, 'perl', '-e',
           f'%ENV = (); exec "{program}", "works_or_refuses"')
    for closed in ('<&-', '>&-', '2>&-', '<&- >&- 2>&-'):
        p.play(f'started with {closed}', without_stdio, p, closed)


def play(p):
    for options, want in REFUSALS:
        p.play(' '.join(o.removeprefix('--') for o in options), told, p,
               options, want)
    for left in '12345':
        p.play(f'fds-left {left}, then more', room_again, p, left)
    p.play('auto does not ask where a filter might kill', auto_does_not_ask,
           p)
    for scene in SCENES:
        for way in WAYS:
            p.play(f'{scene} ({" ".join(way)})', scene_by, p, scene, way)
    for publish in ('write', 'move'):
        p.play(f'POLYFAULT_MAX_MAPS=40 (protect {publish})', few_maps, p,
               publish)
    play_environments(p)


if __name__ == '__main__':
    place.main(play)
