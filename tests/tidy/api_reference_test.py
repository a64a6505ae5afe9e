#!/usr/bin/env python3
"""docs/API.md is what scripts/api_reference makes; the script wants every public name documented."""
import importlib
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/api_reference"
sys.path[:0] = [str(ROOT / each) for each in ("scripts", "python", "tests/support")]
sys.dont_write_bytecode = True

import environment  # noqa: E402

if __name__ == "__main__":
    environment.lacks("torch")  # goes on where it is; one test can do without

import api_python  # noqa: E402
from api_docstring import markdown  # noqa: E402
from api_entry import anchors  # noqa: E402

PACKAGE = {
    "python/cairn/__init__.py": '"""A package.\n\n    import cairn\n"""\nfrom ._kept import Kept\n'
                                '__all__ = ["Kept"]\n',
    "python/cairn/_kept.py": '"""Hidden."""\nimport os.path as place\nfrom ._base import Base\n'
                             'LIMIT = 7\n\n\nclass Kept(Base, place.Asker):\n    """Kept.\n\n'
                             '    size: in bytes.\n    Errors: none.\n    """\n\n'
                             '    def __init__(self, size=LIMIT):\n        self.size = size\n\n'
                             '    def asked(self):\n        pass\n\n    def _hidden(self):\n'
                             '        pass\n',
    "python/cairn/_base.py": '"""Hidden."""\n\n\nclass Base:\n    """Below."""\n\n'
                             '    @property\n    def lent(self):\n        """From below."""\n',
    "python/cairn/more.py": '"""More."""\n\n\ndef call(one, *, two="2"):\n    """Calls.\n'
                            '    two: a text."""\n',
    "lib/cairn.h": "/* The header. */\n#pragma once\n\n/* What comes. */\nint a(int b,\n      int c);\n"
                   "\n/* --- Parts */\n\n/* A pair. */\nstruct pair {\n  int x; /* first */\n};\n",
    "docs/API.md": "",
}


def run(*words, root=ROOT):
    return subprocess.run([sys.executable, str(SCRIPT), "--root", str(root), *words],
                          capture_output=True, text=True, check=False, timeout=60)


class Page(unittest.TestCase):
    def test_is_what_docstrings_say(self):
        done = run("--check")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_is_well_formed(self):
        text = (ROOT / "docs/API.md").read_text(encoding="utf-8")
        self.assertEqual(len(re.findall("^```", text, re.M)) % 2, 0)
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        self.assertNotIn("```", prose)
        headings = re.findall(r"^#+ (.+)$", prose, re.M)
        self.assertEqual(len(headings), len(set(headings)), "a heading twice")
        links = re.findall(r"\]\(#([^)]+)\)", prose)
        self.assertEqual(links, list(anchors(headings[1:]).values()))
        for page in re.findall(r"\]\(([^)#]+)\)", prose):
            self.assertTrue((ROOT / "docs" / page).is_file(), page)

    def test_names_what_users_call(self):
        text = (ROOT / "docs/API.md").read_text(encoding="utf-8")
        for name in ("cairn.Store.save", "cairn.torch.StorageWriter", "cairn.nxd.save_checkpoint",
                     "cairn.format_utils.dcp_to_cairn", "cairn::SaveRequest", "cairn_load"):
            self.assertRegex(text, rf"(?m)^#+ {re.escape(name)}$")


class Script(unittest.TestCase):
    def tree(self, **changed):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        root = pathlib.Path(temporary.name)
        for path, text in {**PACKAGE, **changed}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return root

    def test_makes_the_page(self):
        root = self.tree()
        self.assertEqual(run(root=root).returncode, 0)
        page = (root / "docs/API.md").read_text(encoding="utf-8")
        for told in ("```python\nimport cairn\n```", "class Kept(size=7)", "- **size**: in bytes.",
                     "- **Errors**: none.", "What `os.path.Asker` asks for: `asked`.",
                     "@property\nKept.lent", 'call(one, *, two="2")', "- **two**: a text.",
                     "### a\n\n```c\nint a(int b,\n      int c);\n```\n\nWhat comes.",
                     "  - [Parts](#parts-in-c): [pair](#pair)"):
            self.assertIn(told, page)
        self.assertNotIn("hidden", page.lower())
        self.assertEqual(run("--check", root=root).returncode, 0)

    def test_tells_an_old_page(self):
        done = run("--check", root=self.tree())
        self.assertEqual(done.returncode, 1)
        self.assertIn("run scripts/api_reference", done.stderr)

    def test_wants_docstrings(self):
        for path, old, said in (
                ("python/cairn/more.py", '    """Calls.\n    two: a text."""\n', "more.py:4: 'cairn.m"),
                ("python/cairn/more.py", '"""More."""', "more.py:1: 'cairn.more'"),
                ("python/cairn/_kept.py", "(Base, place.Asker)", "_kept.py:17: 'cairn.Kept.asked'"),
                ("python/cairn/_base.py", '        """From below."""', "'cairn.Kept.lent' has no"),
                ("lib/cairn.h", "/* A pair. */", "cairn.h:11: 'pair' has no comment")):
            with self.subTest(said):
                root = self.tree(**{path: PACKAGE[path].replace(old, "        pass\n"
                                                                if old.startswith("   ") else "")})
                done = run(root=root)
                self.assertEqual(done.returncode, 1)
                self.assertIn(said, done.stderr)
                self.assertEqual((root / "docs/API.md").read_text(), "", "nothing is written")

    def test_docstrings_as_markdown(self):
        text = "Does *it* to `a*b` and a*b.\n\none, two (or none): what\ngoes on: here.\n\n    x = [1]"
        self.assertEqual(markdown(text, {"one", "two"}),
                         "Does *it* to `a*b` and a\\*b.\n\n- **one, two (or none)**: what goes on: here."
                         "\n\n```python\nx = [1]\n```")

    def test_what_other_libraries_ask_for_is_theirs(self):
        """Methods that may lack a docstring are methods of those libraries, where they are here."""
        found = 0
        for module, name, methods in api_python.interfaces(ROOT / "python/cairn"):
            try:
                kind = getattr(importlib.import_module(module), name)
            except ImportError:
                continue
            theirs = [base for base in kind.__mro__ if base.__module__.split(".")[0] != "cairn"]
            for method in methods:
                self.assertTrue(any(method in vars(base) for base in theirs),
                                f"{module}.{name}.{method} has no docstring")
                found += 1
        if not found:
            self.skipTest("no library of those here")


if __name__ == "__main__":
    unittest.main()
