#!/usr/bin/env python3
"""The calls of neuronx_distributed's trainer."""
import logging
import subprocess
import sys
import unittest

import package

if __name__ == "__main__":
    package.enter("torch")

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import cairn
import ranks
from cairn import nxd


class Run:
    """A training on one rank or several, the same on all."""

    def __init__(self, seed=1):
        torch.manual_seed(seed)
        self.model = torch.nn.Sequential(torch.nn.Linear(7, 12), torch.nn.Linear(12, 5))
        if distributed.is_initialized() and distributed.get_world_size() > 1:
            mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
            fully_shard(self.model, mesh=mesh)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.05)
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.5)

    def step(self, number):
        torch.manual_seed(number)
        loss = self.model(torch.randn(8, 7)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    def parts(self):
        return {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}


def whole(run):
    """Weights and moments, as every rank has them."""
    def full(value):
        return value.full_tensor() if hasattr(value, "full_tensor") else value.detach().clone()

    weights = [full(each) for each in run.model.parameters()]
    moments = [full(run.optimizer.state[each]["exp_avg"]) for each in run.model.parameters()]
    return weights + moments, run.optimizer.param_groups[0]["lr"], run.scheduler.last_epoch


def save_on_ranks(rank, size, path):
    run = Run()
    for step in range(3):
        run.step(step)
        nxd.save_checkpoint(path, f"step_{step}", **run.parts(), user_content={"step": step},
                            num_kept_ckpts=2, async_save=True)
    nxd.finalize_checkpoint()
    return whole(run)


def load_on_ranks(rank, size, path):
    run = Run(seed=9)
    content = nxd.load_checkpoint(path, **run.parts())
    return content, whole(run)


class Nxd(package.StoreTest):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "checkpoints"
        self.addCleanup(nxd._savers.clear)

    def assert_equal(self, one, other):
        self.assertEqual(one[1:], other[1:])
        for mine, theirs in zip(one[0], other[0]):
            self.assertTrue(torch.equal(mine, theirs))

    def test_saved_and_loaded(self):
        self.assertFalse(nxd.has_checkpoint(self.path))
        run = Run()
        run.step(0)
        nxd.save_checkpoint(self.path, "step_1", **run.parts(), user_content={"epoch": 3})
        self.assertTrue(nxd.has_checkpoint(self.path))
        other = Run(seed=2)
        self.assertEqual(nxd.load_checkpoint(self.path, "step_1", **other.parts()), {"epoch": 3})
        self.assert_equal(whole(other), whole(run))
        self.assertEqual([run.step(7) for _ in range(3)], [other.step(7) for _ in range(3)])

    def test_any_part(self):
        run = Run()
        run.step(0)
        nxd.save_checkpoint(self.path, "all", **run.parts())
        other = Run(seed=2)
        other.step(0)
        moments = whole(other)[0][4:]
        self.assertIsNone(nxd.load_checkpoint(self.path, model=other.model))
        for index, tensor in enumerate(whole(run)[0][:4]):
            self.assertTrue(torch.equal(whole(other)[0][index], tensor))
        self.assertTrue(all(map(torch.equal, whole(other)[0][4:], moments)))
        nxd.load_checkpoint(self.path, optimizer=other.optimizer, model=other.model)
        nxd.load_checkpoint(self.path, scheduler=other.scheduler)
        self.assertEqual(other.scheduler.state_dict(), run.scheduler.state_dict())
        nxd.save_checkpoint(self.path, "weights", model=run.model.state_dict())
        with self.assertRaisesRegex(cairn.UsageError, "'optimizer.*' is not in the tag"):
            nxd.load_checkpoint(self.path, "weights", **other.parts())
        with torch.device("meta"):
            empty = torch.nn.Sequential(torch.nn.Linear(7, 12), torch.nn.Linear(12, 5))
        nxd.load_checkpoint(self.path, "weights", model=empty)
        self.assertTrue(torch.equal(empty[1].weight, run.model[1].weight))

    def test_kept_counts_give_space_back(self):
        for step in range(4):
            nxd.save_checkpoint(self.path, f"step_{step}", model={"w": torch.randn(1 << 18)},
                                num_kept_ckpts=2)
        store = cairn.Store(self.path)
        self.assertEqual([tag.tag for tag in store.tags()], ["step_3", "step_2"])
        self.assertEqual(store.gc()["freed_bytes"], 0)
        nxd.save_checkpoint(self.path, "more", model={"w": torch.zeros(3)}, num_kept_ckpts=-1)
        self.assertEqual(len(store.tags()), 3)

    def test_asynchronous(self):
        weight = torch.zeros(1000)
        for step in range(3):
            weight += 1
            nxd.save_checkpoint(self.path, f"step_{step}", model={"w": weight}, async_save=True,
                                num_kept_ckpts=2)
        into = {"w": torch.zeros(1000)}
        nxd.load_checkpoint(self.path, model=into)
        self.assertEqual(into["w"][0], 3, "a load waits for the save under way")
        self.assertEqual(len(cairn.Store(self.path).tags()), 2)
        nxd.save_checkpoint(self.path, "step_2", model={"w": weight}, async_save=True)
        with self.assertRaisesRegex(cairn.ExistsError, "step_2"):
            nxd.finalize_checkpoint()
        nxd.finalize_checkpoint()

    def test_a_program_that_does_not_wait(self):
        code = ("import sys; sys.path[:0] = {!r}; import torch; from cairn import nxd;"
                "nxd.save_checkpoint(sys.argv[1], 'last', model={{'w': torch.ones(1 << 20)}},"
                " async_save=True)").format(sys.path)
        subprocess.run([sys.executable, "-c", code, self.path], check=True, timeout=120)
        self.assertEqual(cairn.Store(self.path).load("last")["model"]["w"].sum(), 1 << 20)

    def test_what_means_nothing_is_said_once(self):
        with self.assertLogs("cairn", logging.WARNING) as logged:
            for step in range(2):
                nxd.save_checkpoint(self.path, f"x{step}", model={"w": torch.ones(1)}, use_xser=True,
                                    num_workers=3)
        self.assertEqual(len(logged.output), 2)
        self.assertIn("use_xser=True", "".join(logged.output))

    def test_on_other_ranks(self):
        saved = ranks.run(save_on_ranks, 2, self.path)
        self.assertEqual(len(cairn.Store(self.path).tags()), 2)
        for size in (1, 3):
            for content, loaded in ranks.run(load_on_ranks, size, self.path):
                self.assertEqual(content, {"step": 2})
                self.assert_equal(loaded, saved[0])


if __name__ == "__main__":
    unittest.main()
