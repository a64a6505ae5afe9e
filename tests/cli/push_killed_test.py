#!/usr/bin/env python3
"""Pushes to a bucket that are killed, again and again, go on from the packs that were whole.
usage: push_killed_test.py CAIRN"""
import json
import random
import signal
import subprocess
import sys
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from file_servers import BucketCase
from lying_proxy import LyingProxy
from program import Program, read_safetensors, write_safetensors

PROGRAM = ""
KILLS = 8
TENSORS, TENSOR_BYTES = 24, 1 << 20


class Killed(BucketCase):
    def setUp(self):
        super().setUp()
        self.proxy = LyingProxy(self.server.endpoint)
        self.addCleanup(self.proxy.stop)
        variables = {**self.server.environment, "AWS_ENDPOINT_URL": self.proxy.url}
        self.source = Program(PROGRAM, self.folder / "source", **variables)
        self.source.run("init", self.source.store, "--chunk-elements", str(1 << 18),
                        "--pack-bytes", "2MiB")
        tensors = {f"w{i}": random.Random(i).randbytes(TENSOR_BYTES) for i in range(TENSORS)}
        self.file = write_safetensors(self.folder / "in.safetensors", tensors)
        self.source.run("import", "run/1", self.file)
        self.url = f"s3://bucket/{self.id().rsplit('.', 1)[1]}"
        self.there = Program(PROGRAM, self.url, **variables)

    def requests(self, method, name):
        return sum(asked == method and name in path for asked, path, _, _ in list(self.proxy.log))

    def start_and_wait_for(self, method, name, count, *words):
        """A push that has made so many of these requests."""
        self.proxy.log.clear()
        push = self.source.start("push", self.url, "run/1", "--connections", "4", *words)
        while self.requests(method, name) < count and push.poll() is None:
            threading.Event().wait(0.005)
        return push

    def kill_in_the_middle(self):
        push = self.start_and_wait_for("PUT", "packs/", 12, "--rate", "16M")
        self.assertIsNone(push.poll(), push.communicate() if push.poll() is not None else "")
        push.kill()
        push.communicate()

    def wait_for_requests_under_way(self):
        """Of one that was killed: what has reached the proxy goes on."""
        seen = -1
        while seen != len(self.proxy.log):
            seen = len(self.proxy.log)
            threading.Event().wait(0.5)

    def expect_sound(self):
        self.there.run("check", "--read-data")
        out = self.folder / "out.safetensors"
        self.there.run("export", "run/1", out, "--force")
        self.assertEqual(read_safetensors(out), read_safetensors(self.file))

    def collect(self, *words):
        return self.there.run("gc", "--yes", "--reader-grace", "0", *words)

    def test_at_random(self):
        rng, killed = random.Random(1), 0
        for _ in range(KILLS):
            push = self.start_and_wait_for("PUT", "packs/", rng.randint(0, 4), "--rate", "16M")
            try:
                push.communicate(timeout=rng.uniform(0, 0.3))
                break
            except subprocess.TimeoutExpired:
                push.kill()
                push.communicate()
                killed += 1
        moved = self.source.json("push", self.url, "run/1")
        self.assertGreater(killed, 2)
        if not moved["already_there"]:
            self.assertEqual(moved["moved_bytes"], moved["new_bytes"])
            self.assertGreater(moved["resumed_bytes"], 0)
            print(f"{killed} kills: {moved['resumed_bytes'] / moved['moved_bytes']:.2f} resumed",
                  file=sys.stderr)
        self.expect_sound()
        tag = self.there.json("ls")["tags"][0]
        self.assertEqual(tag["new_bytes"], TENSORS * TENSOR_BYTES)
        self.collect()
        self.expect_sound()
        self.assertEqual(self.there.json("stats")["dead_bytes"], 0)

    def test_what_was_whole_is_not_sent_again(self):
        self.kill_in_the_middle()
        self.proxy.log.clear()
        moved = self.source.json("push", self.url, "run/1")
        self.assertGreaterEqual(moved["resumed_bytes"], 8 << 20)
        sent = self.requests("PUT", "packs/")
        self.assertLessEqual(sent, (moved["moved_bytes"] - moved["resumed_bytes"]) / (1 << 20) + 8)
        self.expect_sound()

    def test_a_dry_run_counts_it_and_takes_nothing(self):
        self.kill_in_the_middle()
        self.wait_for_requests_under_way()
        self.proxy.log.clear()
        told = self.source.json("push", self.url, "run/1", "--dry-run")
        said = self.source.run("push", self.url, "run/1", "--dry-run").stdout
        self.assertIn("of them left by an earlier call", said)
        self.assertEqual({method for method, _, _, _ in self.proxy.log} - {"GET", "HEAD"}, set())
        moved = self.source.json("push", self.url, "run/1")
        self.assertGreaterEqual(told["resumed_bytes"], 8 << 20)
        for name in ("resumed_bytes", "moved_bytes"):
            self.assertEqual(told[name], moved[name], name)
        self.expect_sound()

    def test_ctrl_c_keeps_it_too(self):
        push = self.start_and_wait_for("PUT", "packs/", 12, "--rate", "16M")
        push.send_signal(signal.SIGINT)
        _, error = push.communicate(timeout=60)
        self.assertEqual(push.returncode, 130, error)
        self.assertIn(b"kept", error)
        self.assertGreater(self.source.json("push", self.url, "run/1")["resumed_bytes"], 0)
        self.expect_sound()

    def test_a_lost_network_keeps_it_too(self):
        self.proxy.set_rules("PUT packs/ 12- drop")
        failed = self.source.run("--retry-for", "1s", "push", self.url, "run/1", expect=17)
        self.assertIn("kept", failed.stderr)
        self.proxy.set_rules("")
        self.assertGreater(self.source.json("push", self.url, "run/1")["resumed_bytes"], 0)
        self.expect_sound()

    def test_of_a_live_push_nothing_is_taken(self):
        self.proxy.set_rules("PUT packs/ 14 delay 4000")
        first = self.start_and_wait_for("PUT", "packs/", 12, "--rate", "16M")
        moved = self.source.json("push", self.url, "run/1")
        self.assertEqual(moved["resumed_bytes"], 0)
        out, error = first.communicate(timeout=120)
        self.assertEqual(first.returncode, 0, error)
        self.expect_sound()
        self.collect()
        self.expect_sound()

    def test_another_checkpoint_takes_nothing(self):
        self.kill_in_the_middle()
        other = write_safetensors(self.folder / "other.safetensors", {"w": b"1234" * 1000})
        self.source.run("import", "run/1", other, "--if-exists", "replace", "--base", "none")
        self.assertEqual(self.source.json("push", self.url, "run/1")["resumed_bytes"], 0)
        self.there.run("check", "--read-data")

    def test_a_collection_in_between_gives_it_up(self):
        self.kill_in_the_middle()
        self.collect()
        self.assertEqual(self.source.json("push", self.url, "run/1")["resumed_bytes"], 0)
        self.expect_sound()

    def test_a_collection_beside_is_noticed(self):
        self.kill_in_the_middle()
        self.proxy.set_rules("DELETE arrived 2 delay 6000")
        push = self.source.start("push", self.url, "run/1", "--json")
        while not any(method == "PUT" and "meta/" in path for method, path, _, _ in
                      list(self.proxy.log)) and push.poll() is None:
            threading.Event().wait(0.01)
        self.collect()
        out, error = push.communicate(timeout=120)
        self.assertEqual(push.returncode, 0, error)
        # It had taken packs over, and sent all once more.
        self.assertEqual(json.loads(out)["resumed_bytes"], 0)
        self.expect_sound()
        self.collect()
        self.expect_sound()


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
