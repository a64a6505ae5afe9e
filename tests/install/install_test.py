#!/usr/bin/env python3
"""What `meson install` puts where, and a program built against it by pkg-config.

usage: install_test.py BUILD_FOLDER
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BUILD = ""


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{words}: {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="cairn-install-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.root = Path(cls.temporary.name)
        run("meson", "install", "--no-rebuild", "-C", BUILD, "--destdir", cls.root)
        cls.files = {path.relative_to(cls.root) for path in cls.root.rglob("*")
                     if not path.is_dir()}
        cls.library = next(cls.root.rglob("libcairn.so"))

    def named(self, name):
        found = [path for path in self.files if path.name == name]
        self.assertEqual(len(found), 1, name)
        return self.root / found[0]

    def test_everything_is_in_its_place(self):
        for name, folder in (("cairn.1", "man1"), ("cairn-gc.1", "man1"), ("_cairn", "site-functions"),
                             ("cairn.fish", "vendor_completions.d"), ("cairn.hpp", "lib"),
                             ("cairn.pc", "pkgconfig")):
            self.assertEqual(self.named(name).parent.name, folder)
        program = self.root / next(path for path in self.files
                                   if path.parts[-2:] == ("bin", "cairn"))
        self.assertIn("cairn", run(program, "version"))

    def test_man_pages_are_sound(self):
        pages = [path for path in self.files if path.suffix == ".1"]
        self.assertGreater(len(pages), 15)
        for page in pages:
            text = (self.root / page).read_text()
            self.assertTrue(text.startswith(".TH "), page)
            self.assertIn(".SH NAME\n", text)
        if shutil.which("mandoc") is None:
            self.skipTest("mandoc is not installed")
        for page in pages:
            lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", self.root / page],
                                  capture_output=True, text=True)
            self.assertEqual([line for line in lint.stdout.splitlines()
                              if "missing date" not in line], [])

    def test_only_public_symbols_are_shown(self):
        names = [line.split(maxsplit=2)[2]
                 for line in run("nm", "-D", "--defined-only", "-C", self.library).splitlines()]
        self.assertTrue(any(name.startswith("cairn::save(") for name in names))
        for name in names:
            self.assertTrue("cairn::" in name or name.startswith("cairn_"), name)
            for inner in ("Writer", "Reader", "encode_", "commit_tag", "rocksdb", "(anonymous",
                          "forget_tags", "FilePool"):
                self.assertNotIn(inner, name.split("(")[0])
        self.assertNotIn("rocksdb", run("ldd", self.library))

    def test_a_program_builds_and_runs(self):
        folder = self.named("cairn.pc").parent
        environment = {**os.environ, "PKG_CONFIG_PATH": str(folder),
                       "PKG_CONFIG_SYSROOT_DIR": str(self.root),
                       "LD_LIBRARY_PATH": str(self.library.parent)}
        flags = run("pkg-config", "--cflags", "--libs", "cairn", env=environment).split()
        example = Path(__file__).with_name("example.cc")
        run("g++", example, "-o", self.root / "example", *flags)
        said = run(self.root / "example", self.root / "store", env=environment)
        self.assertEqual(said.split()[1], "same")


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    unittest.main()
