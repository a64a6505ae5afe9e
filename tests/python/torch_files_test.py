#!/usr/bin/env python3
"""Files of torch.save, and folders with one for each rank, become tags and come back."""
import os
import pickle
import random
import subprocess
import sys
import unittest
import warnings
import zipfile
from collections import Counter, OrderedDict

import package

if __name__ == "__main__":
    package.enter("torch", "numpy", "safetensors")

import torch
from formats import FormatTest, a_state, bits_of, blank, of_all_dtypes
from safetensors.torch import save_file
from torch.distributed import checkpoint as dcp

import cairn
from cairn import format_utils

warnings.filterwarnings("ignore")


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

    def test_dicts_that_are_made_of_something(self):
        state = {"milestones": Counter({3: 2, 7: 1}), "w": torch.ones(2),
                 "old": MadeOfPairs([("a", torch.ones(1)), ("b", 2)])}
        path = self.torch_file(state)
        format_utils.torch_to_cairn(path, self.tag)
        loaded = self.store.load("run/step-1")
        self.assertEqual(loaded["milestones"], {3: 2, 7: 1})
        self.assertEqual((list(loaded["old"]), loaded["old"]["b"]), (["a", "b"], 2))
        format_utils.cairn_to_torch(self.tag, self.folder / "out.pt")
        back = torch.load(self.folder / "out.pt", weights_only=True)
        self.assertEqual((back["milestones"], back["old"]["a"].item()), (Counter({3: 2, 7: 1}), 1))

    def test_tensors_among_attributes(self):
        hidden = OrderedDict(a=torch.zeros(2))
        hidden.extra = torch.full((2,), 7.0)
        parameter = torch.nn.Parameter(torch.ones(2))
        parameter.extra = torch.full((2,), 7.0)
        for value in (hidden, parameter):
            self.refused(cairn.UsageError, self.torch_file({"x": value}), "in.pt", "attribute")

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

    def test_what_stays_behind_is_said(self):
        self.store.save("run/step-1", {"w": torch.ones(2), "v": torch.ones(1), "epoch": 3})
        for form, words in (("torch", ["--tensors", "w"]), ("torch", ["--rename", "w=x"]),
                            ("dcp", ["--tensors", "w"])):
            done = self.cairn("export", "run/step-1", self.folder / f"{form}{words[0]}", "--format", form, *words)
            self.assertIn("only tensors", done.stderr)
        done = self.cairn("export", "run/step-1", self.folder / "whole.pt")
        self.assertEqual(done.stderr, "")

    def test_more_files_than_may_be_open(self):
        paths = [str(self.torch_file({f"w{i}": torch.ones(1)}, f"{i}.pt")) for i in range(80)]
        self.cairn("import", "run/many", *paths, limits=(64, 256))
        self.assertEqual(len(self.store.load("run/many")), 80)

    def test_many_files_are_one_tag(self):
        paths = [self.torch_file({f"part{i}": torch.randn(3), f"n{i}": i}, f"{i}.pt") for i in range(3)]
        self.store_program("import", "run/all", *map(str, paths))
        self.assertEqual(set(self.store.load("run/all")), {"part0", "part1", "part2", "n0", "n1", "n2"})
        with self.assertRaisesRegex(cairn.UsageError, "n0"):
            self.store_program("import", "run/twice", str(paths[0]),
                               str(self.torch_file({"n0": 1, "w": torch.ones(1)}, "x.pt")))

    def test_names_that_meet_in_two_files(self):
        one = self.torch_file({"k.v": 1, "t": torch.ones(1)}, "1.pt")
        other = self.torch_file({"k": {"v": 2}, "u": torch.ones(1)}, "2.pt")
        with self.assertRaisesRegex(cairn.UsageError, "'k.v'"):
            self.store_program("import", "run/meet", str(one), str(other))

    def test_names_of_cairns_own(self):
        """A folder from elsewhere says nothing of a state."""
        folder = self.folder / "model"
        folder.mkdir()
        save_file({"w": torch.ones(2)}, folder / "model.safetensors")
        (folder / "cairn_structure.json").write_text('{"dict":[["gone","value"]]}')
        (folder / "cairn_torch.pickle").write_bytes(pickle.dumps({"w": 1}))
        (folder / "notes.txt").write_text("x")
        self.store_program("import", "run/model", str(folder))
        self.assertEqual(list(self.store.load("run/model")), ["w"])
        self.assertEqual([each["name"] for each in self.store.show("run/model")["attachments"]], ["notes.txt"])

    def test_a_training_as_a_model_folder(self):
        self.store.save("run/step-1", a_state())
        done = self.cairn("export", "run/step-1", self.folder / "hf")
        self.assertIn("only tensors", done.stderr)
        self.assertEqual([path.name for path in (self.folder / "hf").iterdir()], ["model.safetensors"])

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


class MadeOfPairs:
    """Pickled as Python 2 pickled an OrderedDict."""

    def __init__(self, pairs):
        self.pairs = pairs

    def __reduce__(self):
        return OrderedDict, ([list(pair) for pair in self.pairs],)


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
        self.refused(cairn.UsageError, self.torch_file({(1, 2): torch.ones(1)}), "neither text nor")

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
        for empty in ([], (), {}):
            for _ in range(50):
                empty = type(empty)([empty, empty]) if type(empty) is not dict else {"a": empty, "b": empty}
            self.refused(cairn.UsageError, self.torch_file([empty, torch.ones(1)]), "too many")
        long = "n" * 60000
        self.refused(cairn.UsageError, self.torch_file({long: [None] * 6000, "w": torch.ones(1)}), "too many")


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
        return self.store_program("import", tag, str(self.folder / "ranks"), layout=self.layout(layout))

    def layout(self, text):
        file = self.folder / "layout.json"
        file.write_text(text)
        return file

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

    def test_values_replicas_and_other_files(self):
        folder = self.folder / "ranks/model"
        folder.mkdir(parents=True)
        state = {"w": torch.arange(6.0), "step": 3, "seen": {1, 2}, "raw": bytearray(b"x")}
        for dp in range(3):
            torch.save(state, folder / f"dp_rank_{dp:02}_tp_rank_00_pp_rank_00.pt")
        (folder / "optim.pt").write_bytes(b"")
        done = self.cairn("import", "run/values", folder.parent, "--layout", self.layout('{"format": "nxd"}'))
        self.assertIn("optim.pt", done.stderr)
        self.assert_same(state, self.store.load("run/values", allow_pickle=True))
        format_utils.cairn_to_torch(f"{self.store.path}#run/values", self.folder / "back.pt")
        self.assert_same(state, torch.load(self.folder / "back.pt"))
        torch.save(state | {"w": torch.zeros(6)}, folder / "dp_rank_02_tp_rank_00_pp_rank_00.pt")
        with self.assertRaisesRegex(cairn.UsageError, "'w' is one thing"):
            self.import_ranks('{"format": "nxd"}')

    def test_a_tie_of_one_rank_is_a_tensor_of_another(self):
        weight = torch.full((3,), 5.0)
        for stage, state in enumerate(({"embed": weight, "head": weight}, {"head": torch.full((3,), 9.0)})):
            path = self.folder / "ranks" / f"pp{stage}.pt"
            path.parent.mkdir(exist_ok=True)
            torch.save(state, path)
        with self.assertRaisesRegex(cairn.UsageError, "'head' is one thing"):
            self.import_ranks('{"files": "pp{pp}.pt"}')
        torch.save({"head": weight}, path)
        self.import_ranks('{"files": "pp{pp}.pt"}')
        self.assertEqual(self.store.load("run/ranks")["head"].tolist(), [5, 5, 5])

    def test_how_many_ranks_there_were(self):
        self.write_ranks(self.PATTERNS["nxd"], [{"w": torch.ones(4)}], {"tp": 2}, {"w": (0, 1)})
        layout = '{"format": "nxd", "ranks": {"tp": 3, "pp": 1, "dp": 1}, "cuts": [{"match": "w", "dim": 0}]}'
        with self.assertRaisesRegex(cairn.NotFoundError, "tp rank 2"):
            self.import_ranks(layout)
        self.import_ranks(layout.replace("3", "2"))
        self.assertEqual(self.store.load("run/ranks")["w"].shape, (4,))
        with self.assertRaisesRegex(cairn.UsageError, "is a file"):
            path = next((self.folder / "ranks").rglob("*.pt"))
            self.store_program("import", "run/file", str(path), layout=self.layout(layout))

    def test_what_does_not_fit(self):
        whole = [{"l.up.weight": torch.randn(16, 3), "l.norm": torch.randn(3)}]
        self.write_ranks(self.PATTERNS["nxd"], whole, {"tp": 4}, {"l.up.weight": (0, 2)})
        for kind, layout, word in (
                (cairn.UsageError, '{"format": "other"}', "format"),
                (cairn.UsageError, '{"format": "nxd", "cutz": []}', "cutz"),
                (cairn.UsageError, '{"format": "nxd", "cuts": [{"match": "*.up.*", "dim": 5}]}', "axis 5"),
                (cairn.UsageError, '{"format": "nxd"}', "l.up.weight"),
                (cairn.UsageError, '{"format": "smp"}', "called like"),
                (cairn.UsageError, '{"files": "{xx}.pt"}', "braces"),
                (cairn.UsageError, "nonsense", "layout.json.*JSON")):
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
