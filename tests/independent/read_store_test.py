#!/usr/bin/env python3
"""Stores made by the program, read by the second reader: it must give exactly what went in.

    tests/independent/read_store_test.py CAIRN [unittest arguments]

The program may also be named by $CAIRN. Exit status 77: no Python with numpy and blake3.
"""

import math
import os
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
import environment  # noqa: E402

if __name__ == "__main__":
    environment.enter("numpy", "blake3")

import blake3  # noqa: E402
import read_store  # noqa: E402
import store_rules  # noqa: E402
from forge_store import RAW, ZSTD, Forge, box_bytes, string  # noqa: E402
from program import Program, memory_folder, write_safetensors  # noqa: E402
from store_format import DTYPES, Damage, page_plan, storage_shape  # noqa: E402

CAIRN = os.environ.get("CAIRN", "build/cli/cairn")
BITS = dict(DTYPES.values())
RUN = 1 << 20
# Tiny, whole, cut along one axis or several, into single rows, empty, of many axes.
SHAPES = [[], [1], [0], [3, 0, 2], [24], [256], [257], [1024], [1025], [5000], [40, 136], [3, 4104],
          [1500, 8], [7, 5, 9, 24], [1] * 16, [2] * 12 + [1, 1, 1, 4], [1100, 1032]]
# Sub-byte dtypes whose rows are no whole bytes, though the tensor is.
ODD_SHAPES = [[8, 3], [2000, 3], [4, 1001], [16, 5, 31]]


def content(label, length):
    return blake3.blake3(label.encode()).digest(length=length)


def bits_of(dtype, shape):
    return BITS[dtype] * math.prod(shape)


def tensor(label, dtype, shape):
    return dtype, shape, content(label, bits_of(dtype, shape) // 8)


class Case(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(dir=memory_folder())
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.store = self.folder / "store"
        self.cairn = Program(CAIRN, self.store)
        self.wanted = {}

    def init(self, chunk_elements=1024, *words):
        Program(CAIRN).run("init", self.store, "--chunk-elements", chunk_elements, *words)

    def save(self, tag, tensors, *words, step=None, attachments=None, meta=None, file_meta=None):
        file = write_safetensors(self.folder / "in.safetensors", tensors, file_meta)
        words = list(words)
        for number, (name, data) in enumerate((attachments or {}).items()):
            (self.folder / f"attachment-{number}").write_bytes(data)
            words += ["--attach", f"{name}={self.folder}/attachment-{number}"]
        for key, value in (meta or {}).items():
            words += ["--meta", f"{key}={value}"]
        if step is not None:
            words += ["--step", step]
        self.cairn.run("import", tag, file, *words)
        metadata = {(0, key): value for key, value in (meta or {}).items()}
        metadata.update({(1, key): value for key, value in (file_meta or {}).items()})
        self.wanted[tag] = (tensors, attachments or {}, step, metadata)

    def fork(self, new, tag):
        self.cairn.run("tag", new, tag)
        self.wanted[new] = self.wanted[tag]

    def compare(self):
        """All tags are there, no other, and each holds what was saved and what the program says."""
        store = read_store.Store(self.store)
        self.assertEqual(list(store.tags), sorted(self.wanted, key=str.encode))
        for name, (tensors, attachments, step, metadata) in self.wanted.items():
            with self.subTest(tag=name):
                tag = store.read(name)
                # Saves of this test repeat states, which a save remarks on.
                told = {key: value for key, value in tag.metadata.items()
                        if key != (0, "cairn.warnings")}
                self.assertEqual((tag.step, told), (step, metadata))
                self.assertEqual(tag.attachments, attachments)
                found = {t.name: (t.dtype, t.shape, data) for t, data in tag.tensors}
                self.assertEqual(found.keys(), tensors.keys())
                self.assertEqual([name for name in found if found[name] != tensors[name]], [])
                shown = self.cairn.json("show", name)
                self.assertEqual(shown["manifest"], tag.manifest)
        store_rules.check_store(store)
        return store


class WhatGoesIn(Case):
    def test_dtypes_and_shapes(self):
        """One tag for each shape, with all dtypes that make whole bytes of it."""
        self.init()
        for number, shape in enumerate(SHAPES + ODD_SHAPES):
            self.save(f"shape/{number}", {
                f"t.{dtype}": tensor(f"{dtype} {shape}", dtype, shape)
                for dtype in BITS if bits_of(dtype, shape) % 8 == 0})
        self.compare()

    def test_default_chunks(self):
        self.init(524288)
        self.save("a", {"w": tensor("w", "F32", [900, 1024]),
                        "b": tensor("b", "BF16", [3, 700001])})
        self.compare()

    def test_attachments(self):
        self.init()
        sizes = [0, 1, 256, 257, 4095, RUN - 1, RUN, RUN + 1, 2 * RUN + 256, 2 * RUN + 257]
        self.save("a", {"w": tensor("w", "U8", [3])}, step=7, attachments={
            f"size {size}.bin": content(f"{size}", size) for size in sizes})
        self.compare()

    def test_metadata(self):
        self.init()
        self.save("a", {"w": tensor("w", "U8", [3])}, step=2**63 - 1,
                  meta={"z": "", "a-b": "x=y", "\u00e9": "\u6f22\U0001f600\n"},
                  file_meta={"format": "pt", "a": "\u0000 zero", "": "empty"})
        names = {"\u00e9": [300], "Z": [3], "\U0001f600": [], "\uffee": []}
        self.save("b", {name: tensor(name, "U8", shape) for name, shape in names.items()}, step=0)
        self.compare()

    def test_encodings(self):
        """Zeros, chunks that zstd makes smaller, and both in one tensor with noise."""
        self.init()
        noise, text = content("noise", 70000), b"the same words again and again. " * 3000
        self.save("a", {"zero": ("F32", [70, 1000], bytes(280000)), "text": ("U8", [96000], text),
                        "mixed": ("U8", [236000], bytes(70000) + noise + text)},
                  attachments={"zero": bytes(2 * RUN + 5), "text": text * 20})
        self.compare()
        shown = self.cairn.json("show", "a")["tensors"]
        used = {encoding for entry in shown for encoding in entry["encodings"]}
        self.assertLessEqual({"raw", "zero"}, used)

    def test_many_tensors_on_many_pages(self):
        self.init()
        tensors = {f"layer.{n}.w": tensor(f"{n}", "U8", [300 + n % 5]) for n in range(600)}
        tensors["layer.77.wide"] = tensor("wide", "U8", [1500, 4096])
        self.save("a", tensors)
        tensors = dict(tensors)
        tensors["layer.300.w"] = tensor("other", "U8", [302])
        self.save("b", tensors)
        store = self.compare()
        counts = [(t.name, t.chunks) for t, _ in store.read("a").tensors]
        self.assertGreater(len(page_plan(counts)), 10)


class ManyTags(Case):
    def test_unchanged_bases_forks_and_replaced_tags(self):
        self.init(1024, "--pack-bytes", "1MiB")
        tensors = {f"w{n}": tensor(f"w{n}", "F32", [64, 1024]) for n in range(8)}
        attachments = {"config.json": b"{}", "tokens": content("tokens", 9000)}
        for step in range(12):
            tensors = dict(tensors)
            tensors[f"w{step % 8}"] = tensor(f"w at {step}", "F32", [64, 1024])
            if step % 5 == 4:
                del tensors[f"w{(step + 3) % 8}"]
            self.save(f"run/{step:02}", tensors, step=step, attachments=attachments)
            if step % 3 == 0:
                self.fork(f"fork/{step}", f"run/{step:02}")
                self.save(f"fork/{step}/more", {**tensors, "extra": tensor("x", "F16", [2000])},
                          "--base", f"fork/{step}")
        self.compare()
        self.save("run/03", {"w0": tensor("again", "F32", [64, 1024])}, "--if-exists", "replace")
        self.save("fork/0", tensors, "--if-exists", "replace", "--base", "none")
        store = self.compare()
        self.assertGreater(len(list((self.store / "packs").rglob("*-*"))), 12)
        newest = max(entry.commit for entry in store.tags.values())
        self.assertEqual(store.tags["fork/0"].commit, newest)

    def test_empty_store(self):
        self.init()
        self.compare()


class TheTool(Case):
    def setUp(self):
        super().setUp()
        self.init()
        self.save("a/b", {"x/../y": tensor("x", "F32", [40, 40]), "s": tensor("s", "F64", [])},
                  step=3, attachments={"n": b"note"})

    def run_tool(self, *words):
        return subprocess.run([sys.executable, HERE / "list_store.py", self.store, *words],
                              capture_output=True, text=True)

    def test_files_out(self):
        done = self.run_tool(self.folder / "out")
        self.assertEqual(done.returncode, 0, done.stderr)
        files = {str(path.relative_to(self.folder / "out")): path.read_bytes()
                 for path in (self.folder / "out").rglob("*") if path.is_file()}
        tensors = self.wanted["a/b"][0]
        self.assertEqual(files, {
            "a%2Fb/tensors/x%2F..%2Fy": tensors["x/../y"][2],
            "a%2Fb/tensors/s": tensors["s"][2], "a%2Fb/attachments/n": b"note"})

    def test_damage_is_named(self):
        pack = next((self.store / "packs").rglob("*-*"))
        data = bytearray(pack.read_bytes())
        data[2000] ^= 1
        pack.write_bytes(data)
        done = self.run_tool()
        self.assertEqual(done.returncode, 1)
        self.assertIn("the digest does not match", done.stderr)
        self.assertIn("'x/../y'", done.stderr)

    def test_every_part_of_every_file_counts(self):
        """Any byte changed, any file cut: Damage, and never another exception or other bytes."""
        files = [path for path in self.store.rglob("*") if path.is_file()
                 and path.parent.name != "index" and path.stat().st_size
                 and path.name not in ("ballast", "lock", "gc.lock")]
        for path in files:
            good = path.read_bytes()
            cuts = {0, 1, len(good) // 2, len(good) - 1}
            places = range(0, len(good), max(1, len(good) // 500))
            bad = [good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1:] for at in places]
            for number, data in enumerate(bad + [good[:cut] for cut in cuts]):
                path.write_bytes(data)
                with self.subTest(path=path.name, number=number):
                    with self.assertRaises(Damage):
                        store_rules.check_store(read_store.Store(self.store))
            path.write_bytes(good)
        self.compare()


class Forged(Case):
    """Stores made by neither program nor import: both readers must read them the same."""

    def forge(self, make):
        forge = Forge(self.store)
        forge.close(*make(forge))

    def kept(self, forge, name, tensors, attachments=None, step=None, **options):
        self.wanted[name] = (tensors, attachments or {}, step, {})
        return forge.save(name, tensors, attachments, step, **options)

    def compare(self):
        super().compare()
        for name, (tensors, attachments, *_) in self.wanted.items():
            held = {key: data for key, (_, _, data) in tensors.items()} | attachments
            for key, data in held.items():
                with self.subTest(tag=name, held=key):
                    self.assertEqual(self.cairn.run("cat", name, key, text=False).stdout, data)
        self.assertTrue(self.cairn.json("check", "--read-data")["ok"])

    def test_encodings(self):
        text = b"again and again. " * 9000
        tensors = {"text": ("U8", [3, 51000], text), "zero": ("I16", [4096], bytes(8192)),
                   "noise": tensor("n", "F64", [2000]), "f4": ("F4", [4, 1000], text[:2000])}
        attachments = {"a": text[:300], "b": text * 9}
        self.forge(lambda forge: ([], [
            self.kept(forge, "raw", tensors, attachments, encoding=RAW),
            self.kept(forge, "zstd", tensors, attachments, step=-5, encoding=ZSTD)]))
        self.compare()

    def test_content_cuts(self):
        """Read the same, and by the program cut the same."""
        text = b"again and again. " * 9000
        attachments = {"none": b"", "few": b"few", "text": text, "zero": bytes(70000),
                       "noise": content("noise", 200003)}
        forge = Forge(self.store, content_cuts=True)
        forge.run_bytes = 4096
        forge.close([], [self.kept(forge, f"{way}", {"w": tensor("w", "U8", [3])}, attachments,
                                   encoding=way) for way in (RAW, ZSTD)])
        self.compare()
        manifest = self.cairn.json("show", "0")["manifest"]
        self.save("again", {"w": tensor("w", "U8", [3])}, attachments=attachments)
        self.compare()
        self.assertEqual(self.cairn.json("show", "again")["manifest"], manifest)

    def test_pieces_and_layouts(self):
        tensors = {"m": tensor("m", "F32", [100, 90]), "v": tensor("v", "BF16", [3001]),
                   "c": tensor("c", "U8", [9, 20, 30]), "one": tensor("one", "F32", [10, 10])}
        cuts = {"m": [[(0, 37), (0, 90)], [(37, 100), (0, 41)], [(37, 100), (41, 90)]],
                "v": [[(0, 1)], [(1, 2999)], [(2999, 3001)]],
                "c": [[(0, 9), (0, 7), (0, 30)], [(0, 9), (7, 20), (0, 30)]]}
        self.forge(lambda forge: ([], [
            self.kept(forge, f"cut/{encoding}", tensors, step=1, cuts=cuts, encoding=encoding)
            for encoding in (RAW, ZSTD)]))
        self.compare()

    def test_tag_tables_and_closure(self):
        """Entries of root replace and remove those of tables and earlier ones of its own."""
        def make(forge):
            def tag(name, label, **options):
                return self.kept(forge, name, {"w": tensor(label, "U8", [700])}, **options)
            first = tag("a", "a")
            tables = [forge.tag_table([first, tag("b", "b old"), tag("c", "c")]),
                      forge.tag_table([tag("d", "d old"), tag("f", "f")])]
            late = [forge.removal("c"), tag("b", "b", closure=first.pages), forge.removal("d"),
                    tag("d", "d", step=4), forge.removal("a"), tag("e", "e")]
            for name in "ac":
                del self.wanted[name]
            return tables, late
        self.forge(make)
        self.compare()

    def test_unknown_encoding(self):
        """It is named; the other tensors are read."""
        tensors = {"new": tensor("new", "U8", [900]), "old": tensor("old", "U8", [900])}
        self.forge(lambda forge: ([], [forge.save("a", tensors, unknown=["new"])]))
        found = {t.name: data for t, data in read_store.Store(self.store).read("a").tensors}
        self.assertEqual(found["old"], tensors["old"][2])
        self.assertIn("unknown encoding 200", str(found["new"]))
        listed = subprocess.run([sys.executable, HERE / "list_store.py", self.store],
                                capture_output=True, text=True)
        self.assertEqual(listed.returncode, 1)
        self.assertIn("unknown encoding 200", listed.stdout)
        self.assertEqual(self.cairn.run("cat", "a", "old", text=False).stdout, tensors["old"][2])
        self.assertIn("encoding 200", self.cairn.run("cat", "a", "new", expect=14).stderr)

    def test_newer_stores_are_refused(self):
        for number, (version, features) in enumerate([(2, []), (1, ["mirrors"])]):
            with self.subTest(version=version, features=features):
                store = self.folder / f"newer-{number}"
                forge = Forge(store)
                forge.format, forge.features = version, features
                forge.close([], [forge.save("a", {"w": tensor("w", "U8", [3])})])
                with self.assertRaises(Damage):
                    read_store.Store(store)
                Program(CAIRN, store).run("ls", expect=14)

    def test_rows_longer_than_a_chunk(self):
        """9 rows are cut into 9 parts, no power of two."""
        held = {"w": tensor("w", "U8", [9, 1030])}
        self.forge(lambda forge: ([], [self.kept(forge, "a", held)]))
        self.compare()


    def test_what_a_reader_passes_over(self):
        """Flags, bytes after the name, names, roles and runs that no program has written so far."""
        held = {"w": tensor("w", "U8", [90, 40])}
        def make(forge):
            forge.run_bytes = 700
            forge.change[6] = lambda layout: layout[:16] + b"\xc8" + layout[17:]
            forge.change[7] = lambda entry: bytes([entry[0] | 0x70]) + entry[1:] + b"and more"
            cuts = {"w": [[(0, 50), (0, 40)], [(50, 90), (0, 40)]]}
            return [], [self.kept(forge, name, held, {"n": content(name, 2000)}, cuts=cuts)
                        for name in ("", "two words", "../up", "/", "\u00e9", "x" * 300)]
        self.forge(make)
        self.compare()


def at(offset, part):
    return lambda data: data[:offset] + part + data[offset + len(part):]


def instead(old, new):
    return lambda data: data.replace(old, new)


MANIFEST, SCHEMA, PAGE, LOCATOR, TABLE, LAYOUT, ENTRY = range(1, 8)
SECOND = [(300, 700)]  # what writer 1 has of the tensor "cut"
BROKEN = [
    ("a name twice", MANIFEST, instead(string("q"), string("p"))),
    ("attachments: names are out of order", MANIFEST, instead(string("p"), string("z"))),
    ("unknown flags", MANIFEST, at(8, b"\3")),
    ("tensors: names are out of order", SCHEMA, instead(string("a"), string("x"))),
    ("tensors: names are out of order", SCHEMA, instead(string("a"), string("b"))),
    ("dtype 99", SCHEMA, at(27, b"\x63")),
    ("another chunk_elements", SCHEMA, at(8, b"\x0b")),
    ("another chunk count", SCHEMA, at(37, b"\2")),
    ("another chunk count", SCHEMA, at(37, b"\xff" * 7)),
    ("a piece outside", PAGE, instead(box_bytes(SECOND), box_bytes([(301, 701)]))),
    ("a piece outside", PAGE, instead(box_bytes(SECOND), struct.pack("<QQ", 2**64 - 100, 400))),
    ("its pieces overlap", PAGE, instead(box_bytes(SECOND), box_bytes([(299, 699)]))),
    ("cut", LOCATOR, at(24 + 24 + 8, struct.pack("<Q", 2**64 - 100))),
    ("for another manifest", TABLE, at(24, bytes(32))),
    ("do not hold", TABLE, lambda data: data[:-8] + bytes(8)),
    ("do not cover", LAYOUT, instead(box_bytes(SECOND), box_bytes([(301, 700)]))),
    ("a box outside", LAYOUT, instead(box_bytes(SECOND), box_bytes([(300, 701)]))),
    ("a writer past the count", LAYOUT, at(8, b"\1")),
    ("another step", ENTRY, at(24, b"\4")),
    ("another step", ENTRY, at(0, b"\x08")),
    ("its layout and its flag", ENTRY, at(0, b"\x04")),
    ("other sizes", ENTRY, at(48, b"\1")),
]


# The same with content cuts. The attachment is one chunk of 300 bytes.
BROKEN_CUTS = [
    ("do not make up", instead(struct.pack("<QI", 1, 300), struct.pack("<QI", 1, 299))),
    ("do not make up", instead(struct.pack("<QI", 1, 300), struct.pack("<QII", 2, 300, 0))),
    ("in the middle of a field", instead(struct.pack("<QI", 1, 300), struct.pack("<QI", 99, 300))),
    ("too long", lambda data: data.replace(struct.pack("<QQI", 300, 1, 300),
                                           struct.pack("<QQI", 20000, 1, 20000))),
    ("of another kind", lambda data: data.replace(struct.pack("<QI", 1, 300), b"", 1).replace(
        b"MANI\2", b"MANI\1")),
    ("without attachments", lambda data: data[:16] + bytes(4) + data[20:64] + data[-64:]),
]

# What the program's check says of them, where that is not "damaged": what is newer is not, and what
# a reader never looks at is nothing.
NEWER, OK = 14, 0
OTHERWISE = {"dtype 99": NEWER, "its layout and its flag": OK}


class Broken(Case):
    """Every digest is right, but a rule is broken: Damage that says which."""

    def assert_damage(self, message, folder, change=None, content_cuts=False, **held):
        forge = Forge(folder, content_cuts=content_cuts)
        if content_cuts:
            forge.run_bytes = 4096
        forge.change = change or {}
        forge.close([], [forge.save("t", **held)])
        with self.assertRaisesRegex(Damage, message):
            store_rules.check_store(read_store.Store(folder))
        Program(CAIRN, folder).run("check", expect=OTHERWISE.get(message, 12))

    def test_replicas_may_overlap(self):
        held = {"w": tensor("w", "U8", [700])}
        wider = instead(box_bytes([(300, 700)]), box_bytes([(200, 700)]))
        forge = Forge(self.store)
        forge.change = {LAYOUT: wider}
        forge.close([], [forge.save("t", held, cuts={"w": [[(0, 300)], [(300, 700)]]})])
        store_rules.check_store(read_store.Store(self.store))
        self.cairn.run("check", "--read-data")

    def test_rules(self):
        held = {"tensors": {name: tensor(name, "U8", [700]) for name in ("a", "b", "cut")},
                "attachments": {"p": bytes(300), "q": bytes(300)}, "step": 3,
                "cuts": {"cut": [[(0, 300)], SECOND]}}
        for number, (message, kind, change) in enumerate(BROKEN):
            with self.subTest(message, kind=kind):
                self.assert_damage(message, self.folder / f"{number}", {kind: change}, **held)

    def test_content_cuts(self):
        held = {"tensors": {"w": tensor("w", "U8", [700])}, "attachments": {"p": bytes(300)}}
        for number, (message, change) in enumerate(BROKEN_CUTS):
            with self.subTest(message, number=number):
                self.assert_damage(message, self.folder / f"{number}", {MANIFEST: change},
                                   content_cuts=True, **held)

    def test_small_chunks_are_inline(self):
        held = {"tensors": {"w": tensor("w", "U8", [200])}}
        for name, cuts in ("whole", None), ("cut", {"w": [[(0, 90)], [(90, 200)]]}):
            with self.subTest(name), mock.patch("forge_store.INLINE_BYTES", 100):
                self.assert_damage("an entry of kind", self.folder / name, cuts=cuts, **held)


class TheReader(unittest.TestCase):
    def test_it_is_small(self):
        """So that the format is: a reader is no more than this."""
        files = [HERE / f"{name}.py" for name in ("read_store", "store_format", "copy_chains",
                                                  "copy_decoder", "block_codec", "replay_rules")]
        lines = [line for file in files for line in file.read_text().splitlines()]
        self.assertLessEqual(len(lines), 1000)
        self.assertEqual([line for line in lines if len(line) > 100], [])


class StorageShapes(unittest.TestCase):
    def test_units(self):
        codes = {name: code for code, (name, _) in DTYPES.items()}
        for dtype, shape, wanted in (("F32", [3, 5], (4, [3, 5])), ("BOOL", [], (1, [])),
                                     ("F4", [3, 4], (1, [3, 2])), ("F4", [4, 3], (1, [6])),
                                     ("F6_E2M3", [2, 8], (3, [2, 2])),
                                     ("F6_E3M2", [2, 6], (1, [9])),
                                     ("C64", [1], (8, [1])), ("F4", [3, 0], (1, [3, 0]))):
            with self.subTest(dtype=dtype, shape=shape):
                self.assertEqual(storage_shape(codes[dtype], shape), wanted)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        CAIRN = sys.argv.pop(1)
    unittest.main()
