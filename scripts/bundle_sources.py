"""Whose code is in a build besides ours: the system's packages of headers and static libraries."""

import re
import shutil
import subprocess
from pathlib import Path

_SYSTEM_FILE = re.compile(r"/usr/\S+")
_STATIC_LIBRARY = re.compile(r"/usr/\S+\.a\b")
# A CUDA toolkit that no package brought, and where such a one keeps its terms.
_TOOLKIT = re.compile(r"(/usr/local/cuda[^/]*)/")
_TOOLKIT_TERMS = ("EULA.txt", "LICENSE", "dist-info/nvidia_cuda_runtime-*/licenses/License.txt")
# The machine that runs the program has its own.
_NOT_BUNDLED = {"libc6-dev", "linux-libc-dev"}


def system_files(build):
    """Headers that were compiled in and static libraries that were linked in, sorted."""
    headers = subprocess.run(["ninja", "-C", str(build), "-t", "deps"], capture_output=True,
                             text=True, check=True).stdout
    rules = (build / "build.ninja").read_text()
    return sorted({*_SYSTEM_FILE.findall(headers), *_STATIC_LIBRARY.findall(rules)})


def packages(files):
    """The Debian packages that the files come from. Errors: SystemExit for a file of none."""
    owners = subprocess.run(["dpkg-query", "--search", *files], capture_output=True, text=True,
                            check=False)
    if owners.returncode != 0:
        raise SystemExit(f"bundle: whose licence is it? {owners.stderr.strip()}")
    names = {line.split(":")[0] for line in owners.stdout.splitlines()}
    return sorted(names - _NOT_BUNDLED)


def toolkit_terms(files):
    """The licence of the CUDA toolkit among the files; None without one that says its terms."""
    roots = sorted({found[1] for found in map(_TOOLKIT.match, files) if found})
    return next((terms for root in roots for pattern in _TOOLKIT_TERMS
                 for terms in sorted(Path(root).glob(pattern))), None)


def copy_licences(build, folder):
    """The terms of everything that is bundled, one file a package."""
    folder.mkdir(parents=True)
    files = system_files(build)
    terms = toolkit_terms(files)
    if terms is not None:
        shutil.copyfile(terms, folder / "cuda-toolkit")
        files = [file for file in files if _TOOLKIT.match(file) is None]
    for name in packages(files):
        shutil.copyfile(f"/usr/share/doc/{name}/copyright", folder / name)


def copy_headers(build, folder):
    """What the public headers include of others: the machine may not have it."""
    for path in map(Path, system_files(build)):
        if path.parts[-2:] == ("tl", "expected.hpp"):
            (folder / "tl").mkdir()
            shutil.copyfile(path, folder / "tl" / path.name)
