#!/usr/bin/env python3
"""Ctrl-C and SIGTERM while a command waits for a remote. usage: remote_stop_test.py CAIRN"""
import contextlib
import signal
import socket
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import environment
from file_servers import BUCKET_SERVER, BucketServer, FileServer
from lying_proxy import LyingProxy
from program import Program, memory_folder, noise, write_safetensors

PROGRAM = ""
NO_BUCKETS = environment.lacks(*BUCKET_SERVER)
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
# Far less than what any of the requests would wait.
SOON_S = 5


class Stop(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-stop-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.local = Program(PROGRAM, self.folder / "store")
        self.local.run("init", self.local.store, "--chunk-elements", "1024")
        for number in range(2):
            path = write_safetensors(self.folder / "in.safetensors",
                                     {"w": noise(200_000, number + 1)})
            self.local.run("import", f"run/{number}", path)

    def proxy_to(self, url):
        proxy = LyingProxy(url)
        self.addCleanup(proxy.stop)
        return proxy

    def expect_soon(self, process, number, waits):
        """That the signal ends it once `waits` says that it waits."""
        end = time.monotonic() + 30
        while not waits() and process.poll() is None and time.monotonic() < end:
            threading.Event().wait(0.01)
        # What the server has sent reaches it, and it goes back to sleep.
        threading.Event().wait(0.1)
        self.assertIsNone(process.poll(), "it does not wait")
        sent = time.monotonic()
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
        self.assertEqual(process.returncode, STATUS[number], error)
        self.assertLess(time.monotonic() - sent, SOON_S)
        self.assertIn(b"stopped", error)

    def expect_stops(self, program, proxy, rules, words, number=signal.SIGINT):
        path = rules.split()[1]
        proxy.set_rules(rules)
        def waits():
            return any(path == "*" or path in asked for _, asked, _, _ in list(proxy.log))
        with self.subTest(words=words, rules=rules):
            self.expect_soon(program.start(*words), number, waits)


class WebServer(Stop):
    def setUp(self):
        super().setUp()
        server = FileServer(self.local.store, ranges=True)
        self.addCleanup(server.stop)
        self.proxy = self.proxy_to(server.url)
        self.remote = Program(PROGRAM, self.proxy.url)

    def commands(self):
        out = self.folder / "out.safetensors"
        yield "packs/", "export", "run/1", out
        yield "packs/", "cat", "run/1", "w"
        yield "packs/", "check", "--read-data"
        yield "packs/", "-s", self.folder / "there", "pull", self.proxy.url, "run/1"
        yield "root", "ls"
        yield "meta/", "show", "run/1"
        yield "meta/", "diff", "run/0", "run/1"
        yield "root", "report", "-o", self.folder / "report.html"

    def test_in_the_middle_of_a_body(self):
        for path, *words in self.commands():
            program = Program(PROGRAM) if words[0] == "-s" else self.remote
            self.expect_stops(program, self.proxy, f"GET {path} * stall 10", words)

    def test_in_the_pause_before_another_try(self):
        for number in STATUS:
            self.expect_stops(self.remote, self.proxy, "* root * status 503 25", ["ls"], number)
        self.expect_stops(self.remote, self.proxy, "* packs/ * status 503 25", ["cat", "run/1", "w"])

    def test_while_it_connects(self):
        with socket.socket() as full, contextlib.ExitStack() as waiting:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            # The system answers no more connections than it was told to hold back.
            for _ in range(4):
                one = waiting.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            deaf = Program(PROGRAM, f"http://127.0.0.1:{full.getsockname()[1]}")
            unanswered = f":{full.getsockname()[1]:04X} 02 "  # SYN_SENT
            def count():
                return Path("/proc/net/tcp").read_text().count(unanswered)
            before = count()
            self.assertGreater(before, 0)
            self.expect_soon(deaf.start("ls"), signal.SIGINT, lambda: count() > before)

    def test_nothing_of_a_pull_is_visible(self):
        there = Program(PROGRAM, self.folder / "there")
        words = ["pull", self.proxy.url, "--all"]
        self.expect_stops(there, self.proxy, "GET packs/ * stall 1000", words)
        self.assertEqual(there.run("ls", "-q").stdout, "")
        self.proxy.set_rules("")
        there.run(*words)
        there.run("check", "--read-data")


@unittest.skipIf(NO_BUCKETS, NO_BUCKETS or "")
class Bucket(Stop):
    def test_a_push(self):
        server = BucketServer()
        self.addCleanup(server.stop)
        proxy = self.proxy_to(server.endpoint)
        self.local.environment.update(server.environment, AWS_ENDPOINT_URL=proxy.url)
        there = Program(PROGRAM, "s3://bucket/x", **self.local.environment)
        for rules in ("PUT packs/ * hang", "PUT root * status 503 25",
                      "PUT meta/ * error 503 SlowDown"):
            self.expect_stops(self.local, proxy, rules, ["push", there.store, "run/1"])
        proxy.set_rules("")
        self.assertEqual(there.run("ls", "-q").stdout, "")
        self.local.run("push", there.store, "run/1")
        there.run("check", "--read-data")
        self.expect_stops(there, proxy, "GET meta/ * stall 10", ["stats"])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
