#!/usr/bin/env python3
"""Steps of torch's optimizers come back exactly and take what docs/REDUCTIONS.md says, about.
usage: optimizers_test.py CAIRN"""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import environment
from program import memory_folder

environment.enter("torch", "numpy", "safetensors")
import torch

import optimizers_bench as bench
from optimizer_zoo import Case

PROGRAM = ""
MOMENTUM = ("momentum", 0.9)


class Optimizers(unittest.TestCase):
    def assert_takes(self, limit, case):
        """Bytes a parameter of weights and state, in a tag one step after another."""
        with tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-optimizers-") as folder:
            steps = bench.make_tags(case, Path(folder) / "tags")
            _, taken = bench.measure(PROGRAM, Path(folder) / "tags", "known", steps)
            taken.pop("raw")
            self.assertLess(sum(taken.values()), limit, f"{case.name}: {taken}")

    def test_state_in_bf16(self):
        for kernel in ("loop", "foreach", "fused"):
            self.assert_takes(1.45, Case("adamw", kernel, pure=True))

    def test_moments_without_master(self):
        self.assert_takes(1.5, Case("wide adamw", "loop", gradients="bf16"))

    def test_amsgrad(self):
        self.assert_takes(1.4, Case("adamw", gradients="bf16", settings=(("amsgrad", True),)))

    def test_decay_in_the_gradient(self):
        self.assert_takes(1.5, Case("adam", gradients="bf16"))
        self.assert_takes(1.3, Case("sgd", gradients="bf16", settings=(MOMENTUM,)))

    def test_nesterov(self):
        settings = (MOMENTUM, ("nesterov", True))
        self.assert_takes(2.4, Case("sgd", settings=settings))

    def test_sgd_without_momentum(self):
        self.assert_takes(1.4, Case("sgd", gradients="bf16"))

    def test_lion(self):
        self.assert_takes(1.4, Case("lion", "loop", gradients="bf16"))

    def test_muon(self):
        self.assert_takes(2.6, Case("muon", "loop", gradients="bf16"))


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    torch.set_num_threads(1)
    unittest.main()
