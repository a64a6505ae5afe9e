#!/usr/bin/env python3
"""How tests/golden/format-1 was made. It stays as it is for as long as format 1 is read.

    tests/golden/make_golden.py CAIRN FOLDER

Makes the store FOLDER and FOLDER.json, what it holds. The inputs are the same at every run; session
ids and times are not, so a second run makes another store of the same contents. To be run again
only for a format with another number, into a folder of that name.
"""

import hashlib
import json
import math
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import Program, write_safetensors

BITS = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
        "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
        "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64}


def content(label, length):
    return hashlib.shake_256(label.encode()).digest(length)


def tensor(label, dtype, shape):
    return dtype, shape, content(label, math.prod(shape) * BITS[dtype] // 8)


def inputs():
    """(tag, tensors, flags, attachments, __metadata__) in the order of saving; a fork has a name."""
    kinds = {f"kind.{dtype}": tensor(dtype, dtype, [2, 4]) for dtype in BITS}
    shapes = {"shape.scalar": tensor("scalar", "F64", []), "shape.empty": ("F32", [0, 7], b""),
              "shape.rank16": tensor("rank16", "I8", [1, 2] * 8), "shape.inline": tensor("i", "U8", [256]),
              "shape.odd_f4": tensor("odd", "F4", [4, 3]), "shape.odd_f6": tensor("odd", "F6_E3M2", [2, 6]),
              "shape.odd_cut": tensor("odd_cut", "F4", [1000, 5]), "shape.\u00e9": tensor("e", "U8", [257])}
    cut = {"cut.rows": tensor("rows", "F16", [33, 100]), "cut.row": tensor("row", "BF16", [1, 2050]),
           "cut.short_axis": tensor("tiles", "U8", [9, 1030]), "cut.cube": tensor("cube", "U8", [5, 6, 70])}
    words = (b"To be stored twice is to be stored once. " * 1000)[:40000]
    plain = {"zero.all": ("F32", [2000], bytes(8000)), "text": ("U8", [40000], words),
             "zero.half": ("U8", [3000], bytes(1500) + content("half", 1500))}
    first = {**kinds, **shapes, **cut, **plain}
    second = {**first, "cut.rows": tensor("rows again", "F16", [33, 100])}
    third = {name: value for name, value in second.items() if not name.startswith("kind.F8")}
    return [
        ("run/1", first, ["--step", "1", "--meta", "by=golden", "--meta", "k\u00e9y=v\u00e4lue\n"],
         {"config.json": b'{"layers": 2}\n', "empty": b"", "notes.txt": content("notes", 600)},
         {"format": "pt", "a": ""}),
        ("run/2", second, ["--step", "2"], {"config.json": b'{"layers": 2}\n'}, {"format": "pt"}),
        "fork/start",
        ("fork/1", third, ["--step", "3", "--base", "fork/start"], {}, None),
        ("other", {"alone": tensor("alone", "F32", [20, 20])}, ["--base", "none"], {}, None),
        ("replaced", {"old": tensor("old", "U8", [900])}, [], {}, None),
        ("replaced", {"new": tensor("new", "U8", [900])}, ["--if-exists", "replace"], {}, None),
    ]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def described(tensors, flags, attachments, file_metadata):
    meta = [word.partition("=") for flag, word in zip(flags, flags[1:]) if flag == "--meta"]
    steps = [int(word) for flag, word in zip(flags, flags[1:]) if flag == "--step"]
    return {
        "step": steps[0] if steps else None,
        "metadata": {key: value for key, _, value in sorted(meta)},
        "safetensors_metadata": dict(sorted((file_metadata or {}).items())),
        "tensors": [{"name": name, "dtype": dtype, "shape": shape, "sha256": sha256(data)}
                    for name, (dtype, shape, data) in sorted(tensors.items(), key=lambda i: i[0].encode())],
        "attachments": [{"name": name, "bytes": len(data), "sha256": sha256(data)}
                        for name, data in sorted(attachments.items())]}


def save(cairn, tag, tensors, flags, attachments, file_metadata):
    with tempfile.TemporaryDirectory() as scratch:
        file = write_safetensors(Path(scratch) / "model.safetensors", tensors, file_metadata)
        words = [*flags]
        for name, data in attachments.items():
            (Path(scratch) / name).write_bytes(data)
            words += ["--attach", f"{name}={scratch}/{name}"]
        return cairn.json("import", tag, file, *words)["manifest"]


def main():
    program, folder = sys.argv[1], Path(sys.argv[2])
    Program(program).run("init", folder, "--chunk-elements", "1024")
    cairn, tags, before = Program(program, folder), {}, None
    for item in inputs():
        if isinstance(item, str):
            cairn.run("tag", item, before)
            tags[item] = tags[before]
            continue
        tag, *held = item
        tags[tag] = {"manifest": save(cairn, tag, *held), **described(*held)}
        before = tag
    for name in ("index", "sessions"):
        shutil.rmtree(folder / name, ignore_errors=True)
    listing = json.dumps({"tags": dict(sorted(tags.items()))}, indent=1)
    folder.with_name(folder.name + ".json").write_text(listing + "\n")


if __name__ == "__main__":
    main()
