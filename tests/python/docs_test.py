#!/usr/bin/env python3
"""The Python of README.md and docs/ does what it says: every block runs as it is printed, one after
the other, but for the store's folder."""
import os
import re
import unittest
import warnings

import package

if __name__ == "__main__":
    package.enter("torch", "fsspec")

import torch
from torch import distributed

import cairn


def blocks_of(page):
    return re.findall(r"^```python\n(.*?)^```", (package.ROOT / page).read_text(), re.M | re.S)


class Reader:
    """What a reader of the page has beside it: a training."""

    def __init__(self, folder):
        self._folder = str(folder)
        model = torch.nn.Linear(64, 64)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        self.names = {"model": model, "optimizer": optimizer, "steps": 3, "step": 7,
                      "schedule": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9),
                      "train": self.train, "tag": "named/1",
                      "my_own_names": lambda model, optimizer: {"w": model.weight, "b": model.bias}}
        self.train(model, optimizer)

    def train(self, model, optimizer):
        optimizer.zero_grad()
        model(torch.randn(4, 64)).square().sum().backward()
        optimizer.step()

    def run(self, block):
        exec(block.replace("/data/store", self._folder), self.names)


class Pages(package.StoreTest):
    def setUp(self):
        super().setUp()
        warnings.simplefilter("ignore")
        distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
        self.addCleanup(distributed.destroy_process_group)

    def test_readme(self):
        reader = Reader(self.folder / "other")
        for block in blocks_of("README.md"):
            reader.run(block)
        self.assertEqual(reader.names["state"].keys(), {"model", "optimizer"})

    def test_python(self):
        reader = Reader(self.folder / "other")
        blocks = blocks_of("docs/PYTHON.md")
        for block in blocks:
            if "get_state_dict(" in block:
                self.save_as_dcp_names_it(reader)
            reader.run(block)
        self.assertGreaterEqual(len(blocks), 6)

    def test_migration(self):
        """Those of adapters are run by the adapters' tests, with the libraries."""
        os.chdir(self.folder)
        self.addCleanup(os.chdir, package.ROOT)
        pages = sorted((package.ROOT / "docs/migration").glob("*.md"))
        count = 0
        for page in pages:
            reader = Reader(self.folder / f"of-{page.stem}")
            reader.names["scheduler"] = reader.names.pop("schedule")
            for block in blocks_of(page):
                if "cairn.adapters" not in block or "adapters.manager" in block:
                    reader.run(block)
                    count += 1
            if page.stem in ("neuronx-distributed", "sagemaker"):
                reader.names["step"] = 8
                reader.run(blocks_of(page)[0])
                self.assertEqual(reader.names["user_content"], {"epoch": 1})
        self.assertGreaterEqual(count, 8)

    def save_as_dcp_names_it(self, reader):
        """And goes on, so that what is loaded is not what is there."""
        from torch.distributed.checkpoint.state_dict import get_state_dict

        names = reader.names
        names["schedule"].step()
        weights, moments = get_state_dict(names["model"], names["optimizer"])
        cairn.Store(self.folder / "other").save(
            "run7/step-500", {"model": weights, "optimizer": moments,
                              "schedule": names["schedule"].state_dict(), "step": 500}, step=500)
        names["schedule"].step()
        self.assertEqual(names["schedule"].last_epoch, 2)

    def test_resumed_as_documented(self):
        reader = Reader(self.folder / "other")
        cairn.Store(self.folder / "other", create=True)
        self.save_as_dcp_names_it(reader)
        block, = [block for block in blocks_of("docs/PYTHON.md") if "get_state_dict(" in block]
        reader.names["store"] = cairn.Store(self.folder / "other")
        reader.run(block)
        self.assertEqual((reader.names["step"], reader.names["schedule"].last_epoch), (500, 1))
        self.assertEqual(reader.names["optimizer"].param_groups[0]["lr"], 0.01 * 0.9)
        self.assertEqual(reader.names["schedule"].get_last_lr(), [0.01 * 0.9])


if __name__ == "__main__":
    unittest.main()
