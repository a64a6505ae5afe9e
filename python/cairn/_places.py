"""Where the package's native parts lie: in a wheel, in an unpacked archive, in a clone."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE.parents[1]  # of an archive or a clone: both have python/cairn


def library_folders():
    """Folders that may hold libcairn, best first."""
    return _PACKAGE / "_native", _ROOT / "lib", _ROOT / "build" / "lib"


def program_folders():
    """Folders that may hold the program, best first."""
    return _PACKAGE / "_native", _ROOT / "bin", _ROOT / "build" / "cli"
