"""The tree as the rules see it: its files, their text, and C++ without comments and literals."""

import dataclasses
import functools
import os
import pathlib
import re
import subprocess

CPP_SUFFIXES = (".h", ".hpp", ".cuh", ".cc", ".cu")
HEADER_SUFFIXES = (".h", ".hpp", ".cuh")
# Folders that hold no sources, for trees without git (a release archive).
SKIPPED_FOLDERS = re.compile(r"build.*|\.git|\.venv|\.cache|__pycache__")

# What the compiler does not run: raw strings, strings, characters (not the ' of 1'000), comments.
NOT_CODE = re.compile(r'R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"'
                      r'|"(?:\\.|[^"\\\n])*"'
                      r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'"
                      r"|//[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """One violation; line 1 where the whole file is meant."""
    path: str
    line: int
    rule: str
    what: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.what}"


class Tree:
    """Files below a root, named by their path from it with '/'."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.paths = sorted(self._tracked() or self._walked())

    def _tracked(self):
        """What git tracks and is still there; nothing when the root is no clone's top folder."""
        if not (self.root / ".git").exists():
            return []
        try:
            listed = subprocess.run(["git", "-C", str(self.root), "ls-files", "-z"], check=True,
                                    capture_output=True, text=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return []
        return [path for path in listed.split("\0") if path and (self.root / path).is_file()]

    def _walked(self):
        paths = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if not SKIPPED_FOLDERS.fullmatch(name)]
            for name in names:
                path = pathlib.Path(folder, name).relative_to(self.root).as_posix()
                if not path.endswith(".pyc"):
                    paths.append(path)
        return paths

    def cpp(self):
        return [path for path in self.paths if path.endswith(CPP_SUFFIXES)]

    def headers(self):
        return [path for path in self.paths if path.endswith(HEADER_SUFFIXES)]

    def python(self):
        return [path for path in self.paths
                if path.endswith(".py") or self._runs_with(path, "python")]

    def shell(self):
        return [path for path in self.paths
                if path.endswith(".sh") or self._runs_with(path, "sh")]

    def sources(self):
        """All code, build files included."""
        build = [path for path in self.paths if path.split("/")[-1] == "meson.build"]
        return sorted({*self.cpp(), *self.python(), *self.shell(), *build})

    def _runs_with(self, path, interpreter):
        """Whether a file without a suffix names the interpreter in its first line."""
        if "." in path.split("/")[-1]:
            return False
        first = self.text(path).split("\n", 1)[0]
        return first.startswith("#!") and re.search(rf"{interpreter}[\d.]*$", first) is not None

    @functools.lru_cache(maxsize=None)
    def text(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def lines(self, path):
        """Pairs of line number and line."""
        return list(enumerate(self.text(path).splitlines(), 1))

    @functools.lru_cache(maxsize=None)
    def code(self, path):
        """C++ text of the same shape with comments and literals blanked."""
        return NOT_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), self.text(path))

    def code_lines(self, path):
        return list(enumerate(self.code(path).splitlines(), 1))


def layer_of(path):
    """The part of the tree that a path belongs to: 'store/index' is apart from 'store'."""
    for apart in ("store/index", "store/remote"):
        if path.startswith(apart + "/"):
            return apart
    return path.split("/")[0] if "/" in path else ""
