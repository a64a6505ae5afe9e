#!/usr/bin/env python3
"""How tests/golden/format-1-forged was made: what format 1 allows and imports do not write.

    tests/golden/make_forged.py FOLDER

zstd copies, chunks cut among several writers, layouts, tag tables, removed and replaced tags. The
store comes from docs/FORMAT.md by way of tests/independent/forge_store.py, without the program.
"""

import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "independent"), str(HERE.parent / "support")]
import environment  # noqa: E402

if __name__ == "__main__":
    environment.enter("numpy", "blake3")

import read_store  # noqa: E402
from forge_store import RAW, ZSTD, Forge  # noqa: E402
from make_golden import described, tensor  # noqa: E402

WORDS = b"Cut by many, read by one. " * 700


def make(forge):
    """The tables and the tags of root, and what the tags that are left hold."""
    held = {}

    def keep(name, tensors, attachments=None, step=None, **options):
        flags = [] if step is None else ["--step", step]
        held[name] = described(tensors, flags, attachments or {}, None)
        return forge.save(name, tensors, attachments, step, **options)

    plain = {"words": ("U8", [2, 7000], WORDS[:14000]), "noise": tensor("noise", "F32", [40, 50]),
             "zero": ("F16", [3000], bytes(6000)), "f4": ("F4", [6, 700], WORDS[:2100])}
    cut = {"m": tensor("m", "F32", [50, 60]), "v": tensor("v", "BF16", [1501]),
           "c": tensor("c", "U8", [9, 20, 30]), "one": tensor("one", "F32", [10, 10])}
    boxes = {"m": [[(0, 17), (0, 60)], [(17, 50), (0, 41)], [(17, 50), (41, 60)]],
             "v": [[(0, 1)], [(1, 1499)], [(1499, 1501)]],
             "c": [[(0, 9), (0, 7), (0, 30)], [(0, 9), (7, 20), (0, 30)]]}
    again = keep("again", {"x": tensor("old", "U8", [700])})
    tables = [forge.tag_table([again, keep("cut/raw", cut, cuts=boxes, encoding=RAW)]),
              forge.tag_table([keep("encodings", plain, {"words.txt": WORDS, "few": b"few"}, step=-5,
                                    encoding=ZSTD),
                               keep("gone", {"x": tensor("gone", "U8", [700])})])]
    late = [forge.removal("gone"),
            keep("again", {"x": tensor("new", "U8", [700])}, step=2**62, closure=again.pages),
            keep("cut/zstd", {**cut, "words": plain["words"]}, cuts=boxes, encoding=ZSTD)]
    del held["gone"]
    return tables, late, held


def main():
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    forge = Forge(folder)
    tables, tags, held = make(forge)
    forge.close(tables, tags)
    for name, entry in read_store.Store(folder).tags.items():
        held[name]["manifest"] = entry.manifest.digest.hex()
    listing = json.dumps({"tags": dict(sorted(held.items()))}, indent=1)
    folder.with_name(folder.name + ".json").write_text(listing + "\n")


if __name__ == "__main__":
    main()
