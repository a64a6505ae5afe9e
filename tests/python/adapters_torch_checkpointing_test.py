#!/usr/bin/env python3
"""Checkpoints of torch_checkpointing in a store: its manager over the storage of this package."""
import io
import json
import os
import pathlib
import unittest

import package

if __name__ == "__main__":
    package.enter("torch", "torch_checkpointing")

import torch
from safetensors.torch import save as safetensors_of
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch_checkpointing import CheckpointManager, ItemSpec
from torch_checkpointing.checkpoint_layout import (JsonSerialization, LayoutInfo,
                                                   SafetensorsSerialization)
from torch_checkpointing.config import AsyncCheckpointSaverConfig, SyncCheckpointSaverConfig
from torch_checkpointing.default_resharder import DefaultResharder, ReshardingReadStrategy
from torch_checkpointing.staging import CheckpointStagerConfig

import cairn
import ranks
from adapters import are_equal, be_rank, printed
from cairn.adapters import _archives
from cairn.adapters.torch_checkpointing import CairnStorageConfig

STEPS = 6
SYNC = SyncCheckpointSaverConfig()
ASYNC = AsyncCheckpointSaverConfig(staging_config=CheckpointStagerConfig(
    use_pinned_memory=False, use_shared_memory=False, use_non_blocking_copy=False))


def manager_of(path, save=SYNC, **items):
    return CheckpointManager(CheckpointManager.Config(
        storage_config=CairnStorageConfig(str(path)), save=save, items=items))


class Run:
    def __init__(self, seed=1, size=1):
        torch.manual_seed(seed)
        self.net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Dropout(0.3),
                                       torch.nn.Linear(8, 2))
        if size > 1:
            fully_shard(self.net, mesh=init_device_mesh("cpu", (size,)))
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=0.05)
        self.losses = []

    def step(self):
        loss = self.net(torch.randn(4, 5)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def parts(self):
        return {"model": self.net.state_dict(), "optimizer": self.optimizer.state_dict(),
                "random": torch.get_rng_state()}

    def take(self, parts):
        self.net.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(parts["optimizer"])
        torch.set_rng_state(parts["random"])

    def told(self):
        return [self.losses, dict(self.net.state_dict()), self.optimizer.state_dict()]


def train_on_ranks(rank, size, path):
    """Saves, and goes on from there with another beginning."""
    be_rank(rank, size)
    quiet, resumed = Run(size=size), Run(seed=2, size=size)
    manager = manager_of(path)
    for step in range(1, STEPS + 1):
        quiet.step()
        if step == 2:
            manager.save("run/step-2", quiet.parts())
    resumed.step()
    resumed.losses = quiet.losses[:2]
    resumed.take(manager.load("run/step-2", into=resumed.parts()))
    for _ in range(STEPS - 2):
        resumed.step()
    manager.close()
    return [[losses, local_of(states)] for losses, *states in (quiet.told(), resumed.told())]


def local_of(value):
    if isinstance(value, dict):
        return {key: local_of(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [local_of(child) for child in value]
    return getattr(value, "_local_tensor", value)


FORGERIES = ({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
             {"x": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}},
             {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
              "y": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}},
             {"x": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, {"x": 3}, [1])


def forged(header):
    """A file that looks like safetensors, with such a header before 12 bytes."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(12)


class Whole(DefaultResharder):
    """Reshards where nothing is cut otherwise, too."""

    def should_reshard(self, source_metadata, target_metadata):
        return True


class TorchCheckpointing(package.StoreTest):
    def setUp(self):
        super().setUp()
        self.storage = CairnStorageConfig(self.store.path).create_storage()

    def test_goes_on_exactly(self):
        quiet = Run()
        for _ in range(STEPS):
            quiet.step()
        for prefix, how in (("sync", SYNC), ("async", ASYNC)):
            run, manager = Run(), manager_of(self.store.path, how)
            for step in range(1, STEPS + 1):
                run.step()
                saved = manager.save(f"{prefix}/step-{step}", run.parts())
                if saved is not None:
                    saved.result(120)
            self.assertTrue(are_equal(run.told(), quiet.told()))
            for step in (2, 5):
                resumed = Run(seed=2)
                resumed.step()  # so that there are moments to fill
                resumed.losses = quiet.losses[:step]
                into = resumed.parts()
                resumed.take(manager.load(f"{prefix}/step-{step}", into=into))
                for _ in range(STEPS - step):
                    resumed.step()
                self.assertTrue(are_equal(resumed.told(), quiet.told()), (prefix, step))
            manager.close()

    def test_one_tag_with_the_names_of_the_state(self):
        run, manager = Run(), manager_of(self.store.path)
        run.step()
        manager.save("run/step-1", run.parts())
        tag, = self.store.tags()
        self.assertEqual((tag.tag, tag.step, tag.pinned), ("run/step-1", 1, False))
        shown = {each["name"] for each in self.store.show("run/step-1")["tensors"]}
        self.assertIn("model_0.pt.tensors.0.weight", shown)
        self.assertIn("optimizer_0.pt.tensors.state.0.exp_avg", shown)
        weights = self.store.load("run/step-1")["model_0.pt"]["tensors"]
        self.assertTrue(torch.equal(weights["0.weight"], run.net[0].weight))
        with self.assertRaises(FileExistsError):
            manager.save("run/step-1", run.parts())

    def test_other_forms_of_files(self):
        safe = ItemSpec(layout=LayoutInfo("w/own.safetensors", SafetensorsSerialization()))
        facts = ItemSpec(layout=LayoutInfo("facts.json", JsonSerialization(cls=None)))
        manager = manager_of(self.store.path, w=safe, facts=facts)
        weights = {"a": torch.randn(3, 4), "b": {"c": torch.arange(5)}}
        manager.save("run/step-1", {"w": weights, "facts": {"loss": 0.5}})
        self.assertIn("w/own.safetensors.tensors.a",
                      {each["name"] for each in self.store.show("run/step-1")["tensors"]})
        empty = {"a": torch.zeros(3, 4), "b": {"c": torch.zeros(5, dtype=torch.int64)}}
        loaded = manager.load("run/step-1", into={"w": empty, "facts": {"loss": 0.0}})
        self.assertTrue(are_equal(loaded["w"], weights))
        self.assertEqual(loaded["facts"], {"loss": 0.5})
        self.assertEqual(self.storage.ls("run/step-1"), ["facts.json", "w"])

    def test_files_come_back_byte_for_byte(self):
        tied = torch.randn(4, 4)
        values = [{"w": torch.randn(3), "b": torch.ones(2, dtype=torch.bfloat16)}, 7, {},
                  {"tied": tied, "too": tied, "rows": tied[1:]}, {"s": {1, 2}, "n": torch.zeros(0)},
                  {"a.b": torch.ones(1), "a": {"b": torch.zeros(2)}},
                  {"hidden": torch.nn.Linear(2, 2), "0": torch.ones(3), "1": torch.ones(3)},
                  [torch.nn.Linear(3, 1), torch.zeros(2)], torch.randn(4).to_sparse(),
                  {"meta": torch.ones(2, device="meta"), "c": torch.ones(2).to(torch.complex128)},
                  torch.quantize_per_tensor(torch.randn(3), 0.1, 0, torch.quint8)]
        safe = safetensors_of({"x": torch.randn(2, 2).half(), "y": torch.zeros(0)})
        files = [b"", b"plain", b"PK\3\4 not an archive", safe, safe[:-1], *map(forged, FORGERIES)]
        for value in values:
            file = io.BytesIO()
            torch.save(value, file)
            files.append(file.getvalue())
            with self.storage.get_write_stream("run/a.pt", value) as stream:
                torch.save(value, stream)
            self.assertEqual(self.storage.read("run/a.pt"), file.getvalue(), value)
        for number, content in enumerate(files):
            self.storage.write(f"run/{number}", content)
            self.assertEqual(self.storage.read(f"run/{number}"), content)
            self.assertEqual(self.storage.getsize(f"run/{number}"), len(content))

    def test_read_in_pieces(self):
        content = safetensors_of({"x": torch.randn(40), "y": torch.randn(30)})
        self.storage.write("run/x", content)
        stream = self.storage.stream_read("run/x")
        for at in (0, 5, 100, 200, len(content) - 3, len(content)):
            self.assertEqual(stream.seek(at), at)
            self.assertEqual(stream.read(50), content[at:at + 50])
        self.assertEqual(stream.seek(-4, io.SEEK_END), len(content) - 4)
        self.assertIsInstance(stream, _archives.ArchiveFile)

    def test_renames(self):
        storage = self.storage
        for name in ("new/a", "new/b/c", "other/a", "one", "two"):
            storage.write(name, name.encode())
        storage.mkdir("empty")
        with self.assertRaises(FileExistsError):
            storage.rename("new", "other", is_directory=True)
        with self.assertRaises(FileExistsError):
            storage.rename("new", "one", is_directory=True)
        storage.rename("new", "made", is_directory=True)
        storage.rename("made", "empty", is_directory=True)
        self.assertEqual(storage.read("empty/b/c"), b"new/b/c")
        self.assertEqual((storage.exists("new"), storage.exists("made"), storage.isdir("empty")),
                         (False, False, True))
        storage.rename("one", "two")
        self.assertEqual(storage.read("two"), b"one")
        with self.assertRaises(IsADirectoryError):
            storage.rename("two", "empty")
        with self.assertRaises(FileNotFoundError):
            storage.rename("one", "three")

    def test_folders(self):
        storage = self.storage
        self.store.save("foreign/a", {"w": torch.ones(2)})
        storage.write("run/a", b"1")
        storage.mkdir("run/later")
        self.assertEqual((storage.ls("run"), storage.ls("run/later")), (["a"], []))
        self.assertEqual(storage.glob("run/*"), [os.path.join("run", "a")])
        self.assertEqual(storage.ls("."), ["run"])
        self.assertFalse(storage.exists("foreign/a"), "no file of this storage")
        storage.rename("run", "done", is_directory=True)
        with self.assertRaises(io.UnsupportedOperation):
            storage.delete("done/a")
        storage.write("done/mark", b"")
        self.assertEqual(storage.ls("done"), ["a", "mark"])
        storage.rmdir("done")
        for call in (storage.ls, storage.rmdir, storage.stream_read, storage.getsize):
            with self.assertRaises(FileNotFoundError):
                call(pathlib.Path("done"))
        storage.write("x", b"1")
        storage.delete("x")
        self.assertEqual([tag.tag for tag in self.store.tags()], ["foreign/a"])
        self.assertEqual(storage.remap_path(pathlib.Path("/x")), f"cairn://{self.store.path}#x")

    def test_what_fails_leaves_nothing(self):
        with self.assertRaises(InterruptedError):
            with self.storage.stream_write("run/a") as stream:
                stream.write(b"half")
                raise InterruptedError
        self.assertEqual(self.store.tags(), [])
        with self.assertRaises(FileNotFoundError):
            manager_of(self.store.path).load("run/step-1", into={"step": 0})
        with self.assertRaisesRegex(cairn.UsageError, "malformed"):
            self.storage.write("a b", b"")

    def test_on_two_ranks(self):
        """Each rank's own files, of tensors that are cut; its resharders gather on a GPU only."""
        for quiet, resumed in ranks.run(train_on_ranks, 2, self.store.path):
            self.assertTrue(are_equal(resumed, quiet))
        tag, = self.store.tags()
        self.assertEqual(tag.tag, "run/step-2")
        shapes = {each["name"]: each["shape"] for each in self.store.show(tag)["tensors"]}
        self.assertEqual(shapes["model_1.pt.tensors.0.weight"], [4, 5])

    def test_stretches_that_a_resharder_reads(self):
        wanted = ItemSpec(resharder=Whole(read_strategy=ReshardingReadStrategy.OFFSET))
        manager, run = manager_of(self.store.path, model=wanted), Run()
        manager.save("run/step-1", {"model": run.net.state_dict()})
        other = Run(seed=2)
        manager.load("run/step-1", into={"model": other.net.state_dict()})
        self.assertTrue(are_equal(dict(other.net.state_dict()), dict(run.net.state_dict())))

    def test_as_printed(self):
        run = Run()
        run.step()
        names = {"model": run.net, "optimizer": run.optimizer, "how": SYNC}
        exec(printed("torch_checkpointing", self.folder), names)
        self.assertEqual(names["loaded"]["step"], 100)
        names["manager"].close()


if __name__ == "__main__":
    unittest.main()
