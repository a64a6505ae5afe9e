#!/usr/bin/env python3
"""How tests/golden/format-1-cuts was made: attachments that are cut by their content.

    tests/golden/make_cuts.py CAIRN FOLDER

The first tag comes from docs/FORMAT.md by way of tests/independent/forge_store.py, without the
program; the program saves the second, in which words were put in.
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
from forge_store import ZSTD, Forge  # noqa: E402
from make_golden import content, described, save, tensor  # noqa: E402
from program import Program  # noqa: E402

LINES = b"".join(b"%d is %x\n" % (n * n, n * n) for n in range(3000))


def main():
    program, folder = sys.argv[1], Path(sys.argv[2])
    shutil.rmtree(folder, ignore_errors=True)
    tensors, trained = ({"w": tensor(label, "F32", [20, 20])} for label in ("w", "w'"))
    before = {"lines.txt": LINES, "noise": content("noise", 30011), "zero": bytes(20000),
              "few": b"few", "none": b""}
    after = {**before, "lines.txt": LINES[:1000] + b"put in! " * 5 + LINES[1000:],
             "noise": before["noise"][400:]}
    forge = Forge(folder, content_cuts=True)
    forge.run_bytes = 1024
    forge.close([], [forge.save("run/1", tensors, before, 1, encoding=ZSTD)])
    flags = ["--step", "2"]
    manifest = save(Program(program, folder), "run/2", trained, flags, after, None)
    for name in ("index", "sessions"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "lock").write_bytes(b"")  # it says who held it
    held = {"run/1": described(tensors, ["--step", "1"], before, None),
            "run/2": {"manifest": manifest, **described(trained, flags, after, None)}}
    held["run/1"]["manifest"] = read_store.Store(folder).tags["run/1"].manifest.digest.hex()
    listing = json.dumps({"tags": held}, indent=1)
    folder.with_name(folder.name + ".json").write_text(listing + "\n")


if __name__ == "__main__":
    main()
