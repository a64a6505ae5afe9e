"""The Python that runs a test may lack packages that the .venv of scripts/setup has."""
import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def lacks(*packages):
    """Goes on in .venv when packages are missing here. Why they cannot be had; None if they can."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    python = ROOT / ".venv/bin/python"
    if missing and python.exists() and Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        os.execv(python, [str(python), *sys.argv])
    return f"no {', '.join(missing)} here; scripts/setup makes .venv with them" if missing else None


def enter(*packages):
    """The same; without the packages the test ends with status 77 and the reason."""
    reason = lacks(*packages)
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
