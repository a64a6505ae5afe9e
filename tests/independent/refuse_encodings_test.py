#!/usr/bin/env python3
"""Forged copies that break a rule or are of a newer format: no reader gives bytes for them, none
crashes, and the program says which of the two it is.

    tests/independent/refuse_encodings_test.py CAIRN [unittest arguments]

The program may also be named by $CAIRN. Exit status 77: no Python with numpy and blake3.
"""

import struct
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
import environment  # noqa: E402

if __name__ == "__main__":
    environment.enter("numpy", "blake3")

import numpy as np  # noqa: E402
import read_store  # noqa: E402
import read_store_test  # noqa: E402
import store_rules  # noqa: E402
from block_codec import (  # noqa: E402
    BF16, CONSTANT, F32, FEW, FRAME, GAPS, IN_BITS, PLAIN, QUADS, SAME)
from block_codec import PLANES as FORM_PLANES  # noqa: E402
from forge_encodings import (  # noqa: E402
    as_delta, as_planes, as_replay, blocks, coded, coded_bits, number24, number_in_bits, run)
from forge_store import RAW, Forge, compress  # noqa: E402
from program import Program  # noqa: E402
from read_store_test import Case  # noqa: E402
from read_encodings_test import assert_checked  # noqa: E402
from store_format import (  # noqa: E402
    DELTA, DERIVED, PLANES, REPLAY, SPARSE, Damage, UnknownEncoding, digest, page_plan)

DAMAGE, NEWER = 12, 14
N = 1024
FLOATS = np.random.default_rng(4).standard_normal(N).astype(np.float32)
DATA, OTHER = FLOATS.tobytes(), FLOATS[::-1].tobytes()
HALF = (FLOATS.view("<u4") >> 16).astype("<u2").tobytes()
F32_FORM, F16_FORM, U32_FORM = 16 | 2, 16 | 1, 2
ONE = np.float32(1).tobytes()
IN_PLANES, IN_QUADS = bytes([FORM_PLANES]), bytes([QUADS])
SMALL = bytes(N // 4)  # quads that are 0


def words(*numbers):
    return struct.pack(f"<{len(numbers)}I", *numbers)


def gaps_block(count, length, gaps, items=b""):
    return bytes([GAPS]) + words(count, length) + gaps + items


def in_bits(*parts, head=(1,)):
    stream = coded_bits(*parts)
    return bytes([IN_BITS, *head]) + number24(len(stream)) + stream


def few_run(count, length, rest):
    return bytes([FEW, 0]) + number24(count) + number24(length) + rest


def replay(rule, variant, dtypes, scalars, bases, stored=bytes([SAME]), form=F32_FORM):
    return REPLAY, bytes([form, rule, variant, dtypes]) + scalars, stored, bases


ITEMS = b"".join(run(bytes([n]), CONSTANT) for n in (1, 0, 0, 0))  # planes of any number of items
LONG_GAPS = run(b"\xff\xff\xff\xff\x05", PLAIN)  # 1025 zeros, then the item
ONE_ITEM = (0, 6), "100", (0, 5), "00"  # in bits: the first, a 1
# What is wrong: encoding, parameters, stored bytes, names of the bases.
BROKEN = {
    "no item form": (DELTA, [], b"\0", "w"),
    "a parameter too many": (DELTA, [F32_FORM, 0], b"\0", "w"),
    "no base": (DELTA, [F32_FORM], b"\0", ""),
    "a base too many": (DELTA, [F32_FORM], b"\0", "wo"),
    "planes with a base": (PLANES, [F32_FORM], blocks(FLOATS.view("<u4")), "w"),
    "a base of another length": (DELTA, [F32_FORM], b"\0", "h"),
    "no stored bytes": (DELTA, [F32_FORM], b"", "w"),
    "a byte too many": (DELTA, [F32_FORM], b"\0\0", "w"),
    "planes cut off": (PLANES, [F32_FORM], blocks(FLOATS.view("<u4"))[:-1], ""),
    "sparse in planes": (SPARSE, [F32_FORM], IN_PLANES + ITEMS, "w"),
    "sparse in quads": (SPARSE, [F32_FORM], IN_QUADS + run(SMALL), "w"),
    "quads that lack a larger item": (DELTA, [F32_FORM], IN_QUADS + run(b"\3" + SMALL[1:]), "w"),
    "quads of other length": (DELTA, [F32_FORM], IN_QUADS + run(SMALL[1:]), "w"),
    "no gaps": (DELTA, [F32_FORM], gaps_block(0, 0, b""), "w"),
    "no gaps, but bytes": (DELTA, [F32_FORM], gaps_block(0, 1, run(b"\1")), "w"),
    "a gap beyond the last item": (DELTA, [F32_FORM], gaps_block(1, 5, LONG_GAPS, ITEMS), "w"),
    "fewer gaps than items": (DELTA, [F32_FORM], gaps_block(2, 1, run(b"\1"), ITEMS), "w"),
    "more gaps than items": (DELTA, [F32_FORM], gaps_block(1, 2, run(b"\1\1"), ITEMS), "w"),
    "a gap that does not end": (DELTA, [F32_FORM], gaps_block(1, 2, run(b"\1\xff"), ITEMS), "w"),
    "gaps without end": (DELTA, [F32_FORM], gaps_block(2**32 - 1, 2**32 - 1, b"\0\1", ITEMS), "w"),
    "long gaps": (DELTA, [F32_FORM], gaps_block(1, 2**32 - 1, b"\0\xff", ITEMS), "w"),
    "many items": (DELTA, [F32_FORM], gaps_block(2**32 - 1, 1, b"\0\0", ITEMS), "w"),
    "bits of no items": (SPARSE, [F32_FORM], in_bits((0, 6), "0"), "w"),
    "bits of more items than there are": (SPARSE, [F32_FORM], in_bits(
        (0, 6), *number_in_bits(N + 1, 0), (0, 5), (N + 1) * "00"), "w"),
    "a gap in bits beyond the last item": (SPARSE, [F32_FORM], in_bits(
        (0, 6), "100", (10, 5), "10", (0, 10), "0"), "w"),
    "bits without end": (SPARSE, [F32_FORM], in_bits((0, 6), "100", (31, 5), 64 * "1"), "w"),
    "bits that end early": (SPARSE, [F32_FORM], in_bits((0, 6), "100", (9, 5), "00"), "w"),
    "a bit too many": (SPARSE, [F32_FORM], in_bits((0, 6), "100", (0, 5), "0", "01"), "w"),
    "a byte too many in bits": (SPARSE, [F32_FORM], in_bits(
        (0, 6), "100", (0, 5), "00", 8 * "0"), "w"),
    "too many low bits": (SPARSE, [F32_FORM], in_bits(
        (32, 6), "100", (0, 5), "00", (0, 32)), "w"),
    "an item in bits of 33 bits": (SPARSE, [F32_FORM], in_bits(
        (0, 6), "100", (0, 5), "0", 33 * "1" + "0", (0, 32)), "w"),
    "no class": (SPARSE, [F32_FORM], in_bits(*ONE_ITEM, head=[0]), "w"),
    "too many classes": (SPARSE, [F32_FORM], in_bits(*ONE_ITEM, "0000", head=[5, 9, 1]), "w"),
    "classes in no steps": (SPARSE, [F32_FORM], in_bits(*ONE_ITEM, "0", head=[2, 9, 0]), "w"),
    "a class below size 0": (SPARSE, [F32_FORM], in_bits(*ONE_ITEM, "00", head=[3, 8, 9]), "w"),
    "classes of no floats": (SPARSE, [U32_FORM], in_bits(*ONE_ITEM, "0", head=[2, 9, 1]), "w"),
    "classes of no residuals": (PLANES, [F32_FORM], in_bits(*ONE_ITEM, "0", head=[2, 9, 1]), ""),
    "a place beyond the class": (SPARSE, [F32_FORM], in_bits(
        *ONE_ITEM, "0", head=[2, 255, 1]), "w"),
    "bits cut off": (SPARSE, [F32_FORM], in_bits(*ONE_ITEM)[:-1], "w"),
    "gaps in gaps": (PLANES, [F32_FORM], IN_PLANES + 4 * few_run(
        1, 1, few_run(1, 1, run(b"\1") + run(b"\2")) + run(b"\2")), ""),
    "few that are none": (PLANES, [F32_FORM], IN_PLANES + 4 * few_run(0, 0, b""), ""),
    "few beyond the run": (PLANES, [F32_FORM], IN_PLANES + 4 * few_run(
        1, 5, LONG_GAPS + run(b"\2")), ""),
    "many few": (PLANES, [F32_FORM], IN_PLANES + 4 * few_run(
        2**24 - 1, 2**24 - 1, b"\0\0\0\1"), ""),
    "a frame of other length": (PLANES, [F32_FORM], IN_PLANES + 4 * run(SMALL, FRAME), ""),
    "a frame and more": (PLANES, [F32_FORM], IN_PLANES + 4 * (
        bytes([FRAME]) + number24(len(compress(bytes(N))) + 1) + compress(bytes(N)) + b"\0"), ""),
    "no frame": (PLANES, [F32_FORM], IN_PLANES + bytes([FRAME]) + number24(0), ""),
    "a cast to another form": (DERIVED, [F32_FORM, 1], b"\0", "w"),
    "a cast without floats": (DERIVED, [U32_FORM, 2], b"\0", "h"),
    "a cast of another length": (DERIVED, [F32_FORM, 2], b"\0", "w"),
    "no cast": (DERIVED, [F32_FORM], b"\0", "h"),
    "a replay that ends": (REPLAY, [F32_FORM, 4, 0], b"\0", "wo"),
    "a scalar too few": replay(4, 0, 0, b"", "wo"),
    "a scalar too many": replay(4, 0, 0, 2 * ONE, "wo"),
    "part of a scalar": replay(4, 0, 0, ONE + b"\0", "wo"),
    "a base of replay too few": replay(4, 0, 0, ONE, "w"),
    "a base of replay too many": replay(4, 0, 0, ONE, "woo"),
    "a dtype of no base": replay(4, 0, 1 << 4, ONE, "wo"),
    "a base of another dtype": replay(4, 0, 1, ONE, "wo"),
    "a result of another dtype": replay(4, 0, 1 << 6, ONE, "wo"),
    "a result that is no float": replay(4, 0, 0, ONE, "wo", form=U32_FORM),
    "no gradient": replay(3, 0, 0, 3 * ONE, "w", b""),
    "a gradient of no bytes": replay(3, 0, 0, 3 * ONE, "w", words(0) + b"\0"),
    "a gradient too long": replay(3, 0, 0, 3 * ONE, "w", words(2) + b"\0\0" + b"\0"),
    "a gradient beyond the end": replay(3, 0, 0, 3 * ONE, "w", words(2**32 - 1) + b"\0\0"),
}
UNKNOWN = {
    "an encoding": (8, [F32_FORM], b"\0", "w"),
    "an item form": (DELTA, [0x20 | F32_FORM], b"\0", "w"),
    "a block's form": (DELTA, [F32_FORM], b"\5", "w"),
    "a block's form in sparse": (SPARSE, [F32_FORM], b"\5", "w"),
    "a run's coding": (PLANES, [F32_FORM], IN_PLANES + b"\4", ""),
    "a cast": (DERIVED, [F32_FORM, 5], b"\0", "h"),
    "cast 0": (DERIVED, [F32_FORM, 0], b"\0", "h"),
    "rule 0": replay(0, 0, 0, ONE, "wo"),
    "a rule": replay(10, 0, 0, ONE, "wo"),
    "a rule of other parameters": replay(99, 7, 0xff, 9 * ONE, "wooow"),
    "a rule of no parameters and bases": replay(99, 0, 0, b"", ""),
    "an encoding of no parameters": (9, [], b"", ""),
    "an encoding of many bases": (9, [1] * 300, b"new", "wohwohwo"),
    "a variant": replay(4, 2, 0, ONE, "wo"),
    "a variant of other scalars": replay(2, 64, 0, 9 * ONE, "woo"),
    "a step": replay(2, 7 << 2, 0, 4 * ONE, "woo"),
    "a decay with its step": replay(2, 0 | 5 << 2, 0, 5 * ONE, "woo"),
    "a flag": replay(1, 64, 0, 6 * ONE, "woo"),
    "an update": replay(1, 7, 0, 6 * ONE, "woo"),
    "an update with its flag": replay(1, 4 | 32, 0, 6 * ONE, "woo"),
    "a dtype": replay(4, 0, 3, ONE, "wo"),
}


class Refused(Case):
    def forge(self, folder, made):
        """Tags "base" and "made"; `made` gives the copy of "bad" of the bases it names."""
        forge = Forge(folder)
        sources = {"h": ("BF16", [N], HALF), "o": ("F32", [N], OTHER), "w": ("F32", [N], DATA)}
        before = forge.save("base", sources)
        page = before.pages[0][0][40:]
        bases = {name: (page, slot, digest(data))
                 for slot, (name, (*_, data)) in enumerate(sources.items())}
        tensors = {"bad": ("F32", [N], DATA), "good": ("F32", [N], OTHER)}
        good = as_delta(OTHER, bases["w"], DATA, 4)
        after = forge.save("made", tensors, ways={"bad": [made(bases)], "good": [good]},
                           closure=before.pages)
        forge.close([], [before, after])
        return Program(read_store_test.CAIRN, folder)

    def assert_refused(self, cairn, status):
        """The good tensor is read all the same."""
        kind = UnknownEncoding if status == NEWER else Damage
        store = read_store.Store(cairn.store)
        try:
            found = {t.name: data for t, data in store.read("made").tensors}
            self.assertIsInstance(found["bad"], kind)
            self.assertEqual(found["good"], OTHER)
        except Damage as error:
            self.assertEqual(status, DAMAGE, error)
        target = self.folder / "out.safetensors"
        self.assertEqual(cairn.run("export", "made", target, expect=None).returncode, status)
        self.assertFalse(target.exists())
        self.assertEqual(cairn.run("cat", "made", "bad", expect=None).returncode, status)
        self.assertEqual(cairn.run("cat", "made", "good", text=False).stdout, OTHER)
        assert_checked(cairn, status)

    def assert_all_refused(self, table, status):
        for number, (what, (encoding, parameters, stored, names)) in enumerate(table.items()):
            with self.subTest(what):
                cairn = self.forge(self.folder / f"{number}", lambda bases: coded(
                    encoding, parameters, stored, [bases[name] for name in names]))
                self.assert_refused(cairn, status)

    def test_broken(self):
        self.assert_all_refused(BROKEN, DAMAGE)

    def test_unknown(self):
        self.assert_all_refused(UNKNOWN, NEWER)

    def test_seals(self):
        """One of no seal's length is damage; one of other bytes is for a check to find: what is
        decoded has its digest."""
        for number, seal in enumerate((b"", bytes(7), bytes(9), bytes(8), digest(b"another")[:8])):
            for way in (lambda base: as_delta(DATA, base, DATA, 4), lambda _: as_planes(DATA, 4)):
                copy = way((None, 0, digest(DATA)))
                with self.subTest(seal=seal, encoding=copy.encoding):
                    def made(bases):
                        copy = way(bases["w"])
                        copy.parameters = copy.parameters[:1] + seal
                        return copy
                    cairn = self.forge(self.folder / f"{number}.{copy.encoding}", made)
                    self.assert_rule_broken(cairn, "seal")
                    given = cairn.run("cat", "made", "bad", text=False, expect=None)
                    self.assertEqual(given.returncode, 0 if len(seal) == 8 else DAMAGE)
                    self.assertEqual(given.stdout, DATA if len(seal) == 8 else b"")
                    assert_checked(cairn, DAMAGE)

    def assert_rule_broken(self, cairn, message):
        with self.assertRaisesRegex(Damage, message):
            store_rules.check_store(read_store.Store(cairn.store))

    def test_no_such_bases(self):
        """In no slot, on no page that is there, itself, each other."""
        itself, each_other = (None, 0, digest(DATA)), (None, 1, digest(OTHER))
        for number, (message, change) in enumerate((
                ("in no slot", lambda page, _: (page, 3)),
                ("in no slot", lambda page, _: (page, 2**32 - 1)),
                ("in no slot", lambda page, _: (None, 2)),
                ("is not there", lambda page, slot: (bytes(32), slot)),
                ("is not there", lambda page, slot: (digest(page), slot)),
                ("needs itself", lambda *_: itself[:2]))):
            with self.subTest(message, number=number):
                cairn = self.forge(self.folder / f"{number}", lambda bases: as_delta(
                    DATA, (*change(*bases["w"][:2]), digest(DATA)), DATA, 4))
                self.assert_refused(cairn, DAMAGE)
                self.assert_rule_broken(cairn, message)

    def test_pages_that_are_not_listed(self):
        """The number of a base's page beyond the locator's list."""
        forge = Forge(self.store)
        before = forge.save("base", {"w": ("F32", [N], DATA)})
        base = before.pages[0][0][40:], 0, digest(DATA)
        forge.change[4] = lambda data: data[:-17] + words(1) + data[-13:]
        after = forge.save("made", {"bad": ("F32", [N], OTHER)}, closure=before.pages,
                           ways={"bad": [as_delta(OTHER, base, DATA, 4)]})
        forge.close([], [before, after])
        self.assert_rule_broken(self.cairn, "on no listed page")
        self.cairn.run("cat", "made", "bad", expect=DAMAGE)
        self.cairn.run("check", expect=DAMAGE)

    def test_circles(self):
        """Of two and of many, and of ones that a copy outside of them leads to."""
        for length, goal in (2, 0), (64, 0), (64, 30):
            with self.subTest(length=length, goal=goal):
                folder = self.folder / f"{length}.{goal}"
                chunks = [self.shifted(number) for number in range(length)]
                nexts = [*range(1, length), goal]
                ways = [as_delta(data, (None, its, digest(chunks[its])), chunks[its], 4)
                        for data, its in zip(chunks, nexts)]
                tensors = {"w": ("F32", [length * N], b"".join(chunks))}
                forge = Forge(folder)
                forge.close([], [forge.save("made", tensors, ways={"w": ways})])
                cairn = Program(read_store_test.CAIRN, folder)
                self.assert_rule_broken(cairn, "needs itself")
                cairn.run("cat", "made", "w", expect=DAMAGE)
                cairn.run("export", "made", self.folder / "out.safetensors", expect=DAMAGE)
                assert_checked(cairn, DAMAGE)

    def shifted(self, number):
        return (FLOATS + np.float32(number)).tobytes()

    def test_base_in_an_unknown_encoding(self):
        forge = Forge(self.store)
        before = forge.save("base", {"w": ("F32", [N], DATA)}, unknown=["w"])
        base = before.pages[0][0][40:], 0, digest(DATA)
        after = forge.save("made", {"bad": ("F32", [N], OTHER)}, closure=before.pages,
                           ways={"bad": [as_delta(OTHER, base, DATA, 4)]})
        forge.close([], [before, after])
        (_, found), = read_store.Store(self.store).read("made").tensors
        self.assertIsInstance(found, UnknownEncoding)
        self.cairn.run("cat", "made", "bad", expect=NEWER)

    def test_bases_that_the_pack_names_otherwise(self):
        """Nothing that a reader of tags sees; what salvages a pack would."""
        cairn = self.forge(self.store, lambda bases: as_delta(
            DATA, (*bases["o"][:2], digest(DATA)), OTHER, 4))
        self.assert_rule_broken(cairn, "its table lacks the copy")
        self.assertEqual(cairn.run("cat", "made", "bad", text=False).stdout, DATA)


def stepped(data, goal):
    """Each number the next one on the way to `goal`."""
    return np.nextafter(np.frombuffer(data, np.float32), np.float32(goal)).tobytes()


class Chains(Case):
    """Long and wide ones are read, in the time that their copies take."""

    def save_chain(self, way, length):
        """Each copy is made by `way` of the one before."""
        forge, tags, data, base = Forge(self.store), [], DATA, None
        for step in range(length):
            ways = {"w": [RAW if base is None else way(data, base)]}
            pages = [page for tag in tags for page in tag.pages]
            is_last = step == length - 1
            tags.append(forge.save(f"{step}", {"w": ("F32", [N], data)}, ways=ways,
                                   closure=pages[::-1] if is_last else ()))
            base, before = (tags[-1].pages[0][0][40:], 0, digest(data)), data
            data = stepped(before, 9)
        forge.close([], [tags[0], tags[-1]])
        return before

    def assert_last(self, length, data):
        store = read_store.Store(self.store)
        (_, found), = store.read(f"{length - 1}").tensors
        self.assertEqual(found, data)
        self.assertEqual(self.cairn.run("cat", f"{length - 1}", "w", text=False).stdout, data)

    def test_long(self):
        data = self.save_chain(lambda data, base: as_delta(data, base, stepped(data, -9), 4), 1500)
        self.assert_last(1500, data)

    def test_wide(self):
        """Three bases each, all the one before: 3^40 ways to the first."""
        def way(data, base):
            return as_replay(data, (2, 0), np.ones(4, np.float32).view(np.uint32),
                             [(base, stepped(data, -9))] * 3, [F32] * 3)[1]
        self.assert_last(40, self.save_chain(way, 40))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        read_store_test.CAIRN = sys.argv.pop(1)
    unittest.main()
