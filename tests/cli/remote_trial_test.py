#!/usr/bin/env python3
"""`cairn remote test`, on places that are good and on such as lie. usage: remote_trial_test.py
CAIRN"""
import json
import signal
import socket
import sys
import tempfile
import threading
import unittest
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import environment
from file_servers import BUCKET_SERVER, BucketServer, FileServer
from lying_proxy import LyingProxy
from nginx_server import NginxServer, has_nginx
from program import Program, memory_folder, noise, write_safetensors

PROGRAM = ""
NO_BUCKETS = environment.lacks(*BUCKET_SERVER)


class Trial(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-trial-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.local = Program(PROGRAM, self.folder / "store")
        self.local.run("init", self.local.store)
        self.local.run("import", "run/1", write_safetensors(self.folder / "in.safetensors",
                                                            {"w": noise(5000)}))
        self.cairn = Program(PROGRAM)

    def tried(self, url, *words, expect=0):
        """The document, and the names of what is bad or was not tried."""
        done = self.cairn.run("--json", "remote", "test", url, *words, expect=None)
        found = json.loads(done.stdout)
        self.assertEqual(done.returncode, expect, done.stdout)
        self.assertEqual(found["ok"], expect == 0)
        checks = {check["name"]: check for check in found["checks"]}
        self.assertTrue(all(bool(check["advice"]) == (check["ok"] is False)
                            for check in checks.values() if check["name"] not in ("open", "tags")))
        return (checks, {name for name, check in checks.items() if check["ok"] is False},
                {name for name, check in checks.items() if check["ok"] is None})

    def proxy_to(self, url, rules=""):
        proxy = LyingProxy(url, rules)
        self.addCleanup(proxy.stop)
        return proxy


class WebServer(Trial):
    def serve(self, kind, *words, **options):
        server = kind(*words, **options)
        self.addCleanup(server.stop)
        return server

    def test_a_store(self):
        server = self.serve(FileServer, self.local.store, ranges=True)
        _, bad, untried = self.tried(server.url)
        self.assertEqual((bad, untried), (set(), set()))
        text = self.cairn.run("remote", "test", server.url).stdout
        self.assertTrue(text.endswith("to be read: yes\n"), text)

    def test_no_store(self):
        server = self.serve(FileServer, self.folder)
        _, bad, untried = self.tried(server.url, expect=10)
        self.assertEqual(bad, {"store"})
        self.assertIn("ranges", untried)

    def test_what_is_wanted_only(self):
        server = self.serve(FileServer, self.local.store)
        proxy = self.proxy_to(server.url)
        # The second time `root` is asked for to see its headers.
        for rules, name in (("", "ranges"), ("* config * gzip", "coding"),
                            ("HEAD * * status 405", "length"),
                            ("GET root 2 say 200 Age=77 -", "caching"),
                            ("GET root 2 say 200 Cache-Control=max-age=86400 -", "caching")):
            proxy.set_rules(rules)
            self.assertIn(name, self.tried(proxy.url)[1], rules)

    @unittest.skipUnless(has_nginx(), "no nginx here")
    def test_nginx(self):
        plain = self.serve(NginxServer, self.local.store)
        self.assertEqual(self.tried(plain.url)[1], set())
        cached = self.serve(NginxServer, self.local.store, inside="expires 1d;")
        self.assertEqual(self.tried(cached.url)[1], {"caching"})

    def test_a_newer_format(self):
        config = self.local.store / "config"
        config.write_bytes(config.read_bytes().replace(b'"format":1', b'"format":2'))
        server = self.serve(FileServer, self.local.store, ranges=True)
        self.assertEqual(self.tried(server.url, expect=14)[1], {"tags"})

    def test_what_cannot_be_reached(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}"
            self.assertEqual(self.tried(url, expect=17)[1], {"store"})
        for url in (self.local.store, f"file://{self.local.store}", "gopher://x/y"):
            self.cairn.run("remote", "test", url, expect=2)
        self.cairn.run("remote", "show", "s3://bucket/x", expect=2)


@unittest.skipIf(NO_BUCKETS, NO_BUCKETS or "")
class Bucket(Trial):
    @classmethod
    def setUpClass(cls):
        cls.server = BucketServer()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        super().setUp()
        self.proxy = self.proxy_to(self.server.endpoint)
        self.cairn.environment.update(self.server.environment, AWS_ENDPOINT_URL=self.proxy.url)
        self.url = "s3://bucket/some/place"

    def left(self):
        """What is in the bucket, and the uploads that are open."""
        texts = [urllib.request.urlopen(f"{self.server.endpoint}/bucket?{query}", timeout=30).read()
                 for query in ("list-type=2", "uploads")]
        return [text for text in texts if b"<Key>" in text]

    def expect_bad(self, rules, *names, expect=1):
        with self.subTest(rules):
            self.proxy.set_rules(rules)
            checks, bad, _ = self.tried(self.url, expect=expect)
            self.assertEqual(bad, set(names), {name: checks[name]["told"] for name in bad})
            return checks

    def test_a_good_one(self):
        checks, bad, untried = self.tried(self.url)
        self.assertEqual((bad, untried), (set(), set()))
        self.assertIn("none yet", checks["tags"]["told"])
        self.assertEqual(self.left(), [])
        self.local.environment.update(self.server.environment)
        self.local.run("push", self.url, "run/1")
        self.assertIn("1 tag", self.tried(self.url)[0]["tags"]["told"])
        before = self.left()
        self.assertEqual(self.tried(self.url, "--read-only")[1], set())
        self.assertEqual(self.left(), before)
        self.assertFalse(any(method in ("PUT", "POST", "DELETE")
                             for method, _, _, _ in self.proxy.log[-5:]))

    def test_one_that_ignores_conditions(self):
        self.expect_bad("PUT /[bc]$ * unconditional", "create", "replace")
        self.expect_bad("PUT race * unconditional", "race")
        self.expect_bad("POST parts.uploadId * unconditional", "parts")
        checks = self.expect_bad("* * * unconditional", "create", "replace", "race", "parts")
        self.assertIn("two write at once", checks["create"]["advice"])

    def test_one_that_is_late(self):
        checks = self.expect_bad("GET /a$ * stale", "read", "remove")
        self.assertIn("cache", checks["read"]["advice"])
        checks = self.expect_bad("GET list-type * say 200 <ListBucketResult></ListBucketResult>",
                                 "list")
        self.assertIn("gc", checks["list"]["advice"])
        self.expect_bad("GET list-type * stale", "remove")

    def test_permissions(self):
        for rules, names, expect in (
                ("* * * error 403 AccessDenied", {"write"}, 4),
                ("GET /a$ * error 403 AccessDenied", {"read", "remove"}, 4),
                ("GET list-type * error 403 AccessDenied", {"list"}, 4),
                ("DELETE cairn-test * error 403 AccessDenied", {"uploads", "remove", "clean"}, 4)):
            checks = self.expect_bad(rules, *names, expect=expect)
            if "write" in names:
                self.assertIn("s3:PutObject", checks["write"]["advice"])
        self.proxy.set_rules("")

    def test_a_clock_that_is_wrong(self):
        self.proxy.set_rules("HEAD clock * say 200 Last-Modified=Sun,%2006%20Nov%201994%2008:49:37%20GMT")
        checks, bad, _ = self.tried(self.url)
        self.assertEqual(bad, {"clock"})
        self.assertIn("behind", checks["clock"]["told"])
        skewed = "error 403 RequestTimeTooSkewed"
        checks = self.expect_bad(f"* * * {skewed}", "write", expect=4)
        self.assertIn("clock", checks["write"]["advice"])

    def test_no_bucket(self):
        checks, bad, untried = self.tried("s3://nobody/x", expect=10)
        self.assertEqual(bad, {"write"})
        self.assertIn("make the bucket", checks["write"]["advice"])
        self.assertIn("read", untried)

    def test_a_stop_leaves_nothing(self):
        self.proxy.set_rules("GET ranges * hang")
        process = self.cairn.start("remote", "test", self.url)
        while not any("ranges" in path and method == "GET" for method, path, _, _ in self.proxy.log):
            self.assertIsNone(process.poll())
            threading.Event().wait(0.02)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertFalse(any(b"cairn-test" in text for text in self.left()))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
