#!/usr/bin/env python3
"""Series of checkpoints saved by the program, and forged copies with bases, read by both readers.

    tests/independent/read_encodings_test.py CAIRN [unittest arguments]

The program may also be named by $CAIRN. Exit status 77: no Python with numpy and blake3.
"""

import json
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
import environment  # noqa: E402

if __name__ == "__main__":
    environment.enter("numpy", "blake3")

import numpy as np  # noqa: E402
import read_store_test  # noqa: E402
from block_codec import BF16, F32, narrowed, widened  # noqa: E402
from replay_rules import predict  # noqa: E402

STEPS = 6
NAMES = {"weight": "{p}", "master": "master.{p}", "exp_avg": "exp_avg.{p}",
         "exp_avg_sq": "exp_avg_sq.{p}"}
SHAPES = {"layer.0.w": [40, 64], "layer.1.w": [3000], "norm": [70]}


def scalars(*numbers):
    return np.array(numbers, np.float32).view(np.uint32)


class Series:
    """A small training run with AdamW as torch does it on a CPU."""

    LR, BETA1, BETA2, EPS, DECAY = 1e-3, 0.9, 0.95, 1e-8, 0.1

    def __init__(self, seed=1, gradients=F32):
        self.random, self.gradients, self.step = np.random.default_rng(seed), gradients, 0
        self.state = {name: [self.noise(shape, 0.02), *np.zeros((2, *shape), np.float32)]
                      for name, shape in SHAPES.items()}

    def noise(self, shape, size):
        return (size * self.random.standard_normal(shape)).astype(np.float32)

    def advance(self):
        self.step += 1
        numbers = (1 - self.BETA1, self.BETA1, 1 - self.BETA2, self.BETA2)
        factor = self.LR / (1 - self.BETA1**self.step), (1 - self.BETA2**self.step) ** 0.5
        for name, (w, m, v) in self.state.items():
            g = self.noise(w.shape, 1e-3)
            g = widened(narrowed(g, BF16), BF16) if self.gradients == BF16 else g
            q1, b1, q2, b2 = numbers
            new_m = self.made(3, 0, scalars(q1, b1, 1), m, g)
            new_v = self.made_second(g, v, q2, b2)
            new_w = self.made(2, 0, scalars(*factor, self.EPS, 1 - self.LR * self.DECAY), w, new_m, new_v)
            self.state[name] = [new_w, new_m, new_v]

    def made(self, rule, variant, numbers, *bases):
        return predict(rule, variant, numbers, bases, F32).view(np.float32)

    def made_second(self, g, v, q2, b2):
        """Rule 1 with the gradient itself: q1 = 1 and m' = 0 make it of m."""
        return self.made(1, 0, scalars(1, 0, q2, b2, 1, 1), g, np.zeros_like(g), v)

    def tensors(self, weights_only=False):
        held = {}
        for name, (w, m, v) in self.state.items():
            held[name] = "BF16", list(w.shape), narrowed(w, BF16).tobytes()
            parts = {} if weights_only else {"master": w, "exp_avg": m, "exp_avg_sq": v}
            for part, data in parts.items():
                held[f"{part}.{name}"] = "F32", list(w.shape), data.tobytes()
        return held

    def roles(self, folder):
        path = folder / "roles.json"
        path.write_text(json.dumps({
            "optimizer": "adamw", "step": self.step, "lr": self.LR, "beta1": self.BETA1,
            "beta2": self.BETA2, "eps": self.EPS, "weight_decay": self.DECAY, "names": NAMES}))
        return "--roles", path
