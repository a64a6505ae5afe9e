#!/usr/bin/env python3
"""How tests/golden/format-1-chains was made: tags made of the one before, in every encoding.

    tests/golden/make_chains.py FOLDER

The store comes from docs/FORMAT.md by way of tests/independent/forge_store.py, without the program.
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

import numpy as np  # noqa: E402
import read_store  # noqa: E402
from block_codec import BF16, F16, F32, FEW, FRAME, GAPS, QUADS  # noqa: E402
from block_codec import PLANES as FORM_PLANES  # noqa: E402
from forge_encodings import as_delta, as_derived, as_planes, as_replay, cast_items  # noqa: E402
from forge_store import RAW, ZSTD, Forge  # noqa: E402
from make_golden import described  # noqa: E402
from store_format import DELTA, SPARSE, digest, page_plan  # noqa: E402

N = 1000
RESULTS = {1: "BF16", 2: "F32", 3: "F16", 4: "F32"}  # of casts
RULES = {  # name -> rule, variant, scalars, names of the bases (' before the step), dtypes
    "v": ((1, 0), (0.1, 0.9, 0.05, 0.95, 1, 1), ("m", "m'", "v'"), (F32,) * 3, F32),
    "w": ((2, 0), (1e-3, 0.9, 1e-8, 0.9999), ("w'", "m", "v"), (F32,) * 3, F32),
    "m": ((3, 0), (0.1, 0.9, 1), ("m'",), (F32,), F32),
    "sgd": ((4, 1), (1e-3,), ("w'", "m"), (F32,) * 2, BF16),
    "top": ((5, 0), (), ("v'", "v"), (F32,) * 2, F32),
    "nesterov": ((6, 0), (1e-3, 0.9), ("w'", "m", "m'"), (F32,) * 3, F16),
    "lion": ((7, 0), (1e-3, 0.1, 0.5, 0.999), ("w'", "m", "m'"), (F32,) * 3, F32)}
DTYPES = {F32: "F32", BF16: "BF16", F16: "F16"}


class Maker:
    """`held`: of each tag its tensors; `places`: where bases are to be found."""

    def __init__(self, forge):
        self.forge, self.random, self.held = forge, np.random.default_rng(9), {}
        self.before, self.places, self.pages = {}, {}, []

    def noise(self, size=1.0):
        return (size * self.random.standard_normal(N)).astype(np.float32)

    def first(self):
        return {"m": self.noise(1e-3), "v": np.abs(self.noise(1e-5)), "w": self.noise()}

    def base(self, name):
        """(base, bytes) of a tensor of this tag, or with ' of the one before."""
        if name.endswith("'"):
            data = self.before[name[:-1]][1]
            return (*self.places[name[:-1]], digest(data)), data
        data = self.made[name][1]
        return (None, self.names.index(name), digest(data)), data

    def save(self, name):
        self.made, ways = {}, {}
        self.names = sorted(["delta", "few", "planes", "text", *RULES,
                             *(f"cast.{cast}" for cast in RESULTS)])
        assert len(page_plan((key, 1) for key in self.names)) == 1
        for key, dtype, data, way in self.tensors():
            self.made[key], ways[key] = (dtype, data), [way]
        tensors = {key: (dtype, [N], data) for key, (dtype, data) in self.made.items()}
        tag = self.forge.save(name, tensors, ways=ways, closure=self.pages)
        self.held[name] = described(tensors, [], {}, None)
        self.pages = tag.pages + self.pages
        self.places = {key: (tag.pages[0][0][40:], slot) for slot, key in enumerate(self.names)}
        self.before = self.made
        return tag

    def tensors(self):
        """(name, dtype, bytes, copy), bases first."""
        yield "text", "U8", (b"so it was written. " * N)[:N], ZSTD
        counts = self.random.integers(0, 300, N).astype("<u8").tobytes()
        yield "planes", "U64", counts, as_planes(counts, 8, form=FORM_PLANES, coding=FRAME)
        if not self.before:
            for key, numbers in self.first().items():
                yield key, "F32", numbers.tobytes(), as_planes(numbers.tobytes(), 4, True)
        for key in ("m", "v", "w") if self.before else ():
            yield self.replayed(key)
        yield self.changed("delta", "<u2", "I16", 30, DELTA, QUADS)
        yield self.changed("few", "<u4", "I32", 7, SPARSE, GAPS)
        for cast, result in RESULTS.items():
            base, data = self.base("w" if cast in (1, 3) else f"cast.{cast - 1}")
            near = cast_items(data, cast)
            near[::100] += near.dtype.type(1)
            yield f"cast.{cast}", result, near.tobytes(), as_derived(
                near.tobytes(), cast, base, data, coding=FEW)
        for key in ("lion", "nesterov", "sgd", "top"):
            data = self.noise().tobytes()
            dtype = DTYPES[RULES[key][-1]]
            cut = data[:N * (2 if dtype != "F32" else 4)]
            yield self.replayed(key) if self.before else (key, dtype, cut, RAW)

    def changed(self, key, kind, dtype, many, encoding, form):
        """Some of the integers are others than before."""
        if not self.before:
            data = self.random.integers(0, 1000, N).astype(kind).tobytes()
            return key, dtype, data, RAW
        base, before = self.base(key + "'")
        items = np.frombuffer(before, kind).copy()
        items[self.random.integers(0, N, many)] += items.dtype.type(5)
        width = items.itemsize
        way = as_delta(items.tobytes(), base, before, width, False, encoding=encoding, form=form)
        return key, dtype, items.tobytes(), way

    def replayed(self, key):
        """What the rule predicts, but for a few bits."""
        rule, scalars, bases, dtypes, result = RULES[key]
        gradient = None
        if rule[0] == 3:
            gradient = (self.noise(1e-3).view("<u4") >> np.uint32(16)).astype("<u2")
        words = np.array(scalars, np.float32).view(np.uint32), [self.base(base) for base in bases]
        data, _ = as_replay(None, rule, *words, dtypes, result, gradient)
        items = np.frombuffer(data, f"<u{len(data) // N}").copy()
        items[::90] ^= items.dtype.type(1)
        _, way = as_replay(items.tobytes(), rule, *words, dtypes, result, gradient, form=GAPS)
        return key, DTYPES[result], items.tobytes(), way


def main():
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    maker = Maker(Forge(folder))
    maker.forge.close([], [maker.save(f"chain/{step}") for step in range(3)])
    for name, entry in read_store.Store(folder).tags.items():
        maker.held[name]["manifest"] = entry.manifest.digest.hex()
    listing = json.dumps({"tags": maker.held}, indent=1)
    folder.with_name(folder.name + ".json").write_text(listing + "\n")


if __name__ == "__main__":
    main()
