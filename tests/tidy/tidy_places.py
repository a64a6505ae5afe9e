"""Where things belong: file names, machine paths, the pages of commands."""

import collections
import re

from tidy_tree import Finding

SHARED_NAMES = {"meson.build", "README.md", "__init__.py"}
STORES = re.compile(r"tests/golden/format-[^/]+/")  # a metadata and a data pack may have one name
MACHINE_PATHS = re.compile(
    r"(?<![\w.$}])/(?:work|home|root|Users|workspace)/[\w.]|/tmp/\w+_jobs\b"
    r"|\b(?:pypi\.org|files\.pythonhosted\.org|registry\.npmjs\.org|deb\.debian\.org"
    r"|archive\.ubuntu\.com|proxy\.golang\.org|static\.crates\.io)\b")
COMMANDS = "cli/commands.cc"
COMPILED_PAGES = "cli/meson.build"
PAGES = "docs/cli/"
PROGRAM_PAGE = "cairn"  # what all commands share


def check(tree):
    yield from _names(tree)
    yield from _machine_paths(tree)
    yield from _pages(tree)


def _names(tree):
    places = collections.defaultdict(list)
    for path in tree.paths:
        name = path.split("/")[-1]
        if name not in SHARED_NAMES and not STORES.match(path):
            places[name].append(path)
    for name, paths in places.items():
        for path in paths[1:]:
            yield Finding(path, 1, "names", f"'{name}' is also the name of '{paths[0]}'")


def _machine_paths(tree):
    for path in tree.paths:
        for number, line in tree.lines(path):
            match = MACHINE_PATHS.search(line)
            if match is not None:
                yield Finding(path, number, "machine", f"'{match[0]}' belongs to one machine")


def _pages(tree):
    """A command has a page, a page has a command, and the program holds all pages."""
    if COMMANDS not in tree.paths:
        return
    commands = {}
    for number, line in tree.lines(COMMANDS):
        match = re.search(r'\bcommand\("([a-z][\w-]*)"', line)
        if match is not None:
            commands[match[1]] = number
    pages = [path for path in tree.paths if path.startswith(PAGES) and path.endswith(".md")]
    build = tree.text(COMPILED_PAGES) if COMPILED_PAGES in tree.paths else ""
    for path in pages:
        name = path[len(PAGES):-len(".md")]
        if name not in commands and name != PROGRAM_PAGE:
            yield Finding(path, 1, "pages", f"'{name}' is no command of {COMMANDS}")
        if f"../{path}'" not in build:
            yield Finding(path, 1, "pages", f"is not compiled in ({COMPILED_PAGES})")
    for name, number in commands.items():
        if f"{PAGES}{name}.md" not in pages:
            yield Finding(COMMANDS, number, "pages", f"'{name}' has no page '{PAGES}{name}.md'")
