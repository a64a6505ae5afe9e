#!/usr/bin/env python3
"""What an export finds in its way, and flags that change nothing. usage: export_test.py CAIRN"""
import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

PROGRAM = ""


class Export(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-export-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)
        self.cairn = Program(PROGRAM, self.folder / "store")
        self.cairn.run("init", self.cairn.store)
        self.file = write_safetensors(self.folder / "m.safetensors", {"w": noise(9000)})
        self.cairn.run("import", "t", self.file)

    def names(self):
        return sorted(path.name for path in self.folder.iterdir())

    def refuse(self, path, *words, expect=16):
        for force in ([], ["--force"]):
            error = self.cairn.run("--json", "export", "t", path, *words, *force, expect=expect,
                                   cwd=self.folder).stderr
            self.assertIn("hint", error)
            self.assertNotIn('"hint":""', error)

    def test_a_file_where_a_folder_shall_be_stays(self):
        precious = self.folder / "model.bin"
        precious.write_text("precious")
        named = self.folder / "x.safetensors"
        named.write_text("precious")
        link = self.folder / "link"
        link.symlink_to("model.bin")
        nowhere = self.folder / "nowhere"
        nowhere.symlink_to("missing/file")
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        before = self.names()
        self.refuse(precious)
        self.refuse(named, "--format", "hf")
        self.refuse(link)
        self.refuse(nowhere)
        self.refuse(pipe)
        self.refuse("sub/../model.bin")
        self.assertEqual(self.names(), before)
        self.assertEqual((precious.read_text(), named.read_text()), ("precious", "precious"))
        self.assertTrue(link.is_symlink() and nowhere.is_symlink() and pipe.is_fifo())

    def test_a_folder_where_a_file_shall_be_stays(self):
        folder = self.folder / "x.safetensors"
        folder.mkdir()
        self.refuse(folder)
        self.assertTrue(folder.is_dir())

    def test_new_folders_are_made_and_those_of_a_failed_export_go(self):
        self.cairn.run("export", "t", self.folder / "a" / "b")
        self.assertEqual(read_safetensors(self.folder / "a" / "b" / "model.safetensors")[0],
                         read_safetensors(self.file)[0])
        self.cairn.run("export", "t", "new/../a/c", cwd=self.folder)
        self.assertTrue((self.folder / "a" / "c" / "model.safetensors").exists())

    def test_a_missing_folder_is_named(self):
        error = self.cairn.error("export", "t", self.folder / "no" / "m.safetensors", expect=15)
        self.assertIn(f"the folder '{self.folder}/no' does not exist", error["message"])
        self.assertFalse((self.folder / "no").exists())

    def test_stdout_is_no_place_for_a_tag(self):
        self.cairn.run("export", "t", "-", cwd=self.folder, expect=2)
        self.assertNotIn("-", self.names())

    def test_renames_that_change_nothing_are_said(self):
        out = self.folder / "out.safetensors"
        said = self.cairn.run("export", "t", out, "--rename", "zzz=y").stderr
        self.assertIn("'--rename' changes no name", said)
        said = self.cairn.run("export", "t", out, "--force", "--rename", "w=y").stderr
        self.assertNotIn("--rename", said)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
