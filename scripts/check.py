#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every test, in several builds, and one sum over all of them.

`make check` runs this. Each stage is one build directory and a choice of the
tests in it; a stage that cannot be built counts as one failure, one whose
tools are missing as one skip. Cases are counted, not programs: a test may
print TAP, or be a cmocka group, or be one case by itself (exit 77: skipped).
"""
import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

Stage = collections.namedtuple("Stage", "title directory options suites compiler why_not")
Case = collections.namedtuple("Case", "name verdict reason")


def has_clang():
    return shutil.which("clang") is not None


def stages(is_long):
    no_clang = None if has_clang() else "clang is not installed"
    # A sanitizer needs memory that the host world gives away, so under one
    # only tests run that need no signals.
    found = [
        Stage("checked", "build-check", ["-Dcheck_level=3"], None, None, None),
        Stage("release", "build", [], ["preload", "cli", "places"], None,
              None),
        Stage("address and undefined behaviour", "build-asan",
              ["-Db_sanitize=address,undefined", "-Dcheck_level=3"],
              ["soft"], None, None),
        Stage("threads", "build-tsan",
              ["-Db_sanitize=thread", "-Dcheck_level=3"],
              ["soft"], None, None),
        Stage("clang", "build-clang", ["-Dcheck_level=3"],
              None if is_long else ["soft"], "clang", no_clang),
    ]
    return found


def run(command, **kwargs):
    return subprocess.run(command, cwd=ROOT, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, **kwargs)


def environment(stage, is_long):
    env = {k: v for k, v in os.environ.items()
           if not k.startswith("POLYFAULT_") and k != "LD_PRELOAD"}
    if stage.compiler:
        env["CC"] = stage.compiler
    else:
        env.pop("CC", None)
    if is_long:
        env["POLYFAULT_LONG"] = "1"
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    return env


def build(stage, env):
    """None, or the output of what failed."""
    steps = [["scripts/configure.sh", stage.directory] + stage.options,
             ["ninja", "-C", stage.directory, "--quiet"]]
    for step in steps:
        done = run(step, env=env)
        if done.returncode:
            return done.stdout
    return None


def tap_cases(name, text):
    found = []
    for line in text.splitlines():
        m = re.match(r"(not ok|ok)\b\s*\d*\s*-?\s*(.*)", line)
        if not m:
            continue
        title, _, directive = m.group(2).partition("#")
        title = f"{name}: {title.strip()}"
        skip = re.match(r"\s*SKIP\S*\s*(.*)", directive, re.I)
        if skip:
            found.append(Case(title, "skipped", skip.group(1)))
        elif m.group(1) == "ok":
            found.append(Case(title, "passed", ""))
        else:
            after = text.split(line, 1)[1].lstrip("\n").split("\n")[0]
            why = after.lstrip("# ") if after.startswith("#") else ""
            found.append(Case(title, "failed", f"{directive.strip()} {why}"))
    return found


def cmocka_cases(name, text):
    verdicts = {"OK": "passed", "SKIPPED": "skipped", "FAILED": "failed"}
    found = []
    for m in re.finditer(r"^\[ +(OK|SKIPPED|FAILED) +\] (\w+)$", text, re.M):
        case = Case(f"{name}: {m.group(2)}", verdicts[m.group(1)],
                    "the case says so")
        # Failed and skipped cases are listed once more at the end.
        if case not in found:
            found.append(case)
    return found


def summed_cases(name, text):
    """The program counted for itself, in the words that this one uses."""
    sums = re.findall(r"^\w+: (\d+) passed, (\d+) failed, (\d+) skipped$",
                      text, re.M)
    if not sums:
        return []
    passed, failed, skipped = map(int, sums[-1])
    # A failure is told the same way, with the line that found it.
    reasons = sorted({reason for reason in
                      re.findall(r"^\s*# (.*)$", text, re.M)
                      if not re.search(r"\.c:\d+: | crashed: ", reason)})
    reason = "; ".join(reasons) or "the program says so"
    return ([Case(name, "passed", "")] * passed +
            [Case(name, "failed", "see above")] * failed +
            [Case(name, "skipped", reason)] * skipped)


def single_case(record):
    verdict = {"OK": "passed", "EXPECTEDFAIL": "passed",
               "SKIP": "skipped"}.get(record["result"], "failed")
    lines = (record.get("stdout", "") + record.get("stderr", "")).splitlines()
    reason = next((l.strip() for l in reversed(lines) if l.strip()), "")
    return Case(record["name"], verdict, reason)


def cases_of(record):
    text = record.get("stdout", "") + "\n" + record.get("stderr", "")
    found = []
    if re.search(r"^\[==========\]", text, re.M):
        found = cmocka_cases(record["name"], text)
    elif re.search(r"^1\.\.\d+", text, re.M):
        found = tap_cases(record["name"], text)
    else:
        found = summed_cases(record["name"], text)
    whole = single_case(record)
    if not found:
        return [whole]
    # A program can die after, or between, its cases.
    if whole.verdict == "failed" and \
            not any(c.verdict == "failed" for c in found):
        found.append(whole)
    return found


def run_tests(stage, env, is_long):
    log = os.path.join(ROOT, stage.directory, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    command = ["meson", "test", "-C", stage.directory, "--print-errorlogs"]
    if not is_long:
        command += ["--no-suite", "long"]
    else:
        command += ["--timeout-multiplier", "10"]
    for suite in stage.suites or []:
        command += ["--suite", suite]
    # What the place is like matters there, not how the library was built.
    if "places" not in (stage.suites or []):
        command += ["--no-suite", "places"]
    done = run(command, env=env)
    found = []
    if os.path.exists(log):
        with open(log, encoding="utf-8") as f:
            for line in f:
                found += cases_of(json.loads(line))
    elif "No suitable tests" not in done.stdout and \
            "No tests defined" not in done.stdout:
        found.append(Case("meson test", "failed", done.stdout[-300:]))
    return found, done.stdout


def run_stage(stage, is_long):
    if stage.why_not:
        return [Case("all of it", "skipped", stage.why_not)], ""
    env = environment(stage, is_long)
    broken = build(stage, env)
    if broken is not None:
        return [Case("build", "failed", "see above")], broken
    return run_tests(stage, env, is_long)


def count(cases, verdict):
    return sum(c.verdict == verdict for c in cases)


def tell(stage, cases, output, seconds):
    if count(cases, "failed"):
        print(output)
    print(f"{stage.title} ({stage.directory}): "
          f"{count(cases, 'passed')} passed, {count(cases, 'failed')} failed,"
          f" {count(cases, 'skipped')} skipped, {seconds:.0f} s", flush=True)
    others = collections.Counter(c for c in cases if c.verdict != "passed")
    for case, times in others.items():
        case = case._replace(name=case.name.removeprefix("polyfault:"))
        many = f" ({times} times)" if times > 1 else ""
        print(f"  {case.verdict}: {case.name}{many}: {case.reason}",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", metavar="DIRECTORY",
                        help="one stage, by its build directory")
    args = parser.parse_args()

    everything = []
    for stage in stages(args.long):
        if args.only and stage.directory != args.only:
            continue
        start = time.monotonic()
        cases, output = run_stage(stage, args.long)
        tell(stage, cases, output, time.monotonic() - start)
        everything += cases

    failed = count(everything, "failed")
    line = (f"{count(everything, 'passed')} passed, {failed} failed,"
            f" {count(everything, 'skipped')} skipped")
    if os.environ.get("POLYFAULT_SUM"):
        with open(os.environ["POLYFAULT_SUM"], "w", encoding="utf-8") as f:
            print(line, file=f)
    else:
        print(line)
    return 1 if failed or not everything else 0


if __name__ == "__main__":
    sys.exit(main())
