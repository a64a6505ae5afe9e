#!/usr/bin/env python3
"""Full disks, missing and damaged files, forbidden folders, races: each ends with an exit status
and a word, and loses nothing. usage: bad_luck_test.py CAIRN"""
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from chain_store import make_chain_store
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

PROGRAM = ""
SMALL = ("--chunk-elements", "1024")


class BadLuck(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-luck-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)
        self.store = self.folder / "store"
        self.cairn = Program(PROGRAM, self.store)
        self.cairn.run("init", self.store, *SMALL)
        self.file = write_safetensors(self.folder / "a.safetensors",
                                      {"w": noise(20000), "v": noise(3000, 2)})
        self.cairn.run("import", "run/1", self.file)

    def expect_whole(self, tag="run/1", file=None, cairn=None):
        out = self.folder / "out.safetensors"
        (cairn or self.cairn).run("export", tag, out, "--force")
        self.assertEqual(read_safetensors(out), read_safetensors(file or self.file))

    def data_packs(self):
        return sorted(path for path in (self.store / "packs").rglob("*") if path.is_file())

    def leftovers(self):
        return sorted(path for part in ("packs", "meta", "sessions")
                      for path in (self.store / part).rglob("*") if path.is_file())

    # Names and places

    def test_malformed_tag_names(self):
        for name in ["", "/a", "a/", "a//b", "a/../b", ".", "-x", "a b", "ä", "a" * 201, "a\nb"]:
            with self.subTest(name):
                error = self.cairn.error("import", "--", name, self.file, expect=2)
                self.assertEqual(error["code"], "usage")
        self.cairn.run("import", "a" * 200, self.file)
        self.cairn.run("import", "run/1/below", self.file)

    def test_tag_that_exists(self):
        error = self.cairn.error("import", "run/1", self.file, expect=16)
        self.assertEqual(error["code"], "exists")
        self.cairn.run("import", "run/1", self.file, "--if-exists", "same")
        other = write_safetensors(self.folder / "b.safetensors", {"w": b"other"})
        self.cairn.run("import", "run/1", other, "--if-exists", "same", expect=16)
        self.expect_whole()
        self.cairn.run("import", "run/1", other, "--if-exists", "replace")
        self.expect_whole(file=other)

    def test_store_that_is_not_there(self):
        empty = self.folder / "empty"
        empty.mkdir()
        for place in (empty, self.folder / "nowhere", self.file):
            with self.subTest(place):
                error = Program(PROGRAM, place).error("ls", expect=10)
                self.assertEqual(error["code"], "no-store")
        self.assertEqual(Program(PROGRAM).error("ls", expect=2)["code"], "usage")
        self.assertEqual(list(empty.iterdir()), [])

    def test_init_takes_only_empty_folders(self):
        self.cairn.error("init", self.store, expect=16)
        self.expect_whole()
        full = self.folder / "full"
        full.mkdir()
        (full / "thesis.txt").write_text("mine")
        self.cairn.run("init", full, expect=16)
        self.assertEqual([path.name for path in full.iterdir()], ["thesis.txt"])

    # Inputs

    def test_input_that_is_no_safetensors(self):
        good = self.file.read_bytes()
        inputs = {"empty": b"", "text": b"hello, world, this is no tensor file",
                  "cut header": good[:20], "cut data": good[:-1], "trailing": good + b"x",
                  "damaged header": good[:9] + b"\xff" + good[10:]}
        for name, content in inputs.items():
            with self.subTest(name):
                bad = self.folder / "bad.safetensors"
                bad.write_bytes(content)
                before = self.leftovers()
                error = self.cairn.error("import", "run/2", bad, expect=2)
                self.assertIn("bad.safetensors", error["message"])
                self.assertEqual(self.leftovers(), before)
        self.assertEqual(self.cairn.error("import", "run/2", self.folder / "no.safetensors",
                                          expect=15)["code"], "not-found")

    # Permissions

    @unittest.skipIf(os.geteuid() == 0 and shutil.which("setpriv") is None, "root without setpriv")
    def test_folders_without_permission(self):
        other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] \
            if os.geteuid() == 0 else []
        self.folder.chmod(0o755)
        locked = self.folder / "locked"
        locked.mkdir(mode=0o500)
        made = self.cairn.run("init", locked / "store", before=other, expect=None)
        self.assertEqual(made.returncode, 1, made.stderr)
        self.assertIn("Permission denied", made.stderr)
        for path in [self.store, *self.store.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        saved = self.cairn.run("import", "run/2", self.file, before=other, expect=None)
        self.assertEqual(saved.returncode, 1, saved.stderr)
        self.assertIn("Permission denied", saved.stderr)
        # Reading takes no lock and writes nothing.
        for words in (["ls"], ["show", "run/1"], ["diff", "run/1", "run/1"], ["cat", "run/1", "w"],
                      ["check", "--read-data"], ["stats"]):
            self.cairn.run(*words, before=other, text=False)
        # What may not be read is not lost.
        self.data_packs()[0].chmod(0)
        for words in (["check"], ["check", "--read-data"]):
            refused = self.cairn.run(*words, before=other, expect=1)
            self.assertIn("Permission denied", refused.stderr)
            self.assertNotIn("repair", refused.stderr)
        for path in [self.store, *self.store.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)

    # Disks

    def mount_tmpfs(self, options):
        place = self.folder / "disk"
        place.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("mounting a tmpfs needs root")
        self.addCleanup(subprocess.run, ["umount", place], check=True)
        return place

    def test_disk_full_in_mid_save_and_at_commit(self):
        disk = self.mount_tmpfs("size=2m")
        store = disk / "store"
        cairn = Program(PROGRAM, store, CAIRN_INDEX=str(self.folder / "index"))
        cairn.run("init", store, *SMALL)
        cairn.run("import", "run/1", self.file)
        files = {path for path in store.rglob("*") if path.is_file()}
        big = write_safetensors(self.folder / "big.safetensors", {"w": noise(3000000, 3)})
        error = cairn.error("import", "run/2", big, expect=13)
        self.assertEqual(error["code"], "no-space")
        self.assertEqual({path for path in store.rglob("*") if path.is_file()}, files,
                         "a failed save leaves nothing behind")
        # Fill the disk so that one more save fails later and later, at last at the commit.
        small = write_safetensors(self.folder / "small.safetensors", {"w": noise(30000, 4)})
        filler, failed, saved = disk / "filler", 0, 0
        for left in range(0, 160 * 1024, 4096):
            filler.unlink(missing_ok=True)
            free = os.statvfs(disk)
            filler.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - left)))
            name = f"fill/{left}"
            done = cairn.run("import", name, small, "--base", "none", expect=None)
            listed = cairn.run("ls", "-q").stdout.split()
            self.assertIn("run/1", listed)
            self.assertEqual(name in listed, done.returncode == 0, done.stderr)
            failed += done.returncode == 13
            saved += done.returncode == 0
            self.assertIn(done.returncode, (0, 13), done.stderr)
            cairn.run("check", "--read-data")
        self.assertGreater(failed, 3)
        self.assertGreater(saved, 3)

    @staticmethod
    def fill(disk):
        with open(disk / "filler", "ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        assert os.statvfs(disk).f_bavail == 0

    def test_a_full_disk_is_freed(self):
        """With 0 bytes left forget and gc find room in the ballast."""
        disk = self.mount_tmpfs("size=6m")
        store = disk / "store"
        cairn = Program(PROGRAM, store, CAIRN_INDEX=str(self.folder / "index"))
        cairn.run("init", store, *SMALL)
        shared = noise(400000, 1)
        for step in range(3):
            path = write_safetensors(self.folder / "t.safetensors",
                                     {"shared": shared, "own": noise(400000, step + 5)})
            cairn.run("import", f"run/{step}", path)
        self.fill(disk)
        cairn.run("import", "run/9", self.file, expect=13)
        cairn.run("forget", "run/0", "run/1", "--yes")
        self.assertTrue((store / "ballast").exists(), "made again where the old root was")
        freed = cairn.json("gc", "--yes", expect=3)
        self.assertGreater(freed["freed_bytes"], 400000)
        self.assertIn("room", freed["failures"][0], "for what two tags share half a pack of")
        self.assertGreater(os.statvfs(disk).f_bavail, 0)
        cairn.run("check", "--read-data")
        (disk / "filler").unlink()
        self.assertFalse(cairn.json("gc", "--yes")["more"])
        self.assertTrue((store / "ballast").exists())
        cairn.run("import", "run/9", self.file)
        self.assertEqual(cairn.run("ls", "-q").stdout, "run/9\nrun/2\n")

    def test_a_full_disk_without_the_ballast(self):
        """Somebody took its room: the index, which is a cache, makes way."""
        disk = self.mount_tmpfs("size=6m")
        store = disk / "store"
        cairn = Program(PROGRAM, store)
        cairn.run("init", store, *SMALL)
        for step in range(3):
            path = write_safetensors(self.folder / "t.safetensors", {"w": noise(400000, step + 5)})
            cairn.run("import", f"run/{step}", path)
        cairn.run("forget", "run/0", "run/1", "--yes")
        self.assertTrue((store / "index").exists())
        (store / "ballast").unlink()
        self.fill(disk)
        self.assertGreater(cairn.json("gc", "--yes")["freed_bytes"], 400000)
        self.assertTrue((store / "ballast").exists())
        cairn.run("check", "--read-data")
        (disk / "filler").unlink()
        cairn.run("import", "run/9", self.file)
        self.assertEqual(cairn.run("ls", "-q").stdout, "run/9\nrun/2\n")

    def test_a_rebase_on_a_disk_that_fills(self):
        """Somewhere between its first byte and its last: chains stay long, and nothing is lost."""
        disk = self.mount_tmpfs("size=4m")
        template, store = self.folder / "template", disk / "store"
        maker = Program(PROGRAM, template, CAIRN_INDEX=str(self.folder / "index"))
        held = make_chain_store(maker.run, template, self.folder)
        cairn = Program(PROGRAM, store, CAIRN_INDEX=str(self.folder / "index"))

        def expect_held():
            cairn.run("check", "--read-data")
            self.assertEqual(set(cairn.run("ls", "-q").stdout.split()), set(held))
            for tag, file in held.items():
                self.expect_whole(tag, file, cairn)

        outcomes = {0: 0, 3: 0, 13: 0}
        for left in range(0, 240 * 1024, 12 * 1024):
            with self.subTest(left=left):
                shutil.rmtree(store, ignore_errors=True)
                shutil.copytree(template, store)
                free = os.statvfs(disk)
                filler = disk / "filler"
                filler.write_bytes(bytes(free.f_bavail * free.f_frsize - left))
                done = cairn.run("gc", "--rebase", "--yes", expect=None)
                self.assertIn(done.returncode, outcomes, done.stderr)
                outcomes[done.returncode] += 1
                plan = cairn.run("gc", "--dry-run", "--json", expect=None)
                is_done = json.loads(plan.stdout)["rebase"]["frees_bytes"] == 0
                self.assertTrue(is_done or done.returncode != 0, "it must say so")
                expect_held()
                filler.unlink()
                self.assertEqual(cairn.json("gc", "--rebase", "--yes")["failures"], [])
                self.assertEqual(cairn.json("gc", "--dry-run")["rebase"]["frees_bytes"], 0)
                expect_held()
        self.assertGreater(outcomes[0], 2)
        self.assertGreater(outcomes[3] + outcomes[13], 2)

    def test_a_full_disk_in_every_command(self):
        disk = self.mount_tmpfs("size=6m")
        store = disk / "store"
        cairn = Program(PROGRAM, store)
        cairn.run("init", store, *SMALL)
        for number in (1, 2):
            cairn.run("import", f"run/{number}", self.file)
        self.fill(disk)
        before = cairn.json("ls")
        for words in (["import", "run/3", self.file], ["tag", "run/3", "run/1"], ["pin", "run/1"],
                      ["export", "run/1", disk / "out.safetensors"],
                      ["export", "run/1", disk / "out"],
                      ["report", "-o", disk / "report.html"], ["init", disk / "second"]):
            with self.subTest(words=words):
                self.assertEqual(cairn.error(*words, expect=13)["code"], "no-space")
                self.assertEqual(sorted(path.name for path in disk.iterdir()), ["filler", "store"])
        # What there is no room to note must not be lost for that.
        shutil.rmtree(store / "index")
        self.fill(disk)
        cairn.run("repair", "index", expect=13)
        for words in (["show", "run/1"], ["diff", "run/1", "run/2"], ["cat", "run/1", "w"],
                      ["stats"], ["check", "--read-data"], ["gc", "--dry-run"],
                      ["repair", "tags", "--dry-run"]):
            with self.subTest(words=words):
                cairn.run(*words, text=False)
        self.assertEqual(cairn.json("ls"), before)
        cairn.run("gc", "--yes")
        cairn.run("forget", "run/1", "--yes")
        (disk / "filler").unlink()
        cairn.run("import", "run/3", self.file)
        cairn.run("check", "--read-data")

    def test_read_only_file_system(self):
        disk = self.mount_tmpfs("size=8m")
        store = disk / "store"
        shutil.copytree(self.store, store)
        shutil.rmtree(store / "index", ignore_errors=True)
        lease = store / "sessions" / ("ab" * 16)
        lease.write_text("of a session that is no more")
        os.utime(lease, (0, 0))
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        cairn = Program(PROGRAM, store)
        self.assertEqual(cairn.json("ls")["tags"][0]["tag"], "run/1")
        for words in (["show", "run/1"], ["diff", "run/1", "run/1"], ["cat", "run/1", "w"],
                      ["check", "--read-data"], ["stats"],
                      ["export", "run/1", self.folder / "ro.safetensors"]):
            cairn.run(*words, text=False)
        error = cairn.error("import", "run/2", self.file, expect=1)
        self.assertIn("Read-only file system", error["message"])
        for words in (["tag", "run/3", "run/1"], ["pin", "run/1"],
                      ["forget", "run/1", "--allow-newest", "--yes"], ["gc", "--yes"]):
            self.assertIn("Read-only", cairn.error(*words, expect=1)["message"])
        cairn.run("gc", "--dry-run")

    # Damage

    def test_newer_format_is_left_alone(self):
        config = self.store / "config"
        text = config.read_text()
        document = json.loads(text)
        newer = json.dumps(document | {"format": 2}, separators=(",", ":"))
        config.write_text(newer + "\n")
        before = {path: path.read_bytes() for path in self.store.rglob("*") if path.is_file()}
        for words in (["ls"], ["import", "run/2", self.file], ["check"], ["tag", "x", "run/1"],
                      ["stats"], ["show", "run/1"], ["export", "run/1", self.folder / "x"]):
            with self.subTest(words):
                error = self.cairn.error(*words, expect=14)
                self.assertEqual(error["code"], "newer-format")
        after = {path: path.read_bytes() for path in self.store.rglob("*") if path.is_file()}
        self.assertEqual(before, after)

    def test_deleted_pack(self):
        pack = self.data_packs()[0]
        pack.unlink()
        done = self.cairn.run("check", "--json", expect=12)
        report = json.loads(done.stdout)
        self.assertFalse(report["ok"])
        self.assertIn("repair tags", report["repair"])
        self.assertEqual({(row["kind"], row["tag"], row["tensor"]) for row in report["errors"]},
                         {("missing-pack", "run/1", "w"), ("missing-pack", "run/1", "v")})
        self.assertTrue(all(pack.name in row["pack"] for row in report["errors"]))
        out = self.folder / "never.safetensors"
        error = self.cairn.error("export", "run/1", out, expect=12)
        for word in ("run/1", pack.name):
            self.assertIn(word, error["message"])
        self.assertFalse(out.exists())
        # The store goes on: a save that counts on nothing of the lost pack is whole.
        self.cairn.run("import", "other/1", self.file, "--base", "none")
        self.expect_whole("other/1")

    def test_damaged_data_is_named(self):
        pack = self.data_packs()[0]
        content = bytearray(pack.read_bytes())
        content[100] ^= 1
        pack.write_bytes(content)
        self.cairn.run("check")
        done = self.cairn.run("check", "--read-data", "--json", expect=12)
        row = json.loads(done.stdout)["errors"][0]
        self.assertEqual((row["kind"], row["tag"]), ("data", "run/1"))
        self.assertIn("offset", row)
        self.assertIn("damaged", done.stderr)
        self.cairn.run("check", "--read-data", "--tag", "run/1", expect=12)
        # What comes before the damage is a true prefix.
        cat = self.cairn.run("cat", "run/1", row["tensor"], expect=12, text=False)
        whole = read_safetensors(self.file)[0][row["tensor"]][2]
        self.assertTrue(whole.startswith(cat.stdout))

    def test_deleted_index(self):
        shutil.rmtree(self.store / "index", ignore_errors=True)
        result = self.cairn.json("import", "elsewhere/1", self.file)
        self.assertEqual(result["new_bytes"], 0, "a rebuilt index finds what is stored")
        self.expect_whole("elsewhere/1")

    def test_damaged_index(self):
        self.cairn.json("import", "elsewhere/1", self.file)
        for path in (self.store / "index").rglob("*"):
            if path.is_file() and path.name != "LOCK":
                path.write_bytes(b"damaged" * 50)
        done = self.cairn.run("import", "third/1", self.file)
        self.assertIn("warning", done.stderr)
        self.expect_whole("third/1")
        self.cairn.run("ls")
        self.cairn.run("check", "--read-data")

    def test_index_that_lost_its_log(self):
        """RocksDB takes a bad log for a short one. What it has forgotten must not make what it
        remembers point elsewhere: saves that trust it would be acknowledged and unreadable."""
        def spoil(log, how):
            data = log.read_bytes()
            flipped = data[:20] + bytes(byte ^ 1 for byte in data[20:21]) + data[21:]
            {"flip": lambda: log.write_bytes(flipped),
             "cut": lambda: log.write_bytes(b""), "zero": lambda: log.write_bytes(bytes(len(data))),
             "delete": log.unlink}[how]()
        for how, which in itertools.product(("flip", "cut", "zero", "delete"),
                                            (slice(None), slice(1), slice(1, 2), slice(-1, None))):
            with self.subTest(how=how, which=which):
                store = self.folder / f"{how}-{which.start}-{which.stop}"
                Program(PROGRAM).run("init", store, *SMALL)
                cairn = Program(PROGRAM, store)
                files = {seed: write_safetensors(self.folder / f"{how}-{seed}.safetensors",
                                                 {"w": noise(seed * 30000, seed)})
                         for seed in (1, 2, 3, 4)}
                for tag, seed in (("z", 1), ("y", 2), ("x", 3)):
                    cairn.run("import", tag, files[seed], "--base", "none")
                logs = sorted((store / "index").glob("*.log"))
                self.assertGreater(len(logs), 1, "one of each opening")
                for log in logs[which]:
                    spoil(log, how)
                for tag, seed in (("n1", 4), ("n2", 1), ("n3", 2)):
                    cairn.run("import", tag, files[seed], "--base", "none")
                cairn.run("check", "--read-data")

    def test_index_of_another_store(self):
        other = self.folder / "other"
        self.cairn.run("init", other, *SMALL)
        owner = Program(PROGRAM, other, CAIRN_INDEX=str(self.folder / "index"))
        for tag in ("x", "y"):  # the second save finds the first in the index
            owner.run("import", tag, self.file, "--base", "none")
        mixed = Program(PROGRAM, self.store, CAIRN_INDEX=str(self.folder / "index"))
        done = mixed.run("import", "third/1", self.file)
        self.assertIn("warning", done.stderr)
        self.expect_whole("third/1")

    def test_missing_helper(self):
        cairn = Program(PROGRAM, self.store, CAIRN_PROGRAM="/nonexistent/cairn")
        done = cairn.run("import", "third/1", self.file)
        self.assertIn("warning", done.stderr)
        self.expect_whole("third/1")

    def test_an_index_that_aborts_does_not_stop_gc(self):
        """As RocksDB does under some I/O errors."""
        self.cairn.run("import", "run/2", write_safetensors(self.folder / "b.safetensors",
                                                            {"w": noise(20000, 7)}))
        self.cairn.run("forget", "run/1", "--yes")
        program = self.folder / "aborts"
        program.write_text("#!/bin/sh\nkill -ABRT $$\n")
        program.chmod(0o755)
        cairn = Program(PROGRAM, self.store, CAIRN_PROGRAM=str(program))
        done = cairn.run("gc", "--yes")
        self.assertIn("repair index", done.stderr)
        self.assertEqual(len(self.data_packs()), 1)
        self.cairn.run("repair", "index")
        self.cairn.run("check", "--read-data")

    # Others at the same time

    def test_two_saves_of_one_tag(self):
        big = {seed: write_safetensors(self.folder / f"{seed}.safetensors",
                                       {"w": noise(400000, seed)}) for seed in (5, 6)}
        for number in range(10):
            tag = f"race/{number}"
            racers = {seed: self.cairn.start("import", tag, file) for seed, file in big.items()}
            results = {}
            for seed, racer in racers.items():
                _, error = racer.communicate(timeout=60)
                results[seed] = (racer.returncode, error.decode())
            self.assertEqual(sorted(code for code, _ in results.values()), [0, 16], results)
            winner = next(seed for seed, (code, _) in results.items() if code == 0)
            self.expect_whole(tag, big[winner])

    def test_many_saves_at_once(self):
        racers = [self.cairn.start("import", f"many/{i}", self.file) for i in range(12)]
        for racer in racers:
            _, error = racer.communicate(timeout=60)
            self.assertEqual(racer.returncode, 0, error)
        self.assertEqual(len(self.cairn.json("ls", "many/*")["tags"]), 12)
        self.cairn.run("check", "--read-data")

    def test_stopped_by_a_signal(self):
        big = write_safetensors(self.folder / "big.safetensors", {"w": noise(3000000, 3)})
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            before = self.leftovers()
            # The signal comes with the first byte of the first pack.
            stop = ["strace", "-f", "-qq", "-o", "/dev/null", "-e",
                    f"inject=pwrite64:signal={number.name[3:]}:when=2"]
            if shutil.which("strace") is None:
                self.skipTest("strace is not installed")
            self.cairn.run("import", "run/2", big, before=stop, expect=status)
            self.assertEqual(self.leftovers(), before)
            self.assertEqual(self.cairn.run("ls", "-q").stdout.split(), ["run/1"])

    def test_closed_pipe_ends_quietly(self):
        big = write_safetensors(self.folder / "big.safetensors", {"w": noise(3000000, 3)})
        self.cairn.run("import", "run/2", big)
        cat = self.cairn.start("cat", "run/2", "w")
        self.assertEqual(cat.stdout.read(10), noise(10, 3))
        cat.stdout.close()
        self.assertEqual(cat.stderr.read(), b"")
        cat.stderr.close()
        self.assertEqual(cat.wait(timeout=60), 0)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
