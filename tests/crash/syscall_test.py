#!/usr/bin/env python3
"""A save is killed, or one of its system calls fails, at every system call it makes.

    tests/crash/syscall_test.py CAIRN kill|fail [--every N] [--no-helper]

`strace` counts the calls of one save, then injects SIGKILL, or an error, into each of them in turn.
Afterwards the store must open without repair, the tag that was there before must be whole, the new
one must be absent or whole, and the save must succeed when it is repeated. A save that failed by
itself must have told why and must have left no file behind.
Exit status 77: strace cannot trace here.
"""
import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import memory_folder, noise, read_safetensors, write_safetensors

# Calls that are over before the program's own code runs, or that cannot fail in a way that matters.
ERRORS = {"openat": "EIO", "pwrite64": "ENOSPC", "write": "ENOSPC", "fsync": "EIO",
          "ftruncate": "EIO", "rename": "EIO", "renameat": "EIO", "renameat2": "EIO",
          "mkdir": "ENOSPC", "mkdirat": "ENOSPC", "pread64": "EIO", "preadv2": "EIO",
          "unlink": "EIO", "unlinkat": "EIO", "fstat": "EIO", "newfstatat": "EIO",
          "getdents64": "EIO", "fcntl": "EIO"}
OPTIONAL = {"unlink", "unlinkat"}  # tidying up: its failure fails nothing


class Scene:
    """A store with one tag, made anew for every injection."""

    def __init__(self, cairn, folder, helper):
        self.cairn, self.folder = cairn, folder
        self.environment = dict(os.environ)
        if not helper:
            self.environment["CAIRN_PROGRAM"] = "/nonexistent"
        self.template, self.store = folder / "template", folder / "store"
        self.old, self.new = folder / "old.safetensors", folder / "new.safetensors"
        # Some chunks as before, some new; the new one is longer than a staging block.
        data = noise(40000)
        write_safetensors(self.old, {"a": data, "b": data[:5000]})
        write_safetensors(self.new, {"a": data[:-1] + b"x", "b": data[:5000], "c": data[::-1]})
        self.run("init", self.template, "--chunk-elements", "1024")
        self.run("-s", self.template, "import", "run/old", self.old)

    def run(self, *arguments, expect=0):
        done = subprocess.run([self.cairn, *map(str, arguments)], capture_output=True, text=True)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"{arguments}: exit {done.returncode}: {done.stderr}")
        return done

    def reset(self):
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.copytree(self.template, self.store)

    def save(self, *strace):
        self.reset()
        command = ["strace", "-f", "-qq", *strace, self.cairn, "-s", self.store, "import",
                   "run/new", self.new]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True,
                              env=self.environment)

    def files(self, store):
        return {str(path.relative_to(store)) for path in store.rglob("*")
                if path.is_file() and path.relative_to(store).parts[0] in ("packs", "meta",
                                                                           "sessions")}

    def tags(self):
        return set(self.run("-s", self.store, "ls", "-q").stdout.split())

    def expect_whole(self, where):
        """All that must hold whatever happened."""
        tags = self.tags()
        if "run/old" not in tags:
            raise AssertionError(f"{where}: the old tag is gone")
        check = self.run("-s", self.store, "check", "--read-data", expect=None)
        if check.returncode != 0:
            raise AssertionError(f"{where}: check: {check.stdout}{check.stderr}")
        self.run("-s", self.store, "import", "run/new", self.new, "--if-exists", "same")
        out = self.folder / "out.safetensors"
        for tag, source in (("run/old", self.old), ("run/new", self.new)):
            self.run("-s", self.store, "export", tag, out, "--force")
            if read_safetensors(out) != read_safetensors(source):
                raise AssertionError(f"{where}: wrong bytes in {tag}")
        return tags


def count_calls(scene):
    """How often each thread of a save makes each call: the largest count of any thread."""
    log = scene.folder / "log"
    done = scene.save("-o", log)
    if done.returncode != 0:
        print("strace cannot trace here:", done.stderr.strip().splitlines()[-1:])
        sys.exit(77)
    counts = collections.Counter()
    for line in log.read_text(errors="replace").splitlines():
        called = re.match(r"(\d+) +(\w+)\(", line)
        if called:
            counts[called.group(1), called.group(2)] += 1
    most = collections.Counter()
    for (_, name), count in counts.items():
        most[name] = max(most[name], count)
    return most


def kill_everywhere(scene, calls, every):
    outcomes = collections.Counter()
    number = 0
    for name, count in sorted(calls.items()):
        if name in ("execve", "exit", "exit_group"):
            continue
        for k in range(1, count + 1):
            number += 1
            if number % every:
                continue
            done = scene.save("-o", "/dev/null", "-e", f"inject={name}:signal=KILL:when={k}")
            where = f"killed at {name} {k}"
            tags = scene.expect_whole(where)
            outcomes["killed" if done.returncode == -9 else "finished before it"] += 1
            outcomes["tag visible" if "run/new" in tags else "tag absent"] += 1
            if done.returncode == 0 and "run/new" not in tags:
                raise AssertionError(f"{where}: success was reported and the tag is not there")
    # Both sides of the commit must have been met, or the test looked at nothing.
    if every == 1 and not (outcomes["tag visible"] and outcomes["tag absent"]
                           and outcomes["killed"] > 100):
        raise AssertionError(f"too little happened: {dict(outcomes)}")
    return outcomes


def fail_everywhere(scene, calls, every):
    outcomes = collections.Counter()
    before = scene.files(scene.template)
    number = 0
    for name, error in ERRORS.items():
        for k in range(1, calls[name] + 1):
            number += 1
            if number % every:
                continue
            done = scene.save("-o", "/dev/null", "-e", f"inject={name}:error={error}:when={k}")
            where = f"{error} from {name} {k}"
            left = scene.files(scene.store) - before
            tags = scene.expect_whole(where)
            if done.returncode < 0 or done.returncode in (2, 12):
                raise AssertionError(f"{where}: exit {done.returncode}: {done.stderr}")
            if done.returncode == 0 and "run/new" not in tags:
                raise AssertionError(f"{where}: success was reported and the tag is not there")
            if done.returncode != 0 and "error" not in done.stderr:
                raise AssertionError(f"{where}: no word about it: {done.stderr!r}")
            if done.returncode == 13 and error != "ENOSPC":
                raise AssertionError(f"{where}: exit 13")
            if done.returncode != 0 and "run/new" not in tags and left \
                    and name not in OPTIONAL:
                raise AssertionError(f"{where}: left behind {sorted(left)}")
            outcomes["saved all the same" if done.returncode == 0 else "failed, and said so"] += 1
    if every == 1 and outcomes["failed, and said so"] < 20:
        raise AssertionError(f"too little happened: {dict(outcomes)}")
    return outcomes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cairn")
    parser.add_argument("mode", choices=["kill", "fail"])
    parser.add_argument("--every", type=int, default=1, help="only each N-th call")
    parser.add_argument("--no-helper", dest="helper", action="store_false",
                        help="without the index helper, whose calls are traced too")
    options = parser.parse_args()
    if shutil.which("strace") is None:
        print("strace is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-crash-") as folder:
        scene = Scene(str(Path(options.cairn).resolve()), Path(folder), options.helper)
        calls = count_calls(scene)
        work = kill_everywhere if options.mode == "kill" else fail_everywhere
        print(dict(work(scene, calls, options.every)))


if __name__ == "__main__":
    main()
