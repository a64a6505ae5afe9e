#!/usr/bin/env python3
"""A pull that is killed again and again goes on from what had arrived. usage: pull_killed_test.py
CAIRN"""
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from file_servers import FileServer
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

PROGRAM = ""
KILLS = 12


class Killed(unittest.TestCase):
    def test_a_pull_that_is_killed(self):
        temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-killed-")
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        source = Program(PROGRAM, folder / "source")
        source.run("init", source.store, "--chunk-elements", str(1 << 18))
        tensors = {f"w{i}": noise(1 << 20, i) * 16 for i in range(8)}
        # Chunks that are not equal: each tensor turned by its own number of bytes, block by block.
        for number, (name, content) in enumerate(tensors.items()):
            tensors[name] = b"".join(content[k * 77 + number:][: 1 << 20] for k in range(16))
        source.run("import", "run/1", write_safetensors(folder / "in.safetensors", tensors))
        server = FileServer(source.store, ranges=True)
        self.addCleanup(server.stop)
        there = Program(PROGRAM, folder / "there")
        payload = source.json("show", "run/1")["tensors"]
        stored = sum(tensor["stored_bytes"] for tensor in payload)
        rng = random.Random(1)
        killed = 0
        for _ in range(KILLS):
            pull = there.start("pull", server.url, "run/1", "--connections", "4")
            try:
                pull.communicate(timeout=rng.uniform(0.02, 0.15))
                break
            except subprocess.TimeoutExpired:
                pull.kill()
                pull.communicate()
                killed += 1
        if killed == 0:
            self.skipTest("this machine pulls faster than a test can kill")
        moved = there.json("pull", server.url, "run/1")
        if not moved["already_there"]:
            self.assertEqual(moved["moved_bytes"], stored)
        print(f"{killed} kills: {server.sent_bytes / stored:.2f} times the bytes, "
              f"{moved['resumed_bytes'] / stored:.2f} of them resumed at last", file=sys.stderr)
        there.run("check", "--read-data")
        there.run("gc", "--yes")
        there.run("check", "--read-data")
        out = folder / "out.safetensors"
        there.run("export", "run/1", out)
        self.assertEqual(read_safetensors(out), read_safetensors(folder / "in.safetensors"))
        self.assertEqual(list((there.store / "sessions").iterdir()), [])
        self.assertEqual(there.json("stats")["dead_bytes"], 0)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
