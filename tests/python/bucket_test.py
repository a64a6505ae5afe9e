#!/usr/bin/env python3
"""Saves straight to a bucket and loads from it, by one process and by several ranks: tags are those
that a folder would hold, and what leaves the bucket leaves it once."""
import inspect
import os
import unittest
import urllib.request
import warnings
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("torch")

import torch
from torch import distributed
from torch.distributed import checkpoint as dcp
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

import cairn
import ranks
from cairn import _saving
from cairn.torch import AsyncSaver, StorageReader, StorageWriter
from environment import lacks
from file_servers import BUCKET_SERVER, BucketServer, FileServer
from loads import a_state, empty_like, same
from lying_proxy import LyingProxy

PLACE = "s3://bucket/runs"
TALKS_NOT = "use_collectives" in inspect.signature(dcp.save).parameters


def a_large_state():
    """Requests bring what lies between two chunks along: of this one that is little."""
    state = a_state()
    state["model"]["w"] = torch.randn(4000, 1000, generator=torch.Generator().manual_seed(4))
    return state


def cut(state, placement=Shard(0)):
    """The matrices of a state cut among all ranks."""
    mesh = DeviceMesh("cpu", torch.arange(distributed.get_world_size()))
    return {"model": {name: distribute_tensor(value, mesh, [placement]) if value.dim() == 2
                      else value for name, value in state["model"].items()},
            "step": state["step"], "lr": state["lr"]}


def save_in_every_way(rank, size, place):
    """The same state by DCP, by all ranks at once, and beside a training; and saves that fail, on
    one rank, or as ranks would have to meet there."""
    state, group, failed = cut(a_state()), distributed.group.WORLD, {}
    dcp.save(state, storage_writer=StorageWriter(place), checkpoint_id="dcp/1")
    cairn.Store(place).save("store/1", state, group=group)
    with AsyncSaver(place, group=group) as saver:
        saver.save("async/1", state)
    full = mock.patch.object(_saving, "Part", side_effect=cairn.NoSpaceError("the bucket is full"))
    with full if rank == 1 else mock.patch.object(_saving, "Part", _saving.Part):
        failed["dcp"] = ranks.failures_of(lambda: dcp.save(
            state, storage_writer=StorageWriter(place), checkpoint_id="torn"))
        try:
            cairn.Store(place).save("torn", state, group=group)
        except cairn.Error as error:
            failed["store"] = str(error)
    if TALKS_NOT:
        try:
            dcp.save(state, storage_writer=StorageWriter(place, timeout=60), checkpoint_id="alone",
                     use_collectives=False)
        except cairn.UsageError as error:
            failed["alone"] = str(error)
    state["model"]["half"] += 1
    dcp.save(state, storage_writer=StorageWriter(place), checkpoint_id="dcp/2")
    return failed


def die_before_commit(rank, size, folder, place):
    """Rank 1 is gone when it has stored its part."""
    if rank == 1:
        real = _saving.Part

        def part(*given):
            real(*given)
            os._exit(9)

        mock.patch.object(_saving, "Part", part).start()
    try:
        dcp.save(cut(a_state()), storage_writer=StorageWriter(place), checkpoint_id="dcp/3")
    except BaseException as error:
        ranks.tell(folder, rank, 0, ("failed", type(error).__name__))


def load_whole(rank, size, place, is_together):
    wanted, group = a_large_state(), distributed.group.WORLD if is_together else None
    return same(cairn.Store(place).load("run/1", into=empty_like(wanted), group=group), wanted)


def load_by_dcp(rank, size, place, is_together, is_cut):
    """Each its own half, or all of it."""
    placement = Shard(0) if is_cut else Replicate()
    into = cut(empty_like(a_large_state()), placement)
    group = distributed.group.WORLD if is_together else None
    dcp.load(into, storage_reader=StorageReader(place, group=group), checkpoint_id="run/1")
    wanted = cut(a_large_state(), placement)
    return all(torch.equal(into["model"][name].to_local() if value.dim() == 2 else
                           into["model"][name], value.to_local() if value.dim() == 2 else value)
               for name, value in wanted["model"].items())


@unittest.skipIf(lacks(*BUCKET_SERVER), "no moto")
class Bucket(package.StoreTest):
    def setUp(self):
        super().setUp()
        server = BucketServer()
        self.addCleanup(server.stop)
        self.proxy = LyingProxy(server.endpoint)
        self.addCleanup(self.proxy.stop)
        clients = mock.patch.dict(os.environ, {**server.environment,
                                               "AWS_ENDPOINT_URL": self.proxy.url})
        clients.start()
        self.addCleanup(clients.stop)

    def bytes_of(self, call):
        """What leaves the bucket's packs during a call."""
        before = len(self.proxy.log)
        call()
        return sum(bytes_ for method, path, _, bytes_ in self.proxy.log[before:]
                   if method == "GET" and "/packs/" in path)

    def test_one_process_saves_as_to_a_folder(self):
        there = cairn.Store(PLACE, create=True)
        state = a_state()
        for step in range(3):
            state["model"]["w"][step] += 1
            told = [store.save(f"run/{step}", state, step=step) for store in (there, self.store)]
            kept = [{key: each[key] for key in ("manifest", "new_bytes", "stored_bytes")}
                    for each in told]
            self.assertEqual(kept[0], kept[1])
        self.assertTrue(same(there.load("run/@newest"), state))
        self.assertEqual([tag.tag for tag in there.tags()], ["run/2", "run/1", "run/0"])
        with self.assertRaises(cairn.ExistsError):
            there.save("run/0", state)
        self.assertTrue(there.check(read_data=True)["ok"])

    def test_a_save_that_ctrl_c_ends_leaves_nothing(self):
        there = cairn.Store(PLACE, create=True)
        self.proxy.set_rules("PUT /packs/ * delay 1000")
        package.interrupt_at(self.proxy, "/packs/")
        with self.assertRaises(KeyboardInterrupt):
            there.save("run/1", a_large_state())
        with urllib.request.urlopen(f"{self.proxy.url}/bucket?list-type=2", timeout=30) as listed:
            keys = listed.read().decode()
        self.assertIn("runs/config", keys)
        self.assertNotIn("/packs/", keys)
        self.assertNotIn("/sessions/", keys)

    def test_saves_beside_a_training(self):
        state = a_state()
        with AsyncSaver(PLACE) as saver:
            for step in range(4):
                state["step"].fill_(step)
                handle = saver.save(f"run/{step}", state, step=step)
                self.assertEqual(handle.result()["tag"], f"run/{step}")
        there = cairn.Store(PLACE)
        for step in range(4):
            self.assertEqual(there.load(f"run/{step}")["step"].item(), step)
        with AsyncSaver(PLACE) as saver:
            handle = saver.save("run/3", state)
            with self.assertRaises(cairn.ExistsError):
                handle.result()

    def test_a_web_server_is_no_place_to_save_to(self):
        self.store.save("run/1", {"w": torch.ones(3)})
        server = FileServer(self.store.path)
        self.addCleanup(server.stop)
        with self.assertRaisesRegex(cairn.UsageError, "read"):
            cairn.Store(server.url).save("run/2", {"w": torch.ones(3)})
        failed = ranks.failures_of(lambda: dcp.save(
            {"w": torch.ones(3)}, storage_writer=StorageWriter(server.url), checkpoint_id="run/2",
            no_dist=True))
        self.assertIn("is read only", failed[0][1])

    def test_ranks_save_together(self):
        cairn.Store(PLACE, create=True)
        told = ranks.run(save_in_every_way, 2, PLACE)
        for rank, failed in enumerate(told):
            self.assertIn("the bucket is full", failed["dcp"][1][1])
            self.assertIn("the bucket is full", failed["store"])
            self.assertIn("ranks meet in a folder", failed.get("alone", "ranks meet in a folder"))
        there, ways = cairn.Store(PLACE), ["dcp/1", "store/1", "async/1"]
        tags = {tag.tag: tag for tag in there.tags()}
        self.assertEqual(set(tags), {*ways, "dcp/2"})
        self.assertEqual(len({tags[way].manifest for way in ways}), 1)
        whole = {key: value for key, value in a_state().items() if key not in ("none", "list")}
        for way in ways:
            self.assertTrue(same(there.load(way), whole), way)
        self.assertLess(tags["dcp/2"].new_bytes, tags["dcp/1"].new_bytes / 2)
        folder = self.folder / "torn"
        self.assertEqual(set(ranks.run_torn(die_before_commit, 2, folder, PLACE)), {0})
        self.assertNotIn("dcp/3", [tag.tag for tag in there.tags()])
        self.assertTrue(there.check(read_data=True)["ok"])

    def test_what_is_loaded_leaves_the_bucket_once(self):
        # Each matrix has chunks of which no two ranks want the same.
        self.store_program("init", PLACE, chunk_elements=1024)
        cairn.Store(PLACE).save("run/1", a_large_state())
        one = self.bytes_of(lambda: cairn.Store(PLACE).load("run/1"))

        def run(function, *options):
            def call():
                self.assertEqual(ranks.run(function, 2, PLACE, *options), [True, True])

            return self.bytes_of(call) / one

        self.assertLess(run(load_whole, True), 1.1)
        self.assertGreater(run(load_whole, False), 1.9)
        self.assertLess(run(load_by_dcp, True, False), 1.1)
        self.assertGreater(run(load_by_dcp, False, False), 1.9)
        # The halves of matrices, and what comes with them; what is not cut both read.
        self.assertLess(run(load_by_dcp, False, True), 1.5)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    unittest.main()
