#!/usr/bin/env python3
"""Files go between the program and the safetensors package both ways, and both refuse the same.
usage: safetensors_interop_test.py CAIRN"""
import json
import re
import struct
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import environment
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

environment.enter("numpy", "safetensors")
import numpy
import safetensors
from safetensors.numpy import load_file, save_file

PROGRAM = ""
BITS = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8,
        "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16,
        "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64,
        "U64": 64}


class Interop(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-interop-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.cairn = Program(PROGRAM, self.folder / "store")
        self.cairn.run("init", self.cairn.store, "--chunk-elements", "1024")

    def there_and_back(self, source):
        back = self.folder / "back.safetensors"
        self.cairn.run("import", "t", source, "--if-exists", "replace")
        self.cairn.run("export", "t", back, "--force")
        return back

    def test_every_dtype_that_the_package_knows(self):
        unknown = write_safetensors(self.folder / "unknown.safetensors", {"x": ("NONE", [0], b"")})
        with self.assertRaises(Exception) as refused:
            safetensors.deserialize(unknown.read_bytes())
        listed = re.findall(r"`(\w+)`", str(refused.exception).split("expected")[-1])
        self.assertGreater(len(listed), 10, str(refused.exception))
        self.assertLessEqual(set(listed), set(BITS), "the package knows dtypes that Cairn does not")
        tensors = {f"t.{name}": (name, [3, 8], noise(3 * BITS[name], seed))
                   for seed, name in enumerate(listed, 1)}
        source = write_safetensors(self.folder / "all.safetensors", tensors, {"format": "np"})
        safetensors.deserialize(source.read_bytes())
        back = self.there_and_back(source)
        self.assertEqual(read_safetensors(back), read_safetensors(source))
        theirs = {name: (row["dtype"], row["shape"], bytes(row["data"]))
                  for name, row in safetensors.deserialize(back.read_bytes())}
        self.assertEqual(theirs, tensors)

    def test_numpy_arrays(self):
        random = numpy.random.default_rng(1)
        arrays = {"a": random.random((100, 30)), "b": random.random((7, 5, 3)).astype("f4"),
                  "c": numpy.arange(2000, dtype="i8"), "d": numpy.array(True),
                  "e": numpy.zeros((0, 3), "f2"), "f": random.random(9).astype("c8")}
        source = self.folder / "numpy.safetensors"
        save_file(arrays, source, {"k": "v\u00e9"})
        back = self.there_and_back(source)
        loaded = load_file(back)
        self.assertEqual(set(loaded), set(arrays))
        for name, array in arrays.items():
            self.assertEqual(loaded[name].dtype, array.dtype)
            numpy.testing.assert_array_equal(loaded[name], array)
        with safetensors.safe_open(back, "np") as opened:
            self.assertEqual(opened.metadata(), {"k": "v\u00e9"})

    def test_casts_agree_with_numpy(self):
        values = numpy.concatenate([numpy.array([0.0, -0.0, 1e-8, 65519.9, 65520.0, -1e9, 1e-45]),
                                    numpy.random.default_rng(2).normal(0, 100, 5000)])
        source = self.folder / "cast.safetensors"
        save_file({"x": values.astype("f4")}, source)
        self.cairn.run("import", "cast", source)
        out = self.folder / "f16.safetensors"
        self.cairn.run("export", "cast", out, "--dtype", "F16")
        with numpy.errstate(over="ignore"):
            expected = values.astype("f4").astype("f2")
        self.assertEqual(load_file(out)["x"].tobytes(), expected.tobytes())

    def test_both_refuse_the_same(self):
        good = json.dumps({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()

        def file(header, data, length=None):
            return struct.pack("<Q", len(header) if length is None else length) + header + data
        bad = {"short": file(good, b"123"), "long": file(good, b"12345"), "empty": b"",
               "no data": file(good, b""), "length": file(good, b"1234", 1 << 60),
               "not an object": file(b"[]", b""), "not utf-8": file(b'{"\xff": 1}', b""),
               "hole": file(good.replace(b"[0, 4]", b"[1, 5]"), b"12345"),
               "shape": file(good.replace(b"[4]", b"[5]"), b"1234"),
               "overflow": file(good.replace(b"[4]", b"[%d, 4]" % (1 << 63)), b"1234"),
               "dtype": file(good.replace(b"U8", b"X8"), b"1234")}
        path = self.folder / "bad.safetensors"
        for name, content in bad.items():
            with self.subTest(name):
                with self.assertRaises(Exception):
                    safetensors.deserialize(content)
                path.write_bytes(content)
                self.cairn.run("import", "bad", path, expect=2)
        path.write_bytes(file(good, b"1234"))
        self.cairn.run("import", "good", path)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
