#!/usr/bin/env python3
"""The stager for torch.distributed.checkpoint: any number of saves from memory that is reused, also
where they overlap; DTensors; other processes."""
import collections
import os
import unittest

import package

if __name__ == "__main__":
    package.enter("torch", "numpy")

import numpy as np
import torch
from torch import distributed
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint import staging
from torch.distributed.checkpoint.state_dict_saver import AsyncCheckpointerType

import cairn
import ranks
from cairn.torch import AsyncStager, StorageWriter


def state_of(value):
    tied = torch.full((40, 30), float(value))
    return {"model": collections.OrderedDict(w=torch.full((200, 300), float(value)), a=tied, b=tied),
            "optimizer": {"state": {0: {"step": torch.tensor(float(value))}}, "groups": [{"lr": value}]},
            "array": np.full(5, value)}


def stage_dtensors(rank, size, path):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (size,))
    stager, waits = AsyncStager(), []
    weights = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    state = {"w": distribute_tensor(weights, mesh, [Shard(0)]),
             "few": distribute_tensor(torch.ones(1, 3), mesh, [Shard(0)]),
             "r": distribute_tensor(torch.ones(3), mesh, [Replicate()])}
    staged = stager.stage(state)
    for name, value in state.items():
        same = staged[name]
        assert type(same) is DTensor and same.placements == value.placements
        assert same.shape == value.shape and torch.equal(same._local_tensor, value._local_tensor)
        assert same._local_tensor.data_ptr() != value._local_tensor.data_ptr() or not (
            same._local_tensor.numel())
    del staged, same
    for step in range(3):
        done = dcp.async_save(state, storage_writer=StorageWriter(path), async_stager=stager,
                              checkpoint_id=f"run/{step}")
        for value in state.values():
            value._local_tensor.add_(1)
        done.result(60)
    return weights


def in_another_process(rank, size, path):
    stager = AsyncStager(shared=True)
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    for step in range(2):
        state = {"w": torch.full((1000,), float(step)), "n": step}
        done = dcp.async_save(state, storage_writer=StorageWriter(path), async_stager=stager,
                              checkpoint_id=f"run/{step}",
                              async_checkpointer_type=AsyncCheckpointerType.PROCESS)
        state["w"].fill_(-1)
        done.result(100)
    return len(stager._staged)


class Stages(package.StoreTest):
    def test_a_stage_is_a_copy_of_all(self):
        stager, state = AsyncStager(), state_of(3)
        self.assertIsInstance(stager, staging.AsyncStager)
        self.assertFalse(stager.should_synchronize_after_execute)
        staged = stager.stage(state)
        state["model"]["w"].zero_()
        state["model"]["a"].zero_()
        state["array"][...] = 0
        state["optimizer"]["groups"][0]["lr"] = 0
        self.assertIs(type(staged["model"]), collections.OrderedDict)
        self.assertTrue((staged["model"]["w"] == 3).all() and (staged["array"] == 3).all())
        self.assertIs(staged["model"]["a"], staged["model"]["b"])
        self.assertTrue((staged["model"]["b"] == 3).all())
        self.assertEqual(staged["optimizer"]["groups"], [{"lr": 3}])
        with self.assertRaisesRegex(cairn.UsageError, "'meta'"):
            stager.stage({"meta": torch.empty(2, device="meta")})

    def test_memory_is_reused_when_nobody_holds_it(self):
        stager = AsyncStager()
        first = stager.stage(state_of(1))
        second = stager.stage(state_of(2))
        places = {each["model"]["w"].data_ptr() for each in (first, second)}
        self.assertEqual(len(places), 2)
        kept = first["model"]["w"]
        del first, second
        third = stager.stage(state_of(3))
        self.assertTrue((kept == 1).all(), "it is still held")
        self.assertIn(third["model"]["w"].data_ptr(), places)
        del third, kept
        for value in range(5):
            self.assertIn(stager.stage(state_of(value))["model"]["w"].data_ptr(), places)
        self.assertEqual(len(stager._staged), 1)
        stager.close()
        self.assertEqual(stager._staged, [])

    def test_saves_of_a_loop(self):
        stager, futures = AsyncStager(), []
        for step in range(6):
            state = {key: value for key, value in state_of(step).items() if key != "array"}
            futures.append(dcp.async_save(
                state, storage_writer=StorageWriter(self.store), async_stager=stager,
                checkpoint_id=f"run/{step}", no_dist=True))
            state["model"]["w"].fill_(-1)
            state["model"]["a"].fill_(-1)
        for future in futures:
            future.result(60)
        for step in range(6):
            loaded = self.store.load(f"run/{step}")
            self.assertTrue((loaded["model"]["w"] == step).all() and (loaded["model"]["a"] == step).all())


class Ranks(package.StoreTest):
    def test_dtensors(self):
        weights = ranks.run(stage_dtensors, 2, self.store.path)[0]
        for step in range(3):
            loaded = self.store.load(f"run/{step}")
            self.assertTrue(torch.allclose(loaded["w"], weights + step))
            self.assertEqual((loaded["few"][0, 0], loaded["r"][0]), (1 + step, 1 + step))

    def test_in_another_process(self):
        self.assertEqual(ranks.run(in_another_process, 1, self.store.path), [1])
        for step in range(2):
            loaded = self.store.load(f"run/{step}")
            self.assertTrue((loaded["w"] == step).all())
            self.assertEqual(loaded["n"], step)


if __name__ == "__main__":
    unittest.main()
