#!/usr/bin/env python3
"""The program in a real terminal, by tmux: bars, questions, Ctrl-C. usage: terminal_test.py CAIRN"""
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import Program, memory_folder, noise, write_safetensors

PROGRAM = ""


class Terminal(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-tmux-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)
        self.cairn = Program(PROGRAM, self.folder / "store")
        self.cairn.run("init", self.cairn.store)
        self.file = write_safetensors(self.folder / "m.safetensors", {"w": noise(300000)})
        self.socket = self.folder / "tmux"
        # typed by its name alone, so that no line of the screen is as long as its path
        path = f"{Path(PROGRAM).parent}:{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(self.folder), "LANG": "C.UTF-8",
                       "CAIRN_STORE": str(self.cairn.store), "SHELL": "/bin/sh"}
        subprocess.run(self.tmux("new-session", "-d", "-x", "90", "-y", "20",
                                 "PS1='$ ' exec /bin/sh"), env=environment, cwd=self.folder,
                       check=True)
        self.addCleanup(subprocess.run, self.tmux("kill-server"), check=False)

    def tmux(self, *words):
        return ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words]

    def type(self, *keys):
        subprocess.run(self.tmux("send-keys", *keys), check=True)

    def screen(self):
        return subprocess.run(self.tmux("capture-pane", "-p"), capture_output=True, text=True,
                              check=True).stdout

    def wait_for(self, *texts):
        """The screen once it shows all of the texts."""
        end, pause = time.monotonic() + 30, threading.Event()
        while not all(text in self.screen() for text in texts):
            self.assertLess(time.monotonic(), end, f"no {texts} in:\n{self.screen()}")
            pause.wait(0.05)
        return self.screen()

    def clear(self):
        """An empty screen: what is waited for next is not what an earlier command wrote."""
        self.type("clear", "Enter")
        end, pause = time.monotonic() + 30, threading.Event()
        while self.screen().strip() != "$":
            self.assertLess(time.monotonic(), end, f"not cleared:\n{self.screen()}")
            pause.wait(0.05)

    def test_a_bar_that_goes_when_the_work_is_done(self):
        with open(self.cairn.store / "lock", "r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)  # the save comes as far as its commit
            self.type("cairn import run/1 m.safetensors", "Enter")
            seen = self.wait_for("[###", "293 KiB of 293 KiB (100.0 %)", "new 293 KiB")
            bars = [line for line in seen.splitlines() if "[###" in line]
            self.assertEqual(len(bars), 1, seen)
            self.assertLess(len(bars[0]), 90)
        seen = self.wait_for("saved 'run/1'")
        self.assertNotIn("[###", seen)

    def test_tables_fit(self):
        name = "model.layers.0.self_attn.q_proj.weight"
        file = write_safetensors(self.folder / "n.safetensors",
                                 {name: ("BF16", [128, 512], noise(131072)), "w": noise(3000, 2)})
        self.cairn.run("import", "run/1", file)
        whole = self.cairn.run("show", "run/1").stdout.splitlines()
        self.assertGreater(max(map(len, whole)), 90, "a pipe gets a row as one line")
        self.type("cairn show run/1 --tensors 'model*'", "Enter")
        seen = self.wait_for("1 raw", "manifest").splitlines()
        row = seen.index(name)
        self.assertEqual(seen[row + 1].split(), "BF16 [128, 512] 128 KiB 128 KiB 128 KiB 1 raw".split())
        self.assertTrue(seen[row + 1].startswith("  BF16"))

    def test_ctrl_c(self):
        with open(self.cairn.store / "lock", "r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            self.type("cairn import run/1 m.safetensors; echo status=$?", "Enter")
            self.wait_for("[###")
            self.type("C-c")
            self.wait_for("stopped while waiting for", "status=130")
        self.assertEqual(self.cairn.run("ls", "-q").stdout, "")
        self.assertEqual([path for path in (self.cairn.store / "packs").rglob("*")
                          if path.is_file()], [])

    def test_questions(self):
        self.cairn.run("import", "run/1", self.file)
        self.cairn.run("import", "run/2", self.file)
        self.type("cairn forget run/1; echo status=$?", "Enter")
        self.wait_for("Forget 1 of 2 tags", "[y/N]")
        self.type("n", "Enter")
        self.wait_for("nothing was done", "status=130")
        self.clear()
        self.type("cairn forget run/1; echo status=$?", "Enter")
        self.wait_for("[y/N]")
        self.type("C-c")
        self.wait_for("nothing was done", "status=130")
        self.assertEqual(self.cairn.run("ls", "-q").stdout, "run/2\nrun/1\n")
        self.clear()
        self.type("cairn forget run/1; echo status=$?", "Enter")
        self.wait_for("[y/N]")
        self.type("y", "Enter")
        self.wait_for("forgot 1 of 2 tags", "status=0")
        self.assertEqual(self.cairn.run("ls", "-q").stdout, "run/2\n")


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    if shutil.which("tmux") is None:
        print("tmux is not installed")
        sys.exit(77)
    unittest.main()
