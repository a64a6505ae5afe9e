#!/usr/bin/env python3
"""Stores on web servers and in buckets, from outside. usage: remote_commands_test.py CAIRN"""
import random
import socket
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from chain_store import series
from environment import lacks
from file_servers import BUCKET_SERVER, BucketServer, FileServer
from lying_proxy import LyingProxy
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

PROGRAM = ""
NO_BUCKETS = lacks(*BUCKET_SERVER)


class Remote(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-remote-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)
        self.local = Program(PROGRAM, self.folder / "store")
        self.local.run("init", self.local.store, "--chunk-elements", "1024")

    def save(self, tag, tensors):
        path = write_safetensors(self.folder / "in.safetensors", tensors)
        return self.local.json("import", tag, path)

    def expect_given_up(self, program, *words):
        begin = time.monotonic()
        failed = program.run("--retry-for", "2s", *words, expect=17)
        # And what is put in order afterwards, each thing tried once.
        self.assertLess(time.monotonic() - begin, 8, failed.stderr)

    def held(self, program, tag):
        out = self.folder / "out.safetensors"
        program.run("export", tag, out, "--force")
        return read_safetensors(out)


def expect_rate(test, program, words, bytes_moved, rate=2 << 20):
    """That it takes as long as the rate says: no less, and not much more than the machine needs."""
    begin = time.monotonic()
    moved = program.json(*words, "--rate", f"{rate >> 10}K")
    passed = time.monotonic() - begin
    test.assertGreaterEqual(moved["moved_bytes"], bytes_moved)
    # An eighth of a second's bytes, and a step of each connection's, are free.
    test.assertGreater(passed, bytes_moved / rate - 0.7)
    test.assertLess(passed, 4 * bytes_moved / rate + 5)


class WebServer(Remote):
    def setUp(self):
        super().setUp()
        self.server = FileServer(self.local.store)
        self.addCleanup(lambda: self.server.stop())
        self.remote = Program(PROGRAM, self.server.url)

    def test_reads_as_a_folder_does(self):
        for number, tensors in enumerate(series(3)):
            self.save(f"run/{number}", tensors)
        for words in (("ls",), ("show", "run/2"), ("diff", "run/1", "run/2")):
            self.assertEqual(self.remote.json(*words), self.local.json(*words), words)
        for tag in ("run/0", "run/2"):
            self.assertEqual(self.held(self.remote, tag), self.held(self.local, tag))
        name = self.local.json("show", "run/2")["tensors"][0]["name"]
        self.assertEqual(self.remote.run("cat", "run/2", name, text=False).stdout,
                         self.local.run("cat", "run/2", name, text=False).stdout)

    def test_pulls_what_is_new(self):
        there = Program(PROGRAM, self.folder / "there")
        for number, tensors in enumerate(series(3)):
            saved = self.save(f"run/{number}", tensors)
            moved = there.json("pull", self.server.url, "run/@newest")
            self.assertLessEqual(moved["moved_bytes"], 1.05 * saved["stored_bytes"])
            self.assertEqual(moved["manifest"], saved["manifest"])
        there.run("check", "--read-data")
        for tag in ("run/0", "run/1", "run/2"):
            self.assertEqual(self.held(there, tag), self.held(self.local, tag))

    def test_without_ranges_each_pack_comes_once(self):
        source = Program(PROGRAM, self.folder / "source")
        source.run("init", source.store)
        path = write_safetensors(self.folder / "in.safetensors",
                                 {"w": random.Random(1).randbytes(48 << 20)})
        saved = source.json("import", "run/1", path)
        server = FileServer(source.store)
        self.addCleanup(server.stop)
        there = Program(PROGRAM, self.folder / "there")
        there.run("pull", server.url, "run/1")
        self.assertLess(server.sent_bytes, 1.1 * saved["stored_bytes"])
        there.run("check", "--read-data")

    def test_a_rate_holds_over_all_connections(self):
        self.save("run/1", {f"w{i}": random.Random(i).randbytes(1 << 20) for i in range(6)})
        self.server.stop()
        self.server = FileServer(self.local.store, ranges=True)
        there = Program(PROGRAM, self.folder / "there")
        expect_rate(self, there, ("pull", self.server.url, "run/1"), 6 << 20)
        self.assertEqual(self.held(there, "run/1"), self.held(self.local, "run/1"))
        for rate in ("0", "100", "fast"):
            self.assertIn(rate, there.run("pull", self.server.url, "run/1", "--rate", rate,
                                          expect=2).stderr)

    def test_retry_for(self):
        self.save("run/1", {"w": noise(5000, 1)})
        proxy = LyingProxy(self.server.url, "* root * status 500")
        self.addCleanup(proxy.stop)
        asking = Program(PROGRAM, proxy.url)
        for words, tries in ((("--retry-for", "0", "ls"), 1), (("ls", "--retry-for=1s"), None)):
            proxy.set_rules("* root * status 500")
            begin = time.monotonic()
            self.assertIn("500", asking.run(*words, expect=17).stderr)
            self.assertLess(time.monotonic() - begin, 10)
            asked = len([path for _, path, _, _ in proxy.log if path.endswith("root")])
            self.assertTrue(asked == tries if tries else asked > 1, asked)
        asking.environment["CAIRN_RETRY_FOR"] = "0"
        proxy.set_rules("* root * status 500")
        asking.run("ls", expect=17)
        self.assertEqual(len([path for _, path, _, _ in proxy.log if path.endswith("root")]), 1)

    def test_less_patience_gives_up_whatever_the_server_does(self):
        self.save("run/1", {"w": noise(102400, 1)})
        proxy = LyingProxy(self.server.url)
        self.addCleanup(proxy.stop)
        asking = Program(PROGRAM, proxy.url)
        there = Program(PROGRAM, self.folder / "there")
        for rules in ("* * * status 503", "* * * hang", "* packs * stall 1000"):
            proxy.set_rules(rules)
            self.expect_given_up(there, "pull", proxy.url, "run/1")
            if "packs" not in rules:
                self.expect_given_up(asking, "ls")
                self.expect_given_up(there, "remote", "test", proxy.url)

    def test_more_patience_waits_for_a_server_that_is_to_come(self):
        self.save("run/1", {"w": noise(5000, 1)})
        self.server.stop()
        asking = self.remote.start("--retry-for", "60s", "ls", "-q")
        threading.Event().wait(1.5)
        self.assertIsNone(asking.poll())
        self.server = FileServer(self.local.store, port=int(self.server.url.rsplit(":", 1)[1]))
        out, error = asking.communicate(timeout=60)
        self.assertEqual((out, asking.returncode), (b"run/1\n", 0), error)

    def test_cannot_be_written(self):
        self.save("run/1", {"w": noise(102400, 1)})
        file = self.folder / "in.safetensors"
        for words in (("tag", "a", "run/1"), ("forget", "run/1", "--yes", "--allow-newest"),
                      ("forget", "--keep-last", "1", "--dry-run"), ("pin", "run/1"),
                      ("unpin", "run/1"), ("gc", "--yes"), ("gc", "--dry-run"),
                      ("import", "run/2", file), ("repair", "index"), ("repair", "tags", "--yes"),
                      ("pull", self.local.store, "run/1", "--as", "x", "--tensors", "w")):
            self.assert_refused(self.remote, words)
        for words in (("push", self.server.url, "run/1"), ("init", f"{self.server.url}/new"),
                      ("push", f"{self.server.url}/new", "run/1")):
            self.assert_refused(self.local, words)
        self.assert_refused(self.local, ("push", self.server.url, "run/1", "--dry-run"))
        self.assertEqual(self.local.run("ls", "-q").stdout, "run/1\n")

    def assert_refused(self, program, words):
        failed = program.error(*words, expect=2)
        for told in (f"'{self.server.url}", "read only", "web server"):
            self.assertIn(told, failed["message"], words)
        self.assertNotRegex(failed["message"], "/(lock|sessions|index|packs)'")
        self.assertIn("cairn pull", failed["hint"])

    def test_cannot_be_counted(self):
        self.save("run/1", {"w": noise(102400, 1)})
        for words in (("stats",), ("report", "-o", self.folder / "report.html")):
            failed = self.remote.error(*words, expect=2)
            self.assertIn(f"'{self.server.url}'", failed["message"])
            self.assertIn("cairn ls", failed["hint"])

    def test_says_what_is_wrong(self):
        self.save("run/1", {"w": noise(102400, 1)})
        self.assertEqual(self.remote.error("show", "run/2", expect=15)["code"], "not-found")
        nowhere = Program(PROGRAM, self.server.url + "/packs")
        self.assertEqual(nowhere.error("ls", expect=10)["code"], "no-store")
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            refused = Program(PROGRAM, f"http://127.0.0.1:{unused.getsockname()[1]}")
            self.assertEqual(refused.error("ls", expect=17)["code"], "unreachable")
        https = Program(PROGRAM, self.server.url.replace("http:", "https:"))
        self.assertIn("'http://'", https.error("ls", expect=17)["hint"])
        swapped = self.local.error("pull", "run/1", self.server.url, expect=2)
        self.assertIn(f"cairn pull {self.server.url} run/1", swapped["hint"])
        self.assertIn("--all", self.local.error("pull", self.server.url, "run/*", expect=15)["hint"])
        tested = self.local.error("remote", "test", "127.0.0.1:5/store", expect=2)
        self.assertIn("http://127.0.0.1:5/store", tested["hint"])
        absent = Program(PROGRAM, "models.example.org/store")
        self.assertIn("https://models.example.org/store", absent.error("ls", expect=10)["hint"])
        config = self.local.store / "config"
        config.write_bytes(config.read_bytes().replace(b'"format":1', b'"format":9'))
        self.assertIn(self.remote.error("ls", expect=None)["code"], ("newer-format", "corrupt"))

    def test_a_damaged_pack_is_named(self):
        self.save("run/1", {"w": noise(102400, 1)})
        pack = next((self.local.store / "packs").rglob("*-0"))
        content = bytearray(pack.read_bytes())
        content[5000] ^= 1
        pack.write_bytes(content)
        there = Program(PROGRAM, self.folder / "there")
        failed = there.run("pull", self.server.url, "run/1", expect=12)
        self.assertIn("packs/", failed.stderr)
        self.assertEqual(there.run("ls", "-q").stdout, "")


@unittest.skipIf(NO_BUCKETS, NO_BUCKETS or "")
class Bucket(Remote):
    @classmethod
    def setUpClass(cls):
        cls.server = BucketServer()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        super().setUp()
        self.url = f"s3://bucket/{self.id().rsplit('.', 1)[1]}"
        self.local.environment.update(self.server.environment)
        self.remote = Program(PROGRAM, self.url, **self.server.environment)

    def test_a_push_makes_a_store_that_reads_and_pulls(self):
        for number, tensors in enumerate(series(3)):
            saved = self.save(f"run/{number}", tensors)
            moved = self.local.json("push", self.url, f"run/{number}")
            self.assertLessEqual(moved["moved_bytes"], 1.05 * saved["stored_bytes"])
            self.assertEqual(moved["manifest"], saved["manifest"])
        self.assertTrue(self.local.json("push", self.url, "run/2")["already_there"])
        there = Program(PROGRAM, self.folder / "there", **self.server.environment)
        there.run("pull", self.url, "--all")
        there.run("check", "--read-data")
        for tag in ("run/0", "run/1", "run/2"):
            self.assertEqual(self.held(there, tag), self.held(self.local, tag))
            self.assertEqual(self.held(self.remote, tag), self.held(self.local, tag))

    def test_a_rate_holds_for_what_is_written(self):
        self.save("run/1", {f"w{i}": random.Random(i).randbytes(1 << 20) for i in range(6)})
        expect_rate(self, self.local, ("push", self.url, "run/1"), 6 << 20)
        self.assertEqual(self.held(self.remote, "run/1"), self.held(self.local, "run/1"))

    def test_packs_of_many_parts(self):
        saved = self.save("run/1", {"w": noise(20 << 20, 1)})
        self.local.run("push", self.url, "run/1")
        self.assertEqual(self.held(self.remote, "run/1"), self.held(self.local, "run/1"))
        self.assertEqual(self.remote.json("show", "run/1")["manifest"], saved["manifest"])

    def test_tags_are_forked_and_forgotten_there(self):
        self.save("run/1", {"w": noise(102400, 1)})
        self.local.run("push", self.url, "run/1")
        self.remote.run("tag", "best", "run/1")
        self.remote.run("forget", "run/1", "--yes", "--allow-newest")
        self.assertEqual(self.remote.run("ls", "-q").stdout, "best\n")

    def test_pushes_beside_each_other(self):
        for number in range(4):
            self.save(f"run/{number}", {"w": noise(102400, number)})
        self.local.run("push", self.url, "run/0")
        pushes = [self.local.start("push", self.url, f"run/{number}") for number in (1, 2, 3)]
        for push in pushes:
            self.assertEqual(push.communicate(timeout=120)[1], b"")
            self.assertEqual(push.returncode, 0)
        self.assertEqual(sorted(self.remote.run("ls", "-q").stdout.split()),
                         [f"run/{number}" for number in range(4)])

    def test_pushes_that_make_the_store_beside_each_other(self):
        for number in range(4):
            self.save(f"run/{number}", {"w": noise(102400, number)})
        pushes = [self.local.start("push", self.url, f"run/{number}") for number in range(4)]
        said = b""
        for push in pushes:
            said += push.communicate(timeout=120)[1]
            self.assertEqual(push.returncode, 0, said)
        self.assertEqual(said.count(b"made an empty store"), 1)
        self.assertEqual(sorted(self.remote.run("ls", "-q").stdout.split()),
                         [f"run/{number}" for number in range(4)])

    def test_imports_without_an_index(self):
        self.remote.run("init", self.url, "--chunk-elements", "1024")
        path = write_safetensors(self.folder / "in.safetensors", {"w": noise(102400, 1)})
        self.assertEqual(self.remote.run("import", "run/1", path).stderr, "")
        self.assertEqual(self.held(self.remote, "run/1")[0], read_safetensors(path)[0])

    def test_a_store_that_is_a_whole_bucket_is_told(self):
        self.save("run/1", {"w": noise(1024, 1)})
        for number, words in enumerate((("init",), ("push",), ("init", "-q"), ("init", "--json"))):
            bucket = f"whole-{number}"
            request = urllib.request.Request(f"{self.server.endpoint}/{bucket}", method="PUT")
            urllib.request.urlopen(request, timeout=30).close()
            tags = ("run/1",) if words == ("push",) else ()
            said = self.local.run(*words, f"s3://{bucket}/", *tags).stderr
            self.assertEqual(f"'s3://{bucket}/PREFIX'" in said, len(words) == 1, said)
        self.assertNotIn("PREFIX", self.local.run("init", self.url).stderr)

    def test_has_no_index_to_repair(self):
        self.remote.run("init", self.url)
        for words in (("repair", "index"), ("repair", "index", "--dry-run")):
            failed = self.remote.error(*words, expect=2)
            self.assertIn(f"'{self.url}'", failed["message"])
            self.assertIn("repair tags", failed["hint"])

    def test_a_dry_run_puts_nothing(self):
        self.save("run/1", {"w": noise(102400, 1)})
        told = self.local.json("push", self.url, "run/1", "--dry-run")
        self.assertEqual(self.remote.error("ls", expect=10)["code"], "no-store")
        self.assertEqual(self.local.json("push", self.url, "run/1")["moved_bytes"],
                         told["moved_bytes"])

    def test_a_dry_run_fails_where_the_push_would(self):
        self.save("run/1", {"w": noise(1024, 1)})
        dry, real = (self.local.error("push", "s3://nobody/x", "run/1", *words, expect=10)
                     for words in (("--dry-run",), ()))
        self.assertIn("no such bucket", dry["message"])
        self.assertEqual((dry["code"], dry["hint"]), (real["code"], real["hint"]))
        there = Program(PROGRAM, self.folder / "there", **self.server.environment)
        there.error("pull", "s3://nobody/x", "run/1", "--dry-run", expect=10)
        into_no_bucket = Program(PROGRAM, "s3://nobody/x", **self.server.environment)
        into_no_bucket.error("pull", self.local.store, "run/1", "--dry-run", expect=10)

    def test_less_patience_gives_up_whatever_the_bucket_does(self):
        self.save("run/1", {"w": noise(3 << 20, 1)})
        proxy = LyingProxy(self.server.endpoint)
        self.addCleanup(proxy.stop)
        self.local.environment["AWS_ENDPOINT_URL"] = proxy.url
        for rules in ("* * * status 503", "* * * hang", "PUT packs * status 503",
                      "PUT packs * hang"):
            proxy.set_rules(rules)
            self.expect_given_up(self.local, "push", self.url, "run/1")
            if "packs" not in rules:
                self.expect_given_up(self.local, "remote", "test", self.url)

    def test_no_bucket_and_no_store(self):
        for url, told in (("s3://nobody/x", "no such bucket"), (self.url, "no store")):
            nowhere = Program(PROGRAM, url, **self.server.environment)
            failed = nowhere.error("ls", expect=10)
            self.assertEqual(failed["code"], "no-store")
            self.assertIn(told, failed["message"])
        without = Program(PROGRAM, self.url, AWS_ENDPOINT_URL=self.server.endpoint,
                          AWS_EC2_METADATA_DISABLED="true", AWS_DEFAULT_REGION="us-east-1")
        self.assertEqual(without.error("ls", expect=4)["code"], "auth")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
