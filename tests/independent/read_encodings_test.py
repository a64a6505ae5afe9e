#!/usr/bin/env python3
"""Series of checkpoints saved by the program, and forged copies with bases, read by both readers.

    tests/independent/read_encodings_test.py CAIRN [unittest arguments]

The program may also be named by $CAIRN. Exit status 77: no Python with numpy and blake3.
"""

import json
import sys
import unittest
from fractions import Fraction
from itertools import islice, product
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
import environment  # noqa: E402

if __name__ == "__main__":
    environment.enter("numpy", "blake3")

import numpy as np  # noqa: E402
import read_store  # noqa: E402
import read_store_test  # noqa: E402
from block_codec import (  # noqa: E402
    BF16, BLOCK_ITEMS, CASTS, CONSTANT, F16, F32, FEW, FRAME, GAPS, IN_BITS, PLAIN, PLANES, QUADS,
    SAME, corrected, narrowed, unsigned, widened)
from forge_encodings import (  # noqa: E402
    as_delta, as_derived, as_planes, as_replay, block, cast_items, coded, item_form, sized_block)
from forge_store import RAW, Forge  # noqa: E402
from program import read_safetensors  # noqa: E402
from read_store_test import BITS, Case, content  # noqa: E402
from replay_rules import RULES, WITH_GRADIENT, fma, predict  # noqa: E402
from store_format import DELTA, DERIVED, REPLAY, SPARSE, digest, page_plan  # noqa: E402
from store_format import PLANES as ENCODING_PLANES  # noqa: E402

STEPS = 6
NAMES = {"weight": "{p}", "master": "master.{p}", "exp_avg": "exp_avg.{p}",
         "exp_avg_sq": "exp_avg_sq.{p}"}
SHAPES = {"layer.0.w": [40, 64], "layer.1.w": [9000], "norm": [70]}


def scalars(*numbers):
    return np.array(numbers, np.float32).view(np.uint32)


class Series:
    """A small training run with AdamW as torch does it on a CPU."""

    LR, BETA1, BETA2, EPS, DECAY = 1e-3, 0.9, 0.95, 1e-8, 0.1

    def __init__(self, seed=1, gradients=F32):
        self.random, self.gradients, self.step = np.random.default_rng(seed), gradients, 0
        self.state = {name: [self.noise(shape, 0.02), *np.zeros((2, *shape), np.float32)]
                      for name, shape in SHAPES.items()}

    def noise(self, shape, size):
        return (size * self.random.standard_normal(shape)).astype(np.float32)

    def advance(self):
        self.step += 1
        numbers = (1 - self.BETA1, self.BETA1, 1 - self.BETA2, self.BETA2)
        factor = self.LR / (1 - self.BETA1**self.step), (1 - self.BETA2**self.step) ** 0.5
        for name, (w, m, v) in self.state.items():
            g = self.noise(w.shape, 1e-3)
            g = widened(narrowed(g, BF16), BF16) if self.gradients == BF16 else g
            q1, b1, q2, b2 = numbers
            new_m = self.made(3, 0, scalars(q1, b1, 1), m, g)
            new_v = self.made_second(g, v, q2, b2)
            last = scalars(*factor, self.EPS, 1 - self.LR * self.DECAY)
            new_w = self.made(2, 0, last, w, new_m, new_v)
            self.state[name] = [new_w, new_m, new_v]

    def made(self, rule, variant, numbers, *bases):
        return predict(rule, variant, numbers, bases, F32).view(np.float32)

    def made_second(self, g, v, q2, b2):
        """Rule 1 with the gradient itself: q1 = 1 and m' = 0 make it of m."""
        return self.made(1, 0, scalars(1, 0, q2, b2, 1, 1), g, np.zeros_like(g), v)

    def tensors(self, weights_only=False):
        held = {}
        for name, (w, m, v) in self.state.items():
            held[name] = "BF16", list(w.shape), narrowed(w, BF16).tobytes()
            parts = {} if weights_only else {"master": w, "exp_avg": m, "exp_avg_sq": v}
            for part, data in parts.items():
                held[f"{part}.{name}"] = "F32", list(w.shape), data.tobytes()
        return held

    def roles(self, folder):
        path = folder / "roles.json"
        path.write_text(json.dumps({
            "optimizer": "adamw", "step": self.step, "lr": self.LR, "beta1": self.BETA1,
            "beta2": self.BETA2, "eps": self.EPS, "weight_decay": self.DECAY, "names": NAMES}))
        return "--roles", path


class SavedSeries(Case):
    """Six steps saved by the program, read by the second reader."""

    def save_series(self, *words, weights_only=False, gradients=F32):
        self.init(16384)
        series = Series(gradients=gradients)
        if weights_only:  # by one unit in the last place every other weight changes
            series.LR = 3e-4
            for parts in series.state.values():
                parts[0] += np.float32(0.1)
        for _ in range(STEPS):
            series.advance()
            roles = () if weights_only else series.roles(self.folder)
            tensors = series.tensors(weights_only)
            self.save(f"run/{series.step}", tensors, *roles, *words, step=series.step)
        assert_checked(self.cairn)
        return self.encodings(self.compare())

    def encodings(self, store):
        tags = [store.read(name) for name in store.tags]
        return {copy.encoding for tag in tags for *_, copies in sum(tag.pages[:tag.table.own], [])
                for copy in copies}

    def test_weights_moments_and_masters(self):
        self.assertLessEqual({ENCODING_PLANES, DERIVED, REPLAY}, self.save_series())

    def test_gradients_of_bf16(self):
        self.assertLessEqual({ENCODING_PLANES, DERIVED, REPLAY}, self.save_series(gradients=BF16))

    def test_weights_only(self):
        self.assertLessEqual({DELTA, SPARSE}, self.save_series(weights_only=True))

    def test_weights_direct(self):
        self.assertLessEqual({DELTA, SPARSE, REPLAY}, self.save_series("--weights-direct"))

    def test_efforts(self):
        for effort in ("small", "fast"):
            with self.subTest(effort):
                self.setUp()
                self.save_series("--effort", effort)

    def test_restore_budget(self):
        self.assertLessEqual({ENCODING_PLANES}, self.save_series("--restore-budget", "1.5"))

    def test_equal_tensors_and_few_changes(self):
        """Tensors of the same bytes share copies; changes of few items, of integers too."""
        self.init()
        random = np.random.default_rng(3)
        floats, whole = random.standard_normal(5000), random.integers(0, 1000, 5000)
        for step in range(STEPS):
            floats[random.integers(0, 5000, 9)] *= 1.001
            whole[random.integers(0, 5000, 9)] += 1
            held = {"F32": floats.astype(np.float32), "F64": floats, "I64": whole,
                    "F16": floats.astype(np.float16), "I32": whole.astype(np.int32)}
            self.save(f"run/{step}", {f"{name}.{twin}": (name, [5000], data.tobytes())
                                      for name, data in held.items() for twin in (1, 2)})
        self.compare()


N = 1024
DTYPES = {F32: "F32", BF16: "BF16", F16: "F16"}
KINDS = "few sizes", "all sizes", "any bits"


def normals(seed, count=N):
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32)


def numbers(random, kind, count):
    """F32 numbers of a kind."""
    if kind == "any bits":
        return random.integers(0, 2**32, count, np.uint32).view(np.float32)
    low, high = (-5, 1) if kind == "few sizes" else (-42, 12)
    sizes = 10.0**random.integers(low, high, count)
    return (random.standard_normal(count) * sizes).astype(np.float32)


def operands(kind, dtype, number):
    """The items of a base; of rules' third bases, which are v, most have none below 0."""
    held = numbers(np.random.default_rng([KINDS.index(kind), dtype, number]), kind, N)
    return narrowed(np.abs(held) if number == 2 and kind != "any bits" else held, dtype).tobytes()


def variants():
    """(rule, variant, count of scalars)"""
    for update in range(7):
        for flags in range(0, 64 if update < 4 else 32, 8):
            yield 1, update | flags, 10 if update == 6 else 6
    for decay, step, flag in product(range(4), range(7), (0, 32)):
        if step != 5 or (decay in (1, 3) and not flag):
            yield 2, decay | step << 2 | flag, 5 if step == 5 else 4
    yield from ((3, variant, 7 if variant == 5 else 3) for variant in range(6))
    yield from [(4, 0, 1), (4, 1, 1), (5, 0, 0), (7, 0, 4), (7, 1, 4)]
    yield from ((6, variant, 2) for variant in range(4))
    yield from ((8, update | flag, 8 if update == 5 else 4)
                for update, flag in product(range(6), (0, 8)))
    yield from ((9, variant, 4) for variant in range(6))


def assert_checked(cairn, expect=0):
    cairn.run("check", "--read-data", expect=expect)


class ForgedCase(Case):
    def forge(self, sources, made, chunk_elements=N):
        """A tag "base" of raw tensors (name -> (dtype, bytes)) and a tag "made" of what `made`
        gives for the bases (name -> as forge_encodings takes it): name -> (dtype, bytes, copy)."""
        forge, bases = Forge(self.store, chunk_elements=chunk_elements), {}
        wanted = {"base": shaped(sources)}
        before = forge.save("base", wanted["base"])
        names = iter(sorted(sources))
        plan = page_plan((name, 1) for name in sorted(sources))
        for (page, _), count in zip(before.pages, plan):
            bases.update((name, (page[40:], slot, digest(sources[name][1])))
                         for slot, name in enumerate(islice(names, count)))
        held = made(bases)
        wanted["made"] = shaped({name: (dtype, data) for name, (dtype, data, _) in held.items()})
        after = forge.save("made", wanted["made"], closure=before.pages,
                           ways={name: [copy] for name, (*_, copy) in held.items()})
        forge.close([], [before, after])
        return wanted

    def assert_read(self, wanted):
        """Both readers give what is wanted."""
        store = read_store.Store(self.store)
        for tag, tensors in wanted.items():
            found = {t.name: (t.dtype, t.shape, data) for t, data in store.read(tag).tensors}
            self.assertEqual([name for name in tensors if found[name] != tensors[name]], [])
            target = self.folder / f"{tag}.safetensors"
            self.cairn.run("export", tag, target)
            found, _ = read_safetensors(target)
            self.assertEqual([name for name in tensors if found[name] != tensors[name]], [])
        assert_checked(self.cairn)
        return store


def shaped(tensors):
    """With one axis."""
    return {name: (dtype, [8 * len(data) // BITS[dtype]], data)
            for name, (dtype, data) in tensors.items()}


def with_residuals(base, residuals, is_float=True):
    """Items that differ from those of `base` by residuals."""
    residuals = residuals.astype(unsigned(base.itemsize))
    return corrected(base.view(residuals.dtype), residuals, is_float).tobytes()


class ForgedBlocks(ForgedCase):
    """Every form of block and every coding of runs."""

    def test_forms_and_codings(self):
        random, base = np.random.default_rng(2), normals(1)
        few = np.where(random.random(N) < 0.02, random.integers(1, 2**32, N), 0)
        larger, small = random.integers(3, 99, N), random.integers(0, 3, N)
        small = np.where(random.random(N) < 0.1, larger, small)
        late = np.zeros(N, int)
        late[[0, 254, 510, 1023]] = 1, 2, 2**32 - 1, 3
        cases = [(SAME, 0 * few, [PLAIN]), (PLANES, few, [PLAIN, FRAME, FEW]),
                 (PLANES, 0 * few + 77, [CONSTANT]), (QUADS, small, [PLAIN, FRAME]),
                 (QUADS, small % 3, [PLAIN, FRAME, FEW]), (QUADS, 0 * few + 1, [CONSTANT]),
                 (QUADS, 0 * few + 9, [CONSTANT]), (GAPS, few, [PLAIN, FRAME, FEW]),
                 (GAPS, late, [PLAIN, FRAME]), (GAPS, 0 * few + 5, [CONSTANT]),
                 (IN_BITS, few, [(5, 4), (0, 31), (16, 0)]), (IN_BITS, late, [(4, 0), (31, 3)]),
                 (IN_BITS, small, [(0, 0), (1, 2)])]
        self.assert_read(self.forge({"w": ("F32", base.tobytes())}, lambda bases: {
            name: held for number, (form, residuals, codings) in enumerate(cases)
            for coding in codings
            for name, held in self.coded_by(f"{number}.{coding}", base, bases["w"], residuals,
                                            form=form, coding=coding)}))

    def coded_by(self, name, base, its_base, residuals, **options):
        """(name, as `forge` takes it) of all encodings that have blocks of this form."""
        items, numbers = with_residuals(base, residuals), residuals.astype("<u4").tobytes()
        for encoding in [DELTA] + [SPARSE] * (options["form"] in (SAME, GAPS, IN_BITS)):
            copy = as_delta(items, its_base, base.tobytes(), 4, encoding=encoding, **options)
            yield f"{name}.{encoding}", ("F32", items, copy)
        copy = as_planes(numbers, 4, **options) if any(numbers) else RAW
        yield f"{name}.planes", ("U32", numbers, copy)

    def test_bits_in_classes(self):
        """Of floats of three widths, by their sizes."""
        random, sources, coded_blocks = np.random.default_rng(3), {}, {}
        for dtype in "BF16", "F16", "F32", "F64":
            kind = unsigned(BITS[dtype] // 8)
            base = np.frombuffer(content(dtype, N * kind.itemsize), kind)
            residuals = np.where(random.random(N) < 0.1, random.integers(1, 9, N), 0).astype(kind)
            sources[dtype] = dtype, base.tobytes()
            coded_blocks[dtype] = [
                (with_residuals(base, residuals), sized_block(base, residuals, *classes))
                for classes in ((127, 1, 2), (255, 85, 4), (200, 100, 3), (0, 9, 2), (90, 16, 4))]

        def made(bases):
            return {f"{dtype}.{number}": (dtype, items, coded(
                encoding, [item_form(BITS[dtype] // 8, True)], stored, [bases[dtype]]))
                for dtype, both in coded_blocks.items()
                for number, (items, stored) in enumerate(both) for encoding in (DELTA, SPARSE)}
        self.assert_read(self.forge(sources, made))

    def test_blocks_in_a_row(self):
        """Three blocks, each in another form, of every width of item."""
        count = 2 * BLOCK_ITEMS + 5
        residuals = np.zeros(count, np.uint64)
        residuals[BLOCK_ITEMS + 4000:2 * BLOCK_ITEMS:3000] = 200
        residuals[2 * BLOCK_ITEMS:] = [0, 1, 2, 3, 250]
        sources = {dtype: (dtype, content(dtype, count * BITS[dtype] // 8))
                   for dtype in ("U8", "I16", "BF16", "I32", "F32", "U64", "F64")}

        def made(bases):
            held = {}
            for dtype, (_, data) in sources.items():
                width, is_float = BITS[dtype] // 8, "F" in dtype
                numbers = residuals.astype(unsigned(width))
                parts = np.split(numbers, [BLOCK_ITEMS, 2 * BLOCK_ITEMS])
                copy = coded(DELTA, [item_form(width, is_float)],
                             b"".join(map(block, parts, (SAME, GAPS, QUADS))), [bases[dtype]])
                items = with_residuals(np.frombuffer(data, numbers.dtype), numbers, is_float)
                held[dtype] = dtype, items, copy
            return held
        self.assert_read(self.forge(sources, made, 1 << 20))


class ForgedPredictions(ForgedCase):
    """What the second reader predicts is what the program does."""

    def test_casts(self):
        """Of all bits of the narrow dtypes, and of NaNs, ties and others of the wide."""
        wide = np.frombuffer(content("wide", 4 * 65536), "<u4").copy()
        wide[:4096] = wide[:4096] & 0xff800003 | 0x7f800000
        wide[4096:8192] = wide[4096:8192] & 0xffff8000 | 0x8000
        wide[8192:40000] = wide[8192:40000] & 0x8fffffff | 0x30000000  # F16 holds them
        wide[8192:20000] &= 0xfffff000
        narrow = np.arange(65536, dtype="<u2").tobytes()
        sources = {"F32": ("F32", wide.tobytes()), "BF16": ("BF16", narrow), "F16": ("F16", narrow)}

        def made(bases):
            held = {}
            for cast, (source, result) in CASTS.items():
                source, result = DTYPES[source], DTYPES[result]
                items = cast_items(sources[source][1], cast).tobytes()
                held[f"{cast}"] = result, items, as_derived(
                    items, cast, bases[source], sources[source][1], form=SAME)
            return held
        self.assert_read(self.forge(sources, made, 65536))

    def test_rules(self):
        """All rules and variants, on numbers of few sizes, of all sizes, and on any bits."""
        sources = {f"{kind}.{dtype}.{number}": (DTYPES[dtype], operands(kind, dtype, number))
                   for kind in KINDS for dtype in DTYPES for number in range(3)}

        def made(bases):
            return {f"{rule}.{variant}.{kind}.{turn}":
                    self.replayed((rule, variant), count, kind, turn, (bases, sources))
                    for rule, variant, count in variants() for kind in KINDS for turn in range(2)}
        self.assert_read(self.forge(sources, made))

    def replayed(self, rule, count, kind, turn, held):
        """In turn 0 all of F32, else of any dtypes."""
        bases, sources = held
        random = np.random.default_rng([*rule, KINDS.index(kind), turn])
        *dtypes, result = random.integers(0, 3 if turn else 1, RULES[rule[0]][1] + 1).tolist()
        names = [f"{kind}.{dtype}.{number}" for number, dtype in enumerate(dtypes)]
        gradient = None
        if rule[0] in WITH_GRADIENT:
            gradient = np.frombuffer(operands(kind, BF16, 9), "<u2")
        data, copy = as_replay(None, rule, numbers(random, kind, count).view(np.uint32),
                               [(bases[name], sources[name][1]) for name in names], dtypes, result,
                               gradient, form=SAME)
        return DTYPES[result], data, copy


class Arithmetic(unittest.TestCase):
    """What the second reader does itself where numpy has nothing."""

    def test_fma(self):
        """Against fractions: sums that cancel, ties, results that are subnormal or too large."""
        random = np.random.default_rng(8)
        a, b, c = random.integers(0, 2**32, (3, 4000), np.uint32)
        for held, low in (a, 60), (b, 60), (c, 0):  # exponents: c lies about a * b and far below
            held[:3000] = held[:3000] & 0x807fffff | random.integers(low, low + 6, 3000) << 23
        a[:1500] &= 0xfffff000
        b[:1500] &= 0xfffff000
        operands = [held.view(np.float32) for held in (a, b, c)]
        with np.errstate(all="ignore"):
            found = fma(*operands)
        for *numbers, result in zip(*operands, found):
            if np.isfinite(numbers).all():
                x, y, z = map(Fraction, map(float, numbers))
                self.assertEqual(result, nearest(x * y + z), numbers)


def nearest(number):
    """The F32 next to a fraction, of two the even one."""
    if not number:
        return 0.0
    size, exponent = abs(number), -126
    while size >= Fraction(2) ** (exponent + 1):
        exponent += 1
    rounded = round(size / Fraction(2) ** (exponent - 23)) * Fraction(2) ** (exponent - 23)
    infinite = rounded >= 2**128
    return (-1 if number < 0 else 1) * (float("inf") if infinite else float(rounded))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        read_store_test.CAIRN = sys.argv.pop(1)
    unittest.main()
