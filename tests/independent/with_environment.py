"""The second reader wants numpy, blake3 and libzstd, which the Python that runs the tests may lack.

`enter()` goes on in .venv of the tree (scripts/setup makes it) when it is needed and there, and
ends with status 77 and the reason when nothing has them.
"""

import ctypes.util
import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def enter():
    missing = [name for name in ("numpy", "blake3") if importlib.util.find_spec(name) is None]
    python = ROOT / ".venv/bin/python"
    if missing and python.exists() and Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        os.execv(python, [str(python), *sys.argv])
    if not ctypes.util.find_library("zstd"):
        missing.append("libzstd")
    if missing:
        print(f"skipped: no {', '.join(missing)} here; scripts/setup makes .venv with them")
        sys.exit(77)
