"""The tools that kernels are looked at with, and what they say of a library.

cuobjdump and nvdisasm come with some installations of CUDA; for the others scripts/setup --tests
puts those of PyPI into .venv.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
THIN = b"!<thin>\n"


class Missing(Exception):
    """What is not here, and how to get it."""


def folders():
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    yield from os.environ.get("PATH", "").split(os.pathsep)
    yield str(Path(nvcc).resolve().parent)
    yield "/usr/local/cuda/bin"
    yield from map(str, sorted(ROOT.glob(".venv/lib/python*/site-packages/nvidia/cu*/bin")))


def find(*names):
    """Where each program is. Raises Missing."""
    path = os.pathsep.join(folders())
    places = {name: shutil.which(name, path=path) for name in names}
    missing = [name for name, place in places.items() if place is None]
    if missing:
        raise Missing(f"no {', '.join(missing)} here; scripts/setup --tests adds cuobjdump and "
                      "nvdisasm, binutils has ar and c++filt")
    return places


def output(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def nvcc_release(nvcc):
    match = re.search(r"release (\d+\.\d+)", output(nvcc, "--version"))
    return match[1] if match else "?"


class Disassembler:
    """What cuobjdump says of a library or an object."""

    def __init__(self):
        self._tools = find("cuobjdump", "nvdisasm", "ar", "c++filt")
        path = f"{Path(self._tools['nvdisasm']).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        self._environment = {**os.environ, "PATH": path}

    def sass(self, objects, architecture):
        return self._of_all(objects, "-sass", "-arch", f"sm_{architecture}")

    def usage(self, objects, architecture):
        return self._of_all(objects, "-res-usage", "-arch", f"sm_{architecture}")

    def elf(self, objects, architecture):
        return self._of_all(objects, "-elf", "-arch", f"sm_{architecture}")

    def objects(self, library, folder):
        """The members of an archive, extracted into `folder` unless they lie beside it."""
        if Path(library).suffix != ".a":
            return [Path(library).resolve()]
        library = Path(library).resolve()
        members = output(self._tools["ar"], "t", str(library)).split()
        with open(library, "rb") as file:
            if file.read(len(THIN)) != THIN:
                output(self._tools["ar"], "x", str(library), cwd=folder)
        return [Path(folder, member) for member in members]

    def plain_name(self, mangled):
        """hash_leaves<1> of a name with namespaces, parameters and hashes of files."""
        name = output(self._tools["c++filt"], mangled).strip()
        return plain_name(name)

    def _of_all(self, objects, *flags):
        texts = []
        for each in objects:
            run = subprocess.run([self._tools["cuobjdump"], *flags, str(each)], text=True,
                                 capture_output=True, env=self._environment)
            if run.returncode == 0:
                texts.append(run.stdout)
            elif "does not contain device code" not in run.stderr + run.stdout:
                sys.exit(f"cuobjdump {' '.join(flags)} {each}: {run.stderr.strip()}")
        return "\n".join(texts)


def plain_name(demangled):
    name = re.sub(r"\(anonymous namespace\)::|\bcairn::|\bgpu::", "", demangled)
    number = r"(?:unsigned |signed )?(?:bool|char|short|int|long)(?: long)?"
    name = re.sub(rf"\((?:{number}|[A-Z]\w*)\)(?=-?\w)", "", name)  # casts; enums begin so
    depth = 0
    for i, letter in enumerate(name):  # parameters begin at the first ( that is in no <>
        depth += (letter == "<") - (letter == ">")
        if letter == "(" and depth == 0:
            name = name[:i]
            break
    return re.sub(r"^void ", "", name)


def compile_kernels(source, folder, *flags):
    """An object of a source of kernels, for tests of this itself. Raises Missing."""
    nvcc = find("nvcc")["nvcc"]
    made = Path(folder, Path(source).stem + ".o")
    output(nvcc, "-std=c++20", "-O3", "-arch=sm_90", *flags, "-c", str(source), "-o", str(made))
    return made


def scratch():
    return tempfile.TemporaryDirectory(prefix="cairn-kernels-")
