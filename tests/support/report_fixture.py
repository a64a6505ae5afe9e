"""A store with a forgotten tag and hostile names, and the page that `cairn report` makes of it."""
import sys
import tempfile
import unittest
from pathlib import Path

from program import Program, memory_folder, noise, write_safetensors

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;'\"\u202egnp"


def floats(data):
    return ("F32", [len(data) // 4], data)


class WithPage(unittest.TestCase):
    program = ""  # the path of cairn; set before the tests run

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-report-")
        cls.folder = Path(cls.temporary.name)
        cls.cairn = Program(cls.program, cls.folder / "store")
        cls.cairn.run("init", cls.cairn.store, "--chunk-elements", "1024")
        still, changing = noise(8 * 4096, 1), bytearray(noise(8 * 4096, 2))
        for step in range(1, 6):
            changing[4096 * step] ^= 1  # one chunk of eight a step
            tensors = {"frozen.weight": floats(still), "w.weight": floats(bytes(changing)),
                       HOSTILE: noise(3000, step)}
            file = write_safetensors(cls.folder / "m.safetensors", tensors)
            cls.cairn.run("import", f"run/{step}", file, "--step", step, "--meta",
                          f"{HOSTILE}={HOSTILE}")
        cls.cairn.run("import", "other", write_safetensors(cls.folder / "o.safetensors",
                                                           {"x": noise(50000, 9)}))
        cls.cairn.run("forget", "other", "run/2", "--yes", "--allow-newest")
        cls.page = cls.folder / "page.html"
        cls.result = cls.cairn.json("report", "-o", cls.page)
        cls.text = cls.page.read_text(encoding="utf-8")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()


def run_tests():
    """Runs the tests of the main module. usage: X_test.py CAIRN"""
    WithPage.program = sys.argv.pop(1)
    unittest.main(verbosity=2)
