#!/usr/bin/env python3
"""A manager with TorchTitan's calls, for loops that are not TorchTitan's."""
import unittest

import package

if __name__ == "__main__":
    package.enter("torch")

import ranks
import torch
from torch.distributed.fsdp import fully_shard

import cairn
from cairn.adapters.manager import CheckpointManager


class Run:
    """A training whose losses tell whether it was resumed exactly."""

    def __init__(self, store, sharded=False, **options):
        torch.manual_seed(0)
        self.model = torch.nn.Linear(6, 4)
        if sharded:
            fully_shard(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.05)
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.9)
        self.manager = CheckpointManager(
            store, {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler},
            prefix="run7", **options)

    def train(self, steps, last=None):
        losses = []
        for step in steps:
            self.manager.maybe_wait_for_staging()
            data = torch.randn(3, 6, generator=torch.Generator().manual_seed(step))
            loss = self.model(data).square().mean()
            loss.backward()
            self.optimizer.step(), self.optimizer.zero_grad(), self.scheduler.step()
            losses.append(loss.item())
            self.manager.save(step, last_step=step == last)
        return losses


def train_on_ranks(rank, size, store, from_step):
    run = Run(store, sharded=True)
    if from_step:
        run.manager.load(step=from_step)
    losses = run.train(range(from_step + 1, 7))
    run.manager.close()
    return losses


class ManagerTest(package.StoreTest):
    def names(self):
        return {tag.tag for tag in self.store.tags()}

    def test_resumed_exactly(self):
        for mode in ("disabled", "async", "async_with_pinned_mem"):
            store = self.folder / mode
            whole = Run(self.folder / f"whole-{mode}", async_mode=mode)
            wanted = whole.train(range(1, 9))
            whole.manager.close()
            Run(store, async_mode=mode).train(range(1, 5), last=4)
            again = Run(store, async_mode=mode)
            self.assertTrue(again.manager.load())
            self.assertEqual(again.train(range(5, 9)), wanted[4:])
            again.manager.close()
            self.assertTrue(again.manager.load(step=4))
            self.assertEqual(again.train(range(5, 7), last=6), wanted[4:6])

    def test_on_ranks(self):
        whole = ranks.run(train_on_ranks, 2, self.store.path, 0)
        self.assertEqual([each[3:] for each in whole],
                         ranks.run(train_on_ranks, 2, self.store.path, 3))
        alone = Run(self.store)  # on one rank
        alone.manager.load(step=3)
        for loss, wanted in zip(alone.train(range(4, 7), last=6), whole[0][3:]):
            self.assertAlmostEqual(loss, wanted, places=6)

    def test_which_steps_are_saved_and_kept(self):
        run = Run(self.store, interval=3, keep_latest_k=2, enable_first_step_checkpoint=True)
        run.train([1])
        run.manager.maybe_wait_for_saving()
        self.assertEqual(self.names(), {"run7/step-1"})
        run.train(range(2, 12), last=11)
        self.assertEqual(self.names(), {"run7/step-9", "run7/step-11"})
        run.manager.close()

    def test_what_is_left_out_of_a_load(self):
        Run(self.store).train(range(1, 4), last=3)
        run = Run(self.store, exclude_from_loading=("optimizer", "scheduler"))
        run.manager.load()
        self.assertEqual(run.scheduler.last_epoch, 0)
        self.assertFalse(run.optimizer.state_dict()["state"])

    def test_what_cannot_be(self):
        self.assertFalse(Run(self.store).manager.load())
        with self.assertRaises(cairn.NotFoundError):
            Run(self.store).manager.load(step=7)
        for options in ({"async_mode": "fast"}, {"interval": 0}, {"keep_latest_k": -1},
                        {"exclude_from_loading": ("optimiser",)}):
            with self.assertRaises(cairn.UsageError):
                Run(self.store, **options)


if __name__ == "__main__":
    unittest.main()
