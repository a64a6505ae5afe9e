#!/usr/bin/env python3
"""The benchmark of PyTorch runs, and measures what it is said to measure."""
import json
import os
import subprocess
import sys
import unittest

import package

if __name__ == "__main__":
    package.enter("torch", "numpy")

LIMIT = 600  # seconds


class Bench(package.StoreTest):
    def run_sections(self, *sections):
        """The figures, and what was printed."""
        figures = self.folder / "figures.json"
        bench = package.ROOT / "tests/bench/torch_bench.py"
        command = [sys.executable, "-W", "ignore", bench, *sections, "--quick", "--folder",
                   self.folder / "bench", "--json", figures]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False,
                              env=dict(os.environ))
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(figures.read_text()), done.stdout

    def test_saves(self):
        told, text = self.run_sections("blocking", "memory", "overhead")
        blocking, durable = told["blocking"]
        self.assertIn("dcp.async_save", blocking["rows"])
        for name, row in blocking["rows"].items():
            if name in durable["rows"]:
                self.assertLess(row["least"], durable["rows"][name]["most"], name)
        self.assertIn("cairn / memcpy (asked: at most 1.1)", text)
        self.assertGreater(told["memory"]["cairn"]["copies"], 1.5)
        self.assertEqual(set(told["overhead"]), {"1 rank", "2 ranks"})

    def test_loads(self):
        told, text = self.run_sections("loads")
        self.assertEqual([row["ranks"] for row in told["loads"]], [2, 2, 3, 3])
        for row in told["loads"]:
            self.assertGreater(row["dcp.load"]["seconds"], 0)
        self.assertIn("| on 3, columns | cached |", text)

    def test_a_section_that_is_none(self):
        with self.assertRaisesRegex(AssertionError, "no section 'speed'"):
            self.run_sections("speed")


if __name__ == "__main__":
    unittest.main()
