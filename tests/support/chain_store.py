"""A store of tags that are made from each other, many of which are forgotten."""
import shutil
import struct
from pathlib import Path

from program import noise, write_safetensors

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "format-1-chains"
FORGOTTEN = ["chain/0", "chain/1", *(f"t/{step}" for step in range(8)), "t/9"]
STANDING = ["chain/2", "t/8", "t/10", "t/11"]
FLOATS = 6000


def words(seed):
    return struct.unpack(f"<{FLOATS}I", noise(4 * FLOATS, seed))


def series(steps):
    """Floats, all of which move a little, and some of which do; and what is new in every tag."""
    dense = [0x3c000000 | word & 0x81ffffff for word in words(1)]
    rows = list(words(2))
    for step in range(steps):
        dense = [word ^ move & 0x1f for word, move in zip(dense, words(step + 3))]
        for at in range(step, FLOATS, 997):
            rows[at] += 1 if rows[at] & 1 == 0 else -1
        yield {name: ("F32", [FLOATS], struct.pack(f"<{FLOATS}I", *values))
               for name, values in (("dense", dense), ("rows", rows))} | {"own": noise(3000, step)}


def make_chain_store(run, store, folder):
    """Copies with every encoding there is, of which `gc --rebase` stores some anew and lets others
    be. run(words...) runs the program with the store. Returns what the standing tags hold, as files."""
    shutil.copytree(GOLDEN, store)
    for step, tensors in enumerate(series(12)):
        path = write_safetensors(folder / "step.safetensors", tensors)
        run("import", f"t/{step}", path, "--restore-budget", "1000")
    held = {}
    for number, tag in enumerate(STANDING):
        held[tag] = folder / f"held-{number}.safetensors"
        run("export", tag, held[tag])
    run("forget", *FORGOTTEN, "--yes")
    return held
