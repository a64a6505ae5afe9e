"""Each rule of tidy fires on a tree that breaks it, and on no tree that keeps it."""

import contextlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import tidy_calls
import tidy_format
import tidy_layers
import tidy_places
import tidy_sizes
import tidy_tests
from tidy_tree import Tree

GOOD = {
    "base/bytes.h": "#pragma once\n\nint one();  // may throw( and printf( in a comment\n",
    "base/bytes.cc": '#include "base/bytes.h"\n\nint one() {\n  return 1;\n}\n'
                     'const char* kText = "printf(abort() ::open(";\n',
    "store/page.h": '#pragma once\n#include <vector>\n#include "base/bytes.h"\n',
    "store/index/tables.h": '#pragma once\n#include <rocksdb/db.h>\n#include "store/page.h"\n',
    "lib/cairn.h": "#pragma once\n",
    "lib/tensor.h": '#pragma once\n#include "store/page.h"\n',
    "cli/commands.cc": '#include "lib/tensor.h"\n#include "store/index/tables.h"\n'
                       '  command("save", kA),\n  command("__index", kB),\n',
    "cli/meson.build": "files('../docs/cli/save.md', '../docs/cli/cairn.md')\n",
    "cli/output.cc": "void out() {\n  ::write(1, nullptr, 0);\n  printf(\"%d\", 1'000'000);\n}\n",
    "docs/cli/save.md": "# cairn save: x\n",
    "docs/cli/cairn.md": "# cairn: x\n",
    "python/module.cc": '#include "lib/cairn.h"\n',
    "tests/base/bytes_test.cc": '#include "base/bytes.h"\nvoid f() {\n  std::ofstream("x");\n}\n',
    "tests/cli/commands_test.cc": "", "tests/cli/output_test.cc": "",
    "scripts/run": "#!/usr/bin/env python3\nprint(1)\n",
    "README.md": "/data/store and https://example.org/home/page\n", "docs/README.md": "",
}
LONG_BODY = "  int x = 1;\n" * 70


@contextlib.contextmanager
def tree_of(files):
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            file = pathlib.Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        yield Tree(folder)


def check_tests(tree):
    """Without the table of the real tree."""
    return tidy_tests.check(tree, {})


class RulesTest(unittest.TestCase):
    def found(self, check, files):
        with tree_of({**GOOD, **files}) as tree:
            return sorted((finding.path, finding.line, finding.rule) for finding in check(tree))

    def test_good_tree(self):
        for check in (tidy_layers.check, tidy_sizes.check, tidy_calls.check, tidy_places.check,
                      check_tests):
            with self.subTest(check.__module__):
                self.assertEqual(self.found(check, {}), [])

    def fires(self, check, rule, cases):
        """Each case: the file, its text, the line of the one finding."""
        for path, text, line in cases:
            with self.subTest(path=path, text=text[:60]):
                self.assertEqual(self.found(check, {path: text}), [(path, line, rule)])

    def test_layers(self):
        self.fires(tidy_layers.check, "layers", [
            ("base/a.cc", '#include "base/bytes.h"\n#include "store/page.h"\n', 2),
            ("store/a.cc", '#include "lib/tensor.h"\n', 1),
            ("store/a.cc", '#include "store/index/tables.h"\n', 1),
            ("store/a.cc", "#include <rocksdb/db.h>\n", 1),
            ("lib/a.cc", "#include <rocksdb/db.h>\n", 1),
            ("lib/a.cc", '#include "store/index/tables.h"\n', 1),
            ("lib/a.cc", '#include "tests/base/bytes_test.cc"\n', 1),
            ("gpu/a.cu", '#include "store/page.h"\n', 1),
            ("store/index/a.cc", '#include "lib/tensor.h"\n', 1),
            ("python/a.cc", '#include "lib/tensor.h"\n', 1),
            ("base/a.cc", '#include "bytes.h"\n', 1),
            ("base/a.cc", '#include "../base/bytes.h"\n', 1),
            ("base/a.cc", '#include "base/none.h"\n', 1),
            ("base/a.cc", "#include <base/bytes.h>\n", 1),
        ])

    def test_store_does_not_know_gpu(self):
        files = {"gpu/a.h": "#pragma once\n", "store/a.cc": '#include "gpu/a.h"\n'}
        self.assertEqual(self.found(tidy_layers.check, files), [("store/a.cc", 1, "layers")])

    def test_sizes(self):
        self.fires(tidy_sizes.check, "size", [
            ("base/a.cc", "\n" * 601, 1),
            ("scripts/a.sh", "\n" * 601, 1),
            ("lib/meson.build", "\n" * 601, 1),
            ("base/a.cc", "// " + "x" * 98 + "\n", 1),
            ("base/a.cc", "namespace a {\n\nint one(int x,\n        int y) {\n" + LONG_BODY + "}\n"
             "\n}  // namespace a\n", 3),
            ("base/a.cc", "int one() {\n  if (x) {\n  " + LONG_BODY.replace("\n", "\n  ")
             + "\n  }\n}\n", 1),
            ("base/a.h", "class A {\n public:\n  int one() {\n"
             + LONG_BODY.replace("  int", "    int") + "  }\n};\n", 3),
            ("base/a.py", "def one():\n" + LONG_BODY.replace(";", "").replace("int ", ""), 1),
            ("scripts/a", "#!/usr/bin/env python3\nclass A:\n  def one():\n"
             + "    x = 1\n" * 70, 3),
            ("base/a.py", "def (:\n", 1),
        ])

    def test_sizes_allowed(self):
        for text in ("class A {\n" + "  int one() {\n    return 1;\n  }\n" * 40 + "};\n",
                     "const int k[] = {\n" + "  1,\n" * 90 + "};\n",
                     "int one() {\n" + LONG_BODY[:len(LONG_BODY) * 68 // 70] + "}\n",
                     "namespace a {\n" + "int x;\n" * 90 + "}  // namespace a\n",
                     "\n" * 600):
            with self.subTest(text[:40]):
                self.assertEqual(self.found(tidy_sizes.check, {"base/a.cc": text}), [])

    def test_calls(self):
        cases = {
            "file system": ["int fd = ::open(path, 0);", "fopen(path);", "std::ifstream in(path);",
                            "std::filesystem::exists(path);", "unlink(path);", "::rename(a, b);"],
            "ends": ["abort();", "std::abort();", "std::exit(1);", "::_exit(1);",
                     "std::terminate();"],
            "prints": ['printf("x");', 'std::fprintf(f, "x");', "std::cout << 1;",
                       'fmt::print("x");'],
            "assert": ["assert(x);"],
            "throw": ["if (x) throw Error();"],
            "fork": ["fork();", "::fork();"],
            "unsafe": ['sprintf(a, "x");', "std::strcpy(a, b);", "int x = rand();"],
            "sleep": ["sleep(1);", "std::this_thread::sleep_for(pause);"],
        }
        for rule, lines in cases.items():
            self.fires(tidy_calls.check, rule, [("lib/a.cc", f"\n{line}\n", 2) for line in lines])

    def test_calls_allowed(self):
        for path, line in [("lib/a.cc", "static_assert(x);"), ("lib/a.cc", "fs.rename(a, b);"),
                           ("lib/a.cc", "auto store = Store::open(fs, path);"),
                           ("lib/a.cc", "strand(1); snprintf(a, 1);"), ("cli/a.cc", "_exit(1);"),
                           ("lib/a.cc", "// throw, sleep( and std::cout"),
                           ("lib/a.cc", 'R"(throw\nabort())"'), ("tests/a.cc", "assert(x);"),
                           ("base/fs_posix.cc", "::open(path, 0);")]:
            with self.subTest(path=path, line=line):
                self.assertEqual(self.found(tidy_calls.check, {path: line + "\n"}), [])

    def test_calls_everywhere(self):
        self.fires(tidy_calls.check, "sleep", [("tests/a.cc", "sleep(1);\n", 1),
                                               ("tests/a.py", "time.sleep(1)\n", 1)])
        self.fires(tidy_calls.check, "fork", [("cli/a.cc", "fork();\n", 1),
                                              ("scripts/a.py", "os.fork()\n", 1)])
        self.fires(tidy_calls.check, "shell", [("scripts/a.py", "os.system(x)\n", 1)])
        for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X"):
            self.fires(tidy_calls.check, "left over", [
                ("lib/a.cc", f"\n// {word}: more\n", 2), ("scripts/a.sh", f"# {word}\n", 1),
                ("lib/meson.build", f"# {word}\n", 1)])

    def test_headers(self):
        self.fires(tidy_calls.check, "header", [
            ("lib/a.h", "int x;\n", 1), ("lib/a.h", "// #pragma once\n", 1),
            ("lib/a.hpp", "#pragma once\nusing namespace std;\n", 2)])

    def test_tested(self):
        self.fires(check_tests, "tested", [("lib/a.cc", "", 1), ("store/index/a.cc", "", 1),
                                           ("gpu/a.cu", "", 1)])
        with tree_of({**GOOD, "lib/a.cc": ""}) as tree:
            for table, line in [({"lib/a.cc": "tests/base/bytes_test.cc"}, None),
                                ({"lib/a.cc": "tests/none_test.cc"}, "is not in the tree"),
                                ({"lib/a.cc": "tests/base/bytes_test.cc",
                                  "lib/b.cc": "tests/base/bytes_test.cc"}, "not in the tree"),
                                ({"lib/a.cc": "tests/base/bytes_test.cc",
                                  "base/bytes.cc": "tests/base/bytes_test.cc"}, "drop its line")]:
                with self.subTest(table):
                    found = [finding.what for finding in tidy_tests.check(tree, table)]
                    self.assertEqual(len(found), 0 if line is None else 1)
                    self.assertIn(line or "", "".join(found))

    def test_places(self):
        self.fires(tidy_places.check, "names", [("lib/bytes.h", "", 1)])
        self.fires(tidy_places.check, "machine", [
            ("lib/a.cc", "\n// see /wo" "rk/x\n", 2), ("scripts/a.sh", "cd /ho" "me/me\n", 1),
            ("scripts/a.sh", "cat /tm" "p/bash_jobs/1\n", 1),
            ("scripts/a.sh", "pip install -i https://py" "pi.org/simple x\n", 1)])

    def test_pages(self):
        for path, text, expected in [
                ("docs/cli/load.md", "", [("docs/cli/load.md", 1)] * 2),
                ("cli/meson.build", "files('../docs/cli/cairn.md')\n", [("docs/cli/save.md", 1)]),
                ("cli/commands.cc", 'command("save", a)\ncommand("load", b)\n',
                 [("cli/commands.cc", 2)]),
                ("cli/commands.cc", "", [("docs/cli/save.md", 1)])]:
            with self.subTest(path=path, text=text):
                self.assertEqual(self.found(tidy_places.check, {path: text}),
                                 [(*place, "pages") for place in expected])

    def test_format(self):
        program, why_not = tidy_format.find_program()
        if program is None:
            self.skipTest(why_not)
        for text, findings in [("int one() { return 1; }\n", 0), ("int  one( ) {return 1;}\n", 1)]:
            with tree_of({".clang-format": "BasedOnStyle: Google\n", "a.cc": text}) as tree:
                found = [(finding.path, finding.line, finding.rule)
                         for finding in tidy_format.check(tree, program)]
                self.assertEqual(found, [("a.cc", 1, "format")] * findings)


class ProgramTest(unittest.TestCase):
    def test_status_and_message(self):
        program = pathlib.Path(__file__).with_name("tidy.py")
        with tree_of({"base/a.h": "#pragma once\n\nint x = abort();\n"}) as tree:
            ran = subprocess.run([sys.executable, str(program), "--root", str(tree.root)],
                                 capture_output=True, text=True, check=False)
        self.assertEqual(ran.returncode, 1, ran.stderr)
        self.assertIn("base/a.h:3: ends: 'abort': only the program ends a process\n", ran.stdout)

    @unittest.skipUnless(shutil.which("git"), "git is not here")
    def test_only_tracked_files_count(self):
        with tree_of({"base/a.h": "", "base/b.h": "", "build-x/c.h": ""}) as tree:
            self.assertEqual(tree.paths, ["base/a.h", "base/b.h"])
            for words in (["init", "-q"], ["add", "base/b.h"]):
                subprocess.run(["git", "-C", str(tree.root), *words], check=True)
            self.assertEqual(Tree(tree.root).paths, ["base/b.h"])


if __name__ == "__main__":
    unittest.main()
