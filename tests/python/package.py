"""The package of this tree over what was built: import this first. usage: TEST LIBCAIRN CAIRN"""
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests/support")]

import environment  # noqa: E402


def enter(*packages):
    """Names the library and the program for the package; skips the test without the packages."""
    environment.enter(*packages)
    if len(sys.argv) > 2:
        os.environ["CAIRN_PROGRAM"] = str(Path(sys.argv.pop(2)).resolve())
        os.environ["CAIRN_LIBRARY"] = str(Path(sys.argv.pop(1)).resolve())


def program(code, *arguments):
    """A Python process that can import the package."""
    kept = {key: os.environ[key] for key in ("CAIRN_LIBRARY", "CAIRN_PROGRAM", "PATH")}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={"PYTHONPATH": str(ROOT / "python"), **kept})


def interrupt_at(proxy, place):
    """Ctrl-C when a LyingProxy, which has been given its rules, is asked for the place: the list has
    the time then."""
    began, end = [], time.monotonic() + 30

    def interrupt():
        while not any(place in path for _, path, _, _ in proxy.log):
            if time.monotonic() > end:
                return
            threading.Event().wait(0.05)
        began.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    return began


class StoreTest(unittest.TestCase):
    """A store of its own for each test."""

    def setUp(self):
        import cairn

        temporary = tempfile.TemporaryDirectory(prefix="cairn-python-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.store = cairn.Store(self.folder / "store", create=True)

    def store_program(self, *words, **flags):
        """The JSON of a command on the test's store."""
        from cairn import _program

        return _program.run(self.store.path, *words, flags=flags)
