"""The Python that runs a test may lack packages that the .venv of scripts/setup has."""
import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def enter(*packages):
    """Goes on in .venv when packages are missing here; ends with status 77 and the reason when they
    are missing there too."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    python = ROOT / ".venv/bin/python"
    if missing and python.exists() and Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        os.execv(python, [str(python), *sys.argv])
    if missing:
        print(f"skipped: no {', '.join(missing)} here; scripts/setup makes .venv with them")
        sys.exit(77)
