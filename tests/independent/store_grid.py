"""What follows from names, dtypes and shapes alone: storage shapes, chunks, pages (docs/FORMAT.md, 5, 9)."""

import math

import numpy as np

from store_fields import ceil_div, digest, need

PAGE_ENTRIES, LAST_AXIS_LEAST = 4096, 512
DTYPES = dict(enumerate([
    ("BOOL", 8), ("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6), ("U8", 8), ("I8", 8), ("F8_E5M2", 8),
    ("F8_E4M3", 8), ("F8_E8M0", 8), ("F8_E4M3FNUZ", 8), ("F8_E5M2FNUZ", 8), ("I16", 16),
    ("U16", 16), ("F16", 16), ("BF16", 16), ("I32", 32), ("U32", 32), ("F32", 32), ("C64", 64),
    ("F64", 64), ("I64", 64), ("U64", 64)], 1))


def storage_shape(dtype, shape):
    """(item bytes, storage shape) of a tensor."""
    bits = DTYPES[dtype][1]
    if bits >= 8:
        return bits // 8, list(shape)
    group = math.gcd(bits, 8)
    unit, unit_bytes = 8 // group, bits // group
    if shape and shape[-1] % unit == 0:
        return unit_bytes, [*shape[:-1], shape[-1] // unit]
    all_bits = math.prod(shape) * bits
    need(all_bits % 8 == 0, f"a tensor of {all_bits} bits is not whole bytes")
    return 1, [all_bits // 8]


def grid(shape, chunk_elements):
    """The parts of each axis."""
    parts, last = [1] * len(shape), len(shape) - 1
    while math.prod(ceil_div(n, p) for n, p in zip(shape, parts)) > chunk_elements:
        able = [a for a, n in enumerate(shape) if parts[a] < n
                and (a != last or ceil_div(n, 2 * parts[a]) >= LAST_AXIS_LEAST)]
        axis = min(able, key=lambda a: (parts[a], a))
        parts[axis] = min(2 * parts[axis], shape[axis])
    return parts


def tile(shape, parts, number):
    """(begin, end) of chunk `number`, per axis."""
    index = np.unravel_index(number, parts) if parts else ()
    return [(ceil_div(int(i) * n, p), ceil_div((int(i) + 1) * n, p)) for i, n, p in zip(index, shape, parts)]


def volume(box):
    return math.prod(end - begin for begin, end in box)


def check_cover(boxes, whole, what):
    """Boxes are disjoint and cover `whole`."""
    for number, box in enumerate(boxes):
        need(all(w[0] <= b[0] <= b[1] <= w[1] for b, w in zip(box, whole)), f"{what}: a box lies outside")
        for other in boxes[:number]:
            need(any(max(b[0], o[0]) >= min(b[1], o[1]) for b, o in zip(box, other)), f"{what}: boxes overlap")
    need(sum(map(volume, boxes)) == volume(whole), f"{what}: boxes do not cover it")


def page_plan(counts, limit=PAGE_ENTRIES):
    """Lengths of the pages that hold the entries of [(name, chunk count)]."""
    pages, here = [], 0
    for name, count in counts:
        if here and here + count > limit:
            pages, here = pages + [here], 0
        while count > limit - here:
            count -= limit - here
            pages, here = pages + [limit], 0
        here += count
        if here and digest(name.encode())[0] % 32 == 0:
            pages, here = pages + [here], 0
    return pages + [here] if here else pages
