#!/usr/bin/env python3
"""Ranks with tensors on devices: what several hold is found by digests and stored once, what
differs is told, and what fails on one rank fails on all."""
import os
import time
import unittest
import warnings
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("torch")

import torch
from torch import distributed

import cairn
import ranks
import simulated
from replicas import STATE_BYTES, Given, a_state, same, tried
from cairn import _saving
from cairn.torch import AsyncSaver, _life


def save_replicas(rank, size, path):
    simulated.small()
    store, group, result = cairn.Store(path), distributed.group.WORLD, {}
    with simulated.Devices() as devices, Given() as given:
        state = devices.put_all(a_state())
        result["saved"], result["told"] = tried(lambda: store.save("run/1", state, group=group))
        result["same"] = same(store.load("run/1"), state)
        if rank == 1:
            state["w"][17, 3] += 1
            state["half"][70000] += 1
        result["odd"], result["odd_told"] = tried(lambda: store.save("run/2", state, group=group))
        result["majority"] = same(store.load("run/2"), a_state())
        result["keys"] = ranks.keys_of_cairn()
        result["names"] = tried(lambda: store.save("run/3", state, group=group, base="none",
                                                   compare_replicas="none"))
        result["given"] = given.bytes
    return result


def save_where_one_has_none(rank, size, path):
    """Rank 1's tensors are in the host's memory."""
    simulated.small()
    store = cairn.Store(path)
    with simulated.Devices() as devices:
        state = a_state() if rank == 1 else devices.put_all(a_state())
        store.save("mixed", state, group=distributed.group.WORLD)
        return same(store.load("mixed"), state)


def train(rank, size, path, keep_on_device):
    """Saves beside a training that changes its tensors as soon as it may."""
    simulated.small()
    with simulated.Devices() as devices, Given() as given:
        state = devices.put_all(a_state())
        with AsyncSaver(path, group=distributed.group.WORLD, keep_on_device=keep_on_device) as saver:
            for step in range(6):
                handle = saver.save(f"run/{step}", state, step=step, overlap=True)
                handle.wait_read()
                for tensor in (state["w"], state["half"], state["step"]):
                    tensor.add_(1)
        store = cairn.Store(path)
        wanted, right = a_state(), []
        for step in range(6):
            right.append(same(store.load(f"run/{step}"), wanted))
            for tensor in (wanted["w"], wanted["half"], wanted["step"]):
                tensor.add_(1)
        return right, given.bytes


def save_mesh(rank, size, path):
    """Replicas of shards, of odd lengths, and a tensor that one pair of ranks has alone."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    simulated.small()
    store = cairn.Store(path)
    mesh = init_device_mesh("cpu", (2, 2))
    with simulated.Devices() as devices, Given() as given:
        whole = a_state()
        state = {"w": distribute_tensor(whole["w"], mesh, [Replicate(), Shard(0)]),
                 "half": distribute_tensor(whole["half"], mesh, [Replicate(), Shard(0)]),
                 "turned": distribute_tensor(whole["turned"], mesh, [Replicate(), Replicate()]),
                 "step": whole["step"]}
        for value in state.values():
            devices.put(value)
        if rank == 3:
            state["w"]._local_tensor[0, 0] += 1  # it is in the minority of two: rank 1 counts
        saved, told = tried(lambda: store.save("mesh", state))
        loaded = store.load("mesh")
        return saved, told, given.bytes, {name: torch.equal(loaded[name], whole[name])
                                          for name in state}


def fail_on_one(rank, size, path):
    """Rank 1 fails before and after it is in the library; then one save that goes well."""
    simulated.small()
    store, group, told = cairn.Store(path), distributed.group.WORLD, []
    with simulated.Devices() as devices:
        state = devices.put_all(a_state())
        begin = time.monotonic()

        def broken(*_):
            raise cairn.NoSpaceError("no space for this part")

        with mock.patch.object(_saving, "Part", broken if rank == 1 else _saving.Part):
            told.append(tried(lambda: store.save("torn/1", state, group=group, timeout=60))[0])
        odd = dict(state, w=devices.put(state["w"].double())) if rank == 1 else state
        told.append(tried(lambda: store.save("torn/2", odd, group=group, timeout=60))[0])
        seconds = time.monotonic() - begin
        store.save("well", state, group=group, timeout=60)
        return told, seconds, same(store.load("well"), state), [t.tag for t in store.tags()]


def die_on_one(rank, size, folder, path, who):
    """Rank `who` is gone between the agreement and its digests."""
    simulated.small()
    _life.LOOK = 0.2
    store, group = cairn.Store(path), distributed.group.WORLD
    with simulated.Devices() as devices:
        state = devices.put_all(a_state())
        gone = mock.patch.object(_saving, "Part", lambda *_: os._exit(9))
        begin = time.monotonic()
        if rank == who:
            gone.start()
        told, _ = tried(lambda: store.save("torn", state, group=group, timeout=60))
    ranks.tell(folder, rank, time.monotonic() - begin, told)


class RanksTest(package.StoreTest):
    def test_replicas_are_stored_once_and_what_differs_is_told(self):
        results = ranks.run(save_replicas, 3, self.store.path)
        for rank, each in enumerate(results):
            self.assertEqual((each["saved"]["new_bytes"], each["saved"]["logical_bytes"]),
                             (STATE_BYTES, STATE_BYTES))
            self.assertEqual((each["told"], each["same"], each["majority"]), ([], True, True))
            warned = " ".join(each["odd"]["warnings"])
            for text in ("'w'", "'half'", "of rank 1 differ from those of ranks 0 and 2"):
                self.assertIn(text, warned)
            self.assertEqual(len(each["odd_told"]), 1 if rank == 0 else 0)
            self.assertEqual((each["odd"]["new_bytes"], each["keys"]), (0, []))
            # By names each is given its share; by digests all that it holds.
            self.assertEqual(each["given"][:2], [STATE_BYTES] * 2)
        self.assertEqual(sum(each["given"][2] for each in results), STATE_BYTES)

    def test_one_rank_without_devices(self):
        self.assertEqual(ranks.run(save_where_one_has_none, 2, self.store.path), [True, True])

    def test_training_goes_on_as_soon_as_its_tensors_are_read(self):
        for keep in (False, True):
            path = str(self.folder / f"kept-{keep}")
            cairn.Store(path, create=True)
            results = ranks.run(train, 2, path, keep)
            for right, given in results:
                self.assertEqual(right, [True] * 6)
            shares = [given[0] for _, given in results]
            # What is kept on devices is a share, so that one copy is kept by all ranks together.
            self.assertEqual(shares[0] == shares[1] == STATE_BYTES, not keep)

    def test_replicas_of_shards(self):
        results = ranks.run(save_mesh, 4, self.store.path)
        for saved, _, given, right in results:
            self.assertEqual(right, dict.fromkeys(right, True))
            self.assertEqual(saved["new_bytes"], saved["logical_bytes"])
            self.assertIn("the tensor 'w' of rank 3 differs from that of rank 1",
                          " ".join(saved["warnings"]))
            self.assertGreater(given[0], saved["logical_bytes"] / 3)

    def test_what_fails_on_one_rank_fails_on_all_at_once(self):
        results = ranks.run(fail_on_one, 3, self.store.path)
        for rank, (told, seconds, is_well, tags) in enumerate(results):
            own = "" if rank == 1 else "rank 1: "
            self.assertEqual(told[0], ("NoSpaceError", own + "no space for this part"))
            self.assertEqual(told[1][0], "UsageError")
            self.assertIn("'w'", told[1][1])
            self.assertLess(seconds, 30)
            self.assertEqual((is_well, tags), (True, ["well"]))
        self.assertEqual(self.store.check(read_data=True)["ok"], True)

    def test_who_is_gone_is_named(self):
        for who in (1, 2):
            with self.subTest(who=who):
                told = ranks.run_torn(die_on_one, 3, self.folder / f"told-{who}",
                                      self.store.path, who)
                self.assertEqual(set(told), {0, 1, 2} - {who})
                for seconds, text in told.values():
                    self.assertIn("UnreachableError", text)
                    self.assertIn(f"rank {who} no longer gives rank 0 signs of life", text)
                    self.assertLess(seconds, 20)
        self.assertEqual(self.store.tags(), [])


if __name__ == "__main__":
    unittest.main()
