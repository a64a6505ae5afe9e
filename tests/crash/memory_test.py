#!/usr/bin/env python3
"""Memory that runs out, at every stage of a command: an error and a word, and nothing is lost.
usage: memory_test.py CAIRN"""
import collections
import resource
import shutil
import struct
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

PROGRAM = ""
MIB = 1 << 20
FLOATS = 300000


def words(seed):
    return struct.unpack(f"<{FLOATS}I", noise(4 * FLOATS, seed))


class Memory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """Tags a, b and c, each a little moved on from the one before; c is not in the store yet."""
        temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-memory-")
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.store, cls.template = cls.folder / "store", cls.folder / "template"
        cls.cairn = Program(PROGRAM, cls.store, CAIRN_INDEX=str(cls.folder / "index"))
        cls.files = {}
        floats = [0x3c000000 | word & 0x81ffffff for word in words(1)]
        for seed, tag in enumerate("abc", 2):
            floats = [word ^ move & 0x1f for word, move in zip(floats, words(seed))]
            data = struct.pack(f"<{FLOATS}I", *floats)
            cls.files[tag] = write_safetensors(cls.folder / f"{tag}.safetensors",
                                               {"w": ("F32", [FLOATS], data), "own": data[::-5]})
        maker = Program(PROGRAM, cls.template)
        maker.run("init", cls.template, "--chunk-elements", "65536")
        for tag in "ab":
            maker.run("import", f"t/{tag}", cls.files[tag], "--restore-budget", "1000")

    def run_within(self, limit, *words):
        return self.cairn.run(*words, expect=None, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_AS, (limit, limit)))

    def least_limit(self):
        for limit in range(16 * MIB, 256 * MIB, MIB):
            if self.run_within(limit, "version").returncode == 0:
                return limit
        self.skipTest("a program that takes much address space by itself, as sanitizers make it")
        return None

    def files_of_sessions(self):
        return {path for part in ("packs", "meta", "sessions")
                for path in (self.store / part).rglob("*") if path.is_file()}

    def sweep(self, act, expect_after):
        """act(limit) with more and more memory, until it was enough some times."""
        limit, outcomes = self.least_limit(), collections.Counter()
        while outcomes[0] < 3:
            with self.subTest(limit=limit):
                shutil.rmtree(self.store, ignore_errors=True)
                shutil.copytree(self.template, self.store)
                before = self.files_of_sessions()
                done = act(limit)
                self.assertIn(done.returncode, (0, 1), done.stderr)
                if done.returncode != 0:
                    self.assertRegex(done.stderr, "error: .*(memory|threads|map)")
                outcomes[done.returncode] += 1
                expect_after(done, self.files_of_sessions() - before)
                self.cairn.run("check", "--read-data")
            limit += 3 * MIB // 2
            self.assertLess(limit, 1024 * MIB, "it never was enough")
        self.assertGreater(outcomes[1], 5, "it always was enough")

    def expect_held(self, tag):
        out = self.folder / "out.safetensors"
        self.cairn.run("export", f"t/{tag}", out, "--force")
        self.assertEqual(read_safetensors(out), read_safetensors(self.files[tag]))

    def test_a_save(self):
        def expect_after(done, new_files):
            tags = set(self.cairn.run("ls", "-q").stdout.split())
            self.assertEqual(tags, {"t/a", "t/b"} | ({"t/c"} if done.returncode == 0 else set()))
            if done.returncode != 0:
                self.assertEqual(new_files, set(), "a failed save leaves nothing behind")
            for tag in tags:
                self.expect_held(tag[-1])
        self.sweep(lambda limit: self.run_within(limit, "import", "t/c", self.files["c"]),
                   expect_after)

    def test_a_load(self):
        out = self.folder / "loaded.safetensors"

        def act(limit):
            out.unlink(missing_ok=True)
            return self.run_within(limit, "export", "t/b", out)

        def expect_after(done, new_files):
            self.assertEqual(new_files, set())
            self.assertEqual(out.exists(), done.returncode == 0)
            if out.exists():
                self.assertEqual(read_safetensors(out), read_safetensors(self.files["b"]))
        self.sweep(act, expect_after)

    def test_a_rebase(self):
        def act(limit):
            self.cairn.run("forget", "t/a", "--yes")
            return self.run_within(limit, "gc", "--rebase", "--yes")

        def expect_after(_, new_files):
            self.expect_held("b")
            self.cairn.run("gc", "--rebase", "--yes")
            left = self.cairn.json("gc", "--dry-run")
            self.assertEqual((left["freed_bytes"], left["metas_deleted"]), (0, 0))
            self.expect_held("b")
        self.sweep(act, expect_after)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
