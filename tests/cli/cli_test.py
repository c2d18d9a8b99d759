#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What does the command say, and with which exit status does it end?

Prints TAP. A case is a function; its name is the sentence.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CLI = sys.argv[1]


class Skip(Exception):
    """The case cannot run here; the text says why."""


def call(*args, **env):
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith("POLYFAULT_") and k != "LD_PRELOAD"}
    clean.update(env)
    return subprocess.run([CLI, *args], env=clean, capture_output=True,
                          text=True, timeout=30, check=False)


def refuses(status, pattern, *args, **env):
    """One clear line on standard error, nothing else, and that status."""
    done = call(*args, **env)
    assert done.returncode == status, (done.returncode, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("polyfault: "), lines
    assert re.search(pattern, lines[0]), lines
    assert done.stdout == "", done.stdout


def answers(status, output, *args, **env):
    done = call(*args, **env)
    assert done.returncode == status, (done.returncode, done.stderr)
    assert re.search(output, done.stdout), done.stdout
    return done


def unknown_option_is_one_line():
    refuses(2, "unknown option --bad", "--bad")
    refuses(2, "unknown option --bad", "run", "--bad", "true")
    refuses(2, "unknown option -x", "run", "-x", "true")
    refuses(2, "unknown argument --bad", "probe", "--bad")


def unknown_command_is_one_line():
    refuses(2, "unknown command walk", "walk")
    refuses(2, "unknown command walk", "help", "walk")
    refuses(2, "no command", *[])


def missing_program_or_value_is_one_line():
    refuses(2, "no program", "run")
    refuses(2, "no program", "run", "--stats", "--")
    refuses(2, "--world needs a value", "run", "--world")


def bad_values_are_one_line():
    refuses(2, "POLYFAULT_WORLD=banana", "run", "--world", "banana", "true")
    refuses(2, "POLYFAULT_PROFILE=linux-1", "run", "--profile=linux-1", "true")
    refuses(2, "POLYFAULT_POLICY=none", "run", "--policy", "none", "true")
    refuses(2, "--deny-kernel=maybe", "run", "--deny-kernel=maybe", "true")


def bad_environment_is_one_line():
    refuses(2, "POLYFAULT_WORLD=banana", "run", "true",
            POLYFAULT_WORLD="banana")
    refuses(2, "POLYFAULT_WORLD=banana", "probe", POLYFAULT_WORLD="banana")
    refuses(2, "POLYFAULT_POLICY=none", "probe", POLYFAULT_POLICY="none")
    refuses(2, "POLYFAULT_PROFILE=x", "probe", POLYFAULT_PROFILE="x")


def denied_kernel_world_is_refused():
    refuses(2, "exclude each other", "run", "--world", "kernel",
            "--deny-kernel", "true")


def help_and_version_are_on_standard_output():
    answers(0, "Usage: polyfault COMMAND", "help")
    answers(0, "Usage: polyfault COMMAND", "--help")
    answers(0, "Usage: polyfault run", "help", "run")
    answers(0, "Usage: polyfault run", "run", "--help")
    answers(0, "Usage: polyfault probe", "probe", "--help")
    answers(0, r"^polyfault \d+\.\d+\.\d+$", "--version")


def programs_that_are_not_there_are_127():
    refuses(127, "no-such-program: not found", "run", "no-such-program")
    refuses(127, "not found", "run", "/no/such/program")
    refuses(127, "not found", "run", "/etc/passwd/program")
    refuses(127, "not found", "run", "--", "")


def programs_that_cannot_be_executed_are_126():
    refuses(126, "/etc/passwd: cannot be executed", "run", "/etc/passwd")
    refuses(126, "cannot be executed", "run", "/")


def static_programs_are_refused_with_the_reason():
    with tempfile.TemporaryDirectory() as work:
        source = os.path.join(work, "p.c")
        with open(source, "w", encoding="utf-8") as f:
            f.write("int main(void) { return 0; }\n")
        for option in ("-static", "-static-pie"):
            program = os.path.join(work, "static")
            if subprocess.run(["cc", option, source, "-o", program],
                              check=False).returncode:
                raise Skip("the compiler cannot link statically")
            refuses(126, "statically linked", "run", program)


def privileged_programs_are_refused_with_the_reason():
    if os.geteuid() != 0:
        raise Skip("only root can make a file of another user")
    with tempfile.TemporaryDirectory() as work:
        program = os.path.join(work, "true")
        shutil.copy("/bin/true", program)
        os.chown(program, 1, 1)
        os.chmod(program, 0o4755)
        if os.statvfs(work).f_flag & os.ST_NOSUID:
            raise Skip("the temporary directory is mounted nosuid")
        refuses(126, "gains privileges", "run", program)


def exit_status_is_the_programs():
    for stats in ([], ["--stats"]):
        for status in (0, 1, 42, 255):
            done = call("run", *stats, "--", "sh", "-c", f"exit {status}")
            assert done.returncode == status, (stats, done)


def death_by_signal_is_128_plus_n():
    done = call("run", "--stats", "--", "sh", "-c", "kill -TERM $$")
    assert done.returncode == 128 + signal.SIGTERM, done
    done = call("run", "--", "sh", "-c", "kill -TERM $$")
    assert done.returncode == -signal.SIGTERM, done


def arguments_and_output_pass_through():
    done = answers(0, "^a b\n--stats\n$", "run", "printf", "%s\\n", "a b",
                   "--stats")
    assert done.stderr == "", done.stderr


def environment_says_what_was_chosen():
    done = answers(0, "host linux-5.4 strict", "run", "--world", "host",
                   "--profile", "linux-5.4", "--policy", "strict", "sh", "-c",
                   "echo $POLYFAULT_WORLD $POLYFAULT_PROFILE "
                   "$POLYFAULT_POLICY")
    assert done.stderr == "", done.stderr
    answers(0, "^host$", "run", "--deny-kernel", "sh", "-c",
            "echo $POLYFAULT_WORLD")
    answers(0, "^auto$", "run", "--deny-kernel", "--world", "auto", "sh", "-c",
            "echo $POLYFAULT_WORLD")


def what_is_preloaded_already_stays():
    answers(0, r"libpolyfault-preload\.so:/x\.so$", "run", "sh", "-c",
            "echo $LD_PRELOAD", LD_PRELOAD="/x.so")
    done = answers(0, "preload", "run", "--", CLI, "run", "--", "sh", "-c",
                   "echo $LD_PRELOAD")
    assert done.stdout.count("libpolyfault-preload.so") == 1, done.stdout


def stats_are_a_table_on_standard_error():
    done = answers(0, "^hello$", "run", "--world", "host", "--stats", "echo",
                   "hello")
    for word in ("faults", "fills", "bytes", "wait p50", "wait p99",
                 "VMAs peak", "traps", "world", "backing", "revoke",
                 "publish"):
        assert re.search(rf"^  {word} +\S", done.stderr, re.M), (word, done)


def stats_leave_no_file_behind():
    done = answers(0, "polyfault-stats", "run", "--stats", "sh", "-c",
                   "echo $POLYFAULT_STATS")
    assert not os.path.exists(done.stdout.strip()), done.stdout


def started(script, *options):
    child = subprocess.Popen(
        [CLI, "run", *options, "--", "sh", "-c", script],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout.readline() == "ready\n"
    return child


def signals_reach_the_program_under_stats():
    for sig in ("TERM", "HUP", "USR1", "INT"):
        child = started(f"trap 'exit 9' {sig}; echo ready; "
                        "while :; do sleep 0.02; done", "--stats")
        child.send_signal(getattr(signal, "SIG" + sig))
        assert child.wait(20) == 9, (sig, child.returncode)
        child.stdout.close()


def an_untrapped_signal_ends_both():
    child = started("echo ready; exec sleep 60", "--stats")
    child.terminate()
    assert child.wait(20) == 128 + signal.SIGTERM, child.returncode
    child.stdout.close()


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        return f.read().rpartition(")")[2].split()[0]


def stopping_the_program_stops_the_command():
    child = started("echo ready; kill -STOP $$; exit 3", "--stats")
    for _ in range(500):
        if state_of(child.pid) == "T":
            break
        time.sleep(0.02)
    assert state_of(child.pid) == "T", "the command goes on"
    child.send_signal(signal.SIGCONT)
    assert child.wait(20) == 3, child.returncode
    child.stdout.close()


def probe_tells_the_choice():
    done = answers(0, "the choice:", "probe")
    for word in ("world", "backing", "revoke", "publish", "profile"):
        assert re.search(rf"^  {word} ", done.stdout, re.M), done.stdout


def probe_is_one_json_object():
    found = json.loads(answers(0, "{", "probe", "--json").stdout)
    assert found["world"] in ("kernel", "host"), found
    assert found["cpus"] >= 1, found
    assert isinstance(found["guard_anon"], bool), found


def probe_under_a_denied_kernel_does_not_choose_it():
    for how in ("--deny-kernel", "--deny-kernel=kill"):
        done = answers(0, "{", "run", how, "--world", "auto", "--", CLI,
                       "probe", "--json")
        found = json.loads(done.stdout)
        assert found["world"] == "host", found
        assert found["kernel_denied_by_us"], found


CASES = [value for value in list(globals().values())
         if callable(value) and getattr(value, "__module__", "") == "__main__"
         and not isinstance(value, type)
         and value.__name__ not in ("call", "refuses", "answers", "started",
                                    "state_of")]


def run_case(number, case):
    name = case.__name__.replace("_", " ")
    try:
        case()
    except Skip as why:
        print(f"ok {number} - {name} # SKIP {why}", flush=True)
    except Exception as error:  # any failure is the case's
        text = f"{type(error).__name__}: {error}".replace("\n", "\n# ")
        print(f"not ok {number} - {name}\n# {text}", flush=True)
        return 1
    else:
        print(f"ok {number} - {name}", flush=True)
    return 0


def main():
    print(f"1..{len(CASES)}", flush=True)
    failures = [run_case(i, c) for i, c in enumerate(CASES, 1)]
    return 1 if any(failures) else 0


if __name__ == "__main__":
    sys.exit(main())
