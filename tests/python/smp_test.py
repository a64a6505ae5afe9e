#!/usr/bin/env python3
"""The calls of SageMaker's model parallel library."""
import unittest

import package

if __name__ == "__main__":
    package.enter("torch")

import torch
from torch.distributed.fsdp import fully_shard

import cairn
import ranks
from cairn import smp, smp_v2
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


def by_parts_of_ranks(rank, size, path):
    """Local states, whole states, and loads that wait until the model is cut."""
    run, other, third = Run(), Run(seed=2), Run(seed=3)
    run.step(0), other.step(1), third.step(1)
    smp.save_checkpoint(path, "a", model=run.model, optimizer=run.optimizer, user_content="x")
    own = smp.local_state_dict(run.model), smp.local_state_dict(run.optimizer, model=run.model)
    smp.load_state_dict(other.model, own[0], same_partition_load=True)
    smp.load_state_dict(other.optimizer, own[1], same_partition_load=True, model=other.model)
    full = {name: value.full_tensor() for name, value in run.model.state_dict().items()}
    smp.load_state_dict(third.model, full)
    refused = []
    for state, same in ((full, True), ({}, False)):
        try:
            smp.load_state_dict(third.model, state, same_partition_load=same)
        except cairn.UsageError as error:
            refused.append(error.message)
    with torch.device("meta"):
        deferred = torch.nn.Sequential(torch.nn.Linear(7, 12), torch.nn.Linear(12, 5))
    content = smp.resume_from_checkpoint(path, model=deferred, deferred=True)
    fully_shard(deferred)
    deferred.to_empty(device="cpu")
    deferred(torch.ones(2, 7))
    loaded = {name: value.full_tensor() for name, value in deferred.state_dict().items()}
    return (own[0]["0.weight"].shape, whole(run), whole(other), whole(third)[0], refused, content,
            loaded, full)


def by_version_two(rank, size, path):
    run = Run()
    run.step(0)
    state = {"model": run.model.state_dict(), "step": 5}
    for _ in range(2):
        smp_v2.async_save(state, checkpoint_id=f"{path}/step_5", sharded_strategy="x")
    finished = smp_v2.maybe_finalize_async_calls(blocking=True)
    other = Run(seed=2)
    target = {"model": other.model.state_dict(), "step": 0}
    smp_v2.load(target, checkpoint_id=f"{path}#step_5")
    weights = [[value.full_tensor() for value in each.model.state_dict().values()]
               for each in (run, other)]
    return finished, target["step"], *weights


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

    def test_parts_of_ranks(self):
        for shape, run, other, third, refused, content, loaded, full in ranks.run(
                by_parts_of_ranks, 2, self.path):
            self.assertEqual((tuple(shape), content), ((6, 7), "x"))
            self.assertTrue(all(map(torch.equal, run[0], other[0])))  # weights and moments
            weights = len(full)
            self.assertTrue(all(map(torch.equal, run[0][:weights], third[:weights])))
            self.assertRegex(refused[0], r"'0.weight' is \[6, 7\] here, \[12, 7\] in the state")
            self.assertIn("'0.bias'", refused[1])
            self.assertTrue(all(torch.equal(loaded[name], full[name]) for name in full))

    def test_a_load_is_deferred_for_modules_only(self):
        smp.save_checkpoint(self.path, "a", model={"w": torch.ones(3)})
        with self.assertRaisesRegex(cairn.UsageError, "deferred"):
            smp.resume_from_checkpoint(self.path, model={"w": torch.ones(3)}, deferred=True)

    def test_version_two(self):
        for finished, step, saved, loaded in ranks.run(by_version_two, 2, self.path):
            self.assertEqual((finished, step), (True, 5))
            self.assertTrue(all(map(torch.equal, saved, loaded)))
        with self.assertRaises(cairn.UsageError):
            smp_v2.load({})
        with self.assertRaises(cairn.NotFoundError):
            smp_v2.load({"w": torch.ones(1)}, checkpoint_id=self.path / "nothing")
        self.assertTrue(smp_v2.maybe_finalize_async_calls())

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
