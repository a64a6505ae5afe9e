"""What an ELF file needs from the machine that loads it, by readelf."""

import re
import subprocess

NEWEST_GLIBC = (2, 36)
GLIBC_FILES = {"ld-linux-x86-64.so.2", "libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0",
               "librt.so.1"}


def _readelf(flag, path):
    return subprocess.run(["readelf", flag, "--wide", str(path)], capture_output=True, text=True,
                          check=True).stdout


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def needed_files(path):
    """Names of the shared libraries that the loader looks for."""
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", _readelf("--dynamic", path)))


def needed_versions(path):
    """Names of symbol versions that the file asks of others: {'GLIBC_2.34', ...}."""
    needs = _readelf("--version-info", path).partition("Version needs section")[2]
    return set(re.findall(r"Name: (\S+)", needs))


def _is_old_enough(version):
    match = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", version)
    return match is not None and (int(match[1]), int(match[2])) <= NEWEST_GLIBC


def complaints(path):
    """A sentence for each thing that a machine with glibc alone would lack."""
    limit = ".".join(map(str, NEWEST_GLIBC))
    for name in sorted(needed_files(path) - GLIBC_FILES):
        yield f"{path} needs '{name}', which is no part of glibc"
    for version in sorted(needed_versions(path)):
        if not _is_old_enough(version):
            yield f"{path} needs '{version}', and glibc {limit} must do"
    for run_path in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.+)\]", _readelf("--dynamic", path)):
        yield f"{path} looks for libraries in '{run_path}'"
