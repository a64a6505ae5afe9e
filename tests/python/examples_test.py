#!/usr/bin/env python3
"""The programs of examples/ run as their first lines say, and print what these promise."""
import os
import re
import subprocess
import sys
import unittest

import package

if __name__ == "__main__":
    package.enter("torch", "numpy", "safetensors")

import torch
from safetensors.torch import load_file

EXAMPLES = package.ROOT / "examples"
LIMIT = 120  # seconds


class Examples(package.StoreTest):
    def run_example(self, *words, ranks=None):
        """What it printed."""
        launcher = [sys.executable]
        if ranks is not None:
            launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", ranks]
        paths = {"PYTHONPATH": str(package.ROOT / "python"), "OMP_NUM_THREADS": "1"}
        command = [str(word) for word in (*launcher, EXAMPLES / words[0], *words[1:])]
        done = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True,
                              timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_training_goes_on_on_other_ranks(self):
        told = self.run_example("fsdp2_train.py", self.store.path, "--until", 10, ranks=2)
        self.assertRegex(told, r"step 10: loss \d\.\d{4}; the save before: \S+ MB stored of 9.31 MB")
        told = self.run_example("resume_with_dcp.py", self.store.path, "fsdp2/@newest", "--steps", 2,
                                ranks=3)
        self.assertIn("loaded 'fsdp2/@newest' on 3 ranks: step 10", told)
        self.assertIn("saved as 'fsdp2/step-12'", told)
        told = self.run_example("fsdp2_train.py", self.store.path, "--until", 15, ranks=1)
        self.assertIn("goes on after step 12 with 1 ranks", told)
        tags = [tag.tag for tag in self.store.tags()]
        self.assertEqual(tags, [f"fsdp2/step-{step}" for step in (15, 12, 10, 5)])

    def test_tags_of_an_adapter_cost_the_adapter(self):
        told = self.run_example("lora.py", self.store.path, "--steps", 3)
        costs = {tag: (float(state), float(stored)) for tag, state, stored in re.findall(
            r"(\S+): (\S+) MB of state, (\S+) MB stored", told)}
        self.assertEqual(list(costs), ["base/llm", *(f"lora/step-{step}" for step in (1, 2, 3))])
        for step in (1, 2, 3):
            state, stored = costs[f"lora/step-{step}"]
            self.assertGreater(state, costs["base/llm"][0])
            self.assertLess(stored, state / 20)

    def test_weights_are_exported_alone(self):
        weights = {"w": torch.randn(8, 4), "b": torch.randn(4)}
        self.store.save("run/1", {"model": weights, "optimizer": {"w": torch.ones(8, 4)}})
        path = self.folder / "model.safetensors"
        told = self.run_example("export_for_inference.py", self.store.path, "run/@newest", path)
        self.assertIn("2 tensors, 0.00 MB of the 0.00 MB of 'run/1'", told)
        exported = load_file(path)
        self.assertEqual(exported.keys(), weights.keys())
        for name, weight in weights.items():
            self.assertTrue(torch.equal(exported[name], weight.bfloat16()), name)


if __name__ == "__main__":
    unittest.main()
