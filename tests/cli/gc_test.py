#!/usr/bin/env python3
"""gc and forget --gc from outside. usage: gc_test.py CAIRN"""
import fcntl
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from chain_store import series
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

PROGRAM = ""


class Gc(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-gc-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)
        self.cairn = Program(PROGRAM, self.folder / "store")
        self.cairn.run("init", self.cairn.store, "--chunk-elements", "1024")

    def save(self, tag, *seeds):
        """Of each seed 128 chunks when there are two; equal seeds at equal places are equal chunks."""
        data = {"w": b"".join(noise(102400, seed) for seed in seeds)}
        path = write_safetensors(self.folder / "in.safetensors", data)
        self.cairn.run("import", tag, path)

    def bytes_on_disk(self):
        return sum(path.stat().st_size for name in ("packs", "meta")
                   for path in (self.cairn.store / name).rglob("*") if path.is_file())

    def held(self, tag):
        out = self.folder / "out.safetensors"
        self.cairn.run("export", tag, out, "--force")
        return read_safetensors(out)

    def test_a_dry_run_tells_what_a_rebase_would_free(self):
        said = self.cairn.run("gc", "--rebase", "--dry-run").stdout
        self.assertIn("'--rebase' would free nothing more", said)
        for step, tensors in enumerate(series(12)):
            path = write_safetensors(self.folder / "in.safetensors", tensors)
            self.cairn.run("import", f"t/{step}", path, "--restore-budget", "1000")
        self.cairn.run("forget", *(f"t/{step}" for step in range(11)), "--yes")
        self.cairn.run("gc", "--yes")
        self.assertIn("come back with '--rebase'", self.cairn.run("gc", "--dry-run").stdout)
        said = self.cairn.run("gc", "--rebase", "--dry-run").stdout
        self.assertRegex(said, r"an estimate: '--rebase' would free about .* more")
        self.assertNotIn("come back", said)
        plan = self.cairn.json("gc", "--rebase", "--dry-run")
        self.assertEqual(plan["freed_bytes"], 0)
        told = plan["rebase"]["frees_bytes"] - plan["rebase"]["writes_bytes"]
        freed = self.cairn.json("gc", "--rebase", "--yes")["freed_bytes"]
        self.assertLess(abs(told - freed), freed / 5)

    def test_the_space_of_forgotten_tags_comes_back(self):
        self.save("run/1", 1, 2)
        self.save("run/2", 1, 3)
        held, before = self.held("run/2"), self.bytes_on_disk()
        self.assertIn("cairn gc", self.cairn.run("forget", "run/1", "--yes").stderr)
        plan = self.cairn.json("gc", "--dry-run")
        self.assertTrue(plan.pop("dry_run"))
        done = self.cairn.json("gc", "--yes")
        self.assertFalse(done.pop("dry_run"))
        self.assertEqual(plan, done)
        self.assertEqual(done["packs_rewritten"], 1)
        self.assertEqual(done["chunks_removed"], 128)
        self.assertEqual(done["freed_bytes"], before - self.bytes_on_disk())
        self.assertEqual(self.held("run/2"), held)
        self.assertEqual(self.cairn.json("stats")["dead_bytes"], 0)
        self.assertEqual(self.cairn.json("gc", "--yes")["freed_bytes"], 0)
        self.cairn.run("check", "--read-data")
        # What is saved next finds the moved chunks, as base and by look-up.
        self.save("run/3", 1, 3)
        self.assertEqual(self.cairn.json("show", "run/3")["new_bytes"], 0)

    def test_forget_with_gc(self):
        for number in range(4):
            self.save(f"run/{number}", number + 1)
        plan = self.cairn.json("forget", "--keep-last", "1", "--gc", "--dry-run")
        self.assertEqual(len(plan["removed"]), 3)
        self.assertGreater(plan["gc"]["freed_bytes"], 300000)
        done = self.cairn.json("forget", "--keep-last", "1", "--gc", "--yes")
        self.assertEqual(done["gc"]["freed_bytes"], plan["gc"]["freed_bytes"])
        self.assertEqual(self.cairn.run("ls", "-q").stdout, "run/3\n")
        self.assertIn("freed", self.cairn.run("forget", "run/3", "--allow-newest", "--gc",
                                              "--yes").stdout)
        self.assertEqual(self.bytes_on_disk(), 0)

    def test_asks_or_wants_yes(self):
        self.save("a", 1)
        self.cairn.run("gc")  # nothing to do: nothing to ask
        self.cairn.run("forget", "a", "--allow-newest", "--yes")
        refused = self.cairn.run("gc", expect=2)
        self.assertIn("--yes", refused.stderr)
        self.assertGreater(self.bytes_on_disk(), 0)

    def test_limits(self):
        self.save("run/1", 1, 2)
        self.save("run/2", 1, 3)
        self.cairn.run("forget", "run/1", "--yes")
        self.assertEqual(self.cairn.json("gc", "--yes", "--min-dead", "60")["packs_rewritten"], 0)
        cut = self.cairn.json("gc", "--yes", "--max-repack-bytes", "10KiB")
        self.assertEqual((cut["packs_rewritten"], cut["more"]), (0, False))
        self.assertGreater(cut["needed_limit"], 10240)
        self.assertIn("too small", self.cairn.run("gc", "--yes", "--max-repack-bytes", "10KiB").stdout)
        self.assertEqual(self.cairn.json("gc", "--yes")["packs_rewritten"], 1)
        self.cairn.run("gc", "--min-dead", "100", expect=2)

    def test_a_second_gc_waits_and_then_is_busy(self):
        self.save("a", 1)
        with open(self.cairn.store / "gc.lock", "w") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            lock.write("7 on elsewhere since yesterday")
            lock.flush()
            error = self.cairn.error("gc", "--yes", "--wait", "0s", expect=11)
        self.assertEqual(error["code"], "busy")
        self.assertIn("process 7 on elsewhere since yesterday", error["message"])
        self.cairn.run("gc", "--yes", "--wait", "0s")

    def test_a_tag_that_cannot_be_read_stops_it(self):
        self.save("run/1", 1)
        self.save("run/2", 2)
        self.save("other", 3)
        self.cairn.run("forget", "run/1", "--yes")
        meta = max((path for path in (self.cairn.store / "meta").rglob("*") if path.is_file()),
                   key=lambda path: path.stat().st_mtime_ns)
        content = bytearray(meta.read_bytes())
        meta.write_bytes(bytes(byte ^ 255 for byte in content))
        before = self.bytes_on_disk()
        error = self.cairn.error("gc", "--yes", expect=12)
        self.assertIn("other", error["message"])
        self.assertIn("forget", error["hint"])
        self.assertEqual(self.bytes_on_disk(), before)
        self.assertIn("other", self.cairn.run("check", expect=12).stdout)
        self.cairn.run("forget", "other", "--allow-newest", "--gc", "--yes")
        self.cairn.run("check", "--read-data")
        self.assertEqual(self.cairn.run("ls", "-q").stdout, "run/2\n")

    def test_files_of_others_stay(self):
        self.save("a", 1)
        strange = [self.cairn.store / name for name in ("packs/notes.txt", "packs/aa/readme",
                                                        "meta/zz", "own.bin", "root.bak")]
        for path in strange:
            path.parent.mkdir(exist_ok=True)
            path.write_text("mine")
        target = self.folder / "elsewhere"
        target.write_text("mine too")
        name = "0" * 32 + "-0"
        (self.cairn.store / "packs/00").mkdir(exist_ok=True)
        (self.cairn.store / "packs/00" / name).symlink_to(target)
        self.cairn.run("gc", "--yes")
        for path in strange:
            self.assertEqual(path.read_text(), "mine")
        self.assertFalse((self.cairn.store / "packs/00" / name).is_symlink(), "a leftover's name")
        self.assertEqual(target.read_text(), "mine too")

    def test_packs_behind_a_link_are_not_collected(self):
        """Another store may have them, too; and forget --gc does not forget in vain."""
        self.save("run/1", 1)
        self.save("run/2", 2)
        moved = self.folder / "moved"
        (self.cairn.store / "packs").rename(moved)
        (self.cairn.store / "packs").symlink_to(moved)
        files = sorted(moved.rglob("*"))
        for words in (("gc", "--yes"), ("gc", "--dry-run"), ("forget", "run/1", "--gc", "--yes")):
            error = self.cairn.error(*words, expect=18)
            self.assertIn("packs", error["message"])
        self.assertEqual(self.cairn.run("ls", "-q").stdout, "run/2\nrun/1\n")
        self.assertEqual(sorted(moved.rglob("*")), files)
        self.cairn.run("check", "--read-data")
        (self.cairn.store / "packs").unlink()
        moved.rename(self.cairn.store / "packs")
        self.cairn.run("forget", "run/1", "--gc", "--yes")

    def test_counting_what_is_lost_says_so(self):
        self.save("run/1", 1)
        for meta in (self.cairn.store / "meta").rglob("*-0"):
            meta.unlink()
        for words in (("stats",), ("ls", "--exclusive")):
            self.assertIn("cairn check", self.cairn.error(*words, expect=12)["hint"])

    def test_a_copied_store_is_a_store(self):
        self.save("run/1", 1, 2)
        self.save("run/2", 1, 3)
        held = self.held("run/2")
        copy = Program(PROGRAM, self.folder / "copy")
        subprocess.run(["cp", "-a", self.cairn.store, copy.store], check=True)
        copy.run("forget", "run/1", "--gc", "--yes")
        copy.run("check", "--read-data")
        self.cairn.run("check", "--read-data")
        self.assertEqual(self.held("run/2"), held)

    def test_a_root_from_a_backup(self):
        """Older than the files: tags made since are not there, their files are leftovers."""
        self.save("run/1", 1)
        backup = (self.cairn.store / "root").read_bytes()
        self.save("run/2", 2)
        (self.cairn.store / "root").write_bytes(backup)
        self.assertEqual(self.cairn.run("ls", "-q").stdout, "run/1\n")
        self.save("run/3", 3)
        self.cairn.run("gc", "--yes")
        self.cairn.run("check", "--read-data")
        self.assertEqual(self.cairn.run("ls", "-q").stdout, "run/3\nrun/1\n")

    def test_without_permission_it_says_what_stays(self):
        self.save("run/1", 1)
        self.cairn.run("forget", "run/1", "--allow-newest", "--yes")
        pack = next(path for path in (self.cairn.store / "packs").rglob("*-0"))
        subprocess.run(["chattr", "+i", pack], check=False, capture_output=True)
        try:
            if subprocess.run(["rm", "-f", pack], capture_output=True).returncode == 0:
                self.skipTest("the file system has no immutable files")
            done = self.cairn.run("--json", "gc", "--yes", expect=3)
            self.assertIn(pack.name, json.loads(done.stdout)["failures"][0])
        finally:
            subprocess.run(["chattr", "-i", pack], capture_output=True)
        self.assertEqual(self.cairn.json("gc", "--yes")["packs_deleted"], 1)
        self.assertEqual(self.bytes_on_disk(), 0)

    def test_many_small_saves(self):
        """Few files, and little beside what the tags need."""
        shutil.rmtree(self.cairn.store)
        self.cairn.run("init", self.cairn.store, "--chunk-elements", "65536")
        for number in range(120):
            self.save(f"t/{number}", 1, number + 2)
        self.cairn.run("forget", "--keep-last", "60", "--gc", "--yes")
        stats = self.cairn.json("stats")
        files = [path for path in self.cairn.store.rglob("*")
                 if path.is_file() and "index" not in path.parts]
        total = sum(path.stat().st_size for path in files if path.name != "ballast")
        self.assertLess(total, 1.05 * stats["stored_bytes"])
        self.assertLess(len(files), 50)
        self.cairn.run("check", "--read-data")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
