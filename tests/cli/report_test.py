#!/usr/bin/env python3
"""`cairn report`: results, files, the numbers in the page. usage: report_test.py CAIRN"""
import base64
import hashlib
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import Program, write_safetensors
from report_fixture import WithPage, run_tests


class Report(WithPage):
    def data(self, text=None):
        found = re.search(r'id="data">(.*?)</script>', text or self.text)
        return json.loads(found[1])

    def test_result_and_totals_are_those_of_stats(self):
        stats = self.cairn.json("stats")
        self.assertGreater(stats["dead_bytes"], 50000)
        self.assertEqual(self.result["tags"], 4)
        self.assertEqual(self.result["bytes"], self.page.stat().st_size)
        self.assertEqual(self.result["reclaimable_bytes"],
                         self.cairn.json("gc", "--dry-run")["freed_bytes"])
        for key in ("logical_bytes", "stored_bytes", "disk_bytes"):
            self.assertEqual(self.result[key], stats[key])

    def test_the_numbers_of_the_plots(self):
        data = self.data()
        listed = self.cairn.json("ls", "--sort", "oldest")["tags"]
        self.assertEqual([column["title"] for column in data["columns"]],
                         [tag["tag"] for tag in listed])
        for column, tag in zip(data["columns"], listed):
            self.assertEqual((column["logical_bytes"], column["new_bytes"]),
                             (tag["logical_bytes"], tag["new_bytes"]))
        stored = sum(sum(column["stored_by_encoding"].values()) for column in data["columns"])
        rows = self.cairn.json("stats")["by_class_and_encoding"]
        self.assertEqual(stored, sum(row["stored_bytes"] for row in rows))
        for column in data["columns"]:
            self.assertEqual(column["restore_cost"],
                             self.cairn.json("show", column["title"])["restore_cost"])
        rows = {row["name"]: row["cells"] for row in data["rows"]}
        self.assertEqual(rows["frozen.weight"], [[0, 0, 8]] + [[8, 0, 0]] * 3)
        # run/2 is gone: run/3 is compared with run/1.
        self.assertEqual(rows["w.weight"], [[0, 0, 8], [8, 2, 0], [8, 1, 0], [8, 1, 0]])

    def test_names_of_strangers_stay_text(self):
        self.assertNotIn("<img", self.text)
        self.assertEqual(len(re.findall("<script", self.text)), 2)
        self.assertIn("&lt;script&gt;alert(1)", self.text)

    def test_only_the_page_s_own_script_may_run(self):
        script = self.text.rpartition("<script>")[2].partition("</script>")[0]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        self.assertIn(f"script-src 'sha256-{digest}'", self.text)
        self.assertIsNone(re.search(r"(?:src|href)=\"(?!data:,)|url\((?!#)|@import|https?://",
                                    self.text))

    def test_files(self):
        page = self.folder / "again.html"
        page.write_text("mine", encoding="ascii")
        self.assertEqual(self.cairn.error("report", "-o", page, expect=16)["code"], "exists")
        self.assertEqual(page.read_text(encoding="ascii"), "mine")
        self.assertEqual(self.cairn.run("report", "-o", page, "--force", "-q").stdout, f"{page}\n")
        self.assertIn("<!DOCTYPE html>", page.read_text(encoding="utf-8"))
        self.cairn.run("report", expect=2)
        self.cairn.run("report", "-o", self.folder / "no" / "page.html", expect=15)
        full = Path("/dev/full")
        if full.exists():
            self.cairn.run("report", "-o", full, expect=16)
        self.assertEqual([path.name for path in self.folder.glob(".*")], [])
        self.assertIn("<!DOCTYPE html>", self.cairn.run("report", "-o", "-", cwd=self.folder).stdout)
        self.cairn.run("--json", "report", "-o", "-", expect=2)
        self.assertFalse((self.folder / "-").exists())

    def test_pattern(self):
        page = self.folder / "some.html"
        self.assertEqual(self.cairn.json("report", "-o", page, "run/[34]")["tags"], 2)
        text = page.read_text(encoding="utf-8")
        self.assertEqual([column["title"] for column in self.data(text)["columns"]],
                         ["run/3", "run/4"])
        self.assertIn("2 tags matching <code>run/[34]</code> of 4 tags", text)
        refused = self.cairn.error("report", "-o", self.folder / "none.html", "x*", expect=15)
        self.assertIn("'x*'", refused["message"])
        self.assertFalse((self.folder / "none.html").exists())

    def test_damage_leaves_no_page(self):
        cairn = Program(self.program, self.folder / "damaged")
        cairn.run("init", cairn.store)
        cairn.run("import", "t", write_safetensors(self.folder / "d.safetensors", {"x": b"1234"}))
        for meta in (cairn.store / "meta").rglob("*-*"):
            meta.unlink()
        page = self.folder / "damaged.html"
        self.assertIn("cairn check", cairn.error("report", "-o", page, expect=12)["hint"])
        self.assertFalse(page.exists())

    def test_an_empty_store(self):
        cairn = Program(self.program, self.folder / "empty")
        cairn.run("init", cairn.store)
        page = self.folder / "empty.html"
        self.assertEqual(cairn.json("report", "-o", page)["tags"], 0)
        self.assertIn("This store is empty", page.read_text(encoding="utf-8"))

    def test_many_tags_and_tensors_share_columns_and_rows(self):
        cairn = Program(self.program, self.folder / "many")
        cairn.run("init", cairn.store)
        tensors = {f"layers.{layer}.{part}.weight": bytes([layer, 1]) for layer in range(60)
                   for part in ("q", "k", "v", "o", "up", "down")}
        cairn.run("import", "run/0", write_safetensors(self.folder / "l.safetensors", tensors))
        for number in range(1, 120):
            cairn.run("tag", f"run/{number}", "run/0")
        page = self.folder / "many.html"
        cairn.run("report", "-o", page)
        data = self.data(page.read_text(encoding="utf-8"))
        self.assertEqual(len(data["columns"]), 60)
        self.assertEqual(sum(column["tags"] for column in data["columns"]), 120)
        self.assertLessEqual(len(data["rows"]), 200)
        self.assertEqual(sum(row["tensors"] for row in data["rows"]), 360)


if __name__ == "__main__":
    run_tests()
