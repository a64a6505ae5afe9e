"""A wheel (PEP 427) of which every byte follows from the files."""

import base64
import hashlib
import time
import zipfile

from bundle_archive import TIME, file_mode

TAG = "py3-none-manylinux_2_36_x86_64"
SUMMARY = "A content-addressed checkpoint store for model training"
OLDEST_PYTHON = "3.9"
# fsspec finds cairn:// before anyone has imported cairn.torch.
ENTRY_POINTS = "[fsspec.specs]\ncairn = cairn.torch._fsspec:CairnFileSystem\n"


def _metadata(version):
    return (f"Metadata-Version: 2.1\nName: cairn\nVersion: {version}\nSummary: {SUMMARY}\n"
            f"License: Apache-2.0\nRequires-Python: >={OLDEST_PYTHON}\n")


def _wheel():
    return ("Wheel-Version: 1.0\nGenerator: cairn scripts/bundle\nRoot-Is-Purelib: false\n"
            f"Tag: {TAG}\n")


def _record_line(name, content):
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def _add(wheel, name, content, mode):
    entry = zipfile.ZipInfo(name, time.gmtime(TIME)[:6])
    entry.create_system = 3  # Unix: the upper half of the attributes is the mode
    entry.external_attr = (0o100000 | mode) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    wheel.writestr(entry, content, compresslevel=9)


def write_wheel(folder, version, files, licences):
    """Writes cairn-<version>-<TAG>.whl and returns its path.

    files: name in the wheel -> path of the file; licences: the same, for the terms of what is in it.
    """
    info = f"cairn-{version}.dist-info"
    members = {name: (path.read_bytes(), file_mode(path)) for name, path in files.items()}
    for name, path in licences.items():
        members[f"{info}/licenses/{name}"] = (path.read_bytes(), 0o644)
    members[f"{info}/METADATA"] = (_metadata(version).encode(), 0o644)
    members[f"{info}/WHEEL"] = (_wheel().encode(), 0o644)
    members[f"{info}/entry_points.txt"] = (ENTRY_POINTS.encode(), 0o644)
    record = "".join(_record_line(name, members[name][0]) for name in sorted(members))
    members[f"{info}/RECORD"] = (f"{record}{info}/RECORD,,\n".encode(), 0o644)
    path = folder / f"cairn-{version}-{TAG}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, (content, mode) in sorted(members.items()):
            _add(wheel, name, content, mode)
    return path
