#!/usr/bin/env python3
"""The archive of scripts/bundle: what it needs, and that it runs where nothing is installed.

usage: bundle_archive_test.py CAIRN     (a program that is linked with the machine's libraries)
"""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

import bundled
from bundled import BARE, run

import bundle_elf
import program

USUAL_PROGRAM = ""
WEIGHTS = {"w": program.noise(300000), "b": b"\0" * 5000}


def program_of(folder, work, *before):
    """Runs the program with a store in `work` when called with words; what it prints.

    before: a command that runs the program; folder, work: the unpacked archive and the folder of
    weights.safetensors, as that command sees them.
    """
    def cairn(*words):
        return run(*before, folder / "bin/cairn", "-s", work / "store", *words, env=BARE)

    return cairn


def save_and_export(cairn, work):
    """init, import twice, ls, check, export; the names of the tags."""
    cairn("init")
    for tag in ("run/1", "run/2"):
        cairn("import", tag, work / "weights.safetensors")
    listed = json.loads(cairn("--json", "ls"))["tags"]
    cairn("check", "--read-data")
    cairn("export", "run/2", work / "again.safetensors")
    return {tag["tag"] for tag in listed}


class Archive(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bundle = bundled.Bundle(cls)
        cls.top = cls.bundle.unpack("a folder")

    def elf_files(self):
        return [path for path in self.top.rglob("*")
                if path.is_file() and not path.is_symlink() and bundle_elf.is_elf(path)]

    def work_folder(self, name, within=None):
        work = (within or self.bundle.folder) / name
        work.mkdir()
        program.write_safetensors(work / "weights.safetensors", WEIGHTS)
        return work

    def assert_exported(self, work, names):
        self.assertEqual(names, {"run/1", "run/2"})
        tensors, _ = program.read_safetensors(work / "again.safetensors")
        self.assertEqual({name: content for name, (_, _, content) in tensors.items()}, WEIGHTS)

    def test_everything_is_in_it(self):
        for name in ("bin/cairn", "lib/libcairn.so", "lib/pkgconfig/cairn.pc", "LICENSE",
                     "include/cairn/lib/cairn.h", "include/cairn/tl/expected.hpp",
                     "python/cairn/__init__.py", "share/man/man1/cairn-import.1",
                     "share/bash-completion/completions/cairn"):
            self.assertTrue((self.top / name).is_file(), name)
        licences = {path.name for path in (self.top / "share/licenses/cairn").iterdir()}
        for name in ("librocksdb-dev", "libsnappy-dev", "libzstd-dev", "libfmt-dev"):
            self.assertIn(name, licences)
        self.assertTrue(any(name.startswith("libstdc++") for name in licences), licences)

    def test_its_files_need_glibc_alone(self):
        files = self.elf_files()
        self.assertEqual({path.name for path in files},
                         {"cairn", "libcairn.so." + run(self.top / "bin/cairn", "version").split()[1]})
        for path in files:
            self.assertEqual(list(bundle_elf.complaints(path)), [])

    def test_what_needs_more_is_told(self):
        told = "\n".join(bundle_elf.complaints(USUAL_PROGRAM))
        self.assertRegex(told, r"needs 'librocksdb\.so\.\S+', which is no part of glibc")
        with mock.patch.object(bundle_elf, "NEWEST_GLIBC", (2, 17)):
            told = "\n".join(bundle_elf.complaints(self.top / "bin/cairn"))
        self.assertRegex(told, r"needs 'GLIBC_2\.\d+', and glibc 2\.17 must do")

    def test_the_library_shares_no_cpp_with_its_process(self):
        library = self.top / "lib/libcairn.so"
        for line in run("nm", "-D", "--undefined-only", library).splitlines():
            self.assertRegex(line, r"@GLIBC_| w (?!_ZN)")
        for line in run("nm", "-D", "--defined-only", "-C", library).splitlines():
            self.assertRegex(line.split(maxsplit=2)[2], r"^(\w+ for )?cairn(::|_)")

    def test_it_runs_from_a_folder_with_a_space(self):
        work = self.work_folder("work")
        self.assert_exported(work, save_and_export(program_of(self.top, work), work))
        self.assertTrue((work / "store/index").is_dir())  # the program found itself as a helper

    def test_it_runs_in_an_empty_root(self):
        before = [] if os.geteuid() == 0 else [shutil.which("unshare"), "--map-root-user"]
        before += [shutil.which("chroot", path="/usr/sbin:/sbin:/usr/bin:/bin"), "/"]
        if subprocess.run([*before, "/bin/true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("neither root nor user namespaces here")
        root = self.bundle.folder / "root"
        root.mkdir()
        shutil.copytree(self.top, root / "cairn", symlinks=True)
        for path in re.findall(r"(/\S+) \(0x", run("ldd", self.top / "bin/cairn")):
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, root / path[1:])
            (root / path[1:]).chmod(0o755)
        work = self.work_folder("work", root)
        before[-1] = str(root)
        run(*before, "/cairn/bin/cairn", "version", env=BARE)
        cairn = program_of(Path("/cairn"), Path("/work"), *before)
        self.assert_exported(work, save_and_export(cairn, Path("/work")))
        cairn("repair", "index")

    def test_it_runs_on_the_oldest_x86_64(self):
        emulator = shutil.which("qemu-x86_64")
        if emulator is None:
            self.skipTest("no qemu-x86_64 here (qemu-user)")
        work = self.work_folder("old-cpu")
        cairn = program_of(self.top, work, emulator, "-cpu", "qemu64")
        self.assert_exported(work, save_and_export(cairn, work))
        cairn("repair", "index")

    def test_a_program_builds_against_it(self):
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.top / "lib/pkgconfig"),
                       "LD_LIBRARY_PATH": str(self.top / "lib")}
        flags = shlex.split(run("pkg-config", "--cflags", "--libs", "cairn", env=environment))
        self.assertTrue(any("a folder" in flag for flag in flags), flags)
        example = self.bundle.folder / "example"
        run("g++", Path(__file__).with_name("example.cc"), "-o", example, *flags)
        said = run(example, self.bundle.folder / "example-store", env=environment)
        self.assertEqual(said.split()[1], "same")

    def test_the_package_finds_the_rest(self):
        said = run(sys.executable, "-I", "-c", f"""
import sys; sys.path.insert(0, {str(self.top / 'python')!r})
import cairn
store = cairn.Store({str(self.bundle.folder / 'python-store')!r}, create=True)
store.save("a", {{"epoch": 3}})
print([tag.tag for tag in store.tags()], store.load("a"))""", env=BARE)
        self.assertEqual(said.strip(), "['a'] {'epoch': 3}")

    def test_equal_sources_make_equal_files(self):
        for first, second in zip((self.bundle.archive, self.bundle.wheel),
                                 self.bundle.make("made again")):
            self.assertEqual(first.name, second.name)
            self.assertEqual(first.read_bytes(), second.read_bytes(), first.name)


if __name__ == "__main__":
    USUAL_PROGRAM = sys.argv.pop(1)
    unittest.main()
