#!/usr/bin/env python3
"""forget, pin and unpin on a store of small tags. usage: retention_test.py CAIRN"""
import json
import os
import pty
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import (Program, memory_folder, noise, read_safetensors,
                     write_safetensors)

PROGRAM = ""


class Retention(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-forget-")
        self.addCleanup(self.temporary.cleanup)
        folder = Path(self.temporary.name)
        self.cairn = Program(PROGRAM, folder / "store")
        self.cairn.run("init", self.cairn.store)
        losses = [3, 1, 2, 5, 4]
        for step in range(1, 6):
            file = write_safetensors(folder / "m.safetensors", {"w": noise(5000, step)})
            self.cairn.run("import", f"run/{step}", file, "--step", str(step * 10),
                           "--meta", f"loss={losses[step - 1]}")
        self.cairn.run("tag", "other", "run/1")

    def names(self):
        return self.cairn.run("ls", "-q").stdout.split()

    def forget(self, *words, **options):
        return self.cairn.json("forget", *words, "--yes", **options)

    def removed(self, *words):
        return [row["tag"] for row in self.forget(*words)["removed"]]

    def test_by_name(self):
        done = self.forget("run/1", "run/3", "run/1")
        self.assertEqual([row["tag"] for row in done["removed"]], ["run/3", "run/1"])
        self.assertEqual([row["tag"] for row in done["kept"]], ["other", "run/5", "run/4", "run/2"])
        self.assertEqual(done["dry_run"], False)
        self.assertEqual(self.names(), ["other", "run/5", "run/4", "run/2"])
        self.assertEqual(self.cairn.run("forget", "run/2", "-q", "--yes").stdout, "run/2\n")

    def test_drop_thins_old_tags(self):
        folder = Path(self.temporary.name)
        tensors = {"w": noise(5000, 7), "adam.m": noise(9000, 8), "adam.v": noise(9000, 9)}
        for step in range(6, 9):
            tensors["w"] = noise(5000, step + 20)
            file = write_safetensors(folder / "m.safetensors", tensors, {"by": "me"})
            self.cairn.run("import", f"run/{step}", file, "--attach", f"note={file}")
        words = ["forget", "--keep-last", "1", "--drop", "adam.*"]
        plan = self.cairn.json(*words, "--dry-run")
        self.assertEqual(plan["removed"], [])
        self.assertEqual(plan["thinned"], [
            {"tag": f"run/{step}", "dropped_tensors": 2, "dropped_bytes": 18000}
            for step in (7, 6)])
        self.assertNotIn("gc", plan)
        plan_with_gc = self.cairn.json(*words, "--dry-run", "--gc")
        self.assertIsNone(plan_with_gc.pop("gc"))
        self.assertEqual(plan_with_gc, plan)
        self.assertIn("not known", self.cairn.run(*words, "--dry-run", "--gc").stderr)
        self.assertEqual(len(self.cairn.json("show", "run/6")["tensors"]), 3)
        self.cairn.run(*words, expect=2)  # nobody to ask
        done = self.cairn.json(*words, "--gc", "--yes")
        self.assertEqual(done["thinned"], plan["thinned"])
        shown = self.cairn.json("show", "run/6")
        self.assertEqual([row["name"] for row in shown["tensors"]], ["w"])
        self.assertEqual((shown["dropped_tensors"], shown["logical_bytes"]), (2, 5000))
        self.assertEqual(shown["attachments"][0]["name"], "note")
        self.assertIn("2 tensors of the save left out", self.cairn.run("show", "run/6").stdout)
        self.assertEqual(len(self.cairn.json("show", "run/8")["tensors"]), 3)
        out = folder / "out.safetensors"
        self.cairn.run("export", "run/6", out)
        self.assertEqual(read_safetensors(out)[0]["w"][2], noise(5000, 26))
        self.cairn.run("check", "--read-data")
        self.assertEqual(self.cairn.json(*words, "--yes")["thinned"], [], "once is enough")
        self.assertEqual(self.names()[:3], ["run/8", "run/7", "run/6"])

    def test_drop_refuses(self):
        self.cairn.run("pin", "run/2")
        for words, status in ((["run/5", "--drop", "x"], 18), (["run/2", "--drop", "x"], 18),
                              (["run/1", "--drop", "w"], 2),
                              (["run/5", "--drop", "w", "--allow-newest"], 2)):
            self.cairn.run("forget", *words, "--yes", expect=status)
        error = self.cairn.error("forget", "run/1", "--drop", "nothing", "--yes", expect=15)
        self.assertIn("'nothing'", error["message"])
        self.assertEqual(self.cairn.run("forget", "run/1", "--drop", "nothing", "--dry-run",
                                        expect=15).stdout, "")
        self.assertEqual(len(self.names()), 6)

    def test_nothing_goes_when_one_is_protected_or_unknown(self):
        before = self.names()
        self.cairn.run("pin", "run/2")
        for words, status, said in ((["run/1", "run/5"], 18, "newest of its group"),
                                    (["run/1", "run/2"], 18, "pinned"),
                                    (["other"], 18, "newest"),
                                    (["run/1", "run/6"], 15, "run/6")):
            refused = self.cairn.run("forget", *words, "--yes", expect=status)
            self.assertIn(said, refused.stderr)
            self.assertEqual(self.names(), before)
        self.forget("run/1", "--group-by", "none")
        self.forget("run/@newest", "run/2", "--allow-newest", "--allow-pinned")
        self.assertEqual(self.names(), ["other", "run/4", "run/3"])

    def test_policies(self):
        self.assertEqual(self.removed("--keep-last", "2", "--dry-run"), ["run/3", "run/2", "run/1"])
        self.assertEqual(self.removed("--keep-every-steps", "20", "--dry-run"),
                         ["run/3", "run/1"])
        self.assertEqual(self.removed("--keep-best", "loss:min:2", "--dry-run"),
                         ["run/4", "run/1"])
        self.assertEqual(self.removed("--keep-within", "1d", "--dry-run"), [])
        self.assertEqual(self.removed("--keep-monthly", "1", "--dry-run"),
                         ["run/4", "run/3", "run/2", "run/1"])
        self.assertEqual(self.removed("--keep-tag", "run/[12]", "--dry-run"), ["run/4", "run/3"])
        self.assertEqual(self.removed("--keep-last", "1", "--group-by", "none", "--dry-run"),
                         ["run/5", "run/4", "run/3", "run/2", "run/1"])
        self.assertEqual(len(self.names()), 6, "only looked at")
        self.cairn.run("pin", "run/1")
        kept = {row["tag"]: row["reasons"] for row in self.forget("--keep-last", "1")["kept"]}
        self.assertEqual(sorted(kept), ["other", "run/1", "run/5"])
        self.assertEqual(kept["run/1"], ["pinned"])
        self.assertEqual(self.names(), ["other", "run/5", "run/1"])
        self.assertEqual(self.removed("--keep-last", "1"), [], "nothing more to do")

    def test_rules_that_match_nothing_are_refused(self):
        for rule, said in ((["--keep-best", "los:min:2"], "'los'"),
                           (["--keep-tag", "zzz*"], "'zzz*'")):
            words = ["forget", "--keep-last", "1", *rule, "--yes"]
            self.assertIn(said, self.cairn.error(*words, expect=15)["message"])
        self.assertEqual(len(self.names()), 6)
        self.assertIn("cairn ls -q 'run/*'",
                      self.cairn.error("forget", "run/*", "--yes", expect=15)["hint"])

    def test_only_what_was_named_is_shown(self):
        shown = self.cairn.run("forget", "run/1", "--dry-run").stdout.splitlines()
        self.assertEqual(len(shown), 3, shown)
        self.assertEqual(shown[1].split(), ["run/1", "forget", "named"])

    def test_nobody_to_ask(self):
        message = self.cairn.error("forget", "run/1", expect=2)["message"]
        self.assertIn("whether to forget 1 of 6 tags", message)
        self.assertNotIn("?", message)

    def test_many_pins(self):
        done = self.cairn.json("pin", "run/1", "run/@newest")
        self.assertEqual((done["tags"], done["pinned"]), (["run/1", "run/5"], True))
        self.cairn.run("unpin", "run/1", "nothing", expect=15)
        self.assertEqual([row["tag"] for row in self.cairn.json("ls")["tags"] if row["pinned"]],
                         ["run/5", "run/1"])
        self.assertEqual(self.cairn.run("unpin", "run/1", "run/5", "-q").stdout, "run/1\nrun/5\n")

    def test_pins(self):
        self.assertEqual(self.cairn.json("pin", "run/@newest"),
                         {"tag": "run/5", "pinned": True, "tags": ["run/5"]})
        self.cairn.run("pin", "run/5")
        self.assertTrue(self.cairn.json("ls", "run/5")["tags"][0]["pinned"])
        self.assertEqual(self.cairn.json("unpin", "run/5")["pinned"], False)
        self.assertFalse(self.cairn.json("show", "run/5")["pinned"])
        self.cairn.run("pin", "run/6", expect=15)

    def test_saves_that_pin(self):
        file = write_safetensors(Path(self.temporary.name) / "p.safetensors", {"w": noise(5000, 9)})
        self.cairn.run("import", "run/6", file, "--pin")
        self.cairn.run("import", "run/7", file)
        self.cairn.run("import", "run/7", file, "--pin", "--if-exists", "same")
        self.cairn.run("import", "run/6", file, "--if-exists", "replace")
        self.assertEqual([row["tag"] for row in self.cairn.json("ls")["tags"] if row["pinned"]],
                         ["run/6", "run/7"])
        self.cairn.run("forget", "run/6", "--yes", expect=18)
        self.cairn.run("import", "run/8", file, "--weights-every", "9999999", expect=2)

    def test_usage(self):
        for words in ([], ["--keep-last", "0"], ["run/1", "--keep-last", "1"],
                      ["--keep-best", "loss:2"], ["--keep-best", "loss:best:2"],
                      ["--keep-best", "min:2"], ["--keep-last", "-1"], ["--keep-within", "x"],
                      ["--group-by", "run"], ["--keep-last", "1", "--allow-newest"]):
            with self.subTest(words):
                self.cairn.run("forget", *words, "--yes", expect=2)
        refused = self.cairn.run("forget", "run/1", expect=2)
        self.assertIn("--yes", refused.stderr)
        self.assertEqual(len(self.names()), 6)

    def test_a_damaged_manifest_does_not_keep_its_tag(self):
        for file in sorted((self.cairn.store / "meta").rglob("*")):
            if file.is_file():
                file.write_bytes(bytes(file.stat().st_size))
        self.cairn.run("forget", "--keep-best", "loss:min:1", "--yes", expect=12)
        self.forget("run/1", "run/2")
        self.assertEqual(self.names(), ["other", "run/5", "run/4", "run/3"])

    def ask(self, answer):
        """Runs `forget run/1` on a terminal. Returns what it said and its exit status."""
        child, terminal = pty.fork()
        if child == 0:
            os.execve(self.cairn.path, ["cairn", "-s", str(self.cairn.store), "forget", "run/1"],
                      self.cairn.environment)
        os.write(terminal, answer)
        said = b""
        while True:
            try:
                part = os.read(terminal, 1000)
            except OSError:
                break
            if not part:
                break
            said += part
        return said.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def test_a_terminal_is_asked(self):
        said, status = self.ask(b"n\n")
        self.assertIn("Forget 1 of 6 tags", said)
        self.assertIn("nothing was done", said)
        self.assertEqual(status, 130)
        self.assertEqual(len(self.names()), 6)
        said, status = self.ask(b"y\n")
        self.assertEqual(status, 0, said)
        self.assertEqual(len(self.names()), 5)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
