#!/usr/bin/env python3
"""torch.distributed.checkpoint over a store, in one process."""
import logging
import pickle
import unittest
import warnings

import package

if __name__ == "__main__":
    package.enter("torch", "numpy", "fsspec", "safetensors")

import fsspec
import numpy
import torch
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint import state_dict as dcp_state
from torch.distributed.checkpoint.api import CheckpointException

import cairn
from cairn.torch import StorageReader, StorageWriter

warnings.filterwarnings("ignore", message="torch.distributed is")
logging.disable(logging.WARNING)  # DCP prints the trace of each tag that is not there


def a_state():
    return {"model": {"w": torch.randn(7, 5), "b": torch.arange(3.0)},
            "optimizer": {"state": {"w": {"step": torch.tensor(3.0), "exp_avg": torch.randn(7, 5)}},
                          "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": ["w"]}]},
            "epoch": 3, "best": float("inf"), "name": "run", "nothing": None, "flag": True,
            "numbers": [1, [2.5, "x"]], "mixed": [torch.ones(2), 3], "empty": torch.empty(0, 4)}


def blank(value):
    """The same shape of state, other values."""
    if isinstance(value, torch.Tensor):
        return torch.full_like(value, 77)
    if isinstance(value, dict):
        return {key: blank(child) for key, child in value.items()}
    if isinstance(value, list) and any(isinstance(each, (torch.Tensor, dict)) for each in value):
        return [blank(child) for child in value]
    return "blank"


class DcpTest(package.StoreTest):
    def save(self, state, tag="run/step-1", planner=None, **options):
        return dcp.save(state, storage_writer=StorageWriter(self.store, **options),
                        checkpoint_id=tag, planner=planner)

    def load(self, state, tag="run/step-1", planner=None, **options):
        dcp.load(state, storage_reader=StorageReader(self.store, **options), checkpoint_id=tag,
                 planner=planner)
        return state

    def assert_same(self, a, b, where=""):
        if not isinstance(a, dict):  # DCP makes dicts of their subclasses
            self.assertEqual(type(a), type(b), where)
        if isinstance(a, torch.Tensor):
            self.assertEqual(a.dtype, b.dtype, where)
            self.assertTrue(torch.equal(a, b), where)
        elif isinstance(a, numpy.ndarray):
            self.assertTrue((a == b).all(), where)
        elif isinstance(a, dict):
            self.assertEqual(a.keys(), b.keys(), where)
            for key in a:
                self.assert_same(a[key], b[key], f"{where}.{key}")
        elif isinstance(a, (list, tuple)):
            self.assertEqual(len(a), len(b), where)
            for key, pair in enumerate(zip(a, b)):
                self.assert_same(*pair, f"{where}.{key}")
        else:
            self.assertEqual(a, b, where)

    def refused(self, kind, text):
        """The save or load fails with an error of ours; DCP says of which rank."""
        test = self

        class Refused:
            def __enter__(self):
                return self

            def __exit__(self, _, error, trace):
                test.assertIsInstance(error, CheckpointException)
                test.assertEqual(list(error.failures), [0])
                test.assertIsInstance(error.failures[0][0], kind)
                test.assertRegex(str(error), text)
                return True
        return Refused()


class States(DcpTest):
    def test_a_nested_state_comes_back(self):
        state = a_state()
        self.save(state)
        self.assert_same(self.load(blank(state)), state)
        self.assert_same(self.load(blank(state), "run/@newest"), state)

    def test_the_tag_is_the_one_that_a_store_saves(self):
        for state in (a_state(), {"w": torch.randn(3, 4), "b": torch.ones(2)}):
            saved = self.store.save("a", state, if_exists="replace")["manifest"]
            self.save(state, "b")
            self.assertEqual(self.store.show("b")["manifest"], saved)
            self.assert_same(self.store.load("b"), state)
            self.assert_same(self.load(blank(state), "a"), state)

    def test_what_dcp_does_not_take_apart(self):
        tied = torch.randn(4, 4)
        state = {"tuple": (torch.ones(2), 5), "array": numpy.arange(6.0).reshape(2, 3),
                 "embed": tied, "head": tied, "state": {0: torch.ones(1), 1: torch.zeros(1)}}
        self.store.save("a", state)
        wanted = {**blank(state), "tuple": None, "array": None}
        loaded = self.load(wanted, "a")
        self.assertEqual(list(loaded["state"]), [0, 1])
        self.assert_same(loaded, state)

    def test_objects_are_for_those_who_allow_pickles(self):
        state = {"w": torch.ones(2), "set": {1, 2}, "pair": (torch.arange(3), "x")}
        self.save(state)
        self.assert_same(self.load({"w": torch.zeros(2), "set": None, "pair": None}), state)
        with self.assertRaisesRegex(cairn.UsageError, "pickle"):
            self.store.load("run/step-1")
        self.assert_same(self.store.load("run/step-1", allow_pickle=True), state)
        self.store.save("b", {"w": torch.ones(2), "set": {1, 2}}, allow_pickle=True)
        with self.refused(cairn.UsageError, "pickle"):
            self.load({"w": torch.zeros(2), "set": None}, "b")
        self.assertEqual(self.load({"set": None}, "b", allow_pickle=True), {"set": {1, 2}})

    def test_files_that_were_imported(self):
        from safetensors.torch import save_file

        tensors = {"layer.w": torch.randn(6, 4), "b": torch.ones(3, dtype=torch.bfloat16)}
        save_file(tensors, self.folder / "m.safetensors")
        self.store_program("import", "hf", str(self.folder / "m.safetensors"))
        self.assert_same(self.load(blank(tensors), "hf"), tensors)
        nested = {"layer": {"w": torch.zeros(6, 4)}}
        self.assert_same(self.load(nested, "hf"), {"layer": {"w": tensors["layer.w"]}})

    def test_strides_and_dtypes(self):
        base = torch.randn(8, 6)
        state = {"turned": base.t(), "rows": base[::2], "conj": torch.randn(3, dtype=torch.cfloat).conj(),
                 "scalar": torch.tensor(2.5, dtype=torch.float64), "stretched": torch.ones(1).expand(4),
                 "parameter": torch.nn.Parameter(torch.randn(3))}
        saved = {name: value.clone() for name, value in state.items()}
        metadata = self.save(state)
        self.assertTrue(metadata.state_dict_metadata["parameter"].properties.requires_grad)
        read = StorageReader(self.store, checkpoint_id="run/step-1").read_metadata()
        self.assertTrue(read.state_dict_metadata["parameter"].properties.requires_grad)
        targets = {name: torch.zeros_like(value).t() if name == "turned" else torch.zeros_like(value)
                   for name, value in saved.items()}
        targets["turned"] = torch.zeros(8, 6).t()
        targets["rows"] = torch.zeros(4, 6, dtype=torch.bfloat16)
        loaded = self.load(targets)
        for name, value in saved.items():
            self.assertTrue(torch.equal(loaded[name], value.to(loaded[name].dtype)), name)

    def test_a_model_and_its_optimizer_by_name(self):
        def train(model, optimizer, steps):
            for step in range(steps):
                optimizer.zero_grad()
                model(torch.full((2, 8), float(step))).square().mean().backward()
                optimizer.step()

        def fresh(lr):
            model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Linear(4, 2))
            return model, torch.optim.AdamW(model.parameters(), lr=lr)

        model, optimizer = fresh(1e-2)
        train(model, optimizer, 3)
        named = dict(zip(("model", "optimizer"), dcp_state.get_state_dict(model, optimizer)))
        self.save(named)
        train(model, optimizer, 3)
        other, resumed = fresh(1.0)
        state = dict(zip(("model", "optimizer"), dcp_state.get_state_dict(other, resumed)))
        self.load(state)
        dcp_state.set_state_dict(other, resumed, model_state_dict=state["model"],
                                 optim_state_dict=state["optimizer"])
        train(other, resumed, 3)
        for a, b in zip(model.parameters(), other.parameters()):
            self.assertTrue(torch.equal(a, b))

    def test_a_step_costs_what_it_costs_a_store(self):
        model = torch.nn.Linear(256, 256)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for step in range(3):
            optimizer.zero_grad()
            model(torch.randn(4, 256)).square().mean().backward()
            optimizer.step()
            state = dict(zip(("model", "optimizer"), dcp_state.get_state_dict(model, optimizer)))
            self.store.save(f"store/step-{step}", state, step=step)
            self.save(state, f"dcp/step-{step}")
        of_store, of_dcp = (self.store.show(f"{kind}/step-2") for kind in ("store", "dcp"))
        self.assertEqual(of_dcp["manifest"], of_store["manifest"])
        encodings = [{each["name"]: each["encodings"] for each in told["tensors"]}
                     for told in (of_store, of_dcp)]
        self.assertEqual(*encodings)
        self.assertIn("replay", str(encodings), "the optimizer's numbers reach the store")

    def test_options_of_state_dicts(self):
        model = torch.nn.Linear(8, 4)
        optimizer = torch.optim.AdamW(model.parameters())
        model(torch.ones(2, 8)).sum().backward()
        optimizer.step()
        for options in (dcp_state.StateDictOptions(full_state_dict=True, cpu_offload=True),
                        dcp_state.StateDictOptions(flatten_optimizer_state_dict=True),
                        dcp_state.StateDictOptions(ignore_frozen_params=True)):
            state = dict(zip("mo", dcp_state.get_state_dict(model, optimizer, options=options)))
            self.save(state)
            self.assert_same(self.load(blank(state)), state)

    def test_stateful_objects(self):
        class Counter:
            def __init__(self):
                self.count, self.seen = 0, torch.zeros(2)

            def state_dict(self):
                return {"count": self.count, "seen": self.seen}

            def load_state_dict(self, state):
                self.count, self.seen = state["count"], state["seen"]

        counter = Counter()
        counter.count, counter.seen = 5, torch.ones(2)
        self.save({"counter": counter, "module": torch.nn.Linear(2, 2)})
        other = Counter()
        self.load({"counter": other})
        self.assertEqual((other.count, other.seen.tolist()), (5, [1, 1]))


class Calls(DcpTest):
    def test_a_tag_that_exists(self):
        self.save({"w": torch.ones(4)})
        self.save({"w": torch.zeros(4)})
        self.assertEqual(self.load({"w": torch.ones(4)})["w"].sum(), 0)
        before = self.store.show("run/step-1")["manifest"]
        with self.refused(cairn.ExistsError, "'run/step-1' exists"):
            self.save({"w": torch.ones(4)}, overwrite=False)
        self.assertEqual(self.store.show("run/step-1")["manifest"], before)
        self.save({"w": torch.ones(4)}, "run/step-2", overwrite=False)

    def test_what_a_tag_is_given(self):
        self.save({"w": torch.ones(4)}, "run/step-20", metadata={"loss": 1.5}, pin=True)
        self.save({"w": torch.ones(4)}, "run/last", step=7)
        last, step = self.store.tags("run/*")
        self.assertEqual((last.step, step.step, step.metadata, step.pinned),
                         (7, 20, {"loss": "1.5"}, True))

    def test_a_store_is_made_where_there_is_none(self):
        path = self.folder / "new" / "store"
        path.parent.mkdir()
        dcp.save({"w": torch.ones(2)}, storage_writer=StorageWriter(path), checkpoint_id="a")
        self.assertEqual([tag.tag for tag in cairn.Store(path).tags()], ["a"])
        with self.assertRaises(CheckpointException):
            dcp.load({"w": torch.ones(2)}, checkpoint_id="a",
                     storage_reader=StorageReader(self.folder / "none"))
        self.assertFalse((self.folder / "none").exists())
        (self.folder / "file").write_text("no store")
        with self.refused(cairn.Error, "file"):
            dcp.save({"w": torch.ones(2)}, storage_writer=StorageWriter(self.folder / "file"),
                     checkpoint_id="a")

    def test_ids_that_name_no_tag(self):
        state = {"w": torch.ones(2)}
        for writer, tag, why in (
                (StorageWriter(self.store), None, "no checkpoint_id"),
                (StorageWriter(), "a", "no store is given"),
                (StorageWriter(), "cairn:///store", "names no tag"),
                (StorageWriter(), "cairn://store#a", "names no tag"),
                (StorageWriter(self.store), "cairn:///other#a", "two stores are given")):
            with self.refused(cairn.UsageError, why):
                dcp.save(state, storage_writer=writer, checkpoint_id=tag)
        url = f"cairn://{self.store.path}#a"
        dcp.save(state, storage_writer=StorageWriter(self.store), checkpoint_id=url)
        dcp.load(state, storage_reader=StorageReader(checkpoint_id=url))

    def test_what_is_not_there(self):
        self.save({"w": torch.ones(2)})
        with self.assertRaisesRegex(CheckpointException, "no tag 'other'"):
            self.load({"w": torch.ones(2)}, "other")
        with self.assertRaisesRegex(CheckpointException, "Missing key"):
            self.load({"v": torch.ones(2)})
        with self.assertRaisesRegex(CheckpointException, "Size mismatch"):
            self.load({"w": torch.ones(3)})

    def test_what_cannot_be_saved(self):
        for state, why in (({"a": {"b": torch.ones(1)}, "a.b": torch.ones(1)}, "a.b"),
                           ({"wide": torch.ones(2, dtype=torch.complex128)}, "'wide'"),
                           ({"sparse": torch.eye(3).to_sparse()}, "'sparse'"),
                           ({"a": (1, 2), "a.0": 3}, "'a.0'")):
            with self.assertRaisesRegex(CheckpointException, why):
                self.save(state)
        self.assertEqual(self.store.tags(), [])

    def test_by_path_alone(self):
        url = f"cairn://{self.store.path}#run/step-5"
        state = a_state()
        dcp.save(state, checkpoint_id=url)
        wanted = blank(state)
        dcp.load(wanted, checkpoint_id=url)
        self.assert_same(wanted, state)
        self.assert_same(self.store.load("run/step-5"), state)
        files = fsspec.filesystem("cairn")
        self.assertEqual([files.exists(url), files.exists(url + "0")], [True, False])
        self.assertEqual(files.ls(f"cairn://{self.store.path}#run", detail=False),
                         [f"{self.store.path}#run/step-5"])
        with self.assertRaises(NotImplementedError):
            fsspec.open(url, "rb").open()
        other = dcp.filesystem.FileSystemReader  # what is not ours goes on as it was
        from torch.distributed.checkpoint._fsspec_filesystem import FsspecReader, FsspecWriter
        dcp.save(state, storage_writer=FsspecWriter("memory://a"))
        self.assertIsInstance(FsspecReader("memory://a"), other)

    def test_what_is_asked_for_by_key(self):
        from torch.distributed.checkpoint.state_dict_loader import _load_state_dict_from_keys

        state = a_state()
        self.save(state)
        reader = StorageReader(self.store, checkpoint_id="run/step-1")
        self.assert_same(_load_state_dict_from_keys(storage_reader=reader), state)
        self.assert_same(_load_state_dict_from_keys("optimizer", storage_reader=reader),
                         {"optimizer": state["optimizer"]})

    def test_the_old_calls(self):
        state = {"w": torch.randn(3)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dcp.save_state_dict(state, StorageWriter(self.store, checkpoint_id="a"), no_dist=True)
            wanted = {"w": torch.zeros(3)}
            dcp.load_state_dict(wanted, StorageReader(self.store, checkpoint_id="a"), no_dist=True)
        self.assert_same(wanted, state)

    def test_writers_and_readers_pickle(self):
        writer = StorageWriter(self.store, metadata={"a": 1}, overwrite=False)
        dcp.save({"w": torch.ones(2)}, storage_writer=writer, checkpoint_id="a")
        dcp.save({"w": torch.ones(2)}, storage_writer=pickle.loads(pickle.dumps(writer)),
                 checkpoint_id="b")
        reader = StorageReader(self.store, checkpoint_id="b")
        dcp.load({"w": torch.zeros(2)}, storage_reader=reader)
        dcp.load({"w": torch.zeros(2)}, storage_reader=pickle.loads(pickle.dumps(reader)))
        self.assertEqual(self.store.show("b")["metadata"], {"a": "1"})


class Planners(DcpTest):
    def test_that_rename(self):
        class Renaming(dcp.DefaultSavePlanner):
            def set_up_planner(self, state_dict, storage_meta=None, is_coordinator=False):
                renamed = {"net." + key: value for key, value in state_dict.items()}
                super().set_up_planner(renamed, storage_meta, is_coordinator)

        self.save({"w": torch.ones(2), "n": 3}, planner=Renaming())
        self.assert_same(self.store.load("run/step-1"), {"net.w": torch.ones(2), "net.n": 3})

    def test_that_transform(self):
        class Halving(dcp.DefaultSavePlanner):
            def transform_object(self, write_item, object):
                data = super().transform_object(write_item, object)
                return data.bfloat16() if isinstance(data, torch.Tensor) else data

        class Doubling(dcp.DefaultLoadPlanner):
            def __init__(self):
                super().__init__()
                self.scratch = {}

            def resolve_tensor(self, read_item):
                target = super().resolve_tensor(read_item)
                return self.scratch.setdefault(read_item.dest_index, torch.zeros_like(target))

            def commit_tensor(self, read_item, tensor):
                super().resolve_tensor(read_item).copy_(tensor * 2)

        state = {"w": torch.arange(6.0).reshape(2, 3)}
        self.save(state, planner=Halving())
        self.assertEqual(self.store.load("run/step-1")["w"].dtype, torch.bfloat16)
        loaded = self.load({"w": torch.zeros(2, 3)}, planner=Doubling())
        self.assertTrue(torch.equal(loaded["w"], state["w"] * 2))

    def test_that_keep_data(self):
        class Keeping(dcp.DefaultSavePlanner):
            def create_global_plan(self, all_plans):
                plans, metadata = super().create_global_plan(all_plans)
                metadata.planner_data = self.kept
                return plans, metadata

        planner = Keeping()
        planner.kept = {"w": ("x", 3), 5: [None, {"deep": (1.5, "t")}]}
        self.save({"w": torch.ones(2)}, planner=planner)
        read = StorageReader(self.store, checkpoint_id="run/step-1").read_metadata()
        self.assert_same(read.planner_data, planner.kept)
        planner.kept = {"w": object()}
        with self.refused(cairn.UsageError, "planner's data holds a object"):
            self.save({"w": torch.ones(2)}, planner=planner)

    def test_that_do_not_flatten(self):
        state = {"flat": torch.ones(2), "nested": {"w": torch.zeros(2), "n": 1}, "n": 4}
        self.save(state, planner=dcp.DefaultSavePlanner(flatten_state_dict=False))
        wanted = {"flat": torch.zeros(2), "nested": None, "n": 0}
        self.load(wanted, planner=dcp.DefaultLoadPlanner(flatten_state_dict=False,
                                                         flatten_sharded_tensors=False))
        self.assert_same(wanted, state)

    def test_bytes_of_another_kind(self):
        class Spelling(dcp.DefaultSavePlanner):
            def transform_object(self, write_item, object):
                import io

                return object if isinstance(object, torch.Tensor) else io.BytesIO(b"=" + object)

        class Reading(dcp.DefaultLoadPlanner):
            def load_bytes(self, read_item, value):
                self.state_dict[read_item.dest_index.fqn] = value.read()

        self.save({"w": torch.ones(1), "text": b"abc"}, planner=Spelling())
        planner = Reading()
        self.load({"text": b""}, planner=planner)
        self.assertEqual(planner.state_dict["text"], b"=abc")


class Asynchronous(DcpTest):
    def test_in_a_thread(self):
        state = {"w": torch.ones(4), "n": 1}
        saving = dcp.async_save(state, storage_writer=StorageWriter(self.store), checkpoint_id="a")
        state["w"].zero_()
        saving.result()
        self.assert_same(self.store.load("a"), {"w": torch.ones(4), "n": 1})
        with self.assertRaises(CheckpointException):
            dcp.async_save(state, storage_writer=StorageWriter(self.store, overwrite=False),
                           checkpoint_id="a").result()

    @unittest.skipUnless(hasattr(dcp, "staging") and hasattr(dcp.staging, "StagingOptions"),
                         "this PyTorch has no staging options")
    def test_with_a_stager(self):
        stager = dcp.staging.DefaultStager(dcp.staging.StagingOptions(False, True, True, False))
        state = {"w": torch.ones(4)}
        answer = dcp.async_save(state, storage_writer=StorageWriter(self.store), checkpoint_id="a",
                                async_stager=stager)
        answer.staging_completion.result()
        answer.upload_completion.result()
        stager.close()
        self.assert_same(self.store.load("a"), state)


if __name__ == "__main__":
    unittest.main()
