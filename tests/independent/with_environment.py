"""The second reader wants numpy, blake3 and libzstd, which the Python that runs the tests may lack.

`enter()` goes on in .venv of the tree (scripts/setup makes it) when it is needed and there. When
nothing has them it ends with status 77 and the reason, or, if they are optional, returns that.
"""

import ctypes.util
import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def enter(optional=False):
    missing = [name for name in ("numpy", "blake3") if importlib.util.find_spec(name) is None]
    python = ROOT / ".venv/bin/python"
    if missing and python.exists() and Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        os.execv(python, [str(python), *sys.argv])
    if not ctypes.util.find_library("zstd"):
        missing.append("libzstd")
    if not missing:
        return None
    reason = f"no {', '.join(missing)} here; scripts/setup makes .venv with them"
    if not optional:
        print(f"skipped: {reason}")
        sys.exit(77)
    return reason
