#!/usr/bin/env python3
"""Collections of buckets, from outside. usage: bucket_gc_test.py CAIRN"""
import shutil
import signal
import sys
import time
import unittest
import urllib.request
import xml.etree.ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from file_servers import BucketCase
from program import Program, noise, read_safetensors, write_safetensors

PROGRAM = ""
GC = ("gc", "--yes", "--reader-grace", "0s")


class BucketGc(BucketCase):
    def setUp(self):
        super().setUp()
        self.prefix = self.id().rsplit(".", 1)[1]
        self.url = f"s3://bucket/{self.prefix}"
        self.local = Program(PROGRAM, self.folder / "store", **self.server.environment)
        self.remote = Program(PROGRAM, self.url, **self.server.environment)
        self.init()

    def init(self, chunk_elements=1024):
        shutil.rmtree(self.local.store, ignore_errors=True)
        self.local.run("init", self.local.store, "--chunk-elements", str(chunk_elements))

    def save(self, tag, tensors):
        path = write_safetensors(self.folder / f"{tag.replace('/', '-')}.safetensors", tensors)
        self.local.run("import", tag, path)
        return tensors

    def held(self, program, tag):
        out = self.folder / "out.safetensors"
        program.run("export", tag, out, "--force")
        return read_safetensors(out)

    def names(self, query, tag):
        """Of the objects, or of the uploads, below the prefix."""
        url = f"{self.server.endpoint}/bucket?{query}&prefix={self.prefix}/"
        with urllib.request.urlopen(url, timeout=30) as answer:
            tree = xml.etree.ElementTree.fromstring(answer.read())
        space = tree.tag.split("}")[0] + "}"
        return [item.find(f"{space}Key").text.removeprefix(self.prefix + "/")
                for item in tree.iter(f"{space}{tag}")]

    def objects(self):
        return self.names("list-type=2", "Contents")

    def uploads(self):
        return self.names("uploads", "Upload")

    def test_what_no_tag_needs_goes(self):
        for number in range(3):
            self.save(f"run/{number}", {"w": noise(1 << 20, number)})
            self.local.run("push", self.url, f"run/{number}")
        self.remote.run("forget", "run/0", "run/1", "--yes")
        plan = self.remote.json("gc", "--dry-run")
        self.assertGreater(plan["freed_bytes"], 2 << 20)
        before = len(self.objects())
        done = self.remote.json(*GC)
        self.assertEqual(done["freed_bytes"], plan["freed_bytes"])
        self.assertLess(len(self.objects()), before)
        self.assertEqual([name for name in self.objects() if name.startswith("sessions/")], [])
        self.assertEqual(self.held(self.remote, "run/2"), self.held(self.local, "run/2"))
        self.assertEqual(self.remote.json(*GC)["freed_bytes"], 0)

    def test_half_dead_packs_are_written_anew(self):
        first, second = noise(1 << 20, 1), noise(1 << 20, 2)
        self.save("run/0", {"a": first, "b": second})
        self.local.run("push", self.url, "run/0")
        self.save("run/1", {"a": first, "b": noise(1 << 20, 3)})
        self.local.run("push", self.url, "run/1")
        self.remote.run("forget", "run/0", "--yes")
        done = self.remote.json(*GC)
        self.assertEqual(done["packs_rewritten"], 1)
        self.assertGreater(done["freed_bytes"], (1 << 20) - (1 << 16))
        self.assertEqual(self.held(self.remote, "run/1"), self.held(self.local, "run/1"))

    def test_what_a_killed_push_left_goes(self):
        self.init(chunk_elements=1 << 24)  # of 16 MiB: what is longer than a pack is sent in parts
        self.save("run/0", {"w": noise(1 << 20, 1)})
        self.local.run("push", self.url, "run/0")
        self.save("run/1", {"w": noise(64 << 20, 2)})
        push = self.local.start("push", self.url, "run/1")
        deadline = time.monotonic() + 60
        while not self.uploads():
            self.assertLess(time.monotonic(), deadline)
        push.send_signal(signal.SIGKILL)
        push.communicate()
        left = [name for name in self.objects() if name.startswith("sessions/")]
        self.assertEqual(len(left), 2, "the lease and the journal")
        self.assertTrue(self.uploads())
        self.remote.run(*GC)
        self.assertEqual(self.uploads(), [])
        self.assertEqual([name for name in self.objects() if name.startswith("sessions/")], [])
        self.local.run("push", self.url, "run/1")
        self.assertEqual(self.held(self.remote, "run/1"), self.held(self.local, "run/1"))

    def test_collections_beside_pushes(self):
        states = {}
        for number in range(6):
            tag = f"run/{number}"
            states[tag] = self.save(tag, {"shared": noise(1 << 19, 0), "own": noise(1 << 19, number)})
        self.local.run("push", self.url, "run/0")
        pushes = [self.local.start("push", self.url, f"run/{number}") for number in range(1, 6)]
        while any(push.poll() is None for push in pushes):
            self.remote.run(*GC)
        for push in pushes:
            self.assertEqual(push.communicate()[1], b"")
            self.assertEqual(push.returncode, 0)
        self.remote.run("forget", "run/0", "run/3", "--yes", "--allow-newest")
        self.remote.run(*GC)
        self.remote.run("check", "--read-data")
        for number in (1, 2, 4, 5):
            tag = f"run/{number}"
            self.assertEqual(self.held(self.remote, tag), self.held(self.local, tag))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
