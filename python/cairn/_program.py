"""The program `cairn`, for what needs the store's index or its policies."""

import json
import os
import re
import shutil
import subprocess

from ._places import program_folders
from .errors import Error, NotFoundError, error_of


def program():
    """Its path: CAIRN_PROGRAM, else with the package (_places.py), else on PATH."""
    named = os.environ.get("CAIRN_PROGRAM")
    if named:
        return named
    for folder in program_folders():
        if (folder / "cairn").is_file():
            return str(folder / "cairn")
    found = shutil.which("cairn")
    if found is None:
        raise NotFoundError("the program 'cairn' is not found", "set CAIRN_PROGRAM to its path")
    return found


def _flags_of(options):
    """Command-line flags of keyword arguments: keep_last=3 is --keep-last 3, True the flag
    alone, as_ is --as."""
    words = []
    for key, value in options.items():
        flag = "--" + key.rstrip("_").replace("_", "-")
        values = value if isinstance(value, (list, tuple)) else [value]
        for each in values:
            if each is True:
                words.append(flag)
            elif each is not None and each is not False:
                words.append(f"{flag}={each}")
    return words


def run(store, command, *words, flags=None, fine=(0,)):
    """The JSON that a command prints; words are never taken for flags. `fine`: exit statuses with a
    result."""
    called = [program(), "-s", str(store), "--json", command, *_flags_of(flags or {}), "--", *words]
    done = subprocess.run(called, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode in fine:
        return json.loads(done.stdout)
    try:
        told = json.loads(done.stderr.strip().splitlines()[-1])["error"]
    except (ValueError, KeyError, IndexError):
        raise Error(f"cairn {command} ended with {done.returncode}: {done.stderr.strip()}") from None
    raise error_of(done.returncode, _in_python(told["message"]), _in_python(told.get("hint") or ""))


def _in_python(text):
    """With arguments as a caller writes them: '--keep-last' is 'keep_last'."""
    return re.sub(r"'--([a-z-]+)'", lambda flag: f"'{flag[1].replace('-', '_')}'", text)
