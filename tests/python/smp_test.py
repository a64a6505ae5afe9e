#!/usr/bin/env python3
"""The calls of SageMaker's model parallel library."""
import unittest

import package

if __name__ == "__main__":
    package.enter("torch")

import torch

import cairn
import ranks
from cairn import smp
from nxd_test import Run, whole


def save_on_ranks(rank, size, path):
    run = Run()
    for step in range(3):
        run.step(step)
        smp.save_checkpoint(path, f"step_{step}", model=run.model, optimizer=run.optimizer,
                            user_content={"step": step}, num_kept_partial_checkpoints=2)
    smp.save({"mine": torch.full((3,), rank), "rank": rank}, f"{path}/local")
    smp.save({"one": torch.ones(2)}, f"{path}/first", partial=False)
    mine = smp.load(f"{path}/local")
    return whole(run)[0], (mine["mine"][0].item(), mine["rank"])


def load_on_ranks(rank, size, path):
    run = Run(seed=9)
    content = smp.resume_from_checkpoint(path, model=run.model, optimizer=run.optimizer)
    try:
        smp.load(f"{path}/local")
        refused = None
    except cairn.UsageError as error:
        refused = error.message
    return content, whole(run)[0], refused, smp.load(f"{path}/first", partial=False)["one"].sum()


class Smp(package.StoreTest):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "checkpoints"

    def test_on_other_ranks(self):
        saved = ranks.run(save_on_ranks, 2, self.path)
        self.assertEqual([mine for _, mine in saved], [(0, 0), (1, 1)])
        names = {tag.tag for tag in cairn.Store(self.path).tags()}
        self.assertEqual(names, {"step_1", "step_2", "files/local", "files/first"})
        for size in (1, 3):
            for content, loaded, refused, one in ranks.run(load_on_ranks, size, self.path):
                self.assertEqual((content, one), ({"step": 2}, 2))
                self.assertIn(f"here are {size}", refused)
                for mine, theirs in zip(loaded, saved[0][0]):
                    self.assertTrue(torch.equal(mine, theirs))

    def test_alone(self):
        run, other = Run(), Run(seed=2)
        run.step(0)
        for _ in range(2):  # one of that name is replaced
            smp.save_checkpoint(self.path, "a", partial=False, model=run.model,
                                optimizer=run.optimizer)
        before = other.optimizer.state_dict()["state"]
        self.assertIsNone(smp.resume_from_checkpoint(self.path, model=other.model,
                                                     optimizer=other.optimizer,
                                                     load_optimizer=False))
        self.assertEqual(other.optimizer.state_dict()["state"], before)
        smp.resume_from_checkpoint(self.path, model=other.model, optimizer=other.optimizer)
        self.assertTrue(all(map(torch.equal, whole(other)[0], whole(run)[0])))
        with self.assertRaisesRegex(cairn.UsageError, "nothing to fill"):
            smp.resume_from_checkpoint(self.path)

    def test_a_model_that_has_other_names(self):
        run = Run()
        smp.save_checkpoint(self.path, "a", model=run.model)
        with torch.device("meta"):
            deferred = torch.nn.Sequential(torch.nn.Linear(7, 12), torch.nn.Linear(12, 5))
        smp.resume_from_checkpoint(self.path, model=deferred)
        self.assertTrue(torch.equal(deferred[0].weight, run.model[0].weight))
        wrapped = torch.nn.ModuleDict({"net": Run(seed=4).model})
        smp.resume_from_checkpoint(
            self.path, model=wrapped,
            translate_function=lambda state: {f"net.{name}": value
                                              for name, value in state.items()})
        self.assertTrue(torch.equal(wrapped["net"][0].weight, run.model[0].weight))

    def test_what_save_did_not_make(self):
        smp.save_checkpoint(self.path, "files/a", model={"w": torch.ones(3)})
        with self.assertRaisesRegex(cairn.NotFoundError, "none of smp.save"):
            smp.load(self.path / "a")
        with self.assertRaises(cairn.NotFoundError):
            smp.load(self.path / "b")
        with self.assertRaises(cairn.NoStoreError):
            smp.load(self.folder / "nowhere/b")


if __name__ == "__main__":
    unittest.main()
