"""C++ is formatted as .clang-format says, by the version that .clang-format is written for."""

import re
import shutil
import subprocess

from tidy_tree import Finding

VERSION = 14


def find_program():
    """(clang-format of the right version or None, why not)."""
    found = []
    for name in (f"clang-format-{VERSION}", "clang-format"):
        program = shutil.which(name)
        if program is None:
            continue
        said = subprocess.run([program, "--version"], capture_output=True, text=True,
                              check=False).stdout
        if f"version {VERSION}." in said:
            return program, None
        found.append(said.strip())
    return None, f"clang-format {VERSION} is not here ({'; '.join(found) or 'none is'})"


def check(tree, program):
    paths = tree.cpp()
    if not paths:
        return
    ran = subprocess.run([program, "--dry-run", "--style=file", *paths], cwd=tree.root,
                         capture_output=True, text=True, check=False)
    seen = set()
    for match in re.finditer(r"^(.+?):(\d+):\d+: (?:warning|error): code should be", ran.stderr,
                             re.MULTILINE):
        if match[1] not in seen:
            seen.add(match[1])
            yield Finding(match[1], int(match[2]), "format", f"run '{tool(program)} -i {match[1]}'")
    if ran.returncode != 0 and not seen:
        yield Finding(".clang-format", 1, "format", ran.stderr.strip() or "clang-format failed")


def tool(program):
    return program.rsplit("/", 1)[-1]
