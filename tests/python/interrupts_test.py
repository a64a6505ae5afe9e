#!/usr/bin/env python3
"""Ctrl-C while the library works: it is raised when memory is no longer in use, and ends no process
otherwise."""
import subprocess
import sys
import textwrap
import unittest

import package

if __name__ == "__main__":
    package.enter("torch")

import cairn

# SIGINT comes when the call has begun.
BEGIN = f"""
import os, signal, sys, threading, time
sys.path[:0] = {sys.path!r}
import torch
import cairn
from cairn import _library
from cairn.torch import AsyncSaver

real, left = _library.call, [1]

def interrupt():
    threading.Timer(0.001, os.kill, [os.getpid(), signal.SIGINT]).start()

def call(name, *arguments):
    if name == "cairn_save" and left[0] > 0:
        left[0] -= 1
        interrupt()
    return real(name, *arguments)

_library.call = call
store = cairn.Store(sys.argv[1])
state = {{f"w{{number}}": torch.randn(1 << 20) for number in range(24)}}
"""
SAVE = """
try:
    store.save("a", state)
except KeyboardInterrupt:
    del state
    print("interrupted")
store.save("b", {"w": torch.ones(3)})
"""
CLOSE = """
left[0] = 0
saver = AsyncSaver(store)
handle = saver.save("a", state)
try:
    interrupt()
    saver.close()
except KeyboardInterrupt:
    print("interrupted")
handle.result()
assert torch.equal(store.load("a")["w5"], state["w5"])
store.save("b", {"w": torch.ones(3)})
"""
BLOCK = """
left[0] = 0
again = threading.Timer(0.002, os.kill, [os.getpid(), signal.SIGINT])
try:
    with AsyncSaver(store) as saver:
        saver.save("a", state)
        again.start()
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(60)
except KeyboardInterrupt:
    print("interrupted")
try:
    again.join()
except KeyboardInterrupt:
    pass
"""


class Interrupts(package.StoreTest):
    def run_program(self, code):
        program = textwrap.dedent(BEGIN) + textwrap.dedent(code)
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", program, self.store.path],
                              capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout.strip(), done.stderr

    def test_a_call_that_waits(self):
        for _ in range(3):
            self.assertEqual(self.run_program(SAVE)[:2], (0, "interrupted"))
            tags = {tag.tag for tag in self.store.tags()}
            self.assertLessEqual(tags - {"b"}, {"a"}, "it may have been committed already")
            self.store.forget(*tags, allow_newest=True)
        self.assertTrue(self.store.check(read_data=True)["ok"])

    def test_while_a_saver_closes(self):
        code, told, errors = self.run_program(CLOSE)
        self.assertEqual((code, told), (0, "interrupted"), errors)
        self.assertEqual(sorted(tag.tag for tag in self.store.tags()), ["a", "b"])

    def test_twice_in_a_block(self):
        for _ in range(3):
            code, told, errors = self.run_program(BLOCK)
            self.assertEqual((code, told), (0, "interrupted"), errors)
            self.assertTrue(self.store.check()["ok"])


if __name__ == "__main__":
    unittest.main()
