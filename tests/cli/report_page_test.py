#!/usr/bin/env python3
"""`cairn report`: the command, and its page in a browser. usage: report_page_test.py CAIRN"""
import base64
import hashlib
import json
import re
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from browser import Browser, find_browser
from program import Program, memory_folder, noise, write_safetensors

PROGRAM = ""
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;'\"\u202egnp"
DATA = "JSON.parse(document.getElementById('data').textContent)"


def floats(data):
    return ("F32", [len(data) // 4], data)


class WithPage(unittest.TestCase):
    """A store with a forgotten tag and hostile names, and its page."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-report-")
        cls.folder = Path(cls.temporary.name)
        cls.cairn = Program(PROGRAM, cls.folder / "store")
        cls.cairn.run("init", cls.cairn.store, "--chunk-elements", "1024")
        still, changing = noise(8 * 4096, 1), bytearray(noise(8 * 4096, 2))
        for step in range(1, 6):
            changing[4096 * step] ^= 1  # one chunk of eight a step
            tensors = {"frozen.weight": floats(still), "w.weight": floats(bytes(changing)),
                       HOSTILE: noise(3000, step)}
            file = write_safetensors(cls.folder / "m.safetensors", tensors)
            cls.cairn.run("import", f"run/{step}", file, "--step", step, "--meta",
                          f"{HOSTILE}={HOSTILE}")
        cls.cairn.run("import", "other", write_safetensors(cls.folder / "o.safetensors",
                                                           {"x": noise(50000, 9)}))
        cls.cairn.run("forget", "other", "run/2", "--yes", "--allow-newest")
        cls.page = cls.folder / "page.html"
        cls.result = cls.cairn.json("report", "-o", cls.page)
        cls.text = cls.page.read_text(encoding="utf-8")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()


class Report(WithPage):
    def data(self, text=None):
        found = re.search(r'id="data">(.*?)</script>', text or self.text)
        return json.loads(found[1])

    def test_result_and_totals_are_those_of_stats(self):
        stats = self.cairn.json("stats")
        self.assertGreater(stats["dead_bytes"], 50000)
        self.assertEqual(self.result["tags"], 4)
        self.assertEqual(self.result["bytes"], self.page.stat().st_size)
        self.assertEqual(self.result["reclaimable_bytes"], stats["dead_bytes"])
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

    def test_an_empty_store(self):
        cairn = Program(PROGRAM, self.folder / "empty")
        cairn.run("init", cairn.store)
        page = self.folder / "empty.html"
        self.assertEqual(cairn.json("report", "-o", page)["tags"], 0)
        self.assertIn("This store is empty", page.read_text(encoding="utf-8"))

    def test_many_tags_and_tensors_share_columns_and_rows(self):
        cairn = Program(PROGRAM, self.folder / "many")
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


@unittest.skipUnless(find_browser(), "no chromium here (apt-get install chromium)")
class Page(WithPage):
    """The same store's page in a browser."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = Browser(find_browser())

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        super().tearDownClass()

    def open(self, page=None, width=1280):
        self.browser.complaints.clear()
        self.browser.requests.clear()
        url = (page or self.page).as_uri()
        self.browser.open(url, width)
        self.assertEqual(self.browser.complaints, [])
        self.assertEqual([each for each in self.browser.requests if each not in (url, "data:,")], [])
        return self.browser.evaluate

    def test_quiet_and_alone(self):
        for width in (1280, 360):
            evaluate = self.open(width=width)
            self.assertEqual(evaluate("document.getElementsByTagName('img').length"), 0)
            self.assertEqual(evaluate("document.querySelector('h1').textContent"),
                             str(self.cairn.store))

    def test_nothing_to_scroll_sideways(self):
        pages = [self.page, self.folder / "long.html", self.folder / "bare.html"]
        store = self.folder / ("a-long-name-" * 15)
        cairn = Program(PROGRAM, store)
        cairn.run("init", store)
        cairn.run("report", "-o", pages[2])
        file = write_safetensors(self.folder / "n.safetensors", {"n" * 900: b"1" * 999999})
        for number in range(3):
            cairn.run("import", f"{'p' * 180}/{number}", file, "--meta", f"{'k' * 50}={'v' * 999}")
        cairn.run("report", "-o", pages[1])
        for page in pages:
            for width in (360, 700, 1280):
                evaluate = self.open(page, width)
                self.assertEqual(evaluate("window.innerWidth"), width)
                self.assertLessEqual(evaluate("document.documentElement.scrollWidth"), width, page)

    def test_plots_are_there(self):
        evaluate = self.open()
        for plot in ("size", "new", "changes", "classes", "encodings", "age", "disk"):
            box = evaluate(f"(r => [r.width, r.height])(document.getElementById('plot-{plot}')"
                           ".getBoundingClientRect())")
            self.assertGreater(min(box), 60, plot)
        self.assertEqual(evaluate("[...document.querySelectorAll('svg[role=img]')]"
                                  ".filter(s => !s.querySelector('title') || "
                                  "!s.querySelector('desc')).length"), 0)
        # A bar for each tag: as many parts of the path as there are columns.
        self.assertEqual(evaluate("document.querySelector('#plot-size path.size')"
                                  ".getAttribute('d').split('z').length - 1"), 4)
        names = evaluate("[...document.querySelectorAll('.names b')].map(e => e.textContent)")
        self.assertEqual(names, [row["name"] for row in evaluate(DATA)["rows"]])
        self.assertEqual(evaluate("document.querySelectorAll('#tags tbody tr').length"), 4)

    def test_bars_are_as_high_as_they_should(self):
        evaluate = self.open()
        columns = evaluate(DATA)["columns"]
        largest = max(column["new_bytes"] for column in columns)
        path = evaluate("document.querySelector('#plot-new path.new').getAttribute('d')")
        heights = [float(height) for height in re.findall(r"v-([\d.]+)", path)]
        for column, height in zip(columns, heights, strict=True):
            self.assertAlmostEqual(height / 1000, column["new_bytes"] / largest, delta=0.005)

    def test_a_tip_says_the_numbers(self):
        evaluate = self.open()
        row = [each["name"] for each in evaluate(DATA)["rows"]].index("w.weight")
        place = evaluate(f"""(() => {{
          const plot = [...document.querySelectorAll('svg[data-row]')].find(p =>
              {row} >= p.dataset.row && {row} < Number(p.dataset.row) + Number(p.dataset.rows));
          plot.scrollIntoView({{block: 'center', behavior: 'instant'}});
          const box = plot.getBoundingClientRect();
          return [box.left + box.width * 1.5 / plot.dataset.columns,
                  box.top + box.height * ({row} - plot.dataset.row + .5) / plot.dataset.rows];
        }})()""")
        self.browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
        self.assertEqual(evaluate("document.getElementById('tip').textContent"),
                         "run/3\nw.weight\n2 of 8 chunks new (25.0 %)")

    def test_dark_and_light(self):
        backgrounds = set()
        for scheme in ("light", "dark"):
            self.browser.call("Emulation.setEmulatedMedia",
                              features=[{"name": "prefers-color-scheme", "value": scheme}])
            evaluate = self.open()
            backgrounds.add(evaluate("getComputedStyle(document.body).backgroundColor"))
        self.assertEqual(len(backgrounds), 2)

    def test_paper(self):
        self.open()
        pdf = self.browser.print_pdf()
        self.assertTrue(pdf.startswith(b"%PDF"))
        # A4 in points.
        self.assertRegex(pdf.decode("latin-1"), r"/MediaBox \[0 0 59\d(\.\d+)? 84\d(\.\d+)?\]")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
