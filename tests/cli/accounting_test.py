#!/usr/bin/env python3
"""What `stats`, `show` and `diff` say of reductions, to the byte. usage: accounting_test.py CAIRN"""
import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import Program, memory_folder, noise, write_safetensors

PROGRAM = ""
# Seconds of a core a byte, of lib/restore_cost.cc.
READ, READ_SPARSE, DELIVER, KEYFRAME = 0.4e-9, 20e-9, 0.8e-9, 1.7e-9
DECODE = {"raw": 0.1e-9, "zero": 0.1e-9, "sparse": 0.08e-9, "delta": 0.6e-9}
NOTE = b"five!"


def floats(data):
    return ("F32", [len(data) // 4], data)


def by_key(rows):
    return {(row["class"], row["encoding"]): row for row in rows}


def total(rows, field):
    return sum(row[field] for row in rows)


class Accounting(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-account-")
        cls.folder = Path(cls.temporary.name)
        cls.cairn = Program(PROGRAM, cls.folder / "store")
        cls.cairn.run("init", cls.cairn.store, "--chunk-elements", "1024")
        note = cls.folder / "note"
        note.write_bytes(NOTE)
        rules = cls.folder / "roles.json"
        rules.write_text(json.dumps({"names": {"weight": "{p}.weight", "exp_avg": "{p}.exp_avg"}}),
                         encoding="ascii")
        weight = bytearray(noise(8192, 1))
        cls.stats = []
        for step in (1, 2):
            weight[4] ^= step - 1  # the first chunk of two
            tensors = {"w.weight": floats(bytes(weight)), "w.exp_avg": floats(bytes(8192)),
                       "ids": noise(900, 3)}
            file = write_safetensors(cls.folder / "m.safetensors", tensors)
            cls.cairn.run("import", f"run/{step}", file, "--roles", rules,
                          "--attach", f"note={note}")
            cls.stats.append(cls.cairn.json("stats"))

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def check_row(self, row):
        self.assertEqual(list(row), ["class", "encoding", "chunks", "decoded_bytes", "stored_bytes",
                                     "ratio", "restore_cost", "restore_seconds"])
        decoded, stored = row["decoded_bytes"], row["stored_bytes"]
        self.assertEqual(row["ratio"], decoded / stored if stored else None)
        is_history = row["class"] == "history"
        seconds = 0 if is_history else DELIVER * decoded
        if row["encoding"] != "inline":
            read = READ_SPARSE if row["encoding"] == "sparse" else READ
            seconds += read * stored + DECODE[row["encoding"]] * decoded
        self.assertAlmostEqual(row["restore_seconds"], seconds, delta=1e-15)
        if is_history:
            self.assertIsNone(row["restore_cost"])
        else:
            self.assertAlmostEqual(row["restore_cost"], seconds / (KEYFRAME * decoded))

    def test_a_tag_that_stands_by_itself(self):
        shown = self.cairn.json("show", "run/1")
        rows = by_key(shown["by_class_and_encoding"])
        figures = {key: (row["chunks"], row["decoded_bytes"], row["stored_bytes"])
                   for key, row in rows.items()}
        self.assertEqual(figures, {("attachment", "inline"): (1, 5, 5),
                                   ("exp_avg", "zero"): (2, 8192, 0),
                                   ("other", "raw"): (1, 900, 900),
                                   ("weight", "raw"): (2, 8192, 8192)})
        self.assertEqual(shown["restore_cost"], 1)

    def test_rows_are_what_they_say(self):
        for words in (("show", "run/1"), ("show", "run/2"), ("diff", "run/1", "run/2"), ("stats",)):
            rows = self.cairn.json(*words)["by_class_and_encoding"]
            self.assertNotEqual(rows, [])
            for row in rows:
                self.check_row(row)

    def test_a_tag_that_is_made_from_another(self):
        shown = self.cairn.json("show", "run/2")
        rows = shown["by_class_and_encoding"]
        [changed] = [row for row in rows if row["encoding"] == "sparse"]
        self.assertEqual((changed["class"], changed["chunks"], changed["decoded_bytes"]),
                         ("weight", 1, 4096))
        self.assertLess(changed["stored_bytes"], 100)
        history = by_key(rows)["history", "raw"]
        self.assertEqual((history["chunks"], history["stored_bytes"]), (1, 4096))
        # What the rows take is what the tag takes, and what is no history is the tag.
        own = [row for row in rows if row["class"] != "history"]
        self.assertEqual(total(own, "decoded_bytes"), shown["logical_bytes"] + len(NOTE))
        self.assertEqual(total(own, "stored_bytes"),
                         total(shown["tensors"], "stored_bytes") + len(NOTE))
        self.assertAlmostEqual(total(rows, "restore_seconds"),
                               shown["restore_cost"] * KEYFRAME * total(own, "decoded_bytes"))
        self.assertGreater(shown["restore_cost"], 0.5)

    def test_tensors(self):
        [tensor] = self.cairn.json("show", "run/2", "--tensors", "w.weight")["tensors"]
        self.assertEqual(tensor["encodings"], {"raw": 1, "sparse": 1})
        raw, sparse = tensor["by_encoding"]["raw"], tensor["by_encoding"]["sparse"]
        self.assertEqual(list(raw.values()), [1, 4096, 4096, 1])
        self.assertEqual(list(raw), ["chunks", "decoded_bytes", "stored_bytes", "ratio"])
        self.assertEqual(sparse["ratio"], 4096 / sparse["stored_bytes"])
        self.assertEqual(raw["stored_bytes"] + sparse["stored_bytes"], tensor["stored_bytes"])
        rows = self.cairn.json("show", "run/2", "--tensors", "w.weight")["by_class_and_encoding"]
        self.assertEqual([(row["class"], row["encoding"]) for row in rows],
                         [("history", "raw"), ("weight", "raw"), ("weight", "sparse")])

    def test_stats_add_up(self):
        for stats in self.stats:
            rows = stats["by_class_and_encoding"]
            stored = {name: row["stored_bytes"] for name, row in stats["by_class"].items()}
            self.assertEqual(total(rows, "stored_bytes"),
                             stats["stored_bytes"] - stored["metadata"])
            for field in ("chunks", "decoded_bytes", "stored_bytes"):
                self.assertEqual(total(rows, field), total(stats["by_encoding"].values(), field))
            for name, row in stats["by_class"].items():
                of_class = [each for each in rows if each["class"] == name]
                self.assertEqual(row["decoded_bytes"], total(of_class, "decoded_bytes"))
                if name != "metadata":
                    self.assertEqual(row["stored_bytes"], total(of_class, "stored_bytes"))
            for name, row in stats["by_encoding"].items():
                self.assertEqual(row["ratio"] is None, name == "zero")
                self.assertGreater(row["restore_cost"], 0)
        self.assertIsNone(self.stats[0]["by_class"]["metadata"]["ratio"])
        self.assertEqual(self.stats[0]["by_class"]["weight"]["ratio"], 1)

    def test_diff_is_what_the_second_tag_added(self):
        before, after = (by_key(stats["by_class_and_encoding"]) for stats in self.stats)
        added = by_key(self.cairn.json("diff", "run/1", "run/2")["by_class_and_encoding"])
        self.assertEqual(list(added), [("weight", "sparse")])
        self.assertEqual(added["weight", "sparse"], after["weight", "sparse"])
        self.assertNotIn(("weight", "sparse"), before)
        self.assertEqual(self.cairn.json("diff", "run/1", "run/1")["by_class_and_encoding"], [])
        self.assertEqual(self.cairn.json("diff", "run/2", "run/1")["by_class_and_encoding"], [],
                         "run/2 is made from all that run/1 holds")
        some = self.cairn.json("diff", "run/1", "run/2", "--tensors", "ids")
        self.assertEqual(some["by_class_and_encoding"], [])

    def test_words_for_people(self):
        lines = self.cairn.run("show", "run/1").stdout.splitlines()
        begin = next(number for number, line in enumerate(lines) if line.startswith("class"))
        self.assertEqual(lines[begin:begin + 7], [
            "class       encoding   decoded   stored  ratio   share  restore    time",
            "attachment  inline         5 B      5 B  1.00x   0.1 %    0.47x   0.0 %",
            "exp_avg     zero       8.0 KiB      0 B      -   0.0 %    0.53x  38.4 %",
            "other       raw          900 B    900 B  1.00x   9.9 %    0.76x   6.1 %",
            "weight      raw        8.0 KiB  8.0 KiB  1.00x  90.1 %    0.76x  55.5 %",
            "all                   16.9 KiB  8.9 KiB  1.90x",
            ""])
        self.assertIn("1 raw, 1 sparse", self.cairn.run("show", "run/2").stdout)
        stats = self.cairn.run("stats").stdout
        self.assertIn("class       encoding", stats)
        self.assertRegex(stats, r"\nweight +sparse ")
        compared = self.cairn.run("diff", "run/1", "run/2").stdout
        self.assertIn("what 'run/2' needs that 'run/1' does not have:\nclass   encoding", compared)
        same = self.cairn.run("diff", "run/1", "run/1").stdout
        self.assertEqual(same, "identical: 3 tensors\n")

    def test_history_is_counted(self):
        cairn = Program(PROGRAM, self.folder / "history")
        cairn.run("init", cairn.store, "--chunk-elements", "1024")
        data = bytearray(noise(4096, 5))
        for step in (1, 2):
            data[8] ^= step
            cairn.run("import", f"t/{step}", write_safetensors(self.folder / "h.safetensors",
                                                               {"x": floats(bytes(data))}))
        cairn.run("forget", "t/1", "--yes")
        rows = by_key(cairn.json("stats")["by_class_and_encoding"])
        self.assertEqual(rows["history", "raw"]["stored_bytes"], 4096)
        self.assertIsNone(rows["history", "raw"]["restore_cost"])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
