#!/usr/bin/env python3
"""What is read of remotes and kept nearby (CAIRN_CACHE), from outside. usage: remote_cache_test.py CAIRN"""
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from chain_store import series
from file_servers import FileServer
from lying_proxy import LyingProxy
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

PROGRAM = ""


class Cache(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-cache-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.local = Program(PROGRAM, self.folder / "store")
        self.local.run("init", self.local.store, "--chunk-elements", "1024")
        for number, tensors in enumerate(series(3)):
            path = write_safetensors(self.folder / "in.safetensors",
                                     {**tensors, "large": noise(3 << 20, number)})
            self.local.run("import", f"run/{number}", path)
        self.server = FileServer(self.local.store, ranges=True)
        self.addCleanup(self.server.stop)
        self.proxy = LyingProxy(self.server.url)
        self.addCleanup(self.proxy.stop)
        self.cache = self.folder / "cache"
        self.remote = self.reader()

    def reader(self, **variables):
        return Program(PROGRAM, self.proxy.url, CAIRN_CACHE=str(self.cache), **variables)

    def held(self, program, tag):
        out = self.folder / "out.safetensors"
        program.run("export", tag, out, "--force")
        return read_safetensors(out)

    def expect_same(self, tag):
        self.assertEqual(self.held(self.remote, tag), self.held(self.local, tag))

    def asked(self):
        """Paths of the requests since the last call, but for the few that are asked each time."""
        paths = {path for _, path, _, _ in list(self.proxy.log)}
        self.proxy.log.clear()
        return {path for path in paths if "packs/" in path or "meta/" in path}

    def taken(self):
        return sum(512 * path.stat().st_blocks for path in self.cache.iterdir())

    def test_what_was_read_is_not_asked_for_again(self):
        self.expect_same("run/2")
        self.assertTrue(self.asked())
        self.expect_same("run/2")
        self.assertEqual(self.asked(), set())
        plain = Program(PROGRAM, self.proxy.url)
        self.assertEqual(self.held(plain, "run/2"), self.held(self.local, "run/2"))
        self.assertTrue(self.asked(), "without, it is")
        self.expect_same("run/0")

    def test_wrong_bytes_are_not_kept_for_ever(self):
        self.proxy.set_rules("GET packs/ 2- flip 5000\nGET meta/ 2- flip 100")
        self.remote.run("export", "run/2", self.folder / "x.safetensors", expect=12)
        self.proxy.set_rules("")
        self.expect_same("run/2")
        self.proxy.set_rules("GET packs/ %3 flip 5000")
        self.expect_same("run/1")
        self.proxy.set_rules("")
        self.expect_same("run/1")

    def test_attachments_too(self):
        run = self.folder / "run.bin"
        run.write_bytes(noise(400_000, 9))
        small = write_safetensors(self.folder / "in.safetensors", {"x": noise(12_000, 8)})
        self.local.run("import", "t/1", small, "--attach", f"run.bin={run}")
        self.proxy.set_rules("GET packs/ * flip 60000")
        self.remote.run("cat", "t/1", "run.bin", text=False, expect=12)
        self.proxy.set_rules("")
        for _ in range(2):
            got = self.remote.run("cat", "t/1", "run.bin", text=False).stdout
            self.assertEqual(got, run.read_bytes())

    def test_who_looks_for_damage_passes_by_it(self):
        self.remote.run("check", "--read-data")
        self.expect_same("run/2")
        for pack in (self.local.store / "packs").rglob("*-0"):
            data = bytearray(pack.read_bytes())
            for at in range(100, len(data), 4096):
                data[at] ^= 1
            pack.write_bytes(data)
        self.remote.run("check", "--read-data", expect=12)
        self.remote.run("export", "run/2", self.folder / "out.safetensors", "--force")

    def test_damage_is_fetched_again(self):
        self.expect_same("run/2")
        for path in self.cache.glob("*.blocks"):
            data = bytearray(path.read_bytes())
            for at in range(100, len(data), 50_000):
                data[at] ^= 1
            path.write_bytes(data[:len(data) - 1000])
        self.asked()
        self.expect_same("run/2")
        self.assertTrue(self.asked())

    def test_its_size_is_bounded(self):
        self.remote = self.reader(CAIRN_CACHE_SIZE="2MiB")
        for tag in ("run/0", "run/1", "run/2", "run/0"):
            self.expect_same(tag)
            self.assertLess(self.taken(), 2.3 * (1 << 20))

    def test_a_pull_passes_by_it(self):
        there = Program(PROGRAM, self.folder / "there", CAIRN_CACHE=str(self.cache))
        there.run("pull", self.proxy.url, "run/2")
        self.assertFalse(self.cache.exists())

    def test_what_cannot_be_one(self):
        self.cache.mkdir()
        (self.cache / "precious").write_text("mine")
        refused = self.remote.run("ls", expect=2)
        self.assertIn("CAIRN_CACHE", refused.stderr)
        self.assertEqual((self.cache / "precious").read_text(), "mine")
        refused = self.reader(CAIRN_CACHE_SIZE="much").run("ls", expect=2)
        self.assertIn("CAIRN_CACHE_SIZE", refused.stderr)
        self.local.run("ls")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
