#!/usr/bin/env python3
"""docs/TUTORIAL.md from its first block to the last: what it says is run as it is printed, in one
shell, and prints what it shows. A clone stands in whose scripts/setup has done its work.

Output is compared loosely: each line shown is there, in that order, with other numbers perhaps;
sizes are about those shown."""
import os
import re
import shlex
import subprocess
import sys
import unittest

import package

if __name__ == "__main__":
    package.enter("torch")

PAGE = package.ROOT / "docs/TUTORIAL.md"
LIMIT = 500  # seconds; less than one minute where nothing else runs
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
SIZE = re.compile(r"\b(\d+(?:\.\d+)?) (B|KiB|MiB|GiB)(?!\w)")
AGE = re.compile(r"\b\d+ (s|min|h)\b")
# Not those in names, but for the tags of the training that is killed, and the digests of files.
NUMBER = re.compile(r"(?<![\w./-])\d+(?:\.\d+)?(?=x?(?![\w./-]))|(?<=killed/step-)\d+"
                    r"|\b[0-9a-f]{2}/[0-9a-f]{32}\b|\b[0-9a-f]{64}\b")
MARK = "@@ block"


def blocks_of(text):
    """(language, what stands in it) of all blocks."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)


def script_of(blocks):
    """One script of bash; what each block prints follows its mark."""
    lines = ["exec 2>&1", "set -e"]
    for number, (language, block) in enumerate(blocks):
        lines.append(f"echo '{MARK} {number}'")
        if language == "python":
            name = re.match(r"# (\w+\.py)\b", block)[1]
            lines.append(f"printf %s {shlex.quote(block)} > {name}")
        elif language == "sh":
            lines.append(block)
    return "\n".join(lines)


def plain(line):
    """A line without what may differ."""
    line = AGE.sub("# s", SIZE.sub("# B", line))
    return " ".join(NUMBER.sub("#", line).split())


def is_like(shown, line):
    if shown.endswith("..."):
        return plain(line).startswith(plain(shown.removesuffix("...")))
    return plain(line) == plain(shown)


def sizes_of(line):
    return [float(number) * UNITS[unit] for number, unit in SIZE.findall(line)]


class Tutorial(package.StoreTest):
    def run_page(self, blocks):
        """What each block printed, by its number."""
        clone, play = self.folder / "clone", self.folder / "play"
        for folder in (clone / "scripts", clone / "build/cli", clone / ".venv/bin", play):
            folder.mkdir(parents=True)
        self.put(clone / "scripts/setup", "")
        self.put(clone / ".venv/bin/python", f'exec {shlex.quote(sys.executable)} "$@"\n')
        (clone / "build/cli/cairn").symlink_to(os.environ["CAIRN_PROGRAM"])
        environment = os.environ | {"PYTHONPATH": str(package.ROOT / "python"), "TMPDIR": str(play)}
        done = subprocess.run(["bash", "-c", script_of(blocks)], cwd=clone, env=environment,
                              capture_output=True, text=True, timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        parts = re.split(rf"^{MARK} (\d+)\n", done.stdout, flags=re.M)
        return {int(number): told for number, told in zip(parts[1::2], parts[2::2])}

    def put(self, path, text):
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)

    def assert_told(self, shown, told):
        """Each line that is shown was printed, after those shown before it. One may end in "..."."""
        lines = told.splitlines()
        for line in shown.splitlines():
            while lines and not is_like(line, lines[0]):
                lines.pop(0)
            self.assertTrue(lines, f"'{line}' was not printed after the lines before it:\n{told}")
            for here, there in zip(sizes_of(line), sizes_of(lines.pop(0))):
                # How well a step is predicted depends on the roundings of the processor's torch.
                self.assertTrue(here / 2 - 4096 <= there <= here * 2 + 512,
                                f"'{line}' is far from\n{told}")

    def test_prints_what_it_shows(self):
        blocks = blocks_of(PAGE.read_text(encoding="utf-8"))
        told = self.run_page(blocks)
        shown = [number for number, (language, _) in enumerate(blocks) if language == "text"]
        self.assertGreater(len(shown), 15)
        for number in shown:
            with self.subTest(blocks[number - 1][1]):
                self.assertEqual(blocks[number - 1][0], "sh", "output without a command")
                self.assert_told(blocks[number][1], told[number - 1])
        self.assert_goes_on(blocks, told)

    def assert_goes_on(self, blocks, told):
        """What no normalised line shows: a resumed training begins with the next step."""
        steps = [int(step) for number, (_, block) in enumerate(blocks) if "train.py run" in block
                 for step in re.findall(r"^step (\d+): loss", told[number], re.M)]
        self.assertEqual(steps, list(range(1, 16)))

    def test_sizes_in_the_text_are_those_shown(self):
        page = PAGE.read_text(encoding="utf-8")
        shown = "".join(block for language, block in blocks_of(page) if language == "text")
        prose = re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)
        for match in SIZE.finditer(prose):
            self.assertIn(match[0], shown)


if __name__ == "__main__":
    unittest.main()
