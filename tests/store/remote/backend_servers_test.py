#!/usr/bin/env python3
"""The contract of backends on servers: what can be read of nginx and of Python's own, all of it on
moto. usage: backend_servers_test.py BACKEND_CONTRACT_TEST"""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
import environment
from file_servers import BUCKET_SERVER, BucketServer, FileServer
from nginx_server import NginxServer, has_nginx

NO_BUCKETS = environment.lacks(*BUCKET_SERVER)
PROGRAM = ""


def plain_environment():
    """Without what would lead to other servers."""
    kept = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"HOME": "/nonexistent"}


class Servers(unittest.TestCase):
    def expect_contract(self, url, **variables):
        done = subprocess.run([PROGRAM, "--gtest_brief=1"], capture_output=True, text=True,
                              timeout=240, check=False,
                              env=plain_environment() | {"CAIRN_TEST_URL": url} | variables)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def expect_reads(self, make, below=""):
        with tempfile.TemporaryDirectory(prefix="cairn-served-") as folder:
            server = make(folder)
            self.addCleanup(server.stop)
            self.expect_contract(server.url + below, CAIRN_TEST_FOLDER=folder + below)

    def test_python(self):
        self.expect_reads(FileServer)

    @unittest.skipUnless(has_nginx(), "no nginx here")
    def test_nginx(self):
        self.expect_reads(NginxServer)
        self.expect_reads(NginxServer, "/below/deep")

    @unittest.skipUnless(has_nginx(), "no nginx here")
    def test_nginx_that_codes(self):
        self.expect_reads(lambda folder: NginxServer(
            folder, more="gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;"))

    @unittest.skipUnless(has_nginx(), "no nginx here")
    def test_nginx_without_ranges(self):
        self.expect_reads(lambda folder: NginxServer(folder, inside="max_ranges 0;"))

    @unittest.skipIf(NO_BUCKETS, NO_BUCKETS or "")
    def test_moto(self):
        server = BucketServer()
        self.addCleanup(server.stop)
        self.expect_contract("s3://bucket", **server.environment)
        self.expect_contract("s3://bucket/a%20b/c", **server.environment)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
