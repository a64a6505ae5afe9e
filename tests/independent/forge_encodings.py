"""Copies in the encodings 3 to 7 for forge_store.py, by docs/FORMAT.md, 7, alone. Every form of a
block and every coding of a run can be asked for, whether it makes the bytes fewer or not."""

import struct

import numpy as np

from block_codec import (
    BF16, BLOCK_ITEMS, CASTS, CONSTANT, F32, FEW, FLOAT_BYTES, FRAME, GAPS, IN_BITS, PLAIN, PLANES,
    QUADS, SAME, narrowed, residuals_of, unsigned, widened)
from copy_decoder import SEAL_BYTES, result_form
from forge_store import compress
from replay_rules import predict
from store_format import DELTA, DERIVED, REPLAY, Record, digest
from store_format import PLANES as ENCODING_PLANES


def number24(number):
    return struct.pack("<I", number)[:3]


def gaps_before(places):
    """The zeros before each place, as bytes."""
    gaps = np.diff(np.asarray(places), prepend=-1) - 1
    return b"".join(b"\xff" * (gap // 255) + bytes([gap % 255]) for gap in gaps)


def run(data, coding=PLAIN):
    """A run in a coding; of a constant one the first byte is all, and few others are at least one."""
    if coding == CONSTANT or (coding == FEW and len(set(data)) == 1):
        return bytes([CONSTANT, data[0]])
    if coding == FRAME:
        frame = compress(data)
        return bytes([FRAME]) + number24(len(frame)) + frame
    if coding != FEW:
        return bytes([coding]) + data
    values = np.frombuffer(data, np.uint8)
    frequent = int(np.bincount(values).argmax())
    places = np.flatnonzero(values != frequent)
    gaps = gaps_before(places)
    head = bytes([FEW, frequent]) + number24(len(places)) + number24(len(gaps))
    return head + run(gaps) + run(values[places].tobytes())


def planes(items, coding=PLAIN):
    split = items[:, None].view(np.uint8).reshape(len(items), items.itemsize)
    return b"".join(run(plane.tobytes(), coding) for plane in split.T) if len(items) else b""


def block(items, form, coding=PLAIN):
    if form == SAME:
        return bytes([SAME])
    if form == QUADS:
        quads = np.minimum(items, items.dtype.type(3)).astype(np.uint8)
        quads = np.concatenate([quads, np.zeros(-len(quads) % 4, np.uint8)]).reshape(-1, 4)
        packed = (quads << np.arange(0, 8, 2, dtype=np.uint8)).sum(axis=1).astype(np.uint8)
        larger = items[items >= 3] - items.dtype.type(3)
        return bytes([QUADS]) + run(packed.tobytes(), coding) + planes(larger, coding)
    if form == GAPS:
        places = np.flatnonzero(items)
        gaps = gaps_before(places)
        head = bytes([GAPS]) + struct.pack("<II", len(places), len(gaps))
        return head + run(gaps, coding) + planes(items[places] - items.dtype.type(1), coding)
    if form == IN_BITS:
        return bytes([IN_BITS]) + bits_of([np.arange(len(items))], items, *(coding or (3, 1)))
    return bytes([form]) + planes(items, coding)


def coded_bits(*parts):
    """Bytes of bits: strings of them as they are, pairs (number, how many of its low bits)."""
    bits = "".join(part if isinstance(part, str) else f"{part[0]:064b}"[::-1][:part[1]]
                   for part in parts)
    return bytes(int(bits[at:at + 8][::-1], 2) for at in range(0, len(bits), 8))


def number_in_bits(value, low):
    width = (value >> low).bit_length()
    yield "1" * width + "0"
    yield value >> low, max(width - 1, 0)
    yield value, low


def bits_of(classes, items, gap_low, value_low, head=()):
    """A block in bits but for its form. `classes`: the numbers of the items of each, in order."""
    parts = [(value_low, 6)]
    for members in classes:
        places = np.flatnonzero(items[members])
        parts += [*number_in_bits(len(places), 0)] + [(gap_low, 5)] * bool(len(places))
        for place, gap in zip(places, np.diff(places, prepend=-1) - 1):
            parts += ["1" * (gap >> gap_low) + "0", (gap, gap_low)]
            parts += number_in_bits(int(items[members[place]]) - 1, value_low)
    stream = coded_bits(*parts)
    return bytes([len(classes), *head]) + number24(len(stream)) + stream


def sized_block(prediction, residuals, top, step, classes):
    """Of residuals to F32 or others as wide, in classes of sizes."""
    sizes = prediction.view(residuals.dtype) >> residuals.dtype.type(8 * residuals.itemsize - 9)
    number = sum((sizes & residuals.dtype.type(0xff)) < top - i * step for i in range(classes - 1))
    members = [np.flatnonzero(number == i) for i in range(classes)]
    return bytes([IN_BITS]) + bits_of(members, residuals, 2, 0, (top, step))


def blocks(items, form=PLANES, coding=PLAIN):
    starts = range(0, len(items), BLOCK_ITEMS)
    return b"".join(block(items[at:at + BLOCK_ITEMS], form, coding) for at in starts)


def coded(encoding, parameters, stored, bases=()):
    """What Forge.save takes for a copy. `bases`: (digest of the page or None for the copy's own,
    slot, digest of what it decodes to)."""
    seal = digest(stored)[:SEAL_BYTES]
    return Record(encoding=encoding, parameters=bytes(parameters) + seal, stored=stored,
                  bases=list(bases))


def item_form(item_bytes, is_float):
    return item_bytes.bit_length() - 1 | 16 * is_float


def as_planes(data, item_bytes, is_float=False, **options):
    items = np.frombuffer(data, unsigned(item_bytes))
    return coded(ENCODING_PLANES, [item_form(item_bytes, is_float)], blocks(items, **options))


def as_delta(data, base, base_data, item_bytes, is_float=True, encoding=DELTA, **options):
    kind = unsigned(item_bytes)
    residuals = residuals_of(np.frombuffer(data, kind), np.frombuffer(base_data, kind), is_float)
    parameters = [item_form(item_bytes, is_float)]
    return coded(encoding, parameters, blocks(residuals, **options), [base])


def cast_items(data, cast):
    """What a cast predicts."""
    source, result = CASTS[cast]
    items = np.frombuffer(data, unsigned(FLOAT_BYTES[source]))
    return narrowed(widened(items, source), result)


def as_derived(data, cast, base, base_data, **options):
    prediction = cast_items(base_data, cast)
    residuals = residuals_of(np.frombuffer(data, prediction.dtype), prediction, True)
    parameters = [result_form(CASTS[cast][1]), cast]
    return coded(DERIVED, parameters, blocks(residuals, **options), [base])


def as_replay(data, rule, scalars, bases, dtypes, result=F32, gradient=None, **options):
    """(data, copy). `data`: None for what the rule predicts; `rule`: (number, variant); `bases`:
    (base as for `coded`, bytes); `gradient`: BF16 items where the rule has one."""
    items = [np.frombuffer(held, unsigned(FLOAT_BYTES[dtype]))
             for (_, held), dtype in zip(bases, dtypes)]
    numbers = [widened(held, dtype) for held, dtype in zip(items, dtypes)]
    numbers += [] if gradient is None else [widened(gradient, BF16)]
    prediction = predict(*rule, scalars, numbers, result)
    data = prediction.tobytes() if data is None else data
    residuals = residuals_of(np.frombuffer(data, prediction.dtype), prediction, True)
    stored = blocks(residuals, **options)
    if gradient is not None:
        part = blocks(gradient)
        stored = struct.pack("<I", len(part)) + part + stored
    packed = sum(dtype << 2 * number for number, dtype in enumerate(dtypes)) | result << 6
    parameters = bytes([result_form(result), *rule, packed]) + scalars.astype("<u4").tobytes()
    return data, coded(REPLAY, parameters, stored, [base for base, _ in bases])
