#!/usr/bin/env python3
"""The benchmark of CUDA tensors runs, on the host, and says so where there is no device."""
import json
import subprocess
import sys
import unittest

import package

if __name__ == "__main__":
    package.enter("torch", "numpy")

import torch

LIMIT = 600  # seconds


class Bench(package.StoreTest):
    def run_bench(self, *words):
        bench = package.ROOT / "tests/bench/torch_gpu_bench.py"
        return subprocess.run([sys.executable, "-W", "ignore", bench, *words, "--rounds", "2",
                               "--folder", self.folder / "bench"],
                              capture_output=True, text=True, timeout=LIMIT, check=False)

    def test_sections(self):
        figures = self.folder / "figures.json"
        done = self.run_bench("--device", "cpu", "--json", figures)
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(figures.read_text())
        self.assertEqual(list(told), ["slowdown", "blocking", "dense"])
        self.assertIn("longer than without a save", told["slowdown"]["rows"])
        written = told["blocking"]["rows"]["written, state = 1"]["median"]
        self.assertGreater(written, 0.05)
        self.assertLess(written, 0.15)
        self.assertLess(told["dense"]["rows"]["written, state = 1"]["median"], 0.9)
        self.assertIn("dcp.async_save, pinned / cairn", told["dense"]["rows"])

    @unittest.skipIf(torch.cuda.is_available(), "there is a device")
    def test_without_a_device(self):
        done = self.run_bench()
        self.assertEqual((done.returncode, done.stdout), (77, "skipped: no CUDA device\n"))

    def test_a_section_that_is_none(self):
        done = self.run_bench("speed")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no section 'speed'", done.stderr)


if __name__ == "__main__":
    unittest.main()
