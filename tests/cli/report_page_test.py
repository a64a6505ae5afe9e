#!/usr/bin/env python3
"""The page of `cairn report` in a browser. usage: report_page_test.py CAIRN"""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from browser import Browser, find_browser
from program import Program, write_safetensors
from report_fixture import WithPage, run_tests

DATA = "JSON.parse(document.getElementById('data').textContent)"


class Page(WithPage):
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
        cairn = Program(self.program, store)
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
        for plot in ("size", "new", "encoded", "restore", "changes", "reductions", "classes",
                     "encodings", "age", "disk"):
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

    def test_stacks_are_as_high_as_they_should(self):
        evaluate = self.open()
        columns = evaluate(DATA)["columns"]
        largest = max(sum(column["stored_by_encoding"].values()) for column in columns)
        for number, column in enumerate(columns):
            for encoding, stored in column["stored_by_encoding"].items():
                if stored == 0:
                    continue
                path = evaluate(f"document.querySelector('#plot-encoded path.e-{encoding}')"
                                ".getAttribute('d')")
                height = re.search(rf"M{number}\.10 [\d.]+v-([\d.]+)", path)
                self.assertAlmostEqual(float(height[1]) / 1000, stored / largest, delta=0.004)
        colours = evaluate("[...document.getElementById('plot-encoded').parentElement."
                           "querySelectorAll('.swatch')].map(e => "
                           "getComputedStyle(e).backgroundColor)")
        self.assertGreater(len(colours), 1)
        self.assertNotIn("rgba(0, 0, 0, 0)", colours, "every encoding has a colour")

    def test_a_tip_says_what_a_tag_added(self):
        evaluate = self.open()
        place = evaluate("""(() => {
          const plot = document.querySelector('#plot-encoded svg');
          plot.scrollIntoView({block: 'center', behavior: 'instant'});
          const box = plot.getBoundingClientRect();
          return [box.left + box.width * 1.5 / plot.dataset.columns, box.top + box.height / 2];
        })()""")
        self.browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
        tip = evaluate("document.getElementById('tip').textContent")
        self.assertEqual(tip, "run/3\n" + evaluate(DATA)["columns"][1]["encodings"])

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
    if find_browser() is None:
        print("skipped: no chromium here (apt-get install chromium)")
        sys.exit(77)
    run_tests()
