#!/usr/bin/env python3
"""Loads from a store that lies on a web server."""
import os
import sys
import time
import unittest
from pathlib import Path
from unittest import mock

import package

if __name__ == "__main__":
    package.enter("numpy")

import numpy

import cairn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from file_servers import FileServer
from lying_proxy import LyingProxy


class RemoteStore(package.StoreTest):
    def setUp(self):
        super().setUp()
        self.local = cairn.Store(self.folder / "store", create=True)
        generator = numpy.random.default_rng(1)
        self.state = {"w": generator.standard_normal((300, 200), dtype="float32"),
                      "n": {"step": 3, "b": generator.integers(0, 9, 50)}}
        self.local.save("run/1", self.state, step=3)
        server = FileServer(self.folder / "store")
        self.addCleanup(server.stop)
        self.store = cairn.Store(server.url + "/")

    def test_loads_what_a_folder_has(self):
        loaded = self.store.load("run/@newest")
        numpy.testing.assert_array_equal(loaded["w"], self.state["w"])
        numpy.testing.assert_array_equal(loaded["n"]["b"], self.state["n"]["b"])
        self.assertEqual(loaded["n"]["step"], 3)
        room = {"w": numpy.zeros((300, 200), "float32")}
        self.store.load("run/1", into=room, strict=False)
        numpy.testing.assert_array_equal(room["w"], self.state["w"])

    def test_what_is_kept_nearby(self):
        with mock.patch.dict(os.environ, CAIRN_CACHE=str(self.folder / "cache")):
            store = cairn.Store(self.store.path)
        for _ in range(2):
            numpy.testing.assert_array_equal(store.load("run/1")["w"], self.state["w"])
        for pack in (self.folder / "store" / "packs").rglob("*"):
            if pack.is_file():
                pack.unlink()
        numpy.testing.assert_array_equal(store.load("run/1")["w"], self.state["w"])

    def test_a_new_tag_is_seen(self):
        with self.assertRaises(cairn.NotFoundError):
            self.store.load("run/2")
        self.local.save("run/2", {"w": self.state["w"] + 1})
        numpy.testing.assert_array_equal(self.store.load("run/2")["w"], self.state["w"] + 1)

    def test_a_url_that_was_meant(self):
        for words, meant in (("models.example.org/x", "https://models.example.org/x"),
                             ("localhost:9000/x", "http://localhost:9000/x"),
                             ("s3:/bucket/x", "s3://bucket/x")):
            for call in (cairn.Store, lambda words: self.local.pull(words, "run/1")):
                with self.assertRaises(cairn.NoStoreError) as raised:
                    call(words)
                self.assertIn(f"'{meant}'", raised.exception.hint)
        with self.assertRaises(cairn.UsageError):
            cairn.Store("gopher://host/x")

    def test_no_folder_is_made_of_a_url_that_is_written_wrong(self):
        os.chdir(self.folder)
        for words in ("s3:/bucket/x", "s3://", "https:/host/x", "S3:bucket"):
            with self.assertRaises(cairn.UsageError):
                cairn.Store(words, create=True)
            with self.assertRaises(cairn.Error):
                self.local.push(words, "run/1", dry_run=True)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["store"])

    def test_ctrl_c_does_not_wait_for_the_network(self):
        """Whatever is waited for: a store, a tag, tensors."""
        proxy = LyingProxy(self.store.path)
        self.addCleanup(proxy.stop)
        store = cairn.Store(proxy.url)
        for place, call in (("config", lambda: cairn.Store(proxy.url)),
                            ("root", lambda: store.load("run/1")),
                            ("/meta/", lambda: cairn.Store(proxy.url).load("run/1")),
                            ("/packs/", lambda: store.load("run/1"))):
            with self.subTest(place):
                proxy.set_rules(f"GET {place} * hang")
                began = package.interrupt_at(proxy, place)
                with self.assertRaises(KeyboardInterrupt):
                    call()
                self.assertLess(time.monotonic() - began[0], 5,
                                "a request that hangs is given up after 20 s")

    def test_what_is_not_there(self):
        with self.assertRaises(cairn.NoStoreError):
            cairn.Store(self.store.path + "/packs")
        with self.assertRaises(cairn.UsageError):
            self.store.save("run/3", self.state)


if __name__ == "__main__":
    unittest.main()
