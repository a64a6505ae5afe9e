#!/usr/bin/env python3
"""Several nodes pull a tag together: the remote sends it once."""
import json
import os
import subprocess
import sys
import unittest

import package

if __name__ == "__main__":
    package.enter("torch", "numpy")

import torch

import cairn
from file_servers import FileServer

COMMAND = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


class ClusterPull(package.StoreTest):
    def setUp(self):
        super().setUp()
        generator = torch.Generator().manual_seed(1)
        self.state = {f"w{i}": torch.randn(1 << 20, generator=generator) for i in range(8)}
        self.store.save("run/0", self.state, step=0)
        self.state["w3"] += 1
        self.store.save("run/1", self.state, step=1)
        self.server = FileServer(self.store.path, ranges=True)
        self.addCleanup(self.server.stop)

    def pull(self, ranks, *words, store="{rank}"):
        kept = {key: os.environ[key] for key in ("CAIRN_LIBRARY", "CAIRN_PROGRAM", "PATH")}
        return subprocess.run(
            [*COMMAND, str(ranks), "-m", "cairn.pull", *words, "--json", "--store",
             str(self.folder / store)],
            env={"PYTHONPATH": str(package.ROOT / "python"), "OMP_NUM_THREADS": "1", **kept},
            capture_output=True, text=True, timeout=240, check=False)

    def test_the_remote_sends_it_once(self):
        sent = 0
        for ranks in (2, 4):
            done = self.pull(ranks, self.server.url, "run/@newest", store=f"{ranks}-{{rank}}")
            self.assertEqual(done.returncode, 0, done.stderr)
            told = json.loads(done.stdout)
            payload = self.server.sent_bytes - sent
            sent = self.server.sent_bytes
            self.assertLessEqual(payload, 1.05 * told["logical_bytes"])
            self.assertGreaterEqual(payload, told["received_bytes"])
            self.assertGreater(told["received_bytes"], 0.8 * told["logical_bytes"])
            self.assertEqual((told["tag"], told["nodes"]), ("run/1", ranks))
            for rank in range(ranks):
                there = cairn.Store(self.folder / f"{ranks}-{rank}")
                self.assertTrue(there.check(read_data=True)["ok"])
                loaded = there.load("run/1")
                for name, tensor in self.state.items():
                    self.assertTrue(torch.equal(loaded[name], tensor))

    def test_one_store_for_the_ranks_of_a_machine(self):
        done = self.pull(2, self.server.url, "run/1", store="one")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["nodes"], 1)
        self.assertTrue(torch.equal(cairn.Store(self.folder / "one").load("run/1")["w3"],
                                    self.state["w3"]))

    def test_the_next_tag_for_what_is_new(self):
        self.assertEqual(self.pull(2, self.server.url, "run/0").returncode, 0)
        sent = self.server.sent_bytes
        self.assertEqual(self.pull(2, self.server.url, "run/1").returncode, 0)
        self.assertLess(self.server.sent_bytes - sent, 8 << 20)

    def test_a_part_by_another_name(self):
        done = self.pull(2, self.server.url, "run/@newest", "--tensors", "w[0-3]", "--as", "part/1",
                         "--memory", "64MiB", "--rate", "1GB", "--connections", "4")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual(told["tag"], "part/1")
        self.assertLessEqual(self.server.sent_bytes, 1.05 * 4 * (4 << 20) + (1 << 20))
        for rank in range(2):
            loaded = cairn.Store(self.folder / str(rank)).load("part/1")
            self.assertEqual(set(loaded), {"w0", "w1", "w2", "w3"})
            self.assertTrue(torch.equal(loaded["w3"], self.state["w3"]))

    def test_a_name_that_a_store_has_already(self):
        (self.folder / "0").mkdir()
        cairn.Store(self.folder / "0", create=True).save("run/1", {"w": torch.ones(5)})
        done = self.pull(2, self.server.url, "run/1")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("exists already", done.stderr)
        done = self.pull(2, self.server.url, "run/1", "--if-exists", "replace")
        self.assertEqual(done.returncode, 0, done.stderr)
        for rank in range(2):
            loaded = cairn.Store(self.folder / str(rank)).load("run/1")
            self.assertTrue(torch.equal(loaded["w3"], self.state["w3"]))

    def test_what_fails_on_one_is_told(self):
        (self.folder / "1").write_text("no folder")
        done = self.pull(2, self.server.url, "run/1")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("node 1:", done.stderr)
        done = self.pull(2, self.server.url, "run/7", store="fresh-{rank}")
        self.assertIn("no tag 'run/7'", done.stderr)
        done = self.pull(2, self.server.url, "run/7", store="one")
        self.assertIn("no tag 'run/7'", done.stderr)
        self.assertNotIn("lost each other", done.stderr)


if __name__ == "__main__":
    unittest.main()
