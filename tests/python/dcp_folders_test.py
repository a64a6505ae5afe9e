#!/usr/bin/env python3
"""Folders of torch.distributed.checkpoint become tags and come back; its own readers of other
formats, and ours."""
import logging
import pickle
import re
import unittest
import warnings

import package

if __name__ == "__main__":
    package.enter("torch", "numpy", "safetensors")

import ranks
import torch
from formats import FormatTest, a_state, bits_of, blank
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.format_utils import (DynamicMetaLoadPlanner, dcp_to_torch_save,
                                                       torch_save_to_dcp)
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Shard, distribute_tensor

import cairn
from cairn import format_utils
from cairn._checkpoint import Checkpoint
from cairn.torch import StorageReader, StorageWriter, TorchSaveReader

logging.disable(logging.WARNING)  # DCP prints the trace of each file that is not there
warnings.filterwarnings("ignore")


def _save_sharded(rank, size, folder):
    mesh = DeviceMesh("cpu", torch.arange(size))
    state = {"rows": distribute_tensor(torch.arange(35.0).reshape(7, 5), mesh, [Shard(0)]),
             "columns": distribute_tensor(torch.arange(35.0).reshape(7, 5), mesh, [Shard(1)]),
             "plain": torch.arange(4), "step": 7}
    dcp.save(state, checkpoint_id=folder)


class DcpTest(FormatTest):
    def dcp_folder(self, state, name="dcp"):
        dcp.save(state, checkpoint_id=self.folder / name)
        return self.folder / name

    def test_there_and_back(self):
        state = a_state()
        format_utils.dcp_to_cairn(self.dcp_folder(state), self.tag)
        format_utils.cairn_to_dcp(self.tag, self.folder / "back")
        loaded = blank(state)
        dcp.load(loaded, checkpoint_id=self.folder / "back")
        self.assert_same(state, loaded)
        was, now = (dcp.FileSystemReader(self.folder / name).read_metadata()
                    for name in ("dcp", "back"))
        self.assertEqual(was.state_dict_metadata, now.state_dict_metadata)
        self.assertEqual(list(was.state_dict_metadata), list(now.state_dict_metadata))
        self.assertEqual(was.planner_data, now.planner_data)

    def test_the_same_tag_as_that_of_the_storage_writer(self):
        state = a_state()
        one = format_utils.dcp_to_cairn(self.dcp_folder(state), self.tag)
        dcp.save(state, storage_writer=StorageWriter(self.store), checkpoint_id="run/written")
        other = self.store.show("run/written")
        ours = self.store.show("run/step-1")
        self.assertEqual([each["name"] for each in ours["attachments"]],
                         [each["name"] for each in other["attachments"]])
        for each in ours["attachments"]:
            self.assertEqual(attached(self.store, "run/step-1", each["name"]),
                             attached(self.store, "run/written", each["name"]), each["name"])
        self.assertEqual(one["manifest"], other["manifest"])

    def test_the_reader_loads_it(self):
        state = a_state()
        format_utils.dcp_to_cairn(self.dcp_folder(state), self.tag)
        loaded = blank(state)
        dcp.load(loaded, storage_reader=StorageReader(self.store), checkpoint_id="run/step-1")
        self.assert_same(state, loaded)

    def test_torchs_own_conversions(self):
        state = {"model": {"w": torch.randn(3, 4)}, "step": 3}
        path = self.torch_file(state)
        torch_save_to_dcp(path, self.folder / "theirs")
        format_utils.dcp_to_cairn(self.folder / "theirs", self.tag)
        format_utils.cairn_to_dcp(self.tag, self.folder / "ours")
        dcp_to_torch_save(self.folder / "ours", self.folder / "back.pt")
        self.assert_same(state, torch.load(self.folder / "back.pt"))

    def test_shards_of_ranks(self):
        ranks.run(_save_sharded, 3, str(self.folder / "dcp"))
        format_utils.dcp_to_cairn(self.folder / "dcp", self.tag)
        loaded = self.store.load("run/step-1")
        for name in ("rows", "columns"):
            self.assertEqual(loaded[name].tolist(), torch.arange(35.0).reshape(7, 5).tolist())
        self.assertEqual(loaded["step"], 7)
        gone = next((self.folder / "dcp").glob("__1_*.distcp"))
        data = gone.read_bytes()
        gone.write_bytes(data[:len(data) // 2])
        self.refused(cairn.UsageError, self.folder / "dcp", gone.name, call=format_utils.dcp_to_cairn)
        gone.unlink()
        self.refused(cairn.NotFoundError, self.folder / "dcp", gone.name,
                     call=format_utils.dcp_to_cairn)

    def test_metadata_that_lies(self):
        folder = self.dcp_folder({"w": torch.randn(4, 6), "v": torch.randn(3)})
        honest = pickle.loads((folder / ".metadata").read_bytes())
        for word, change in (("'w'", lambda m: setattr(chunk(m), "sizes", torch.Size([4, 5]))),
                             ("[2:6,0:6]", lambda m: setattr(chunk(m), "offsets", torch.Size([2, 0]))),
                             ("'w'", lambda m: setattr(
                                 m.state_dict_metadata["w"].properties, "dtype", torch.float16)),
                             ("has no piece", lambda m: m.state_dict_metadata["w"].chunks.clear()),
                             ("'w'", lambda m: setattr(
                                 m.state_dict_metadata["w"], "size", torch.Size([9, 6]))),
                             ("folder", lambda m: setattr(
                                 next(iter(m.storage_data.values())), "relative_path", "../x")),
                             ("ends before", lambda m: setattr(
                                 next(iter(m.storage_data.values())), "length", 1 << 40))):
            lying = pickle.loads(pickle.dumps(honest))
            change(lying)
            if word == "[2:6,0:6]":  # where it is found by
                lying.storage_data = {
                    type(index)(index.fqn, chunk(lying).offsets if index.fqn == "w" else index.offset):
                    place for index, place in lying.storage_data.items()}
            (folder / ".metadata").write_bytes(pickle.dumps(lying))
            self.refused(cairn.UsageError, folder, word, call=format_utils.dcp_to_cairn)

    def test_large_tensors_are_cut(self):
        state = {"w": torch.arange(3 << 20, dtype=torch.float32).reshape(3, 1 << 20), "v": torch.ones(1)}
        self.store.save("run/step-1", state)
        format_utils.cairn_to_dcp(self.tag, self.folder / "dcp")
        self.store_program("export", "run/step-1", str(self.folder / "small"), format="dcp",
                           max_shard_size="5MB")
        self.assertGreater(len(list((self.folder / "small").glob("*.distcp"))), 1)
        for name in ("dcp", "small"):
            loaded = blank(state)
            dcp.load(loaded, checkpoint_id=self.folder / name)
            self.assert_same(state, loaded)

    def test_an_export_that_fails_leaves_nothing(self):
        odd = self.folder / "odd.safetensors"
        header = b'{"x":{"dtype":"F4","shape":[4],"data_offsets":[0,2]},"w":{"dtype":"F32","shape":[1],' \
                 b'"data_offsets":[2,6]}}'
        odd.write_bytes(len(header).to_bytes(8, "little") + header + bytes(6))
        self.store_program("import", "run/step-1", str(odd))
        with self.assertRaisesRegex(cairn.UsageError, "'x' is F4"):
            format_utils.cairn_to_dcp(self.tag, self.folder / "dcp")
        self.assertFalse((self.folder / "dcp").exists())

    def test_tensors_in_tuples(self):
        state = {"a": (torch.arange(3.0), 2, [torch.ones(2)]), "w": torch.ones(1)}
        self.store.save("run/step-1", state)
        format_utils.cairn_to_dcp(self.tag, self.folder / "dcp")
        loaded = {"a": None, "w": torch.zeros(1)}
        dcp.load(loaded, checkpoint_id=self.folder / "dcp")
        self.assert_same(state, loaded)

    def test_integers_of_an_optimizer_come_back(self):
        state = a_state()
        format_utils.dcp_to_cairn(self.dcp_folder(state), self.tag)
        format_utils.cairn_to_torch(self.tag, self.folder / "back.pt")
        back = torch.load(self.folder / "back.pt")["optimizer"]
        self.assert_same(state["optimizer"]["state"], back["state"])

    def test_one_format_over_another(self):
        self.store.save("run/step-1", {"w": torch.ones(2)})
        for first, second in (("dcp", "hf"), ("hf", "dcp")):
            folder = self.folder / first
            self.store_program("export", "run/step-1", str(folder), format=first)
            before = sorted(path.name for path in folder.iterdir())
            with self.assertRaisesRegex(cairn.ExistsError, "another format"):
                self.store_program("export", "run/step-1", str(folder), format=second, force=True)
            self.assertEqual(sorted(path.name for path in folder.iterdir()), before)
            (folder / "x.distcp").mkdir()
        with self.assertRaisesRegex(cairn.ExistsError, "a folder, and called"):
            format_utils.cairn_to_dcp(self.tag, self.folder / "dcp", force=True)

    def test_a_save_that_was_not_finished(self):
        folder = self.dcp_folder({"w": torch.ones(2)})
        (folder / ".metadata").unlink()
        self.refused(cairn.NotFoundError, folder, "not finished", call=format_utils.dcp_to_cairn)

    def test_tied_tensors_count_once(self):
        weight = torch.ones(10)
        self.store.save("run/step-1", {"a": weight, "b": weight, "step": 1})
        done = format_utils.cairn_to_dcp(self.tag, self.folder / "dcp")
        self.assertEqual((done["tensors"], done["bytes"]), (1, 40))
        loaded = {"a": torch.zeros(10), "b": torch.zeros(10)}
        dcp.load(loaded, checkpoint_id=self.folder / "dcp")
        self.assertTrue(all(torch.equal(value, weight) for value in loaded.values()))

    def test_files_beside_it_and_force(self):
        folder = self.dcp_folder({"w": torch.ones(2)})
        (folder / "config.json").write_text("{}")
        format_utils.dcp_to_cairn(folder, self.tag)
        format_utils.cairn_to_dcp(self.tag, self.folder / "back")
        self.assertEqual((self.folder / "back/config.json").read_text(), "{}")
        with self.assertRaises(cairn.ExistsError):
            format_utils.cairn_to_dcp(self.tag, self.folder / "back")
        (self.folder / "back/__7_0.distcp").write_text("old")
        format_utils.cairn_to_dcp(self.tag, self.folder / "back", force=True)
        self.assertFalse((self.folder / "back/__7_0.distcp").exists())


def attached(store, tag, name):
    return Checkpoint(store, tag).attachment(name)


def chunk(metadata):
    return metadata.state_dict_metadata["w"].chunks[0]


class HuggingFaceStorageTest(FormatTest):
    """torch.distributed.checkpoint's own reader and writer of safetensors folders."""

    def test_the_writers_folder(self):
        ranks.run(_save_hugging_face, 2, str(self.folder / "hf"))
        self.store_program("import", "run/hf", str(self.folder / "hf"))
        loaded = self.store.load("run/hf")
        self.assertEqual(loaded["w"].tolist(), torch.arange(35.0).reshape(7, 5).tolist())
        self.assertEqual(self.store.show("run/hf")["metadata"].get("DCP_SHARDING_INFO"), None)
        next((self.folder / "hf").glob("shard-00001*")).unlink()
        with self.assertRaisesRegex(cairn.UsageError, "tensor 'w'"):
            self.store_program("import", "run/hole", str(self.folder / "hf"))

    def test_the_reader_takes_an_exported_folder(self):
        state = {f"layer.{i}": torch.randn(50, 30) for i in range(4)}
        self.store.save("run/step-1", state)
        self.store_program("export", "run/step-1", str(self.folder / "hf"), max_shard_size="10KB")
        loaded = blank(state)
        dcp.load(loaded, storage_reader=dcp.HuggingFaceStorageReader(str(self.folder / "hf")))
        self.assert_same(state, loaded)


def _save_hugging_face(rank, size, folder):
    mesh = DeviceMesh("cpu", torch.arange(size))
    state = {"w": distribute_tensor(torch.arange(35.0).reshape(7, 5), mesh, [Shard(0)])}
    dcp.save(state, storage_writer=dcp.HuggingFaceStorageWriter(folder, save_distributed=True))


def _load_online(rank, size, path, with_group, planner):
    mesh = DeviceMesh("cpu", torch.arange(size))
    own = {"rows": distribute_tensor(torch.zeros(7, 5), mesh, [Shard(0)]),
           "columns": distribute_tensor(torch.zeros(7, 5, dtype=torch.bfloat16), mesh, [Shard(1)]),
           "plain": torch.zeros(4)}
    state = {"model": own} if planner else {"model": own, "step": 0}
    group = torch.distributed.group.WORLD if with_group else None
    if with_group and rank > 0:
        path = "/nowhere"
    dcp.load(state, storage_reader=TorchSaveReader(group=group), checkpoint_id=path,
             planner=DynamicMetaLoadPlanner() if planner else None)
    return own["rows"].full_tensor(), own["columns"].full_tensor(), own["plain"], state.get("step")


class OnlineTest(FormatTest):
    def test_into_a_sharded_model(self):
        wanted = torch.randn(7, 5)
        for legacy in (False, True):
            path = self.torch_file({"model": {"rows": wanted, "columns": wanted, "plain": torch.arange(4.0)},
                                    "step": 9}, _use_new_zipfile_serialization=not legacy)
            for with_group, planner in ((False, False), (True, False), (False, True)):
                for rows, columns, plain, step in ranks.run(_load_online, 2, str(path), with_group,
                                                            planner):
                    self.assertEqual(bits_of(rows), bits_of(wanted))
                    self.assertEqual(bits_of(columns), bits_of(wanted.bfloat16()))
                    self.assertEqual((plain.tolist(), step), ([0, 1, 2, 3], None if planner else 9))

    def test_what_cannot_be_loaded(self):
        state = {"w": torch.zeros(2)}
        for path in (self.folder / "nothing", self.torch_file({"w": logging.Logger}), self.torch_file([1])):
            with self.assertRaisesRegex(CheckpointException, re.escape(f"'{path}'")):
                dcp.load(state, storage_reader=TorchSaveReader(), checkpoint_id=str(path))


if __name__ == "__main__":
    unittest.main()
