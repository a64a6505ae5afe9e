#!/usr/bin/env python3
"""Ctrl-C and SIGTERM in every command, waiting or at work. usage: stop_test.py CAIRN"""
import fcntl
import shutil
import signal
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import Program, memory_folder, noise, write_safetensors

PROGRAM = ""
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Stop(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-stop-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.cairn = Program(PROGRAM, self.folder / "store")
        self.cairn.run("init", self.cairn.store)
        self.files = [write_safetensors(self.folder / f"{seed}.safetensors",
                                        {f"w{i}": noise(60000, 20 * seed + i) for i in range(12)})
                      for seed in range(3)]
        for number, file in enumerate(self.files[:2]):
            self.cairn.run("import", f"run/{number}", file, "--meta", f"n={number}")
        self.cairn.run("import", "old/1", self.files[0])

    def tags(self):
        return [(tag["tag"], tag["manifest"], tag["pinned"])
                for tag in self.cairn.json("ls")["tags"]]

    def expect_sound(self, before):
        self.assertEqual(self.tags(), before)
        self.cairn.run("check", "--read-data")


class Waiting(Stop):
    """Someone else holds the store's lock."""

    def commands(self):
        yield "import", "new/1", self.files[2]
        yield "tag", "new/1", "run/0"
        yield "pin", "run/0"
        yield "forget", "run/0", "--yes"
        yield "forget", "run/0", "--drop", "w1", "--yes"
        yield "gc", "--yes"

    def test_the_first_signal_ends_it(self):
        before = self.tags()
        (self.cairn.store / "meta" / "aa").mkdir(exist_ok=True)
        garbage = self.cairn.store / "meta" / "aa" / f"aa{'0' * 30}-0"
        garbage.write_bytes(b"not needed by any tag")
        for words in self.commands():
            for number, status in STATUS.items():
                with self.subTest(words=words, signal=number.name):
                    with open(self.cairn.store / "lock", "r+b") as lock:
                        fcntl.lockf(lock, fcntl.LOCK_EX)
                        process = self.cairn.start(*words)
                        self.wait_until_it_waits(process)
                        process.send_signal(number)
                        _, error = process.communicate(timeout=10)
                    self.assertEqual(process.returncode, status, error)
                    self.assertIn(b"stopped", error)
                    self.expect_sound(before)

    def wait_until_it_waits(self, process):
        """Its lock is asked for, again and again, so that it opens the file and sleeps."""
        end, pause = time.monotonic() + 30, threading.Event()
        while process.poll() is None and time.monotonic() < end:
            fds = Path(f"/proc/{process.pid}/fd")
            try:
                names = [str(fd.readlink()) for fd in fds.iterdir()]
            except FileNotFoundError:
                names = []
            if str(self.cairn.store / "lock") in names:
                return
            pause.wait(0.01)
        self.fail(f"it does not wait for the lock: {process.communicate()}")


class Working(Stop):
    def commands(self):
        out = self.folder / "out"
        yield "openat", ("import", "new/1", self.files[2])
        yield "openat", ("export", "run/0", out / "file.safetensors")
        yield "openat", ("export", "run/0", out / "folder", "--max-shard-size", "100KB")
        yield "openat", ("ls", "--exclusive")
        yield "openat", ("show", "run/0")
        yield "openat", ("diff", "run/0", "run/1", "--elements")
        yield "openat", ("cat", "run/0", "w1")
        yield "openat", ("stats",)
        yield "openat", ("check", "--read-data")
        yield "openat", ("repair", "tags", "--yes")
        yield "openat", ("report", "-o", out / "report.html")
        yield "unlink", ("gc", "--yes")
        yield "openat", ("forget", "old/1", "--allow-newest", "--dry-run")

    def test_a_signal_in_the_middle(self):
        if shutil.which("strace") is None:
            self.skipTest("strace is not installed")
        before, stopped = self.tags(), set()
        out = self.folder / "out"
        for call, words in self.commands():
            # The first openings are those of libraries, before there is anyone to hear a signal.
            first = 17 if call == "openat" else 1
            for when in (first, first + 2, first + 4, first + 8, first + 16, first + 32):
                with self.subTest(words=words, when=when):
                    shutil.rmtree(out, ignore_errors=True)
                    out.mkdir()
                    inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e",
                              f"inject={call}:signal=INT:when={when}"]
                    done = self.cairn.run(*words, before=inject, expect=None, text=False)
                    self.assertIn(done.returncode, (0, 130), done.stderr)
                    if done.returncode == 130:
                        stopped.add(words[0])
                        self.assertEqual([path.name for path in out.rglob("*") if path.is_file()],
                                         [], "nothing half done is left")
                        self.assertIn(b"stopped", done.stderr)
                    if words[0] == "import" and done.returncode == 0:
                        self.cairn.run("forget", "new/1", "--allow-newest", "--yes")
                    self.expect_sound(before)
        at_least = {"import", "export", "cat", "check", "report", "stats", "repair"}
        self.assertGreaterEqual(stopped, at_least)


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
