#!/usr/bin/env python3
"""The wheel of scripts/bundle in a fresh environment, with nothing else on PATH."""
import base64
import csv
import hashlib
import importlib.util
import sys
import unittest
import zipfile
from pathlib import Path

import bundled
from bundled import BARE, run

import environment


def pip(venv, *words):
    return run(venv / "bin/python", "-I", "-m", "pip", *words,
               env={**BARE, "PIP_CONFIG_FILE": "/dev/null"})


class Wheel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bundle = bundled.Bundle(cls)
        cls.venv = cls.install("venv")

    @classmethod
    def install(cls, name):
        """A fresh environment with the wheel."""
        venv = cls.bundle.folder / name
        run(sys.executable, "-m", "venv", venv)
        pip(venv, "install", "--no-index", cls.bundle.wheel)
        return venv

    def python(self, code, *packages):
        """What code prints in the environment, with packages of this Python that it lacks."""
        folders = []
        for name in packages:
            found = importlib.util.find_spec(name)
            if found is None:
                self.skipTest(f"no {name} here; scripts/setup makes .venv with it")
            folders.append(str(Path(found.origin).parents[1]))
        code = f"import sys; sys.path += {folders!r}; path = {str(self.bundle.folder)!r}\n{code}"
        return run(self.venv / "bin/python", "-I", "-c", code, env=BARE).strip()

    def test_the_record_is_right(self):
        with zipfile.ZipFile(self.bundle.wheel) as wheel:
            names = wheel.namelist()
            record, = (name for name in names if name.endswith("/RECORD"))
            rows = list(csv.reader(wheel.read(record).decode().splitlines()))
            self.assertEqual([row[0] for row in rows if row[0] != record],
                             [name for name in names if name != record])
            for name, digest, size in rows:
                content = wheel.read(name)
                if name != record:
                    told = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
                    self.assertEqual((digest, int(size)), ("sha256=" + told.rstrip("="), len(content)))

    def test_the_program_is_on_path(self):
        program = self.venv / "bin/cairn"
        self.assertEqual(run(program, "version", env=BARE).split()[0], "cairn")
        self.assertEqual(self.python("import cairn; print(cairn.__version__)"),
                         run(program, "version", env=BARE).split()[1])

    def test_library_and_program_are_the_wheels_own(self):
        said = self.python("""
from cairn import _library, _program
print(_library._path()); print(_program.program())""").splitlines()
        folder = next(self.venv.glob("lib/python*/site-packages/cairn/_native"))
        self.assertEqual(said, [str(folder / "libcairn.so"), str(folder / "cairn")])

    def test_plain_values(self):
        said = self.python("""
import cairn
store = cairn.Store(path + "/plain", create=True)
store.save("run/1", {"epoch": 3, "names": ["a", "b"]}, step=1)
print([tag.tag for tag in store.tags()], store.load("run/@newest"))
store.forget("run/1", allow_newest=True); store.gc(); print(store.tags())""")
        self.assertEqual(said, "['run/1'] {'epoch': 3, 'names': ['a', 'b']}\n[]")

    def test_arrays(self):
        self.assertEqual(self.python("""
import cairn, numpy as np
store = cairn.Store(path + "/arrays", create=True)
state = {"w": np.arange(100000.).reshape(100, 1000).T, "step": np.array(3)}
store.save("a", state)
loaded = store.load("a")
print(all(np.array_equal(loaded[name], state[name]) for name in state))""", "numpy"), "True")

    def test_tensors_whichever_is_loaded_first(self):
        # Each has a C++ library of its own in the process: exceptions must find their own handlers.
        for first, second in (("torch", "cairn"), ("cairn", "torch")):
            self.assertEqual(self.python(f"""
import {first}; first = {first}.__version__
import {second}; second = {second}.__version__
import cairn, torch
store = cairn.Store(path + "/{first}", create=True)
state = {{"w": torch.randn(300, 1000), "half": torch.ones(7).half()}}
store.save("a", state)
loaded = store.load("a")
print(all(torch.equal(loaded[name], state[name]) for name in state))
for call in (lambda: store.load("b"), lambda: torch.ones(3) @ torch.ones(4)):
    try: call()
    except (cairn.NotFoundError, RuntimeError) as error: print(type(error).__name__)""",
                                         "torch", "numpy"), "True\nNotFoundError\nRuntimeError")

    def test_a_url_is_known_before_anything_is_imported(self):
        self.assertEqual(self.python("""
import torch, torch.distributed.checkpoint as dcp
url, state = f"cairn://{path}/by-url#run/1", {"w": torch.arange(6.)}
cairn_is_there = any(name.split(".")[0] == "cairn" for name in sys.modules)
dcp.save(state, checkpoint_id=url)
state["w"] = torch.zeros(6)
dcp.load(state, checkpoint_id=url)
print(cairn_is_there, state["w"].tolist())""", "torch", "numpy", "fsspec"),
                         "False [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]")

    def test_uninstalling_leaves_nothing(self):
        venv = self.install("short-lived")
        self.assertTrue(list(venv.rglob("*cairn*")))
        pip(venv, "uninstall", "--yes", "cairn")
        self.assertEqual(list(venv.rglob("*cairn*")), [])


if __name__ == "__main__":
    environment.lacks("numpy")
    unittest.main()
