"""What one stored copy decodes to (docs/FORMAT.md, 7), given its bases decoded."""

import numpy as np

from block_codec import (
    CASTS, FLOAT, FLOAT_BYTES, BF16, GAPS, IN_BITS, SAME, corrected, decode_blocks, narrowed,
    unsigned, widened)
from replay_rules import RULES, WITH_GRADIENT, predict
from store_format import (
    DELTA, DERIVED, PLANES, RAW, REPLAY, SPARSE, ZERO, ZSTD, Cursor, UnknownEncoding, digest, need,
    zstd_decode)

SEAL_BYTES = 8
BASES = {RAW: 0, ZERO: 0, ZSTD: 0, PLANES: 0, DELTA: 1, SPARSE: 1, DERIVED: 1}


def check_seal(copy, stored, what):
    """The parameter block without its seal."""
    seal = copy.parameters[-SEAL_BYTES:]
    need(len(copy.parameters) > SEAL_BYTES, f"{what}: no seal")
    need(seal == digest(stored)[:SEAL_BYTES], f"{what}: the seal is not of the stored bytes")
    return copy.parameters[:-SEAL_BYTES]


def decode(copy, stored, bases, what):
    """The decoded bytes, digest not yet checked."""
    if copy.encoding > REPLAY:
        raise UnknownEncoding(f"{what}: unknown encoding {copy.encoding}")
    if copy.encoding <= ZSTD:
        need(not bases and not copy.parameters, f"{what}: bases or parameters of a plain copy")
        need(copy.encoding != ZERO or not stored, f"{what}: zeros that are stored")
        plain = {RAW: lambda: stored, ZERO: lambda: bytes(copy.decoded),
                 ZSTD: lambda: zstd_decode(stored, copy.decoded, what)}
        return plain[copy.encoding]()
    parameters = Cursor(check_seal(copy, stored, what), f"{what}: parameters")
    form = parameters.number("B")
    if form & ~(FLOAT | 3):
        raise UnknownEncoding(f"{what}: unknown item form {form}")
    item_bytes, is_float = 1 << (form & 3), bool(form & FLOAT)
    count = copy.decoded // item_bytes
    need(count * item_bytes == copy.decoded, f"{what}: no whole number of items")
    forms = {"forms": (SAME, GAPS, IN_BITS)} if copy.encoding == SPARSE else {}
    if copy.encoding == REPLAY:
        prediction, stored = replayed(parameters, stored, bases, (form, count), what)
    else:
        need(len(bases) == BASES[copy.encoding], f"{what}: {len(bases)} bases")
        prediction = predicted(copy.encoding, parameters, bases, (form, count), what)
    parameters.end()
    items = decode_blocks(stored, count, item_bytes, what, prediction=prediction,
                          is_float=is_float, **forms)
    items = items if copy.encoding == PLANES else corrected(prediction, items, is_float)
    return items.tobytes()


def predicted(encoding, parameters, bases, item_form, what):
    """The items of planes (none), delta, sparse and derived."""
    form, count = item_form
    if encoding == PLANES:
        return None
    if encoding != DERIVED:
        return items_of(bases[0], 1 << (form & 3), count, what)
    cast = parameters.number("B")
    if cast not in CASTS:
        raise UnknownEncoding(f"{what}: unknown cast {cast}")
    wide, narrow = CASTS[cast]
    need(form == result_form(narrow), f"{what}: item form {form} of cast {cast}")
    return narrowed(widened(items_of(bases[0], FLOAT_BYTES[wide], count, what), wide), narrow)


def replayed(parameters, stored, bases, item_form, what):
    """(items that the rule predicts, stored bytes of the residuals)"""
    rule = parameters.number("B")
    if rule not in RULES:
        raise UnknownEncoding(f"{what}: unknown rule {rule}")
    variant, dtypes = parameters.get("BB")
    need(len(bases) == RULES[rule][1], f"{what}: {len(bases)} bases of rule {rule}")
    *its_dtypes, result = [dtypes >> shift & 3 for shift in (0, 2, 4, 6)]
    if max(*its_dtypes, result) not in FLOAT_BYTES:
        raise UnknownEncoding(f"{what}: unknown dtypes {dtypes}")
    need(not any(its_dtypes[len(bases):]), f"{what}: a dtype of no base")
    form, count = item_form
    need(form == result_form(result), f"{what}: item form {form} of dtype {result}")
    numbers = [widened(items_of(base, FLOAT_BYTES[dtype], count, what), dtype)
               for base, dtype in zip(bases, its_dtypes)]
    if rule in WITH_GRADIENT:
        c = Cursor(stored, what)
        gradient = decode_blocks(c.take(c.number("I")), count, 2, f"{what}: the gradient")
        numbers, stored = [*numbers, widened(gradient, BF16)], bytes(c.data[c.at:])
    scalars = parameters.take(len(parameters.data) - parameters.at)
    need(len(scalars) % 4 == 0, f"{what}: scalars")
    return predict(rule, variant, np.frombuffer(scalars, "<u4"), numbers, result), stored


def result_form(dtype):
    return FLOAT | FLOAT_BYTES[dtype].bit_length() - 1


def items_of(data, item_bytes, count, what):
    need(len(data) == item_bytes * count, f"{what}: a base of another length")
    return np.frombuffer(data, unsigned(item_bytes))
