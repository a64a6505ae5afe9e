#!/usr/bin/env python3
"""Tiny series of real training come back exactly, whatever the roles file says; the series are what
they are said to be, and the benchmark over them runs. usage: series_test.py CAIRN"""
import argparse
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import environment
from program import Program, memory_folder

environment.enter("torch", "numpy", "safetensors")
import numpy
import torch

import reductions_facts as facts
import series

PROGRAM = ""
CACHE = environment.ROOT / ".cache/series-tiny"
TAGS = 4


def tiny(folder=CACHE, tags=TAGS):
    return argparse.Namespace(folder=folder, size="tiny", tags=tags, kernel=None, threads=1)


def floats(path, name):
    with facts.opened(path) as tensors:
        return numpy.frombuffer(tensors[name][2], numpy.float32).copy()


class Folder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-series-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)


class Exact(Folder):
    def save(self, tags, roles):
        """Into a fresh store. `roles`: the tag and its number -> what --roles gets."""
        self.cairn = Program(PROGRAM, tempfile.mkdtemp(dir=self.folder))
        self.cairn.run("init", self.cairn.store)
        for number, tag in enumerate(tags):
            self.cairn.run("import", f"run/{tag.step}", tag.file, "--step", str(tag.step),
                           "--roles", roles(tag, number))

    def assert_exact(self, tags):
        back = self.folder / "back.safetensors"
        for tag in tags:
            self.cairn.run("export", f"run/{tag.step}", back, "--force")
            self.assertEqual(facts.digests(back), facts.digests(tag.file), tag.file)
        self.assertTrue(self.cairn.json("check", "--read-data")["ok"])

    def wrong(self, tag, number):
        """Another lie for every tag."""
        roles = json.loads(tag.roles.read_text())
        names = roles["names"]
        if number % 2 == 1 and "master" in names:
            names["exp_avg"], names["exp_avg_sq"] = names["exp_avg_sq"], names["exp_avg"]
        lies = ({"lr": 0.5, "clip": 1e-3}, {"beta1": 0.2, "step": 7}, {"clip": 0, "eps": 1.0},
                {"beta2": 1.0, "lr": -1e300, "step": 2**53, "weight_decay": 1e9})
        path = self.folder / f"wrong-{number}.json"
        path.write_text(json.dumps(roles | lies[number % len(lies)]))
        return path

    def test_right_roles(self):
        for name in ("pretrain-bf16grad", "moe", "weights-2e-6"):
            with self.subTest(name):
                tags = series.make(name, tiny())
                self.save(tags, lambda tag, _: tag.roles)
                self.assert_exact(tags)

    def test_wrong_roles(self):
        for name in ("pretrain-bf16grad", "moe"):
            with self.subTest(name):
                tags = series.make(name, tiny())
                self.save(tags, self.wrong)
                self.assert_exact(tags)

    def test_no_roles_a_part_of_them_and_all_in_turn(self):
        for name in ("pretrain-bf16grad", "moe"):
            kinds = {"none": lambda tag, _: "none", "auto": lambda tag, _: "auto",
                     "without clip": lambda tag, _: tag.roles_without_clip,
                     "in turn": lambda tag, number: (tag.roles, "none", self.wrong(tag, number),
                                                     tag.roles)[number % 4]}
            for kind, roles in kinds.items():
                with self.subTest(f"{name}, {kind}"):
                    tags = series.make(name, tiny())
                    self.save(tags, roles)
                    self.assert_exact(tags)

    def test_the_rest_stays_when_tags_are_forgotten(self):
        tags = series.make("pretrain-bf16grad", tiny())
        self.save(tags, lambda tag, _: tag.roles)
        left = list(tags)
        for tag in (tags[1], tags[0], tags[2]):
            self.cairn.run("forget", f"run/{tag.step}", "--gc", "--yes")
            left.remove(tag)
            self.assert_exact(left)


class Series(Folder):
    def test_the_same_settings_make_the_same_bytes(self):
        first = series.make("pretrain-bf16grad", tiny())[0]
        again = series.make("pretrain-bf16grad", tiny(self.folder, tags=1))[0]
        self.assertEqual(facts.digests(again.file), facts.digests(first.file))
        self.assertEqual(again.roles.read_text(), first.roles.read_text())

    def test_a_series_is_made_once_and_anew_for_other_settings(self):
        wanted = tiny(self.folder, tags=2)
        tags = series.make("random", wanted)
        mark = tags[0].file.stat().st_mtime_ns
        self.assertEqual(series.make("random", tiny(self.folder, tags=1)), tags[:1])
        self.assertEqual(series.make("random", wanted)[0].file.stat().st_mtime_ns, mark)
        wanted.threads = 2
        self.assertNotEqual(series.make("random", wanted)[0].file.stat().st_mtime_ns, mark)

    def test_weights_are_the_masters_rounded(self):
        from safetensors.torch import load_file
        for name in ("pretrain-bf16grad", "moe"):
            state = load_file(series.make(name, tiny())[-1].file)
            masters = {key.removeprefix("master."): value for key, value in state.items()
                       if key.startswith("master.")}
            self.assertGreater(len(masters), 10)
            for key, master in masters.items():
                self.assertTrue(torch.equal(master.bfloat16(), state[key]), key)

    def test_the_roles_tell_the_clip_that_was_applied(self):
        """Divided by it, the gradient that exp_avg gives back is a bf16."""
        before, after = series.make("pretrain-bf16grad", tiny())[-2:]
        roles = json.loads(after.roles.read_text())
        name = "exp_avg.blocks.1.mlp.up.weight"
        old, new = floats(before.file, name), floats(after.file, name)
        gradient = (new - numpy.float32(roles["beta1"]) * old) / numpy.float32(1 - roles["beta1"])

        def share(clip):
            values = torch.from_numpy(gradient / numpy.float32(clip))
            near = (values - values.bfloat16().float()).abs() <= values.abs() * 2**-14
            return near.float().mean().item()
        self.assertGreater(share(roles["clip"]), 0.7)
        self.assertLess(share(roles["clip"] * 1.003), 0.2)
        self.assertNotIn("clip", json.loads(after.roles_without_clip.read_text()))

    def test_experts_starve_and_rows_stay(self):
        before, after = series.make("moe", tiny())[-2:]
        old, new = facts.collect(before.file)["master"], facts.collect(after.file)["master"]
        experts = [name for name in new if ".experts." in name]
        same = [name for name in experts if numpy.array_equal(old[name], new[name])]
        self.assertGreater(len(same), 0)
        self.assertLess(len(same), len(experts))
        changed = (old["master.rows.weight"] != new["master.rows.weight"]).mean()
        self.assertGreater(changed, 0)
        self.assertLess(changed, 0.2)


class Facts(unittest.TestCase):
    def test_ranks_are_in_the_order_of_the_floats(self):
        values = numpy.array([-numpy.inf, -2, -1e-40, -0.0, 0.0, 1e-45, 1, numpy.inf], "f4")
        ranks = facts.ranks(values.view("u4")).astype(object)
        self.assertEqual(list(ranks), sorted(ranks))
        self.assertEqual(ranks[4] - ranks[3], 1)

    def test_zigzag(self):
        steps = numpy.array([0, -1, 1, -2, 2], "i2").view("u2")
        self.assertEqual(facts.zigzag(steps).tolist(), [0, 1, 2, 3, 4])

    def test_entropy(self):
        self.assertEqual(facts.entropy(numpy.zeros(64, "u4")), 0)
        self.assertAlmostEqual(facts.entropy(numpy.arange(256, dtype="u2")), 1)


class Benchmark(Folder):
    def test_it_runs(self):
        series.make("weights-2e-6", tiny())
        figures = self.folder / "figures.json"
        program = Path(__file__).with_name("reductions_bench.py")
        done = subprocess.run([sys.executable, program, PROGRAM, "weights-2e-6", "--tiny", "--tags",
                               str(TAGS), "--no-peers", "--folder", self.folder, "--series", CACHE,
                               "--json", figures], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("| weights-2e-6, roles: file |", done.stdout)
        case = json.loads(figures.read_text())[0]["cases"][0]
        self.assertTrue(case["exact"])
        self.assertEqual(len(case["tags"]), TAGS)


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
