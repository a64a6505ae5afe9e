#!/usr/bin/env python3
"""A pull that is killed again and again goes on from what had arrived. usage: pull_killed_test.py
CAIRN. Longer: CAIRN_KILLED_MIB=4096 CAIRN_KILLS=20 CAIRN_KILLED_CONNECTIONS=32, in the folder
CAIRN_KILLED_FOLDER, which takes four times as much."""
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from file_servers import FileServer
from program import Program, memory_folder, read_safetensors, write_safetensors

PROGRAM = ""
MIB = int(os.environ.get("CAIRN_KILLED_MIB", "128"))
KILLS = int(os.environ.get("CAIRN_KILLS", "12"))
CONNECTIONS = int(os.environ.get("CAIRN_KILLED_CONNECTIONS", "4"))
FOLDER = os.environ.get("CAIRN_KILLED_FOLDER", memory_folder())
CHUNK_BYTES = 1 << 20
IN_ONE_FILE = 16


class Killed(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir=FOLDER, prefix="cairn-killed-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.source = Program(PROGRAM, self.folder / "source")
        self.source.run("init", self.source.store, "--chunk-elements", CHUNK_BYTES)
        self.inputs = []
        for number in range(MIB // IN_ONE_FILE):
            content = random.Random(number).randbytes(IN_ONE_FILE << 20)
            self.inputs.append(write_safetensors(self.folder / f"in-{number:03}.safetensors",
                                                 {f"w{number:03}": content}))
        self.source.run("import", "run/1", *self.inputs)
        shown = self.source.json("show", "run/1")["tensors"]
        self.stored = sum(tensor["stored_bytes"] for tensor in shown)
        self.server = FileServer(self.source.store, ranges=True)
        self.addCleanup(self.server.stop)
        self.there = Program(PROGRAM, self.folder / "there")

    def pull_until(self, sent_bytes):
        """Kills it once the server has sent so much more. Whether it was killed."""
        goal = self.server.sent_bytes + sent_bytes
        pull = self.there.start("pull", self.server.url, "run/1", "--connections", CONNECTIONS)
        while self.server.sent_bytes < goal:
            try:
                pull.communicate(timeout=0.002)
                return False
            except subprocess.TimeoutExpired:
                pass
        pull.kill()
        pull.communicate()
        return True

    def test_a_pull_that_is_killed(self):
        rng = random.Random(1)
        kills = 0
        for _ in range(KILLS):
            kills += self.pull_until(rng.uniform(0, 2 * self.stored / (KILLS + 1)))
        moved = self.there.json("pull", self.server.url, "run/1")
        if not moved["already_there"]:
            self.assertEqual(moved["moved_bytes"], self.stored)
        ratio = self.server.sent_bytes / self.stored
        print(f"{kills} kills of a pull of {MIB} MiB by {CONNECTIONS} connections: {ratio:.3f} times "
              f"the bytes, {moved['resumed_bytes'] / self.stored:.2f} of them resumed at last",
              file=sys.stderr)
        # Of each range under way, all but its last bytes may have come.
        under_way = CONNECTIONS * (CHUNK_BYTES + (1 << 16))
        metadata = kills * (1 << 18) + self.stored // 1000
        self.assertLessEqual(self.server.sent_bytes, self.stored + kills * under_way + metadata)
        self.expect_whole()

    def files(self):
        return {path: (path.stat().st_mtime_ns, path.stat().st_size)
                for path in self.there.store.rglob("*")}

    def test_a_dry_run_counts_what_was_left_and_takes_nothing(self):
        self.assertTrue(self.pull_until(self.stored // 2))
        before = self.files()
        told = self.there.json("pull", self.server.url, "run/1", "--dry-run")
        said = self.there.run("pull", self.server.url, "run/1", "--dry-run").stdout
        self.assertIn("of them left by an earlier call", said)
        self.assertEqual(self.files(), before)
        moved = self.there.json("pull", self.server.url, "run/1")
        self.assertGreater(moved["resumed_bytes"], self.stored // 4)
        self.assertEqual(told["moved_bytes"], moved["moved_bytes"])
        # By what is written of it: of ranges that were under way some may not be whole.
        self.assertGreaterEqual(told["resumed_bytes"], moved["resumed_bytes"])
        self.assertLess(told["resumed_bytes"],
                        moved["resumed_bytes"] + CONNECTIONS * 2 * CHUNK_BYTES)
        self.expect_whole()

    def expect_whole(self):
        self.there.run("check", "--read-data")
        self.there.run("gc", "--yes")
        self.there.run("check", "--read-data")
        self.assertEqual(list((self.there.store / "sessions").iterdir()), [])
        self.assertEqual(self.there.json("stats")["dead_bytes"], 0)
        for number, path in enumerate(self.inputs):
            out = self.folder / "out.safetensors"
            self.there.run("export", "run/1", out, "--force", "--tensors", f"w{number:03}")
            self.assertEqual(read_safetensors(out)[0], read_safetensors(path)[0])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
