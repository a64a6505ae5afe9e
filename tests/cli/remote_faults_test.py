#!/usr/bin/env python3
"""Remotes on bad days: a proxy that lies stands before them. usage: remote_faults_test.py CAIRN"""
import shutil
import ssl
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import environment
from chain_store import series
from file_servers import BUCKET_SERVER, BucketServer, FileServer
from lying_proxy import LyingProxy
from nginx_server import NginxServer, has_nginx
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

NO_BUCKETS = environment.lacks(*BUCKET_SERVER)
PROGRAM = ""


class Faults(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-faults-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)
        self.local = Program(PROGRAM, self.folder / "store")
        self.local.run("init", self.local.store, "--chunk-elements", "1024")
        for number, tensors in enumerate(series(2)):
            self.save(f"run/{number}", {**tensors, "large": noise(3 << 20, 7)})

    def save(self, tag, tensors):
        path = write_safetensors(self.folder / "in.safetensors", tensors)
        self.local.run("import", tag, path)

    def held(self, program, tag):
        out = self.folder / "out.safetensors"
        program.run("export", tag, out, "--force")
        return read_safetensors(out)

    def proxy_to(self, url, rules=""):
        proxy = LyingProxy(url, rules)
        self.addCleanup(proxy.stop)
        return proxy


class WebServer(Faults):
    def setUp(self):
        super().setUp()
        self.server = (NginxServer if has_nginx() else FileServer)(self.local.store)
        self.addCleanup(self.server.stop)
        self.proxy = self.proxy_to(self.server.url)
        self.remote = Program(PROGRAM, self.proxy.url)

    def expect_survives(self, rules):
        """A pull and an export under these rules give what is there."""
        there = Program(PROGRAM, self.folder / "there")
        self.proxy.set_rules(rules)
        there.run("pull", self.proxy.url, "--all")
        there.run("check", "--read-data")
        self.proxy.set_rules(rules)
        for tag in ("run/0", "run/1"):
            self.assertEqual(self.held(there, tag), self.held(self.local, tag), rules)
        self.assertEqual(self.held(self.remote, "run/1"), self.held(self.local, "run/1"), rules)
        shutil.rmtree(there.store)

    def test_what_reads_survive(self):
        for rules in ("* * %5 drop\n* * %6 truncate 700\n* * %7 status 500\n* * %8 status 503 0",
                      "* * %5 length 9\n* packs/ %2 length -9\n* * %3 repeat\n* * * delay 5",
                      "GET * * gzip", "GET * * whole"):
            with self.subTest(rules):
                self.expect_survives(rules)

    def test_a_transfer_tells_its_traffic(self):
        there = Program(PROGRAM, self.folder / "there")
        self.proxy.set_rules("GET /packs/ 1 status 500")
        moved = there.json("pull", self.proxy.url, "run/1")
        self.assertEqual(moved["retries"], 1)
        sent = sum(body for _, _, _, body in self.proxy.log)
        self.assertGreater(moved["network_bytes"], moved["received_bytes"])
        self.assertLessEqual(moved["network_bytes"], sent)
        self.proxy.set_rules("GET /packs/ 1 status 500")
        again = Program(PROGRAM, self.folder / "again")
        self.assertIn(", 1 retry", again.run("pull", self.proxy.url, "run/1").stdout)

    def test_a_range_goes_on_where_it_broke(self):
        if not has_nginx():
            self.skipTest("no nginx here")
        self.proxy.set_rules("GET packs/ 1-6 truncate 600000")
        there = Program(PROGRAM, self.folder / "there")
        moved = there.json("pull", self.proxy.url, "run/0")
        fetched = sum(size for _, path, _, size in self.proxy.log if "packs/" in path)
        self.assertLess(fetched, 1.1 * moved["stored_bytes"] + (64 << 10))

    def test_a_wrong_byte_is_fetched_again_or_named(self):
        there = Program(PROGRAM, self.folder / "there")
        self.proxy.set_rules("GET packs/ 1 flip 5000")
        there.run("pull", self.proxy.url, "run/0")
        self.assertEqual(self.held(there, "run/0"), self.held(self.local, "run/0"))
        self.proxy.set_rules("GET packs/ 1 flip 5000")
        self.assertEqual(self.held(self.remote, "run/0"), self.held(self.local, "run/0"))
        self.proxy.set_rules("GET packs/ * flip 5000")
        self.remote.run("export", "run/0", self.folder / "x.safetensors", "--force", expect=12)
        failed = there.run("pull", self.proxy.url, "run/1", expect=12)
        self.assertIn("packs/", failed.stderr)
        self.assertEqual(there.run("ls", "-q").stdout, "run/0\n")
        self.proxy.set_rules("")
        there.run("pull", self.proxy.url, "run/1")
        self.assertEqual(self.held(there, "run/1"), self.held(self.local, "run/1"))
        for path in ("root", "config"):
            self.proxy.set_rules(f"GET {path} * flip 40")
            self.assertIn(path, self.remote.run("ls", expect=12).stderr)

    def test_refusals(self):
        for status, code in ((401, 4), (403, 4), (407, 4)):
            self.proxy.set_rules(f"* * * status {status}")
            self.assertIn("password", self.remote.run("ls", expect=code).stderr)
        self.proxy.set_rules("* * * status 404")
        self.remote.run("ls", expect=10)
        self.proxy.set_rules("")
        self.remote.run("show", "run/7", expect=15)
        config = self.local.store / "config"
        config.write_bytes(config.read_bytes().replace(b'"format":1', b'"format":2'))
        self.remote.run("ls", expect=14)

    def test_redirects(self):
        other = self.proxy_to(self.server.url)
        secret = {"CAIRN_HTTP_AUTHORIZATION": "Bearer hush-hush"}
        asking = Program(PROGRAM, self.proxy.url, **secret)
        self.proxy.set_rules(f"* * * redirect {other.url}")
        self.assertEqual(asking.run("ls", "-q").stdout, "run/1\nrun/0\n")
        sent = [headers for _, _, headers, _ in self.proxy.log]
        self.assertTrue(all(each["Authorization"] == "Bearer hush-hush" for each in sent))
        self.assertTrue(other.log)
        self.assertFalse(any("Authorization" in headers for _, _, headers, _ in other.log))
        for target in ("file:///etc", "ftp://127.0.0.1", "gopher://127.0.0.1"):
            self.proxy.set_rules(f"* * * redirect {target}")
            failed = asking.run("ls", expect=1)
            self.assertIn("redirect", failed.stderr)
            self.assertNotIn("hush", failed.stderr)
        self.proxy.set_rules(f"* * * redirect {self.proxy.url}")
        self.assertIn("more than 10 redirects", asking.run("ls", expect=1).stderr)

    def test_passwords_go_along_and_are_not_shown(self):
        with_login = self.proxy.url.replace("//", "//me:hush@")
        asking = Program(PROGRAM, with_login)
        asking.run("ls")
        self.assertTrue(all(headers["Authorization"] == "Basic bWU6aHVzaA=="
                            for _, _, headers, _ in self.proxy.log))
        self.proxy.set_rules("* * * status 403")
        self.assertNotIn("hush", asking.run("ls", expect=4).stderr)
        self.assertNotIn("hush", asking.run("ls", "--json", expect=4).stderr)

    def test_a_stale_root_is_no_wrong_one(self):
        self.remote.run("ls")
        self.proxy.set_rules("GET root * stale")
        self.save("run/2", {"w": noise(5000, 1)})
        self.assertEqual(self.remote.run("ls", "-q").stdout, "run/1\nrun/0\n")
        asked = [headers for _, path, headers, _ in self.proxy.log if path.endswith("root")]
        self.assertTrue(all(headers.get("Cache-Control") == "no-cache" for headers in asked))

    def test_names_that_are_near(self):
        there = Program(PROGRAM, self.folder / "there")
        failed = there.error("pull", self.proxy.url, "run/l", expect=15)
        self.assertIn("run/1", failed["hint"])
        self.assertEqual(there.error("pull", self.proxy.url + "/packs", "run/1", expect=10)["code"],
                         "no-store")

    def test_a_body_that_stalls(self):
        there = Program(PROGRAM, self.folder / "there")
        self.proxy.set_rules("GET packs/ * stall 1000")
        failed = there.run("--retry-for", "0", "pull", self.proxy.url, "run/0", expect=17)
        self.assertIn("the same command goes on from there", failed.stderr)
        self.proxy.set_rules("")
        there.run("pull", self.proxy.url, "run/0")
        self.assertEqual(self.held(there, "run/0"), self.held(self.local, "run/0"))

    def test_a_full_disk(self):
        disk = self.folder / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk],
                          capture_output=True).returncode != 0:
            self.skipTest("mounting a tmpfs needs root")
        self.addCleanup(subprocess.run, ["umount", disk])
        there = Program(PROGRAM, disk / "there")
        failed = there.error("pull", self.proxy.url, "run/0", expect=13)
        self.assertIn("the same command goes on from there", failed["hint"])
        self.assertEqual(there.run("ls", "-q").stdout, "")
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        moved = there.json("pull", self.proxy.url, "run/0")
        self.assertGreater(moved["resumed_bytes"], 0)
        self.assertEqual(self.held(there, "run/0"), self.held(self.local, "run/0"))

    def test_nobody_of_that_name(self):
        nowhere = Program(PROGRAM, "http://store.invalid/x")
        self.assertIn("store.invalid", nowhere.run("ls", expect=17).stderr)


@unittest.skipUnless(shutil.which("openssl"), "no openssl here")
class Tls(Faults):
    def setUp(self):
        super().setUp()
        key, self.certificate = self.folder / "key.pem", self.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", key, "-out", self.certificate], check=True, capture_output=True)
        self.server = FileServer(self.local.store)
        self.addCleanup(self.server.stop)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.server.use_tls(context)

    def test_trust(self):
        port = self.server.url.rsplit(":", 1)[1]
        for host, variables, expect in (("localhost", {}, 17),
                                        ("localhost", {"CURL_CA_BUNDLE": self.certificate}, 0),
                                        ("localhost", {"SSL_CERT_FILE": self.certificate}, 0),
                                        ("127.0.0.1", {"CURL_CA_BUNDLE": self.certificate}, 17)):
            named = {name: str(path) for name, path in variables.items()}
            asking = Program(PROGRAM, f"https://{host}:{port}", **named)
            asking.run("ls", expect=expect)


@unittest.skipIf(NO_BUCKETS, NO_BUCKETS or "")
class Bucket(Faults):
    @classmethod
    def setUpClass(cls):
        cls.server = BucketServer()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self):
        super().setUp()
        self.proxy = self.proxy_to(self.server.endpoint)
        self.count = 0

    def expect_survives(self, rules):
        self.count += 1
        url = f"s3://bucket/{self.id().rsplit('.', 1)[1]}-{self.count}"
        self.local.environment.update(self.server.environment, AWS_ENDPOINT_URL=self.proxy.url)
        self.proxy.set_rules(rules)
        for tag in ("run/0", "run/1"):
            self.local.run("push", url, tag)
        there = Program(PROGRAM, self.folder / "there", **self.server.environment)
        there.run("pull", url, "--all")
        there.run("check", "--read-data")
        for tag in ("run/0", "run/1"):
            self.assertEqual(self.held(there, tag), self.held(self.local, tag), rules)
        shutil.rmtree(there.store)

    def test_what_pushes_survive(self):
        for rules in ("* * %4 drop\n* * %5 status 500\n* * %6 error 503 SlowDown\n* * %9 truncate 20",
                      "PUT root %2 lose\nPUT packs %3 lose\n* * * delay 3",
                      "PUT root 1-2 error 409 ConditionalRequestConflict\nPUT packs * repeat",
                      "PUT root * repeat"):
            with self.subTest(rules):
                self.expect_survives(rules)

    def test_refusals(self):
        asking = Program(PROGRAM, "s3://bucket/x",
                         **{**self.server.environment, "AWS_ENDPOINT_URL": self.proxy.url})
        for rule, code, hint in (("error 403 AccessDenied", 4, "cairn remote test"),
                                 ("error 403 SignatureDoesNotMatch", 4, "AWS_SECRET_ACCESS_KEY"),
                                 ("error 400 ExpiredToken", 4, "renew"),
                                 ("error 404 NoSuchBucket", 10, "make the bucket")):
            self.proxy.set_rules(f"* * * {rule}")
            failed = asking.run("ls", expect=code)
            self.assertIn(hint, failed.stderr)
            self.assertNotIn("secret", failed.stderr.replace("AWS_SECRET_ACCESS_KEY", ""))


    def test_a_clock_that_is_wrong(self):
        asking = Program(PROGRAM, "s3://bucket/x",
                         **{**self.server.environment, "AWS_ENDPOINT_URL": self.proxy.url})
        for date, words in (("Sun,%2006%20Nov%201994%2008:49:37%20GMT", "ahead of the server's"),
                            ("Sun,%2006%20Nov%202094%2008:49:37%20GMT", "behind the server's")):
            self.proxy.set_rules(f"* * * say 403 Date={date} <Error><Code>RequestTimeTooSkewed"
                                 "</Code><Message>so</Message></Error>")
            self.assertIn(words, asking.error("ls", expect=4)["hint"])

    def test_redirects(self):
        other = self.proxy_to(self.server.endpoint)
        asking = Program(PROGRAM, "s3://bucket/x",
                         **{**self.server.environment, "AWS_ENDPOINT_URL": self.proxy.url})
        self.proxy.set_rules("GET * * redirect file:///etc")
        self.assertIn("redirect", asking.run("ls", expect=1).stderr)
        self.proxy.set_rules(f"GET * * redirect {other.url}")
        asking.run("ls", expect=10)
        self.assertTrue(other.log)
        sent = [name.lower() for _, _, headers, _ in other.log for name in headers]
        self.assertFalse([name for name in sent if name == "authorization" or "amz" in name])

    def test_listings_that_lie(self):
        """Names that lead elsewhere are passed over, and a listing that never ends does."""
        url = "s3://bucket/listed"
        self.local.environment.update(self.server.environment, AWS_ENDPOINT_URL=self.proxy.url)
        self.local.run("push", url, "run/0")
        there = Program(PROGRAM, url, **self.local.environment)
        keys = "".join(f"<Contents><Key>listed/{key}</Key><Size>1</Size></Contents>" for key in
                       ("packs/../../x", "sessions/..", "/etc/passwd", "sessions//a", "packs/%00"))
        page = f"<ListBucketResult>{keys}</ListBucketResult>"
        self.proxy.set_rules(f"GET list-type * say 200 {page}")
        there.run("gc", "--yes", "--reader-grace", "0", expect=None)
        self.assertFalse(any(".." in path or "passwd" in path for method, path, _, _ in
                             self.proxy.log if method != "GET"))
        endless = ("<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a"
                   "</NextContinuationToken></ListBucketResult>")
        self.proxy.set_rules(f"GET list-type * say 200 {endless}")
        failed = there.run("gc", "--yes", "--reader-grace", "0", expect=1)
        self.assertIn("circles", failed.stderr)
        self.proxy.set_rules("GET list-type * endless")
        failed = there.run("gc", "--yes", "--reader-grace", "0", expect=1)
        self.assertIn("does not end", failed.stderr)
        self.proxy.set_rules("")
        there.run("check", "--read-data")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
