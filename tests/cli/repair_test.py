#!/usr/bin/env python3
"""check's last word and repair. usage: repair_test.py CAIRN"""
import fcntl
import json
import shutil
import struct
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

PROGRAM = ""


class Repair(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-repair-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)
        self.cairn = Program(PROGRAM, self.folder / "store")
        self.cairn.run("init", self.cairn.store, "--chunk-elements", "1024")
        self.files = {}
        for number in (1, 2, 3):
            tensors = {"same": noise(20000, 50), "own": noise(20000, number)}
            path = write_safetensors(self.folder / f"{number}.safetensors", tensors)
            self.cairn.run("import", f"run/{number}", path)
            self.files[f"run/{number}"] = path

    def names(self):
        return self.cairn.run("ls", "-q").stdout.split()

    def expect_tags(self, *tags):
        self.assertEqual(sorted(self.names()), sorted(tags))
        out = self.folder / "out.safetensors"
        for tag in tags:
            self.cairn.run("export", tag, out, "--force")
            self.assertEqual(read_safetensors(out), read_safetensors(self.files[tag]))
        self.assertTrue(self.cairn.json("check", "--read-data")["ok"])

    def newest(self, kind):
        files = [path for path in (self.cairn.store / kind).rglob("*") if path.is_file()]
        return max(files, key=lambda path: path.stat().st_mtime_ns)

    def damage(self, path, at=100):
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)

    def test_nothing_to_repair(self):
        self.assertIsNone(self.cairn.json("check")["repair"])
        done = self.cairn.json("repair", "tags", "--read-data")
        self.assertEqual((len(done["kept"]), done["set_aside"], done["list"]), (3, [], None))
        self.cairn.run("repair", "everything", expect=2)
        self.cairn.run("repair", expect=2)

    def test_a_tag_that_lost_data_is_set_aside(self):
        self.damage(self.newest("packs"))
        self.assertIsNone(self.cairn.json("check")["repair"], "lengths are right")
        found = self.cairn.json("check", "--read-data", expect=12)
        self.assertTrue(found["repair"].endswith("repair tags --read-data"))
        self.assertEqual(self.cairn.json("repair", "tags", "--dry-run")["set_aside"], [])
        said = self.cairn.run("repair", "tags", "--read-data", "--dry-run").stdout
        self.assertRegex(said, r"^data: tag 'run/3', tensor 'own', pack")
        self.assertNotIn("\\x0a", said)
        plan = self.cairn.json("repair", "tags", "--read-data", "--dry-run")
        self.assertEqual(plan["set_aside"], [{"tag": "run/3", "tensors": ["own"]}])
        self.assertEqual(len(self.names()), 3)
        self.cairn.run("repair", "tags", "--read-data", expect=2)  # nobody to ask
        done = self.cairn.json("repair", "tags", "--read-data", "--yes")
        self.assertEqual(done["set_aside"], plan["set_aside"])
        listed = json.loads(Path(done["list"]).read_text())
        self.assertEqual(listed[0]["tag"], "run/3")
        self.assertEqual(listed[0]["damage"][0]["tensor"], "own")
        self.expect_tags("run/1", "run/2")
        self.cairn.run("gc", "--yes")
        self.expect_tags("run/1", "run/2")

    def test_what_is_saved_again_does_not_lie_on_the_bad_copies(self):
        pack = self.newest("packs")
        self.damage(pack)
        self.cairn.run("repair", "tags", "--read-data", "--yes")
        marks = self.cairn.store / "set-aside" / "packs"
        self.assertEqual([mark.name for mark in marks.iterdir()], [pack.name])
        for words in ([], ["--base", "none"]):
            again = self.cairn.json("import", "run/3", self.files["run/3"], *words)
            self.assertEqual((again["new_bytes"], again["reused_bytes"]), (20000, 20000), words)
            self.expect_tags("run/1", "run/2", "run/3")
            self.cairn.run("forget", "run/3", "--allow-newest", "--yes")
            self.cairn.run("repair", "index")
        self.cairn.run("gc", "--yes")
        self.assertFalse(pack.exists())
        self.assertEqual(list(marks.iterdir()), [])
        self.expect_tags("run/1", "run/2")

    def test_a_pack_without_its_table_is_written_anew(self):
        for kind in ("packs", "meta"):
            damaged = self.newest(kind)
            with damaged.open("r+b") as file:
                file.truncate(damaged.stat().st_size - 60)
            found = self.cairn.json("check", expect=12)
            self.assertEqual([each["kind"] for each in found["errors"]], ["pack-table"], kind)
            self.assertIn("no tag lost anything", self.cairn.run("check", expect=12).stderr)
            self.assertIn("cairn gc", self.cairn.run("repair", "tags", "--yes").stderr)
            words = found["repair"].split()
            self.assertEqual((words[0], words[-1]), ("cairn", "gc"))
            self.cairn.run(words[-1], "--yes")
            self.assertFalse(damaged.exists())
            self.expect_tags("run/1", "run/2", "run/3")

    def test_a_lost_root_comes_back_with_tags_whose_packs_lost_their_tables(self):
        damaged = self.newest("packs")
        with damaged.open("r+b") as file:
            file.truncate(damaged.stat().st_size - 60)
        (self.cairn.store / "root").unlink()
        self.assertEqual(len(self.cairn.json("repair", "tags", "--yes")["kept"]), 3)
        self.cairn.run("gc", "--yes")
        self.expect_tags("run/1", "run/2", "run/3")

    def test_a_damaged_config_is_not_mended(self):
        config = self.cairn.store / "config"
        good = config.read_bytes()
        self.damage(config, 20)
        found = self.cairn.json("check", expect=12)
        self.assertEqual((found["errors"][0]["kind"], found["repair"]), ("config", None))
        said = self.cairn.run("check", expect=12).stderr
        self.assertNotIn("repair tags", said)
        config.write_bytes(good)

    def test_damage_names_what_helps(self):
        (self.cairn.store / "root").write_bytes(b"no root")
        for words in (["ls"], ["gc", "--yes"], ["forget", "run/1", "--yes"],
                      ["import", "run/4", self.files["run/1"]]):
            self.assertIn("repair tags", self.cairn.error(*words, expect=12)["hint"], words)
        asked = self.cairn.error("repair", "tags", expect=2)["message"]
        self.assertIn("pins", asked)
        self.assertNotIn("?", asked)

    def test_a_shared_pack_costs_all_that_need_it(self):
        packs = sorted((path for path in (self.cairn.store / "packs").rglob("*-0")),
                       key=lambda path: path.stat().st_mtime_ns)
        packs[0].unlink()
        found = self.cairn.run("check", expect=12)
        self.assertEqual(found.stdout.count("missing-pack"), 1)
        self.assertRegex(found.stderr, r"to mend it: cairn -s '[^']*' repair tags ")
        said = self.cairn.run("repair", "tags", "--dry-run").stdout
        self.assertEqual(said.count("would be set aside: 'run/"),
                         len(self.cairn.json("repair", "tags", "--dry-run")["set_aside"]))
        self.cairn.run("gc", "--yes")  # nothing of what is left is garbage
        lines = self.cairn.run("check", expect=12).stdout.splitlines()
        shared = [line for line in lines if "tags 'run/1', 'run/2', 'run/3'" in line]
        self.assertEqual(len(shared), 1, lines)
        done = self.cairn.json("repair", "tags", "--yes")
        self.assertEqual(sorted(row["tag"] for row in done["set_aside"]),
                         ["run/1", "run/2", "run/3"])
        self.assertEqual(self.names(), [])
        self.cairn.run("gc", "--yes")

    def test_lost_tensors_can_be_dropped_instead(self):
        self.damage(self.newest("packs"))
        self.cairn.run("forget", "run/3", "--drop", "own", "--yes", expect=18)
        self.cairn.run("tag", "run/held", "run/3")
        self.cairn.run("forget", "run/3", "--drop", "own", "--yes")
        self.cairn.run("forget", "run/held", "--allow-newest", "--yes")
        self.assertEqual(self.names()[0], "run/3")
        self.assertTrue(self.cairn.json("check", "--read-data")["ok"])

    def test_a_lost_root(self):
        self.cairn.run("forget", "run/1", "--gc", "--yes")
        root = self.cairn.store / "root"
        good = root.read_bytes()
        for bad in (None, b"", good[:-1], good[:200] + b"?" + good[201:]):
            root.unlink(missing_ok=True)
            if bad is not None:
                root.write_bytes(bad)
            self.assertIn("repair tags", self.cairn.json("check", expect=12)["repair"])
            plan = self.cairn.json("repair", "tags", "--dry-run")
            self.assertEqual((plan["salvaged_root"], plan["kept"]), (True, ["run/2", "run/3"]))
            self.assertNotEqual(self.cairn.run("ls", expect=None).returncode, 0)
            self.cairn.json("repair", "tags", "--yes")
            self.expect_tags("run/2", "run/3")
            self.assertEqual(self.names(), ["run/3", "run/2"], "newest first")
        self.assertEqual(len(list(self.cairn.store.glob("root.damaged-*"))), 3, "each is kept")
        self.cairn.run("import", "run/9", self.files["run/1"])
        self.assertEqual(self.names()[0], "run/9")

    def test_a_lost_root_and_a_damaged_metadata_pack(self):
        self.newest("meta").write_bytes(b"gone")
        (self.cairn.store / "root").unlink()
        done = self.cairn.json("repair", "tags", "--yes")
        self.assertEqual(done["kept"], ["run/1", "run/2"])
        self.assertEqual(len(done["unreadable"]), 1)
        self.expect_tags("run/1", "run/2")

    def test_a_lost_tag_is_named_and_collections_wait(self):
        self.newest("packs").unlink()
        (self.cairn.store / "root").unlink()
        with open(self.cairn.store / "gc.lock", "a+b") as lock:
            held = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)
            fcntl.fcntl(lock, 37, held)  # F_OFD_SETLK
            self.assertEqual(self.cairn.error("repair", "tags", "--yes", "--wait", "0s",
                                              expect=11)["code"], "busy")
            plan = self.cairn.json("repair", "tags", "--dry-run")
        done = self.cairn.json("repair", "tags", "--yes")
        self.assertEqual([row["tag"] for row in done["lost"]], ["run/3"])
        self.assertIn("missing", done["lost"][0]["message"])
        self.assertEqual(plan["lost"], done["lost"])
        self.expect_tags("run/1", "run/2")

    def test_a_lost_tag_table(self):
        """Entries of the root and of other tables stand; saves of the lost table come back."""
        for number in range(300):
            self.cairn.run("tag", f"t/{number:03}", "run/2")
        self.cairn.run("forget", "run/1", "--yes")
        self.cairn.run("pin", "t/299")
        before = {tag["tag"]: tag for tag in self.cairn.json("ls")["tags"]}
        root = (self.cairn.store / "root").read_bytes()
        condemned, revoked, tables, _ = struct.unpack_from("<4I", root, 48)
        self.assertGreaterEqual(tables, 2)
        session, number = struct.unpack_from("<16sI", root, 64 + 40 * condemned + 16 * revoked)
        table = self.cairn.store / "meta" / session.hex()[:2] / f"{session.hex()}-{number}"
        good = table.read_bytes()
        for bad in (good[:3000] + b"?" + good[3001:], None):
            with self.subTest(missing=bad is None):
                table.unlink()
                if bad is not None:
                    table.write_bytes(bad)
                (self.cairn.store / "root").write_bytes(root)
                self.assertIn("repair tags", self.cairn.json("check", expect=12)["repair"])
                for words in (["ls"], ["gc", "--yes"], ["gc", "--dry-run"]):
                    self.assertIn(table.name, self.cairn.error(*words, expect=12)["message"])
                self.cairn.run("show", "t/299")
                plan = self.cairn.json("repair", "tags", "--dry-run")
                self.assertEqual((self.cairn.store / "root").read_bytes(), root)
                done = self.cairn.json("repair", "tags", "--yes")
                self.assertEqual(done["kept"], plan["kept"])
                now = {tag["tag"]: tag for tag in self.cairn.json("ls")["tags"]}
                self.assertLessEqual(now.keys(), before.keys(), "what was forgotten stays so")
                self.assertLessEqual({"run/2", "run/3", "t/290", "t/299"}, now.keys())
                for name, tag in now.items():
                    self.assertEqual(tag["manifest"], before[name]["manifest"])
                self.assertTrue(now["t/299"]["pinned"])
                self.cairn.run("check", "--read-data")
                self.assertEqual(self.cairn.error("show", "t/000", expect=15)["code"], "not-found")
        self.cairn.run("import", "run/9", self.files["run/1"])
        self.cairn.run("gc", "--yes")
        self.cairn.run("check", "--read-data")

    def test_index(self):
        index = self.cairn.store / "index"
        self.cairn.run("repair", "index")
        before = {path: path.stat().st_mtime_ns for path in index.rglob("*")}
        self.assertEqual(self.cairn.json("repair", "index", "--dry-run"),
                         {"tags": 3, "chunks": None, "dry_run": True})
        self.assertEqual({path: path.stat().st_mtime_ns for path in index.rglob("*")}, before)
        done = self.cairn.json("repair", "index")
        self.assertEqual(done["tags"], 3)
        for path in index.glob("MANIFEST-*"):
            path.write_bytes(b"not a manifest")
        new = write_safetensors(self.folder / "new.safetensors", {"x": noise(9000, 77)})
        self.assertIn("repair index", self.cairn.run("import", "new/1", new).stderr)
        self.cairn.run("forget", "new/1", "--allow-newest", "--yes")
        found = self.cairn.run("--json", "check")
        self.assertTrue(json.loads(found.stdout)["repair"].endswith("repair index"))
        self.assertIn("index", found.stderr)
        (index / "mine").write_text("not the index's")
        self.assertEqual(self.cairn.json("repair", "index"), done)
        self.assertIsNone(self.cairn.json("check")["repair"])
        self.assertTrue((index / "mine").exists())
        shutil.rmtree(index)
        self.assertEqual(self.cairn.json("repair", "index"), done)

    def test_a_check_in_parts(self):
        whole = self.cairn.json("check", "--read-data")["bytes_read"]
        idle = self.cairn.run("check", "--time-limit", "0s", "--resume").stderr
        self.assertIn("'--time-limit' says nothing", idle)
        self.assertIn("'--resume' says nothing", idle)
        self.assertFalse((self.cairn.store / "check.next").exists())
        words = ["check", "--read-data", "--time-limit", "0s", "--resume"]
        first = self.cairn.json(*words)
        self.assertTrue(first["out_of_time"])
        self.assertTrue((self.cairn.store / "check.next").exists())
        self.assertEqual(self.cairn.json("check", "--read-data", "--resume")["bytes_read"],
                         whole - first["bytes_read"])
        self.assertFalse((self.cairn.store / "check.next").exists())
        # From a later pack on: only what lies there.
        packs = sorted((path.name for path in (self.cairn.store / "packs").rglob("*-0")))
        (self.cairn.store / "check.next").write_text(packs[-1])
        part = self.cairn.json("check", "--read-data", "--resume")["bytes_read"]
        self.assertTrue(0 < part < whole)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
