#!/usr/bin/env python3
"""Every command on a small store: results, JSON fields, exit statuses. usage: commands_test.py CAIRN"""
import json
import os
import struct
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

PROGRAM = ""
FLOATS = struct.pack("<6f", 1.0, -0.0, 2.5, float("inf"), 1e-40, -3.25)


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-commands-")
        cls.folder = Path(cls.temporary.name)
        cls.cairn = Program(PROGRAM, cls.folder / "store")
        cls.cairn.run("init", cls.cairn.store, "--chunk-elements", "1024")
        data = noise(40000)
        first = {"w": ("F32", [100, 100], data), "f": ("F32", [2, 3], FLOATS),
                 "exp_avg.w": ("F32", [100, 100], noise(40000, 2)), "old": ("U8", [4], b"gone"),
                 "rng": ("U8", [16], noise(16, 3)), "e": ("I64", [0, 3], b"")}
        second = dict(first, w=("F32", [100, 100], data[:-4] + b"\0\0\0\0"),
                      f=("F32", [3, 2], FLOATS), new=("BF16", [2], b"\1\2\3\4"))
        del second["old"]
        cls.a = write_safetensors(cls.folder / "a.safetensors", first, {"format": "pt"})
        cls.b = write_safetensors(cls.folder / "b.safetensors", second)
        cls.note = cls.folder / "note.txt"
        cls.note.write_bytes(b"read me\n" * 400)
        cls.imported = cls.cairn.json("import", "run/1", cls.a, "--step", "7", "--meta", "lr=0.1",
                                      "--attach", f"note={cls.note}")
        cls.cairn.run("import", "run/2", cls.b, "--step", "8")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_import(self):
        result = self.imported
        self.assertEqual(result["tag"], "run/1")
        self.assertRegex(result["manifest"], "^[0-9a-f]{64}$")
        self.assertEqual(result["tensors"], 6)
        self.assertEqual(result["logical_bytes"], 80000 + 24 + 4 + 16)
        self.assertEqual(result["logical_bytes"], result["new_bytes"] + result["reused_bytes"])
        self.assertEqual(result["attachment_bytes"], 3200)
        again = self.cairn.json("import", "elsewhere/1", self.a, "--base", "none")
        self.assertEqual(again["new_bytes"], 0 + again["logical_bytes"] - again["reused_bytes"])
        self.assertLess(again["new_bytes"], 100, "the index finds all but inline chunks")
        lines = self.cairn.run("import", "elsewhere/2", self.a, "--json=lines").stdout.splitlines()
        self.assertEqual(json.loads(lines[-1])["type"], "result")
        self.assertEqual(self.cairn.run("import", "elsewhere/3", self.a, "-q").stdout,
                         "elsewhere/3\n")

    def test_the_same_content_has_the_same_manifest(self):
        same = self.cairn.json("import", "other/name", self.a, "--step", "7", "--meta", "lr=0.1",
                               "--attach", f"note={self.note}", "--base", "none")
        self.assertEqual(same["manifest"], self.imported["manifest"])
        other = self.cairn.json("import", "other/step", self.a, "--step", "9")
        self.assertNotEqual(other["manifest"], self.imported["manifest"])

    def test_bases_and_metadata(self):
        self.assertEqual(self.cairn.json("import", "based/1", self.a, "--base", "run/@newest")["base"],
                         "run/2")
        self.cairn.run("import", "based/2", self.a, "--base", "nothing/@newest", expect=15)
        error = self.cairn.error("import", "based/2", self.a, "--base", "", expect=2)
        self.assertIn("must be a tag or 'none'", error["message"])
        error = self.cairn.error("import", "based/2", self.a, "--meta", "a=1", "--meta", "a=2",
                                 expect=2)
        self.assertIn("'a' is given twice", error["message"])
        error = self.cairn.error("import", "run/1", self.b, "--if-exists", "same", expect=16)
        self.assertIn("with another checkpoint", error["message"])

    def test_what_is_no_store(self):
        error = Program(PROGRAM, self.a).error("ls", expect=10)
        self.assertIn("is a file", error["message"])
        self.assertNotIn("init", error["hint"])
        empty = Program(PROGRAM, self.folder / "no-tags")
        empty.run("init", empty.store)
        self.assertIn("no tags yet", empty.error("show", "@newest", expect=15)["message"])

    def test_a_chunk_twice_in_one_save_is_new_once(self):
        twice = write_safetensors(self.folder / "twice.safetensors",
                                  {"x": noise(1000, 9), "y": noise(1000, 9)})
        result = self.cairn.json("import", "twice", twice)
        self.assertEqual((result["logical_bytes"], result["new_bytes"], result["reused_bytes"]),
                         (2000, 1000, 1000))

    def test_what_shrinks_is_compressed(self):
        pattern, dense = bytes(range(8)) * 4096, noise(32768, 11)
        file = write_safetensors(self.folder / "p.safetensors", {
            "pattern": pattern, "dense": dense, "zero": bytes(40000)})
        store = self.folder / "encodings"
        cairn = Program(PROGRAM, store)
        cairn.run("init", store, "--chunk-elements", "32768")
        self.assertLess(cairn.json("import", "t", file)["stored_bytes"], 40000)
        encodings = {row["name"]: row["encodings"] for row in cairn.json("show", "t")["tensors"]}
        self.assertEqual(encodings, {"pattern": {"zstd": 1}, "dense": {"raw": 1},
                                     "zero": {"zero": 2}})
        self.assertEqual(cairn.run("cat", "t", "pattern", text=False).stdout, pattern)
        self.assertEqual(cairn.run("cat", "t", "zero", text=False).stdout, bytes(40000))

    def test_ls(self):
        tags = {row["tag"]: row for row in self.cairn.json("ls")["tags"]}
        row = tags["run/1"]
        self.assertEqual((row["step"], row["pinned"]), (7, False))
        self.assertRegex(row["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(row["metadata"], {"format": "pt", "lr": "0.1"})
        self.assertEqual(row["logical_bytes"], self.imported["logical_bytes"])
        self.assertEqual(row["stored_bytes"], self.imported["stored_bytes"])
        self.assertIn("stored", self.cairn.run("ls").stdout.splitlines()[0].split())
        self.assertEqual(self.cairn.run("ls", "run/*", "-q").stdout, "run/2\nrun/1\n")
        self.assertEqual(self.cairn.run("ls", "run/*", "-q", "--sort", "name").stdout,
                         "run/1\nrun/2\n")
        self.assertEqual(self.cairn.run("ls", "run/*", "-q", "--limit", "1").stdout, "run/2\n")
        self.assertEqual(self.cairn.json("ls", "nothing/*"), {"tags": []})
        # run/1 alone holds the chunk of w that run/2 changed; the rest is shared.
        exclusive = self.cairn.json("ls", "run/2", "--exclusive")["tags"][0]["exclusive_bytes"]
        self.assertGreater(exclusive, 0)
        self.assertLess(exclusive, 20000)

    def test_what_matches_nothing_is_said(self):
        for words in (["show", "run/1"], ["diff", "run/1", "run/2"], ["diff", "run/1", "run/2", "-q"]):
            refused = self.cairn.run(*words, "--tensors", "wieght*", expect=15)
            self.assertIn("no tensor of 'run/1'", refused.stderr)
            self.assertIn("'wieght*'", refused.stderr)
        listed = self.cairn.run("ls", "run")
        self.assertEqual(listed.stdout, "")
        self.assertIn("2 match 'run/*'", listed.stderr)
        self.assertIn("matches 'nothing'", self.cairn.run("ls", "nothing").stderr)

    def test_a_wrong_roles_file_is_usage(self):
        large = self.folder / "large.json"
        large.write_bytes(b"{" + b" " * 2**20 + b"}")
        for roles in (large, self.folder, self.a):
            self.cairn.run("import", "roles/1", self.a, "--roles", roles, expect=2)
        error = self.cairn.error("import", "roles/1", self.a, "--roles", self.folder / "none",
                                 expect=15)
        self.assertIn("cairn help import", error["hint"])

    def test_what_was_meant_to_tell_roles_and_does_not_is_warned_of(self):
        rules = self.folder / "told.json"
        rules.write_text(json.dumps({"beta_1": 0.9, "learning_rate": 0.1, "lr": 0.1, "names": {
            "weight": "{p}", "exp_avg": "exp_avg.{p}", "master": "master_{p}"}}))
        warned = self.cairn.run("import", "told/1", self.a, "--roles", rules).stderr
        self.assertIn("'beta_1'", warned)
        self.assertIn("did you mean 'beta1'", warned)
        self.assertIn("'learning_rate'", warned)
        self.assertIn("no tensor matches 'master_{p}' (master)", warned)
        self.assertNotIn("'lr'", warned)
        warned = self.cairn.run("import", "told/2", self.a, "--meta", "lr=abc", "--meta", "eps=1e-8",
                                "--meta", "note=abc").stderr
        self.assertIn("lr=abc is no number", warned)
        self.assertEqual(warned.count("warning"), 1)
        self.assertEqual(self.cairn.run("import", "told/3", self.a, "--roles", "none", "--meta",
                                        "lr=abc").stderr.count("warning"), 0)

    def test_a_damaged_base_is_told(self):
        cairn = Program(PROGRAM, self.folder / "damaged-base")
        cairn.run("init", cairn.store)
        files = [write_safetensors(self.folder / f"based-{step}.safetensors",
                                   {"w": ("F32", [100, 100], noise(40000, step))})
                 for step in (1, 2, 3)]
        cairn.run("import", "r/1", files[0])
        (pack,) = [path for path in cairn.store.rglob("packs/**/*") if path.is_file()]
        sound = cairn.json("import", "sound/1", files[1], "--base", "r/1")
        self.assertEqual((sound["damaged_base"], sound["unread_chunks"]), (None, 0))
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.write_bytes(data)
        warned = cairn.run("import", "r/2", files[2])
        self.assertIn("the base tag 'r/1' is damaged (1 chunk could not be read", warned.stderr)
        self.assertIn("check --read-data", warned.stderr)
        saved = cairn.json("import", "r/3", files[1], "--base", "r/1")
        self.assertEqual((saved["damaged_base"], saved["unread_chunks"]), ("r/1", 1))

    def test_show(self):
        shown = self.cairn.json("show", "run/1")
        tensors = {row["name"]: row for row in shown["tensors"]}
        self.assertEqual(tensors["w"]["dtype"], "F32")
        self.assertEqual(tensors["w"]["shape"], [100, 100])
        self.assertEqual(tensors["w"]["bytes"], 40000)
        self.assertGreater(tensors["w"]["chunks"], 1)
        self.assertEqual(sum(tensors["w"]["encodings"].values()), tensors["w"]["chunks"])
        self.assertEqual((tensors["e"]["bytes"], tensors["e"]["chunks"]), (0, 0))
        self.assertEqual(shown["attachments"], [{"name": "note", "bytes": 3200}])
        self.assertEqual(shown["restore_cost"], 1)
        self.assertTrue(shown["weights_direct"])
        text = self.cairn.run("show", "run/1").stdout
        self.assertRegex(text, r"saved +\S+ \S+ new, \S+ \S+ added to the disk then")
        self.assertIn("as long as a keyframe", text)
        self.assertIn("load without masters and moments", text)
        self.assertEqual(self.cairn.json("show", "run/@newest")["tag"], "run/2")
        some = self.cairn.json("show", "run/1", "--tensors", "exp*")["tensors"]
        self.assertEqual([row["name"] for row in some], ["exp_avg.w"])
        layout = self.cairn.json("show", "run/1", "--layout")["layouts"][0]
        self.assertEqual(layout["writers"], 1)
        boxes = {row["name"]: row["boxes"] for row in layout["tensors"]}
        self.assertEqual(boxes["w"], [{"writer": 0, "offsets": [0, 0], "lengths": [100, 100]}])
        done = self.cairn.run("show", "run/3", expect=15)
        self.assertIn("did you mean 'run/", done.stderr)

    def test_diff(self):
        found = self.cairn.json("diff", "run/1", "run/2", "--elements")
        self.assertEqual((found["added"], found["removed"], found["reshaped"]),
                         (["new"], ["old"], ["f"]))
        self.assertFalse(found["identical"])
        [changed] = found["changed"]
        self.assertEqual((changed["name"], changed["class"], changed["changed_chunks"]),
                         ("w", "weight", 1))
        self.assertEqual(changed["changed_elements"], 1)
        self.assertLess(changed["changed_bytes"], changed["bytes"])
        self.assertNotIn("changed_elements", self.cairn.json("diff", "run/1", "run/2")["changed"][0])
        last = self.cairn.run("diff", "run/1", "run/2").stdout.splitlines()[-1]
        self.assertRegex(last, r"^1 of 4 tensors of one shape changed, .* in changed chunks, "
                               r"1 reshaped, 1 added, 1 removed$")
        self.assertTrue(self.cairn.json("diff", "run/1", "run/1")["identical"])
        self.cairn.run("diff", "run/1", "run/2", "--exit-code", expect=1)
        self.cairn.run("diff", "run/1", "run/1", "--exit-code")
        self.assertTrue(self.cairn.json("diff", "run/1", "run/2", "--tensors", "rng")["identical"])

    def test_diff_looks_beyond_tensors(self):
        words = ["--step", "7", "--meta", "lr=0.1"]
        self.cairn.run("import", "beyond/same", self.a, *words, "--attach", f"note={self.note}")
        same = self.cairn.json("diff", "run/1", "beyond/same")
        self.assertEqual((same["identical"], same["attachments"]["changed"],
                          same["metadata_changed"], same["step_changed"]), (True, [], False, False))
        note = self.folder / "note2"
        note.write_bytes(self.note.read_bytes()[:-1] + b"?")
        self.cairn.run("import", "beyond/note", self.a, *words, "--attach", f"note={note}",
                       "--attach", f"more={note}")
        other = self.cairn.json("diff", "run/1", "beyond/note")
        self.assertEqual((other["identical"], other["changed"], other["attachments"]),
                         (False, [], {"changed": ["note"], "added": ["more"], "removed": []}))
        self.assertIn("changed attachment note",
                      self.cairn.run("diff", "run/1", "beyond/note", "--exit-code", expect=1).stdout)
        self.assertTrue(self.cairn.json("diff", "run/1", "beyond/note", "--tensors", "*")["identical"])
        self.cairn.run("import", "beyond/step", self.a, "--step", "8", "--meta", "lr=0.2")
        step = self.cairn.json("diff", "beyond/same", "beyond/step")
        self.assertEqual((step["metadata_changed"], step["step_changed"],
                          step["attachments"]["removed"]), (True, True, ["note"]))

    def test_diff_counts_elements_by_their_bits(self):
        # -0.0 is not 0.0, and one NaN is not another.
        nan = struct.pack("<I", 0x7fc00001)
        zero = write_safetensors(self.folder / "zero.safetensors",
                                 {"x": ("F32", [3], struct.pack("<2f", 0.0, 1.0) + nan)})
        minus = write_safetensors(self.folder / "minus.safetensors",
                                  {"x": ("F32", [3], struct.pack("<2f", -0.0, 1.0) +
                                         struct.pack("<I", 0x7fc00002))})
        self.cairn.run("import", "bits/1", zero)
        self.cairn.run("import", "bits/2", minus)
        found = self.cairn.json("diff", "bits/1", "bits/2", "--elements")
        self.assertEqual(found["changed"][0]["changed_elements"], 2)

    def test_cat(self):
        read = lambda *words: self.cairn.run("cat", *words, text=False).stdout
        tensors, _ = read_safetensors(self.a)
        self.assertEqual(read("run/1", "w"), tensors["w"][2])
        self.assertEqual(read("run/1", "note"), self.note.read_bytes())
        self.assertEqual(read("run/1", "e"), b"")
        rows = b"".join(tensors["w"][2][400 * row + 40:400 * row + 80] for row in range(98, 100))
        self.assertEqual(read("run/1", "w", "--box", "98:,10:20"), rows)
        self.assertEqual(read("run/1", "f", "--box", ":1,:"), FLOATS[:12])
        self.cairn.run("import", "steps", self.a, "--step", str(2**63), expect=2)
        for box, status in (("0:1", 2), ("0:101,:", 2), ("5:4,:", 2), ("a,b", 2)):
            self.cairn.run("cat", "run/1", "w", "--box", box, expect=status)
        self.cairn.run("cat", "run/1", "note", "--box", ":", expect=2)
        self.assertIn("did you mean", self.cairn.run("cat", "run/1", "W", expect=15).stderr)
        wrong = self.cairn.error("cat", "run/1", "w", "--attachment", expect=15)
        self.assertIn("no attachment 'w'", wrong["message"])
        self.assertIn("leave '--attachment' out", wrong["hint"])

    def test_export_gives_back_what_was_imported(self):
        out = self.folder / "out.safetensors"
        self.cairn.run("export", "run/1", out)
        self.assertEqual(read_safetensors(out), read_safetensors(self.a))
        self.cairn.run("export", "run/1", out, expect=16)
        self.cairn.run("export", "run/2", out, "--force")
        self.assertEqual(read_safetensors(out)[0], read_safetensors(self.b)[0])
        part = self.folder / "part.safetensors"
        self.cairn.run("export", "run/1", part, "--tensors", "exp*", "--rename", "exp_avg=m",
                       "--dtype", "F64")
        self.assertEqual({name: row[:2] for name, row in read_safetensors(part)[0].items()},
                         {"m.w": ("F64", [100, 100])})
        self.cairn.run("export", "run/1", self.folder / "bad.safetensors", "--rename", "(=x",
                       expect=2)
        self.cairn.run("export", "run/1", self.folder / "bad.safetensors", "--dtype", "I8",
                       expect=2)
        self.cairn.run("export", "run/1", self.folder / "clash.safetensors", "--rename", "^.*$=x",
                       expect=2)
        self.assertFalse((self.folder / "clash.safetensors").exists())

    def test_export_of_a_folder(self):
        out = self.folder / "hf"
        self.cairn.run("export", "run/1", out, "--max-shard-size", "45KB")
        index = json.loads((out / "model.safetensors.index.json").read_text())
        shards = sorted(set(index["weight_map"].values()))
        self.assertGreater(len(shards), 1)
        self.assertEqual((out / "note").read_bytes(), self.note.read_bytes())
        tensors = {}
        for shard in shards:
            tensors |= read_safetensors(out / shard)[0]
        self.assertEqual(tensors, read_safetensors(self.a)[0])
        back = self.cairn.json("import", "back", out, "--meta", "lr=0.1", "--step", "7")
        self.assertEqual(self.cairn.json("diff", "run/1", "back")["identical"], True)
        self.assertEqual(back["attachment_bytes"], 3200)
        self.cairn.run("export", "run/2", out, expect=16)
        # What an earlier export left would hide the new files, or be taken for parts of the model.
        self.cairn.run("export", "run/1", out, "--force")
        self.assertEqual({path.name for path in out.iterdir()}, {"model.safetensors", "note"})
        self.cairn.run("export", "run/1", out, "--force", "--max-shard-size", "45KB")
        self.assertEqual({path.name for path in out.iterdir()},
                         {*shards, "model.safetensors.index.json", "note"})
        self.cairn.run("export", "run/1", out, "--force", "--max-shard-size", "0", expect=2)

    def test_attachments_do_not_take_the_place_of_tensors(self):
        for name in ("model.safetensors", "model.safetensors.index.json",
                     "model-00001-of-00009.safetensors", "a/b", "..", "x" * 256):
            tag = f"odd/{len(name)}"
            self.cairn.run("import", tag, self.a, "--attach", f"{name}={self.note}")
            out = self.folder / f"odd-{len(name)}"
            self.cairn.run("export", tag, out, "--force", expect=2)
            self.assertFalse(out.exists(), "refused before anything is written")
            self.cairn.run("export", tag, f"{out}.safetensors")
        long = "x" * 255
        self.cairn.run("import", "long", self.a, "--attach", f"{long}={self.note}")
        self.cairn.run("export", "long", self.folder / "long")
        self.assertEqual((self.folder / "long" / long).read_bytes(), self.note.read_bytes())

    def test_only_files_are_imported(self):
        folder = self.folder / "odd-folder"
        folder.mkdir()
        write_safetensors(folder / "model.safetensors", {"w": b"1234"})
        os.mkfifo(folder / "pipe")
        (folder / "broken").symlink_to("nowhere")
        self.cairn.run("import", "odd/pipe", folder / "pipe", expect=2)
        self.cairn.run("import", "odd/pipe", self.a, "--attach", f"n={folder / 'pipe'}", expect=2)
        done = self.cairn.run("import", "odd/folder", folder)
        self.assertEqual(done.stderr.count("passed over"), 2)
        self.assertEqual(self.cairn.json("show", "odd/folder")["attachments"], [])

    def test_stores_of_unknown_schemes_are_refused(self):
        Program(PROGRAM, "gopher://host/x").run("ls", expect=2)
        Program(PROGRAM).run("init", "gopher://host/x", expect=2)
        found = Program(PROGRAM, f"file://{self.cairn.store}").json("ls")
        self.assertEqual(found["tags"], self.cairn.json("ls")["tags"])

    def test_names_and_metadata_are_text(self):
        latin = os.fsdecode(b"gr\xf6\xdfe")
        self.cairn.run("import", "latin", self.a, "--attach", f"{latin}={self.note}", expect=2)
        self.cairn.run("import", "latin", self.a, "--meta", f"name={latin}", expect=2)
        self.cairn.run("export", "run/1", self.folder / "out.safetensors", "--rename",
                       f"^=x{latin}", expect=2)
        tensors = {"größe/重み \"x\"\n": b"1234"}
        written = write_safetensors(self.folder / "odd.safetensors", tensors)
        self.cairn.run("import", "odd", written)
        self.cairn.run("export", "odd", self.folder / "back.safetensors")
        self.assertEqual(read_safetensors(self.folder / "back.safetensors")[0],
                         read_safetensors(written)[0])

    def test_tag(self):
        self.assertEqual(self.cairn.json("tag", "fork/1", "run/1")["manifest"],
                         self.imported["manifest"])
        self.assertEqual(self.cairn.json("show", "fork/@newest")["tag"], "fork/1")
        self.cairn.run("tag", "fork/1", "run/2", expect=16)
        self.cairn.run("tag", "fork/2", "nothing", expect=15)
        self.cairn.run("tag", "fork//2", "run/1", expect=2)
        saved = self.cairn.json("import", "fork/3", self.a)
        self.assertEqual((saved["base"], saved["new_bytes"]), ("fork/1", 0))

    def test_roles(self):
        rules = self.folder / "roles.json"
        rules.write_text(json.dumps({"optimizer": "adamw", "lr": 0.1,
                                     "names": {"weight": "{p}", "exp_avg": "exp_avg.{p}"}}))
        self.cairn.run("import", "roles/1", self.a, "--roles", rules)
        classes = self.cairn.json("stats")["by_class"]
        self.assertEqual(classes["attachment"]["logical_bytes"], 0)
        for name in ("weight", "exp_avg", "other", "metadata"):
            self.assertIn(name, classes)
        for text, status in (("[]", 2), ("{", 2), ('{"names": {"wight": "{p}"}}', 2),
                             ('{"names": {"weight": "p"}}', 2), ('{"lr": "x"}', 2)):
            rules.write_text(text)
            self.cairn.run("import", "roles/2", self.a, "--roles", rules, expect=status)
        self.cairn.run("import", "roles/2", self.a, "--roles", self.folder / "none", expect=15)
        with_roles = self.cairn.json("import", "roles/3", self.a)
        without = self.cairn.json("import", "roles/4", self.a, "--roles", "none")
        self.assertEqual(with_roles["manifest"], without["manifest"])

    def test_stats(self):
        stats = self.cairn.json("stats")
        self.assertEqual(stats["tags"], len(self.cairn.json("ls")["tags"]))
        on_disk = sum(path.stat().st_size for path in self.cairn.store.rglob("*")
                      if path.is_file())
        self.assertEqual(stats["disk_bytes"], on_disk)
        self.assertEqual(stats["logical_bytes"],
                         sum(row["logical_bytes"] for row in stats["by_class"].values()))
        self.assertEqual(stats["stored_bytes"],
                         sum(row["stored_bytes"] for row in stats["by_class"].values()))
        self.assertEqual(stats["unique_bytes"],
                         sum(row["decoded_bytes"] for row in stats["by_encoding"].values()))
        self.assertEqual(stats["chunks"],
                         sum(row["chunks"] for row in stats["by_encoding"].values()))
        self.assertEqual(stats["dead_bytes"], 0)

    def test_replaced_tags_leave_dead_bytes(self):
        store = self.folder / "replaced"
        cairn = Program(PROGRAM, store)
        cairn.run("init", store)
        for seed in (1, 2):
            file = write_safetensors(self.folder / "r.safetensors", {"w": noise(9000, seed)})
            cairn.run("import", "t", file, "--if-exists", "replace")
        self.assertEqual(cairn.json("stats")["dead_bytes"], 9000)
        self.assertEqual(cairn.run("ls", "-q").stdout, "t\n")

    def test_check(self):
        report = self.cairn.json("check", "--read-data")
        self.assertTrue(report["ok"])
        self.assertEqual((report["errors"], report["repair"]), ([], None))
        self.assertGreater(report["bytes_read"], 80000)
        one = self.cairn.json("check", "--tag", "run/1")
        self.assertEqual((one["tags"], one["bytes_read"]), (1, 0))
        self.cairn.run("check", "--tag", "nothing", expect=15)
        part = self.cairn.json("check", "--read-data=50%")["bytes_read"]
        self.assertLessEqual(part, report["bytes_read"] * 2)
        self.assertTrue(self.cairn.json("check", "--read-data", "--time-limit", "0s")["ok"])

    def test_check_says_one_finding_a_line(self):
        store = self.folder / "damaged"
        cairn = Program(PROGRAM, store)
        cairn.run("init", store)
        for seed in (1, 2):
            file = write_safetensors(self.folder / "d.safetensors", {"w": noise(9000, seed)})
            cairn.run("import", f"t/{seed}", file)
        for pack in store.glob("packs/*/*"):
            pack.unlink()
        done = cairn.run("check", expect=12)
        lines = done.stdout.splitlines()
        self.assertRegex(lines[0], r"^missing-pack: tag 't/\d', tensor 'w', pack 'packs/.*is missing")
        self.assertRegex(lines[1], r"^missing-pack: tag")
        self.assertEqual(lines[2], "2 tags, 2 chunks in 2 packs, 0 B read: damaged")
        self.assertEqual(len(lines), 3)
        self.assertIn("is damaged: 2 findings", done.stderr)

    def test_an_empty_store_is_small(self):
        store = self.folder / "empty"
        cairn = Program(PROGRAM, store)
        cairn.run("init", store)
        cairn.run("ls")
        file = write_safetensors(self.folder / "tiny.safetensors", {"x": b"tiny"})
        cairn.run("import", "t", file)
        disk = sum(path.stat().st_blocks * 512 for path in store.rglob("*"))
        self.assertLess(disk, 1 << 20)
        self.assertEqual(cairn.json("stats")["tags"], 1)

    def test_a_thousand_tags(self):
        # More than a root holds by itself: tag tables come into play.
        store = self.folder / "many"
        cairn = Program(PROGRAM, store)
        cairn.run("init", store)
        cairn.run("import", "t/0", self.a)
        for number in range(1, 700):
            cairn.run("tag", f"t/{number}", "t/0")
        names = cairn.run("ls", "-q").stdout.split()
        self.assertEqual(names, [f"t/{number}" for number in range(699, -1, -1)])
        self.assertLess((store / "root").stat().st_size, 400_000)
        cairn.run("check", "--tag", "t/13")

    def test_bad_news_is_json_too(self):
        error = self.cairn.error("show", "nothing", expect=15)
        self.assertEqual(set(error), {"code", "message", "hint"})
        self.assertEqual(error["code"], "not-found")
        done = self.cairn.run("show", "nothing", "--json=lines", expect=15)
        self.assertEqual(json.loads(done.stderr)["error"]["code"], "not-found")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
