#!/usr/bin/env python3
"""Packs what `meson install` put into BUILD/stage, with the Python package, as archive and wheel.

usage: bundle_pack.py BUILD OUT
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from bundle_archive import write_archive
from bundle_elf import complaints, is_elf
from bundle_sources import copy_headers, copy_licences
from bundle_wheel import write_wheel

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 64 << 20


def version_of(build):
    told = subprocess.run(["meson", "introspect", "--projectinfo", str(build)],
                          capture_output=True, text=True, check=True).stdout
    return json.loads(told)["version"]


def lay_out(build, folder):
    """The archive's tree: bin, include, lib, python, share, LICENSE."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.move(build / "stage", folder)
    shutil.copytree(ROOT / "python", folder / "python",
                    ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copyfile(ROOT / "LICENSE", folder / "LICENSE")
    copy_licences(build, folder / "share" / "licenses" / "cairn")
    copy_headers(build, folder / "include" / "cairn")


def wheel_files(tree, version):
    """Name in the wheel -> file of the archive's tree."""
    files = {str(path.relative_to(tree / "python")): path
             for path in (tree / "python").rglob("*") if path.is_file()}
    files["cairn/_native/libcairn.so"] = (tree / "lib" / "libcairn.so").resolve()
    files["cairn/_native/cairn"] = tree / "bin" / "cairn"
    # Once more for PATH, as a file of its own: it starts without waiting for Python.
    files[f"cairn-{version}.data/scripts/cairn"] = tree / "bin" / "cairn"
    return files


def wheel_licences(tree):
    return {"LICENSE": tree / "LICENSE",
            **{path.name: path for path in (tree / "share" / "licenses" / "cairn").iterdir()}}


def check(tree):
    """Errors: SystemExit for a file that a machine with glibc alone could not load."""
    found = [complaint for path in sorted(tree.rglob("*")) if path.is_file() and is_elf(path)
             for complaint in complaints(path)]
    if found:
        raise SystemExit("\n".join(f"bundle: {complaint}" for complaint in found))


def publish(made, out):
    """Moves a finished file to its place. Errors: SystemExit for one that is too large."""
    size = made.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"bundle: {made} has {size} bytes, {MOST_BYTES} are allowed")
    shutil.move(made, out / made.name)
    print(f"{out / made.name}: {size / 1e6:.1f} MB")


def main():
    build, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    version = version_of(build)
    tree = build / f"cairn-{version}"
    lay_out(build, tree)
    check(tree)
    archive = build / f"cairn-{version}-linux-x86_64.tar.gz"
    write_archive(archive, tree)
    publish(archive, out)
    publish(write_wheel(build, version, wheel_files(tree, version), wheel_licences(tree)), out)


if __name__ == "__main__":
    main()
