#!/usr/bin/env python3
"""push and pull from outside, between folders. usage: transfer_commands_test.py CAIRN"""
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from chain_store import series
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

PROGRAM = ""


class Transfer(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-pull-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)
        self.here = Program(PROGRAM, self.folder / "here")
        self.there = Program(PROGRAM, self.folder / "there")
        self.there.run("init", self.there.store, "--chunk-elements", "1024")

    def save(self, tag, tensors):
        path = write_safetensors(self.folder / "in.safetensors", tensors)
        return self.there.json("import", tag, path)

    def held(self, program, tag):
        out = self.folder / "out.safetensors"
        program.run("export", tag, out, "--force")
        return read_safetensors(out)

    def expect_alike(self, *tags):
        for tag in tags:
            self.assertEqual(self.held(self.here, tag), self.held(self.there, tag), tag)
        self.here.run("check", "--read-data")

    def test_a_first_pull_makes_the_store(self):
        saved = self.save("run/1", {"w": noise(102400, 1)})
        said = self.here.run("pull", self.there.store, "run/1")
        self.assertIn("made an empty store", said.stderr)
        self.assertIn("pulled 'run/1'", said.stdout)
        self.expect_alike("run/1")
        shown = self.here.json("show", "run/1")
        self.assertEqual(shown["manifest"], saved["manifest"])
        self.assertEqual(shown["new_bytes"], saved["new_bytes"])

    def test_the_next_moves_what_is_new(self):
        steps = list(series(4))
        for number, tensors in enumerate(steps):
            saved = self.save(f"run/{number}", tensors)
            moved = self.here.json("pull", f"file://{self.there.store}", "run/@newest")
            self.assertEqual(moved["tag"], f"run/{number}")
            self.assertLessEqual(moved["moved_bytes"], 1.05 * saved["stored_bytes"])
            for name in ("tensors", "logical_bytes", "new_bytes", "chunks", "new_chunks"):
                self.assertEqual(moved[name], saved[name], name)
        self.expect_alike(*(f"run/{number}" for number in range(4)))

    def test_all_oldest_first(self):
        for number, tensors in enumerate(series(3)):
            self.save(f"run/{2 - number}", tensors)
        told = self.here.json("pull", self.there.store, "--all")
        self.assertEqual([each["tag"] for each in told["tags"]], ["run/2", "run/1", "run/0"])
        self.assertEqual(told["tags"][1]["base"], "run/2")
        self.expect_alike("run/0", "run/1", "run/2")
        again = self.here.json("pull", self.there.store, "--all")
        self.assertTrue(all(each["already_there"] for each in again["tags"]))
        self.assertEqual(self.here.run("pull", self.there.store, "--all", "-q").stdout,
                         "run/2\nrun/1\nrun/0\n")

    def test_a_push_is_a_pull_the_other_way(self):
        for number, tensors in enumerate(series(3)):
            self.save(f"run/{number}", tensors)
        said = self.there.run("push", self.here.store, "run/1", "run/2")
        self.assertIn("pushed 'run/2'", said.stdout)
        self.assertIn("beside 'run/1'", said.stdout)
        self.expect_alike("run/1", "run/2")

    def test_a_dry_run_moves_nothing(self):
        self.save("run/1", {"w": noise(102400, 1)})
        self.here.run("init", self.here.store, "--chunk-elements", "1024")
        told = self.here.json("pull", self.there.store, "run/1", "--dry-run")
        self.assertTrue(told["dry_run"])
        self.assertGreater(told["moved_bytes"], 100000)
        self.assertEqual(self.here.json("ls")["tags"], [])
        self.assertEqual(self.here.json("pull", self.there.store, "run/1")["moved_bytes"],
                         told["moved_bytes"])

    def test_a_dry_run_makes_no_store(self):
        self.save("run/1", {"w": noise(102400, 1)})
        before = sorted(self.folder.rglob("*"))
        told = self.here.json("pull", self.there.store, "run/1", "--dry-run")
        self.assertEqual(sorted(self.folder.rglob("*")), before)
        said = self.there.run("push", self.here.store, "run/1", "--dry-run")
        self.assertEqual((said.stderr, sorted(self.folder.rglob("*"))), ("", before))
        self.here.store.mkdir()
        (self.here.store / "mine").write_text("x")
        self.here.run("pull", self.there.store, "run/1", "--dry-run", expect=10)
        (self.here.store / "mine").unlink()
        self.assertEqual(self.here.json("pull", self.there.store, "run/1")["moved_bytes"],
                         told["moved_bytes"])

    def test_a_dry_run_changes_no_store(self):
        for seed in (1, 2):
            self.save(f"run/{seed}", {"w": noise(102400, seed)})
            if seed == 1:
                self.here.run("pull", self.there.store, "run/1")
        held = {path: path.stat().st_mtime_ns for path in self.folder.rglob("*")}
        self.here.run("pull", self.there.store, "run/2", "--dry-run")
        self.assertEqual({path: path.stat().st_mtime_ns for path in self.folder.rglob("*")}, held)

    def test_a_push_that_rebases(self):
        for number, tensors in enumerate(series(3)):
            self.save(f"run/{number}", tensors)
        self.there.run("push", self.here.store, "run/0")
        plain = self.there.json("push", self.here.store, "run/1")
        moved = self.there.json("push", self.here.store, "run/2", "--rebase")
        self.assertEqual(plain["alone_chunks"], 0)
        self.assertGreater(moved["alone_chunks"], 0)
        self.assertGreater(moved["moved_bytes"], plain["moved_bytes"])
        self.expect_alike("run/0", "run/1", "run/2")
        self.here.run("forget", "run/0", "run/1", "--yes")
        self.here.run("gc", "--yes")
        self.assertEqual(self.here.json("show", "run/2")["restore_cost"], 1)
        self.expect_alike("run/2")

    def test_a_pull_that_rebases(self):
        steps = list(series(3))
        for number, tensors in enumerate(steps):
            self.save(f"run/{number}", tensors)
        part = ("run/2", "--tensors", "dense", "--rebase", "--as", "dense/2")
        moved = self.here.json("pull", self.there.store, *part)
        self.assertGreater(moved["alone_chunks"], 0)
        self.assertEqual(self.here.json("show", "dense/2")["restore_cost"], 1)
        self.assertEqual(self.held(self.here, "dense/2")[0], {"dense": steps[2]["dense"]})
        self.here.run("check", "--read-data")
        self.here.run("pull", self.there.store, *part[:4], "--share", "1/2", "--as", "x", expect=2)

    def test_a_part_of_a_tag(self):
        steps = list(series(3))
        for number, tensors in enumerate(steps):
            self.save(f"run/{number}", tensors)
        part = ("run/2", "--tensors", "dense", "--as", "dense/2")
        told = self.here.json("pull", self.there.store, *part, "--dry-run")
        moved = self.here.json("pull", self.there.store, *part)
        self.assertEqual((moved["tag"], moved["tensors"]), ("dense/2", 1))
        self.assertEqual(moved["moved_bytes"], told["moved_bytes"])
        self.assertEqual(self.held(self.here, "dense/2")[0], {"dense": steps[2]["dense"]})
        shown = self.here.run("show", "dense/2").stdout
        self.assertRegex(shown, r"part +\d+ tensors of the save left out")
        self.assertNotIn("forget", shown)
        self.here.run("check", "--read-data")
        self.assertTrue(self.here.json("pull", self.there.store, *part)["already_there"])
        self.there.run("push", self.here.store, "run/2", "--tensors", "own", "--tensors", "r*",
                       "--as", "rest/2")
        self.assertEqual(sorted(self.held(self.here, "rest/2")[0]), ["own", "rows"])
        for words in (("run/2", "--tensors", "dense"), ("run/2", "--as", "x"),
                      ("run/1", *part), ("--all", *part[1:])):
            failed = self.here.run("pull", self.there.store, *words, expect=2)
            self.assertIn("--tensors GLOB --as NEWTAG", failed.stderr)
        failed = self.here.run("pull", self.there.store, "run/2", "--tensors", "bias*", "--as", "x",
                               expect=15)
        self.assertIn("bias*", failed.stderr)

    def test_a_part_of_nothing_makes_no_store(self):
        self.save("run/1", {"w": noise(1024, 1)})
        part = ("run/1", "--tensors", "bias*", "--as", "x")
        self.assertIn("bias*", self.here.run("pull", self.there.store, *part, expect=15).stderr)
        self.there.run("push", self.here.store, *part, expect=15)
        self.here.run("pull", self.there.store, *part[:2], "w", "--as", "a//b", expect=2)
        self.assertFalse(self.here.store.exists())

    def test_a_url_that_was_forgotten(self):
        self.assertIn("'cairn pull URL run/1'", self.here.run("pull", "run/1", expect=10).stderr)

    def test_a_share_for_a_bucket_is_refused_before_anybody_asks_it(self):
        said = self.here.run("-s", "s3://no-such-bucket/x", "pull", self.there.store, "run/1", "--share", "1/2", expect=2)
        self.assertIn("'s3://no-such-bucket/x' is no folder", said.stderr)

    def test_shares_are_disjoint_and_together_all(self):
        saved = self.save("run/1", {f"w{number}": os.urandom(20 << 20) for number in range(3)})
        self.here.run("init", self.here.store, "--chunk-elements", "1024")
        shares = []
        for number in (1, 2, 3):
            fetcher = Program(PROGRAM, self.folder / f"fetcher-{number}")
            shares.append(fetcher.json("pull", self.there.store, "run/1", "--share", f"{number}/3"))
            self.assertEqual(fetcher.run("ls", "-q").stdout, "")
            for path in shares[-1]["left"]:
                target = self.here.store / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((fetcher.store / path).read_bytes())
        received = sum(share["received_bytes"] for share in shares)
        self.assertLess(received, 1.01 * saved["stored_bytes"])
        self.assertGreaterEqual(received, 60 << 20)
        moved = self.here.json("pull", self.there.store, "run/1")
        self.assertEqual((moved["received_bytes"], moved["left"]), (0, []))
        self.expect_alike("run/1")
        for wrong in ("0/3", "4/3", "2", "a/b"):
            self.here.run("pull", self.there.store, "run/1", "--share", wrong, expect=2)

    def test_chunks_of_other_runs_are_found(self):
        for tag, seed in (("a/1", 1), ("b/1", 2), ("c/1", 3)):
            self.save(tag, {"w": noise(102400, seed)})
            self.here.run("pull", self.there.store, tag)
        self.save("d/1", {"x": noise(102400, 1), "y": noise(102400, 2)})
        moved = self.here.json("pull", self.there.store, "d/1")
        self.assertEqual(moved["moved_bytes"], 0)
        self.assertEqual(moved["new_bytes"], 0)
        self.here.run("forget", "a/1", "b/1", "c/1", "--yes", "--allow-newest")
        self.here.run("gc", "--yes")
        self.expect_alike("d/1")

    def test_names_that_are_not_there(self):
        self.save("run/1", {"w": noise(1024, 1)})
        failed = self.here.run("pull", self.there.store, "run/2", expect=15)
        self.assertIn("did you mean 'run/1'", failed.stderr)
        self.here.run("pull", self.folder / "nowhere", "run/1", expect=10)
        self.here.run("pull", self.there.store, expect=2)
        self.here.run("pull", self.there.store, "run/1", "--all", expect=2)
        self.here.run("pull", "gopher://x/y", "run/1", expect=2)
        self.here.run("pull", self.there.store, "run/1", "--connections", "0", expect=2)

    def test_a_name_that_is_taken(self):
        self.save("run/1", {"w": noise(102400, 1)})
        self.here.run("pull", self.there.store, "run/1")
        self.there.run("forget", "run/1", "--yes", "--allow-newest")
        self.save("run/1", {"w": noise(102400, 2)})
        failed = self.here.run("pull", self.there.store, "run/1", "--json", expect=16)
        self.assertEqual(json.loads(failed.stderr)["error"]["code"], "exists")
        self.here.run("pull", self.there.store, "run/1", "--if-exists", "replace")
        self.expect_alike("run/1")

    def test_stores_of_different_rules(self):
        self.save("run/1", {"w": noise(102400, 1)})
        self.here.run("init", self.here.store)
        failed = self.here.run("pull", self.there.store, "run/1", expect=2)
        self.assertIn("--chunk-elements 1024", failed.stderr)

    def test_after_some_of_several(self):
        self.save("run/1", {"w": noise(102400, 1)})
        self.save("run/2", {"w": noise(102400, 2)})
        self.here.run("pull", self.there.store, "run/1")
        self.there.run("forget", "run/1", "--yes")
        self.there.run("gc", "--yes")
        for pack in (self.there.store / "packs").rglob("*-*"):
            pack.unlink()
        failed = self.here.run("pull", self.there.store, "run/2", expect=12)
        self.assertIn("packs/", failed.stderr)
        self.assertEqual(self.here.run("ls", "-q").stdout, "run/1\n")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
