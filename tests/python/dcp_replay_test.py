#!/usr/bin/env python3
"""What torch.distributed.checkpoint's saves know of the optimizer, and of replicas."""
import json
import unittest
import warnings
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("torch")

import ranks
import torch
from torch import distributed
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint import state_dict as dcp_state
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.nn import functional

import cairn
from cairn.torch import StorageReader, StorageWriter, _dealing, roles_of

WIDTH, WARM_UP, TAGS = 96, 5, 3


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(64, WIDTH)
        self.layers = torch.nn.Sequential(*(torch.nn.Linear(WIDTH, WIDTH) for _ in range(4)))
        self.head = torch.nn.Linear(WIDTH, 64)

    def forward(self, tokens):
        return self.head(functional.gelu(self.layers(self.embed(tokens))))


def train_and_save(rank, size, path, kind, roles, compare="all"):
    """Saves the last few steps of a run; what the last one loads."""
    torch.manual_seed(3)
    model = Net()
    if kind == "fsdp":
        fully_shard(model, mesh=DeviceMesh("cpu", torch.arange(size)))
    elif size > 1:
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    if roles == "live":
        roles = roles_of(model, optimizer)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
    for step in range(1, WARM_UP + TAGS + 1):
        optimizer.zero_grad()
        tokens = torch.randint(64, (128,))
        functional.cross_entropy(model(tokens), tokens).backward()
        optimizer.step()
        schedule.step()
        if step > WARM_UP:
            state = dict(zip(("model", "optim"), dcp_state.get_state_dict(model, optimizer)))
            dcp.save(state, checkpoint_id=f"{kind}{size}/step-{step}",
                     storage_writer=StorageWriter(path, roles=roles, compare_replicas=compare))
    target = dict(zip(("model", "optim"), dcp_state.get_state_dict(model, optimizer)))
    wanted = {name: value.clone() for name, value in target["model"].items()}
    for value in target["model"].values():
        torch.zero_(value.to_local() if hasattr(value, "to_local") else value)
    dcp.load(target, storage_reader=StorageReader(path),
             checkpoint_id=f"{kind}{size}/step-{WARM_UP + TAGS}")
    for name, value in wanted.items():
        found = target["model"][name]
        found, value = (each.to_local() if hasattr(each, "to_local") else each
                        for each in (found, value))
        assert torch.equal(found, value), name
    return True


def save_replicas(rank, _, path):
    torch.manual_seed(0)
    state = {"model": {f"w{number}": torch.randn(30, 40) for number in range(5)}}
    if rank == 1:
        state["model"]["w3"].view(torch.int32)[7, 7] ^= 1 << 20
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dcp.save(state, storage_writer=StorageWriter(path, compare_replicas="all"),
                 checkpoint_id="a")
    return [str(each.message) for each in caught if issubclass(each.category, cairn.StateWarning)]


class Replay(package.StoreTest):
    def bytes_of(self, size, kind, roles):
        """What the last tag took, bytes a parameter."""
        self.assertEqual(ranks.run(train_and_save, size, self.store.path, kind, roles), [True] * size)
        parameters = sum(value.numel() for value in Net().state_dict().values())
        shown = self.store.show(f"{kind}{size}/step-{WARM_UP + TAGS}")
        self.store.forget(*(row.tag for row in self.store.tags()), allow_newest=True)
        return sum(row["stored_bytes"] for row in shown["tensors"]) / parameters

    def test_every_kind_of_state_is_replayed(self):
        for size, kind in ((1, "plain"), (2, "ddp"), (2, "fsdp")):
            for roles in ("auto", "live"):
                self.assertLess(self.bytes_of(size, kind, roles), 4.0, (size, kind, roles))
        self.assertGreater(self.bytes_of(2, "ddp", "none"), 6.0)

    def test_replicas_that_differ_are_told(self):
        told = ranks.run(save_replicas, 2, self.store.path)
        expected = ("the tensor 'model.w3' of rank 1 differs from that of rank 0: replicas that "
                    "ranks hold have drifted apart")
        self.assertEqual(told, [[f"'a': {expected}"], []])
        self.assertEqual(json.loads(self.store.show("a")["metadata"]["cairn.warnings"]), [expected])


class Deals(unittest.TestCase):
    def plans(self, size, names=("w", "optim.state.w.exp_avg", "optim.state.w.exp_avg_sq", "v",
                                 "optim.state.v.exp_avg", "optim.state.v.exp_avg_sq"), **options):
        """Those of the ranks before and after DCP drops replicas."""
        state = {name: torch.zeros(10, 3) for name in names}
        before, planners = [], []
        for rank in range(size):
            planner = dcp.DefaultSavePlanner(**options)
            with mock.patch.object(distributed, "get_rank", return_value=rank):
                planner.set_up_planner(state, None, rank == 0)
                before.append(planner.create_local_plan())
            planners.append(planner)
        return before, planners[0].create_global_plan(before)[0]

    def dealt(self, size, **options):
        before, after = self.plans(size, **options)
        changes = _dealing.deal(after, [_dealing.boxes_of(plan) for plan in before])
        written = []
        for plan, (leaves, takes) in zip(after, changes):
            left = {item.index for item in leaves}
            written.append([item.index.fqn for item in (*plan.items, *takes)
                            if item.index not in left])
        return written

    def test_the_tensors_of_a_parameter_go_to_one_rank(self):
        for size in (2, 3):
            written = self.dealt(size)
            names = [name for each in written for name in each]
            self.assertEqual(len(names), 6)
            self.assertEqual(len(set(names)), 6)
            for each in written:
                self.assertIn(len(each), (0, 3))
                self.assertLessEqual(len({name.split(".")[-2] if "." in name else name
                                          for name in each}), 1)
        self.assertEqual([len(each) for each in self.dealt(2)], [3, 3])

    def test_what_the_planner_was_told_stays(self):
        written = self.dealt(3, dedup_save_to_lowest_rank=True)
        self.assertEqual([len(each) for each in written], [6, 0, 0])

    def test_plans_that_are_cached_stay(self):
        before, after = self.plans(2)
        self.assertEqual(_dealing.deal(after, [_dealing.boxes_of(before[0]), None]),
                         [([], []), ([], [])])


if __name__ == "__main__":
    unittest.main()
