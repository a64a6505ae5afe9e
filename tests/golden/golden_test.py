#!/usr/bin/env python3
"""Stores that were made long ago are read as they were made, by the program and the second reader.

    tests/golden/golden_test.py CAIRN [unittest arguments]

Every folder format-* beside this file is a store, and format-*.json is what it holds. The program
works on a copy that nobody may write to, without an index. The second reader's part is skipped
where no Python has numpy and blake3.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "independent"), str(HERE.parent / "support")]
import environment  # noqa: E402

NO_SECOND_READER = environment.lacks("numpy", "blake3") if __name__ == "__main__" else None

from program import Program, read_safetensors  # noqa: E402

CAIRN = os.environ.get("CAIRN", "build/cli/cairn")
STORES = sorted(HERE.glob("format-*.json"))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in folder.rglob("*")}


class Golden(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.assertTrue(STORES)
        self.stores = []
        for listing in STORES:
            copy = self.folder / listing.stem
            shutil.copytree(HERE / listing.stem, copy)
            self.addCleanup(self.permit, copy, True)
            self.permit(copy, False)
            self.stores.append((copy, tree(copy), json.loads(listing.read_text())["tags"]))

    def tearDown(self):
        for copy, before, _ in self.stores:
            self.assertEqual(tree(copy), before, "the program changed a store that it only read")

    def each(self):
        """(program on a copy without write permission, tag, what it holds)"""
        for copy, _, tags in self.stores:
            for name, tag in tags.items():
                yield Program(CAIRN, copy), name, tag

    def permit(self, folder, write):
        for path in [folder, *folder.rglob("*")]:
            path.chmod((0o755 if path.is_dir() else 0o644) & (0o777 if write else 0o555))

    @unittest.skipIf(NO_SECOND_READER, NO_SECOND_READER)
    def test_second_reader(self):
        import list_store
        import read_store
        import store_rules
        for copy, _, tags in self.stores:
            store = read_store.Store(copy)
            found = {name: list_store.listing(store.read(name)) for name in store.tags}
            self.assertEqual(found, tags)
            store_rules.check_store(store)

    def test_ls_and_check(self):
        for copy, _, tags in self.stores:
            cairn = Program(CAIRN, copy)
            self.assertEqual(sorted(cairn.run("-q", "ls").stdout.split()), sorted(tags))
            found = cairn.json("check", "--read-data")
            self.assertEqual((found["ok"], found["errors"], found["tags"]), (True, [], len(tags)))

    def test_show(self):
        for cairn, name, tag in self.each():
            with self.subTest(store=cairn.store.name, tag=name):
                shown = cairn.json("show", name)
                self.assertEqual((shown["manifest"], shown["step"]), (tag["manifest"], tag["step"]))
                self.assertEqual(shown["metadata"], {**tag["safetensors_metadata"], **tag["metadata"]})
                for part, keys in (("tensors", ("name", "dtype", "shape")),
                                   ("attachments", ("name", "bytes"))):
                    self.assertEqual([[held[key] for key in keys] for held in shown[part]],
                                     [[held[key] for key in keys] for held in tag[part]])

    def test_cat(self):
        for cairn, name, tag in self.each():
            for held in tag["tensors"] + tag["attachments"]:
                with self.subTest(store=cairn.store.name, tag=name, held=held["name"]):
                    data = cairn.run("cat", name, held["name"], text=False).stdout
                    self.assertEqual(sha256(data), held["sha256"])

    def test_export(self):
        for number, (cairn, name, tag) in enumerate(self.each()):
            with self.subTest(store=cairn.store.name, tag=name):
                target = self.folder / f"{number}.safetensors"
                cairn.run("export", name, target)
                tensors, metadata = read_safetensors(target)
                found = {key: (dtype, shape, sha256(data))
                         for key, (dtype, shape, data) in tensors.items()}
                self.assertEqual(found, {held["name"]: (held["dtype"], held["shape"], held["sha256"])
                                         for held in tag["tensors"]})
                self.assertLessEqual(tag["safetensors_metadata"].items(), (metadata or {}).items())


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        CAIRN = sys.argv.pop(1)
    unittest.main()
