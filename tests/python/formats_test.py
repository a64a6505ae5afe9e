#!/usr/bin/env python3
"""Checkpoints of PyTorch become tags and come back: files of torch.save, folders of DCP."""
import logging
import os
import pickle
import random
import re
import subprocess
import sys
import unittest
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import package

if __name__ == "__main__":
    package.enter("torch", "numpy", "safetensors")

import ranks
import torch
from safetensors.torch import load_file, save_file
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


def a_state():
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Linear(7, 3))
    optimizer = torch.optim.AdamW([{"params": model[0].parameters(), "lr": 0.1},
                                   {"params": model[1].parameters()}])
    model(torch.randn(2, 5)).sum().backward()
    optimizer.step()
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3,
            "best": float("inf"), "nan": float("nan"), "name": "läuft", "none": None, "yes": True,
            "bytes": bytes(range(256)), "big": 2**63 + 5, "negative": -2**40,
            "nested": [1, (2.5, [torch.ones(2), "x"]), {"deep": 2}], "rng": torch.get_rng_state(),
            "empty": torch.empty(0, 4), "scalar": torch.tensor(2.5)}


DTYPES = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32,
          torch.int64, torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64,
          torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz,
          torch.float8_e5m2fnuz, torch.float8_e8m0fnu]


def of_all_dtypes():
    bits = torch.randint(0, 256, (3, 5, 8), dtype=torch.uint8)
    made = {str(dtype): bits.clone().view(dtype) for dtype in DTYPES if dtype != torch.bool}
    return made | {"bool": bits > 100}


class FormatTest(package.StoreTest):
    def setUp(self):
        super().setUp()
        torch.manual_seed(random.randrange(2**30))
        self.tag = f"{self.store.path}#run/step-1"

    def assert_same(self, a, b, where="the state"):
        self.assertIs(type(a), type(b), where)
        if isinstance(a, torch.Tensor):
            self.assertEqual((a.dtype, a.shape, a.requires_grad), (b.dtype, b.shape, b.requires_grad),
                             where)
            self.assertEqual(bits_of(a), bits_of(b), where)
        elif isinstance(a, dict):
            self.assertEqual(list(a), list(b), where)
            for key in a:
                self.assert_same(a[key], b[key], f"{where}.{key}")
            self.assertEqual(getattr(a, "_metadata", None), getattr(b, "_metadata", None), where)
        elif isinstance(a, (list, tuple)):
            self.assertEqual(len(a), len(b), where)
            for number, pair in enumerate(zip(a, b)):
                self.assert_same(*pair, f"{where}.{number}")
        elif a == a:  # no NaN
            self.assertEqual(a, b, where)

    def torch_file(self, state, name="in.pt", **options):
        torch.save(state, self.folder / name, **options)
        return self.folder / name

    def refused(self, kind, path, *words, call=format_utils.torch_to_cairn, **options):
        with self.assertRaises(kind) as caught:
            call(path, f"{self.store.path}#refused", **options)
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertEqual(self.store.tags("refused"), [])
        return caught.exception


def bits_of(tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


class TorchTest(FormatTest):
    def there_and_back(self, state, **options):
        path = self.torch_file(state, **options)
        format_utils.torch_to_cairn(path, self.tag, if_exists="replace")
        format_utils.cairn_to_torch(self.tag, self.folder / "out.pt", force=True)
        self.assertIsNone(zipfile.ZipFile(self.folder / "out.pt").testzip())
        back = torch.load(self.folder / "out.pt", weights_only=True)
        self.assert_same(torch.load(path, weights_only=True), back)
        return back

    def test_a_training(self):
        state = a_state()
        self.there_and_back(state)
        self.assert_same(state | {"model": dict(state["model"])}, self.store.load("run/step-1"))

    def test_the_legacy_form(self):
        self.there_and_back(a_state(), _use_new_zipfile_serialization=False)
        known = {name: value for name, value in of_all_dtypes().items()  # of this form to PyTorch
                 if "float8" not in name and "uint" not in name.removeprefix("torch.uint8")}
        self.there_and_back(known, _use_new_zipfile_serialization=False)

    def test_protocols_of_pickle(self):
        for protocol in (2, 3, 4, 5):
            path = self.torch_file(a_state(), pickle_protocol=protocol)
            format_utils.torch_to_cairn(path, self.tag, if_exists="replace")
            format_utils.cairn_to_torch(self.tag, self.folder / "out.pt", force=True)
            self.assert_same(torch.load(path, weights_only=False),
                             torch.load(self.folder / "out.pt", weights_only=True))

    def test_all_dtypes_and_their_bits(self):
        self.there_and_back(of_all_dtypes())

    def test_types_that_the_structure_does_not_tell(self):
        model = torch.nn.Linear(3, 2)
        state = OrderedDict(parameter=model.weight, size=torch.Size([2, 3]), dtype=torch.bfloat16,
                            device=torch.device("cpu"), complex=1 + 2j, set={1, 2},
                            array=bytearray(b"x"), huge=1 << 90, gradient=torch.ones(2).requires_grad_())
        back = self.there_and_back(state)
        self.assertIsInstance(back["parameter"], torch.nn.Parameter)
        with self.assertRaises(cairn.UsageError):
            self.store.load("run/step-1")
        self.assertEqual(self.store.load("run/step-1", allow_pickle=True)["set"], {1, 2})

    def test_views(self):
        base = torch.arange(24.0).reshape(4, 6)
        state = {"base": base, "same": base, "alias": base.view(4, 6), "columns": base[:, 2:4],
                 "transposed": base.t(), "expanded": torch.ones(1, 3).expand(4, 3),
                 "rows": base[1:3]}
        back = self.there_and_back(state)
        self.assertIs(back["base"], back["same"])
        self.assertEqual(back["base"].data_ptr(), back["alias"].data_ptr())
        self.assertEqual(self.store.show("run/step-1")["logical_bytes"],
                         4 * (24 + 8 + 24 + 12 + 12))

    def test_other_objects_than_dicts(self):
        for state in (torch.arange(5.0), [torch.ones(2), 3], (1, torch.zeros(0)),
                      OrderedDict(w=torch.ones(3))):
            self.there_and_back(state)

    def test_a_flat_dict_is_the_tag_of_safetensors(self):
        state = {"a": torch.randn(2, 2), "b": torch.randn(3)}
        save_file(state, self.folder / "x.safetensors")
        one = format_utils.torch_to_cairn(self.torch_file(state), self.tag)
        other = self.store_program("import", "other", str(self.folder / "x.safetensors"))
        self.assertEqual(one["manifest"], other["manifest"])

    def test_what_cairn_saved(self):
        state = a_state()
        self.store.save("run/step-1", state)
        format_utils.cairn_to_torch(self.tag, self.folder / "out.pt")
        back = torch.load(self.folder / "out.pt", weights_only=True)
        self.assert_same(state | {"model": dict(state["model"])}, back)

    def test_after_training_went_on(self):
        """Tags that are made from each other are written in another order."""
        model = torch.nn.Linear(300, 300)
        optimizer = torch.optim.AdamW(model.parameters())
        for step in range(3):
            model(torch.randn(4, 300)).sum().backward()
            optimizer.step()
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            self.store.save(f"run/step-{step}", state, step=step)
        for form in ("torch", "dcp"):
            self.store_program("export", "run/step-2", str(self.folder / form), format=form)
        back = torch.load(self.folder / "torch")
        self.assert_same(state | {"model": dict(state["model"])}, back)
        loaded = {"model": {name: torch.zeros_like(value) for name, value in back["model"].items()}}
        dcp.load(loaded, checkpoint_id=self.folder / "dcp")
        self.assert_same(back["model"], loaded["model"])

    def test_a_choice_of_tensors_other_names_another_dtype(self):
        self.store.save("run/step-1", a_state())
        out = str(self.folder / "out.pt")
        self.store_program("export", "run/step-1", out, tensors="model.*", dtype="BF16")
        some = torch.load(out)
        self.assertEqual(list(some), ["model"])
        self.assertEqual({value.dtype for value in some["model"].values()}, {torch.bfloat16})
        self.store_program("export", "run/step-1", out, force=True, tensors="model.*",
                           rename=r"^model\.=")
        self.assertEqual(sorted(torch.load(out)), ["0.bias", "0.weight", "1.bias", "1.weight"])

    def test_many_files_are_one_tag(self):
        paths = [self.torch_file({f"part{i}": torch.randn(3), f"n{i}": i}, f"{i}.pt") for i in range(3)]
        self.store_program("import", "run/all", *map(str, paths))
        self.assertEqual(set(self.store.load("run/all")), {"part0", "part1", "part2", "n0", "n1", "n2"})
        with self.assertRaisesRegex(cairn.UsageError, "n0"):
            self.store_program("import", "run/twice", str(paths[0]),
                               str(self.torch_file({"n0": 1, "w": torch.ones(1)}, "x.pt")))

    def test_a_bin_folder(self):
        folder = self.folder / "model"
        folder.mkdir()
        torch.save({"w": torch.ones(2)}, folder / "pytorch_model-1.bin")
        torch.save({"v": torch.ones(3)}, folder / "pytorch_model-2.bin")
        (folder / "config.json").write_text("{}")
        (folder / "pytorch_model.bin.index.json").write_text(
            '{"weight_map": {"w": "pytorch_model-1.bin", "v": "pytorch_model-2.bin"}}')
        self.store_program("import", "run/bin", str(folder))
        self.assertEqual(sorted(self.store.load("run/bin")), ["v", "w"])
        self.assertEqual([each["name"] for each in self.store.show("run/bin")["attachments"]],
                         ["config.json"])

    def test_values_of_the_same_file_are_the_same_manifest(self):
        path = self.torch_file(a_state())
        one = format_utils.torch_to_cairn(path, self.tag)
        again = format_utils.torch_to_cairn(path, self.tag, if_exists="same")
        self.assertEqual(one["manifest"], again["manifest"])
        with self.assertRaises(cairn.ExistsError):
            format_utils.torch_to_cairn(path, self.tag)
        format_utils.cairn_to_torch(self.tag, self.folder / "out.pt")
        with self.assertRaises(cairn.ExistsError):
            format_utils.cairn_to_torch(self.tag, self.folder / "out.pt")


class Bad:
    def __reduce__(self):
        return os.system, (f"touch {os.environ['CAIRN_TEST_MARK']}",)


class HostileTest(FormatTest):
    def setUp(self):
        super().setUp()
        self.mark = self.folder / "was-run"
        os.environ["CAIRN_TEST_MARK"] = str(self.mark)
        self.addCleanup(lambda: self.assertFalse(self.mark.exists(), "a pickle was run"))

    def test_pickles_that_run_code(self):
        for options in ({}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}):
            path = self.torch_file({"w": torch.ones(2), "bad": Bad()}, **options)
            error = self.refused(cairn.UsageError, path, "system")
            self.assertIn("allow", error.hint)

    def test_one_that_is_kept_is_not_run(self):
        path = self.torch_file({"w": torch.ones(2), "bad": Bad()})
        format_utils.torch_to_cairn(path, self.tag, allow_pickle=True)
        self.assertEqual(list(self.store.load("run/step-1", tensors="w")), ["w"])
        with self.assertRaises(cairn.UsageError):
            self.store.load("run/step-1")
        format_utils.cairn_to_torch(self.tag, self.folder / "out.pt")
        with self.assertRaises(pickle.UnpicklingError):
            torch.load(self.folder / "out.pt", weights_only=True)

    def test_metadata_and_values_of_dcp_that_run_code(self):
        dcp.save({"w": torch.ones(2), "bad": Bad()}, checkpoint_id=self.folder / "dcp")
        self.refused(cairn.UsageError, self.folder / "dcp", "'bad'", "system",
                     call=format_utils.dcp_to_cairn)
        format_utils.dcp_to_cairn(self.folder / "dcp", self.tag, allow_pickle=True)
        (self.folder / "dcp/.metadata").write_bytes(pickle.dumps([Bad()]))
        self.refused(cairn.UsageError, self.folder / "dcp", "system", call=format_utils.dcp_to_cairn)

    def test_truncated_files(self):
        for options in ({}, {"_use_new_zipfile_serialization": False}):
            data = self.torch_file(a_state(), **options).read_bytes()
            cut = self.folder / "cut.pt"
            for size in [*range(1, 200, 13), *range(200, len(data), len(data) // 40)]:
                cut.write_bytes(data[:size])
                self.refused(cairn.UsageError, cut)

    def test_damaged_files_end_in_a_tag_or_an_error(self):
        generator = random.Random(1)
        data = self.torch_file(a_state()).read_bytes()
        damaged = self.folder / "damaged.pt"
        for _ in range(60):
            changed = bytearray(data)
            for _ in range(generator.randrange(1, 4)):
                changed[generator.randrange(len(changed))] = generator.randrange(256)
            damaged.write_bytes(changed)
            try:
                format_utils.torch_to_cairn(damaged, self.tag, if_exists="replace")
            except (cairn.UsageError, cairn.NotFoundError):
                pass

    def test_storages_that_are_missing_or_too_short(self):
        path = self.torch_file({"w": torch.ones(100)})
        for name, change in (("archive/data/0", lambda data: None),
                             ("archive/data/0", lambda data: data[:-4])):
            self.refused(cairn.UsageError, rewritten(path, name, change), "'w'", "storage")

    def test_what_cairn_does_not_store(self):
        for word, tensor in (("sparse", torch.eye(2).to_sparse()),
                             ("meta", torch.empty(2, device="meta")),
                             ("ComplexDouble", torch.zeros(2, dtype=torch.complex128)),
                             ("conj", torch.zeros(2, dtype=torch.complex64).conj()),
                             ("quantized", torch.quantize_per_tensor(torch.ones(2), 1, 0, torch.qint8))):
            self.refused(cairn.UsageError, self.torch_file({"ok": torch.ones(1), "bad": tensor}),
                         "'bad'", word)

    def test_names_that_meet_and_odd_keys(self):
        self.refused(cairn.UsageError, self.torch_file({"a.b": torch.ones(1), "a": {"b": 2}}), "'a.b'")
        self.refused(cairn.UsageError, self.torch_file({(1, 2): torch.ones(1)}), "tensor")

    def test_what_is_no_checkpoint(self):
        other = self.folder / "other"
        other.write_bytes(pickle.dumps({"a": 1}))
        self.refused(cairn.UsageError, other)
        with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", "x" * 1000)
        self.refused(cairn.UsageError, other, "compressed")
        with zipfile.ZipFile(other, "w") as archive:
            archive.writestr("readme.txt", "x")
        self.refused(cairn.UsageError, other, "data.pkl")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), other)
        self.refused(cairn.UsageError, other, "TorchScript")
        self.refused(cairn.NotFoundError, self.folder / "nothing.pt")
        self.refused(cairn.UsageError, self.folder, "folder")
        self.refused(cairn.UsageError, self.torch_file({"epoch": 3}), "no tensors")

    def test_containers_that_hold_themselves_or_grow(self):
        endless = [torch.ones(1)]
        endless.append(endless)
        self.refused(cairn.UsageError, self.torch_file(endless))
        doubled = [1]
        for _ in range(40):
            doubled = [doubled, doubled]
        self.refused(cairn.UsageError, self.torch_file([doubled, torch.ones(1)]), "too")


def rewritten(path, entry, change):
    """The archive with one entry changed, or left out."""
    target = path.with_name("rewritten.pt")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as changed:
        for name in archive.namelist():
            data = archive.read(name)
            data = change(data) if name.split("/", 1)[1] == entry.split("/", 1)[1] else data
            if data is not None:
                changed.writestr(name, data)
    return target


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
                             ("w", lambda m: setattr(
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


def blank(value):
    if isinstance(value, torch.Tensor):
        return torch.zeros_like(value)
    if isinstance(value, dict):
        return type(value)((key, blank(child)) for key, child in value.items())
    if isinstance(value, list) and any(isinstance(each, (torch.Tensor, dict)) for each in value):
        return [blank(child) for child in value]
    return "blank"


class HuggingFaceStorageTest(FormatTest):
    """torch.distributed.checkpoint's own reader and writer of safetensors folders."""

    def test_the_writers_folder(self):
        ranks.run(_save_hugging_face, 2, str(self.folder / "hf"))
        self.store_program("import", "run/hf", str(self.folder / "hf"))
        loaded = self.store.load("run/hf")
        self.assertEqual(loaded["w"].tolist(), torch.arange(35.0).reshape(7, 5).tolist())
        self.assertEqual(self.store.show("run/hf")["metadata"].get("DCP_SHARDING_INFO"), None)
        next((self.folder / "hf").glob("shard-00001*")).unlink()
        with self.assertRaisesRegex(cairn.UsageError, "w"):
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
        for path in (self.folder / "nothing", self.torch_file({"w": Bad}), self.torch_file([1])):
            with self.assertRaisesRegex(CheckpointException, re.escape(f"'{path}'")):
                dcp.load(state, storage_reader=TorchSaveReader(), checkpoint_id=str(path))


class ProgramTest(FormatTest):
    def run_module(self, *words):
        environment = os.environ | {"PYTHONPATH": str(package.ROOT / "python")}
        return subprocess.run([sys.executable, "-m", "cairn.format_utils", *map(str, words)],
                              capture_output=True, text=True, env=environment, check=False)

    def test_all_four_ways(self):
        state = {"model": {"w": torch.randn(3)}}
        path = self.torch_file(state)
        tag = f"{self.folder}/new#run/a"  # a store that is made
        for words in (("torch_to_cairn", path, tag), ("cairn_to_dcp", tag, self.folder / "dcp"),
                      ("dcp_to_cairn", self.folder / "dcp", f"{self.folder}/new#run/b"),
                      ("cairn_to_torch", f"{self.folder}/new#run/b", self.folder / "out.pt")):
            done = self.run_module(*words)
            self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        self.assert_same(state, torch.load(self.folder / "out.pt"))

    def test_errors(self):
        done = self.run_module("torch_to_cairn", self.folder / "nothing", f"{self.store.path}#x")
        self.assertEqual(done.returncode, 15)
        self.assertIn("nothing", done.stderr)
        self.assertEqual(self.run_module("torch_to_cairn", "x", "no-tag").returncode, 2)
        self.assertEqual(self.run_module("backwards", "x", "y").returncode, 2)


class RankFolderTest(FormatTest):
    """Folders with a file a rank, as NxD and SMP write them."""

    def write_ranks(self, pattern, whole, sizes, cuts):
        """whole: for each pipeline stage its full tensors; cuts: name -> (dim, stride)."""
        for pp, stage in enumerate(whole):
            for tp in range(sizes["tp"]):
                own = {name: rank_part(value, *cuts[name], tp, sizes["tp"]) if name in cuts else value
                       for name, value in stage.items()}
                path = self.folder / "ranks" / pattern.format(dp=0, tp=tp, pp=pp)
                path.parent.mkdir(parents=True, exist_ok=True)
                torch.save({name: value.clone() for name, value in own.items()}, path)

    def import_ranks(self, layout, tag="run/ranks"):
        file = self.folder / "layout.json"
        file.write_text(layout)
        return self.store_program("import", tag, str(self.folder / "ranks"), layout=file)

    LAYOUT = ('{"format": "%s", "cuts": [{"match": "*.up.weight", "dim": 0, "stride": 2},'
              ' {"match": ["*.down.weight"], "dim": 1}]}')
    PATTERNS = {"nxd": "model/dp_rank_{dp:02}_tp_rank_{tp:02}_pp_rank_{pp:02}.pt",
                "smp": "model_{pp}_{tp}_{dp}.pt"}

    def test_full_tensors(self):
        whole = [{f"l{stage}.up.weight": torch.randn(16, 3), f"l{stage}.down.weight": torch.randn(5, 8),
                  f"l{stage}.norm": torch.randn(3)} for stage in range(2)]
        cuts = {f"l{stage}.{name}.weight": cut for stage in range(2)
                for name, cut in (("up", (0, 2)), ("down", (1, 1)))}
        for form, pattern in self.PATTERNS.items():
            self.write_ranks(pattern, whole, {"tp": 4}, cuts)
            self.import_ranks(self.LAYOUT % form, f"run/{form}")
            loaded = self.store.load(f"run/{form}")
            self.assertEqual(sorted(loaded), sorted(whole[0] | whole[1]))
            for name, value in (whole[0] | whole[1]).items():
                self.assertEqual(bits_of(loaded[name]), bits_of(value), name)

    def test_what_does_not_fit(self):
        whole = [{"l.up.weight": torch.randn(16, 3), "l.norm": torch.randn(3)}]
        self.write_ranks(self.PATTERNS["nxd"], whole, {"tp": 4}, {"l.up.weight": (0, 2)})
        for kind, layout, word in (
                (cairn.UsageError, '{"format": "other"}', "format"),
                (cairn.UsageError, '{"format": "nxd", "cutz": []}', "cutz"),
                (cairn.UsageError, '{"format": "nxd", "cuts": [{"match": "*.up.*", "dim": 5}]}', "axis 5"),
                (cairn.UsageError, '{"format": "nxd"}', "l.up.weight"),
                (cairn.UsageError, '{"format": "smp"}', "called like"),
                (cairn.UsageError, "nonsense", "layout")):
            with self.assertRaisesRegex(kind, word):
                self.import_ranks(layout)
        (self.folder / "ranks/model/dp_rank_00_tp_rank_02_pp_rank_00.pt").unlink()
        with self.assertRaisesRegex(cairn.NotFoundError, "tp rank 2"):
            self.import_ranks(self.LAYOUT % "nxd")


def rank_part(value, dim, stride, rank, ranks_in_all):
    parts = value.chunk(stride * ranks_in_all, dim)
    return torch.cat(parts[rank::ranks_in_all], dim)


if __name__ == "__main__":
    unittest.main()
