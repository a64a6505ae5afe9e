#!/usr/bin/env python3
"""What transfers hold in memory at most. usage: transfer_memory_test.py CAIRN"""
import random
import sys
import tempfile
import unittest
from pathlib import Path

SUPPORT = Path(__file__).resolve().parents[1] / "support"
sys.path.insert(0, str(SUPPORT))
from environment import lacks
from file_servers import BUCKET_SERVER, BucketServer, FileServer
from program import Program, memory_folder, write_safetensors

PROGRAM = ""
NO_BUCKETS = lacks(*BUCKET_SERVER)
MIB = 1 << 20
BESIDE = 64 * MIB


def floats(length, steps):
    """Float32 values, which move a little at each step."""
    content = random.Random(1).randbytes(length)
    low = int.from_bytes(b"\x0f\x00\x00\x00" * (length // 4), "little")
    for step in range(steps):
        yield content
        move = int.from_bytes(random.Random(step + 2).randbytes(length), "little") & low
        content = (int.from_bytes(content, "little") ^ move).to_bytes(length, "little")


class Memory(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-memory-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.source = Program(PROGRAM, self.folder / "source")
        self.source.run("init", self.source.store)
        # Of chunks of 2 MiB; the later steps are made from the first.
        for step, content in enumerate(floats(96 * MIB, 3)):
            tensors = {"w": ("F32", [len(content) // 4], content)}
            self.source.run("import", f"run/{step}",
                            write_safetensors(self.folder / "in.safetensors", tensors))

    def peak(self, program, *words):
        told = self.folder / "peak"
        program.run(*words, before=(sys.executable, SUPPORT / "peak_memory.py", told))
        return int(told.read_text())

    def expect_bounded(self, memory, program, *words):
        for tag in ("run/0", "run/2"):
            peak = self.peak(program, *words, tag, "--memory", memory)
            print(f"{words[0]} {tag}, --memory {memory >> 20}MiB: {peak >> 20} MiB at most",
                  file=sys.stderr)
            self.assertLessEqual(peak, memory + BESIDE)

    def test_a_pull_over_http(self):
        server = FileServer(self.source.store, ranges=True)
        self.addCleanup(server.stop)
        for memory in (16 * MIB, 64 * MIB):
            there = Program(PROGRAM, self.folder / f"there-{memory}")
            self.expect_bounded(memory, there, "pull", server.url)

    def test_a_push_to_a_folder(self):
        self.expect_bounded(64 * MIB, self.source, "push", self.folder / "there")

    @unittest.skipIf(NO_BUCKETS, NO_BUCKETS or "")
    def test_a_push_to_a_bucket(self):
        server = BucketServer()
        self.addCleanup(server.stop)
        self.source.environment.update(server.environment)
        self.expect_bounded(64 * MIB, self.source, "push", "s3://bucket/there")

    def test_what_is_resumed(self):
        server = FileServer(self.source.store, ranges=True)
        self.addCleanup(server.stop)
        there = Program(PROGRAM, self.folder / "there")
        pull = there.start("pull", server.url, "run/0")
        while server.sent_bytes < 64 * MIB and pull.poll() is None:
            pass
        pull.kill()
        pull.communicate()
        self.expect_bounded(64 * MIB, there, "pull", server.url)

    def test_too_little(self):
        self.source.run("push", self.folder / "there", "run/0", "--memory", "1000", expect=2)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
