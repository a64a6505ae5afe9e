#!/usr/bin/env python3
"""A command is killed, or one of its system calls fails, at every system call it makes.

    tests/crash/syscall_test.py CAIRN kill|fail [save|forget|gc|repair|rebase] [--every N]
                                [--no-helper]

`strace` counts the calls of one command, then injects SIGKILL, or an error, into each of them in
turn. Afterwards the store must open without repair, every tag that was there before (and was not to
be forgotten) must be whole, and the command must succeed when it is repeated. A new tag is absent or
whole, a forgotten one there or gone; after one more gc no file is left that is not needed. A save
that failed by itself must have told why and must have left no file behind.
Exit status 77: strace cannot trace here.
"""
import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from chain_store import make_chain_store
from program import memory_folder, noise, read_safetensors, write_safetensors

# Calls that are over before the program's own code runs, or that cannot fail in a way that matters.
ERRORS = {"openat": "EIO", "pwrite64": "ENOSPC", "write": "ENOSPC", "fsync": "EIO",
          "ftruncate": "EIO", "rename": "EIO", "renameat": "EIO", "renameat2": "EIO",
          "mkdir": "ENOSPC", "mkdirat": "ENOSPC", "pread64": "EIO", "preadv2": "EIO",
          "unlink": "EIO", "unlinkat": "EIO", "fstat": "EIO", "newfstatat": "EIO",
          "getdents64": "EIO", "fcntl": "EIO", "utimensat": "EIO"}
OPTIONAL = {"unlink", "unlinkat"}  # tidying up: its failure fails nothing


class Scene:
    """A save into a store with one tag, made anew for every injection."""
    tidies = True  # a command that fails by itself leaves no file

    def __init__(self, cairn, folder, helper):
        self.cairn, self.folder = cairn, folder
        self.environment = dict(os.environ)
        if not helper:
            self.environment["CAIRN_PROGRAM"] = "/nonexistent"
        self.template, self.store = folder / "template", folder / "store"
        self.old, self.new = folder / "old.safetensors", folder / "new.safetensors"
        self.prepare()

    def prepare(self):
        """Makes the template."""
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

    def command(self):
        return ["import", "run/new", self.new]

    def act(self, *strace):
        self.reset()
        command = ["strace", "-f", "-qq", *strace, self.cairn, "-s", self.store, *self.command()]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True,
                              env=self.environment)

    def is_done(self, tags):
        """Whether the command took effect."""
        return "run/new" in tags

    def files(self, store):
        return {str(path.relative_to(store)) for path in store.rglob("*")
                if path.is_file() and path.relative_to(store).parts[0] in ("packs", "meta",
                                                                           "sessions")}

    def tags(self):
        return set(self.run("-s", self.store, "ls", "-q").stdout.split())

    def expect_collected(self, where, *how):
        """One gc is enough, and nothing lies there that is not needed."""
        self.run("-s", self.store, "gc", "--yes", *how)
        left = json.loads(self.run("-s", self.store, "gc", "--dry-run", "--json").stdout)
        if any(left[name] for name in ("freed_bytes", "packs_deleted", "metas_deleted")):
            raise AssertionError(f"{where}: gc left {left}")
        odd = [path.name for path in self.store.iterdir() if path.name.startswith("root.")]
        if odd or any((self.store / "sessions").iterdir()):
            raise AssertionError(f"{where}: leftovers {odd}")
        self.run("-s", self.store, "check", "--read-data")

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


class ForgetScene(Scene):
    """forget of one of three tags, which share chunks."""
    tidies = False  # that is what the next gc is for

    def __init__(self, cairn, folder, helper):
        super().__init__(cairn, folder, helper)
        self.third = folder / "third.safetensors"
        write_safetensors(self.new, {"a": noise(20000) + noise(20000, 8)})
        write_safetensors(self.third, {"a": noise(10000) + noise(30000, 9)})
        self.run("-s", self.template, "import", "run/new", self.new)
        self.run("-s", self.template, "import", "run/third", self.third)

    def command(self):
        return ["forget", "run/old", "--yes"]

    def is_done(self, tags):
        return "run/old" not in tags

    def expect_whole(self, where):
        tags = self.tags()
        if not {"run/new", "run/third"} <= tags:
            raise AssertionError(f"{where}: tags are gone: {tags}")
        self.run("-s", self.store, "check", "--read-data")
        out = self.folder / "out.safetensors"
        sources = {"run/old": self.old, "run/new": self.new, "run/third": self.third}
        for tag in tags:
            self.run("-s", self.store, "export", tag, out, "--force")
            if read_safetensors(out) != read_safetensors(sources[tag]):
                raise AssertionError(f"{where}: wrong bytes in {tag}")
        self.run("-s", self.store, "forget", *tags & {"run/old"}, "--keep-tag", "run/[nt]*",
                 "--yes", expect=None)
        self.expect_collected(where)
        return tags


class GcScene(ForgetScene):
    """gc of a store where a forgotten tag leaves a half-dead pack, which is written anew."""

    def __init__(self, cairn, folder, helper):
        super().__init__(cairn, folder, helper)
        self.run("-s", self.template, "forget", "run/old", "--yes")

    def command(self):
        return ["gc", "--yes", "--progress", "none"]

    def is_done(self, tags):
        return not (self.store / self.first_pack()).exists()

    def first_pack(self):
        """The pack of the tag that is forgotten: the oldest."""
        packs = (self.template / "packs").rglob("*-0")
        return min(packs, key=lambda path: path.stat().st_mtime_ns).relative_to(self.template)


class RepairScene(ForgetScene):
    """repair tags of a store where the pack of the newest tag is gone."""

    def __init__(self, cairn, folder, helper):
        super().__init__(cairn, folder, helper)
        write_safetensors(folder / "lost.safetensors", {"z": noise(30000, 11)})
        self.run("-s", self.template, "import", "run/zlost", folder / "lost.safetensors")
        packs = (self.template / "packs").rglob("*-0")
        max(packs, key=lambda path: path.stat().st_mtime_ns).unlink()

    def command(self):
        return ["repair", "tags", "--yes", "--progress", "none"]

    def is_done(self, tags):
        return "run/zlost" not in tags

    def expect_whole(self, where):
        is_listed = any((self.store / "set-aside").glob("*.json"))
        if self.is_done(self.tags()) and not is_listed:
            raise AssertionError(f"{where}: set aside and on no list")
        self.run("-s", self.store, *self.command())
        return super().expect_whole(where)


class RebaseScene(Scene):
    """gc --rebase of a store of chains whose first tags are forgotten."""
    tidies = False  # that is what the next gc is for

    def prepare(self):
        self.held = make_chain_store(partial(self.run, "-s", self.template), self.template,
                                     self.folder)

    def command(self):
        return ["gc", "--rebase", "--yes", "--progress", "none"]

    def is_done(self, tags):
        plan = json.loads(self.run("-s", self.store, "gc", "--dry-run", "--json").stdout)
        return plan["rebase"]["frees_bytes"] == 0

    def expect_held(self, where):
        out = self.folder / "out.safetensors"
        for tag, source in self.held.items():
            self.run("-s", self.store, "export", tag, out, "--force")
            if read_safetensors(out) != read_safetensors(source):
                raise AssertionError(f"{where}: wrong bytes in {tag}")

    def expect_whole(self, where):
        tags = self.tags()
        if tags != set(self.held):
            raise AssertionError(f"{where}: tags are {tags}")
        self.run("-s", self.store, "check", "--read-data")
        self.expect_held(where)
        self.expect_collected(where, "--rebase")
        if not self.is_done(tags):
            raise AssertionError(f"{where}: chains stay long")
        self.expect_held(where)
        return tags


SCENES = {"save": Scene, "forget": ForgetScene, "gc": GcScene, "repair": RepairScene,
          "rebase": RebaseScene}


def count_calls(scene):
    """How often each thread of the command makes each call: the largest count of any thread."""
    log = scene.folder / "log"
    done = scene.act("-o", log)
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
            done = scene.act("-o", "/dev/null", "-e", f"inject={name}:signal=KILL:when={k}")
            where = f"killed at {name} {k}"
            is_done = scene.is_done(scene.tags())
            scene.expect_whole(where)
            outcomes["killed" if done.returncode == -9 else "finished before it"] += 1
            outcomes["took effect" if is_done else "did not"] += 1
            if done.returncode == 0 and not is_done:
                raise AssertionError(f"{where}: success was reported and nothing had happened")
    # Both sides of the change of the root must have been met, or the test looked at nothing.
    if every == 1 and not (outcomes["took effect"] and outcomes["did not"]
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
            done = scene.act("-o", "/dev/null", "-e", f"inject={name}:error={error}:when={k}")
            where = f"{error} from {name} {k}"
            left = scene.files(scene.store) - before
            is_done = scene.is_done(scene.tags())
            scene.expect_whole(where)
            if done.returncode < 0 or done.returncode in (2, 12):
                raise AssertionError(f"{where}: exit {done.returncode}: {done.stderr}")
            if done.returncode == 0 and not is_done:
                raise AssertionError(f"{where}: success was reported and nothing had happened")
            if done.returncode not in (0, 3) and "error" not in done.stderr:
                raise AssertionError(f"{where}: no word about it: {done.stderr!r}")
            if done.returncode == 13 and error != "ENOSPC":
                raise AssertionError(f"{where}: exit 13")
            must_tidy = scene.tidies and name not in OPTIONAL
            if done.returncode != 0 and not is_done and left and must_tidy:
                raise AssertionError(f"{where}: left behind {sorted(left)}")
            outcomes["saved all the same" if done.returncode == 0 else "failed, and said so"] += 1
    if every == 1 and outcomes["failed, and said so"] < 20:
        raise AssertionError(f"too little happened: {dict(outcomes)}")
    return outcomes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cairn")
    parser.add_argument("mode", choices=["kill", "fail"])
    parser.add_argument("scene", choices=SCENES, nargs="?", default="save")
    parser.add_argument("--every", type=int, default=1, help="only each N-th call")
    parser.add_argument("--no-helper", dest="helper", action="store_false",
                        help="without the index helper, whose calls are traced too")
    options = parser.parse_args()
    if shutil.which("strace") is None:
        print("strace is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-crash-") as folder:
        scene = SCENES[options.scene](str(Path(options.cairn).resolve()), Path(folder), options.helper)
        calls = count_calls(scene)
        work = kill_everywhere if options.mode == "kill" else fail_everywhere
        print(dict(work(scene, calls, options.every)))


if __name__ == "__main__":
    main()
