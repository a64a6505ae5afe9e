"""Blocks, residuals and casts (docs/FORMAT.md, 7.1 to 7.3), by that page alone. Items are arrays of
unsigned numbers as wide as the item; all arithmetic on them is modulo 2^n, as numpy's is."""

import numpy as np

from store_format import Cursor, UnknownEncoding, need, zstd_decode

BLOCK_ITEMS, FLOAT = 65536, 16
SAME, PLANES, QUADS, GAPS, IN_BITS = range(5)  # forms of blocks
CONSTANT, PLAIN, FRAME, FEW = range(4)  # codings of runs
F32, BF16, F16 = range(3)  # dtypes, numbered as in replay's parameters
CASTS = {1: (F32, BF16), 2: (BF16, F32), 3: (F32, F16), 4: (F16, F32)}
FLOAT_BYTES = {F32: 4, BF16: 2, F16: 2}


def unsigned(item_bytes):
    return np.dtype(f"<u{item_bytes}")


def number24(cursor):
    return int.from_bytes(cursor.take(3), "little")


def take_places(cursor, count, length, end, has_few):
    """Where `count` items lie among `end` by the zeros before each, in a run of `length` bytes."""
    fits = count <= end and length <= count + end // 255
    need(fits, f"{cursor.what}: more gaps than there is room for")
    coded = take_run(cursor, length, has_few)
    lasts = np.flatnonzero(coded != 255)
    is_whole = len(lasts) == count and count and lasts[-1] == length - 1
    need(is_whole, f"{cursor.what}: gaps of other bytes than their items")
    places = np.cumsum(coded, dtype=np.int64)[lasts] + np.arange(count)
    need(places[-1] < end, f"{cursor.what}: a gap leads beyond the last item")
    return places


def take_run(cursor, length, has_few=True):
    """The next run, of `length` bytes."""
    need(length > 0, f"{cursor.what}: a run of no bytes")
    coding = cursor.number("B")
    if coding == CONSTANT:
        return np.full(length, cursor.number("B"), np.uint8)
    if coding == PLAIN:
        return np.frombuffer(cursor.take(length), np.uint8)
    if coding == FRAME:
        frame = cursor.take(number24(cursor))
        return np.frombuffer(zstd_decode(frame, length, cursor.what), np.uint8)
    if coding != FEW:
        raise UnknownEncoding(f"{cursor.what}: unknown coding {coding} of a run")
    need(has_few, f"{cursor.what}: gaps within gaps")
    out = np.full(length, cursor.number("B"), np.uint8)
    count, gap_bytes = number24(cursor), number24(cursor)
    places = take_places(cursor, count, gap_bytes, length, False)
    out[places] = take_run(cursor, count, False)
    return out


def take_planes(cursor, count, item_bytes):
    planes = [take_run(cursor, count) for _ in range(item_bytes)] if count else []
    return sum((plane.astype(unsigned(item_bytes)) << unsigned(item_bytes).type(8 * number)
                for number, plane in enumerate(planes)), np.zeros(count, unsigned(item_bytes)))


class BitCursor:
    """Bits of bytes, from the lowest bit of each on."""

    def __init__(self, data, what):
        self.bits, self.at, self.what = "".join(f"{byte:08b}"[::-1] for byte in data), 0, what

    def take(self, count):
        need(self.at + count <= len(self.bits), f"{self.what}: bits that end early")
        bits, self.at = self.bits[self.at:self.at + count], self.at + count
        return int(bits[::-1] or "0", 2)

    def ones(self):
        """The one bits before the next zero bit."""
        end = self.bits.find("0", self.at)
        need(end >= 0, f"{self.what}: one bits without end")
        count, self.at = end - self.at, end + 1
        return count

    def number(self, low, most):
        width = self.ones()
        need(width <= 64, f"{self.what}: a number of {width} bits")
        high = 1 << width - 1 | self.take(width - 1) if width else 0
        value = high << low | self.take(low)
        need(value <= most, f"{self.what}: the number {value} is too large")
        return value

    def end(self):
        rest = self.bits[self.at:]
        need(len(rest) < 8 and "1" not in rest, f"{self.what}: bits are left")


def take_classes(cursor, count, prediction, is_float):
    """The numbers of the items of each class. `prediction`: None of items that have none."""
    classes = cursor.number("B")
    need(1 <= classes <= 4, f"{cursor.what}: {classes} classes")
    if classes == 1:
        return [np.arange(count)]
    top, step = cursor.get("BB")
    can = prediction is not None and is_float and prediction.itemsize > 1
    need(can and step and top >= (classes - 2) * step, f"{cursor.what}: no such classes")
    sizes = prediction >> prediction.dtype.type(8 * prediction.itemsize - 9)
    sizes = sizes.astype(np.uint64) & np.uint64(0xff)
    number = sum(sizes < top - i * step for i in range(classes - 1))
    return [np.flatnonzero(number == i) for i in range(classes)]


def take_bits(cursor, count, item_bytes, prediction, is_float):
    classes = take_classes(cursor, count, prediction, is_float)
    bits = BitCursor(cursor.take(number24(cursor)), cursor.what)
    items, value_low, all_told = np.zeros(count, unsigned(item_bytes)), bits.take(6), 0
    need(value_low < 8 * item_bytes, f"{cursor.what}: {value_low} low bits")
    for members in classes:
        many, place = bits.number(0, BLOCK_ITEMS), -1
        gap_low = bits.take(5) if many else 0
        all_told += many
        for _ in range(many):
            place += 1 + (bits.ones() << gap_low)
            place += bits.take(gap_low)
            need(place < len(members), f"{cursor.what}: a gap leads beyond the last item")
            less = bits.number(value_low, 2**(8 * item_bytes) - 1)
            items[members[place]] = less + 1 & 2**(8 * item_bytes) - 1
    bits.end()
    need(all_told, f"{cursor.what}: bits of no items")
    return items


def take_block(cursor, count, item_bytes, forms, prediction, is_float):
    form, kind = cursor.number("B"), unsigned(item_bytes)
    if form > IN_BITS:
        raise UnknownEncoding(f"{cursor.what}: unknown form {form} of a block")
    need(form in forms, f"{cursor.what}: a block of form {form}")
    if form == SAME:
        return np.zeros(count, kind)
    if form == PLANES:
        return take_planes(cursor, count, item_bytes)
    if form == IN_BITS:
        return take_bits(cursor, count, item_bytes, prediction, is_float)
    if form == QUADS:
        coded = take_run(cursor, -(-count // 4))
        quads = (coded[:, None] >> np.arange(0, 8, 2, dtype=np.uint8) & 3).ravel()
        need(not quads[count:].any(), f"{cursor.what}: bits beyond the last item")
        items = quads[:count].astype(kind)
        larger = np.flatnonzero(items == 3)
    else:
        many, length = cursor.get("II")
        items, larger = np.zeros(count, kind), take_places(cursor, many, length, count, True)
    least = kind.type(3 if form == QUADS else 1)
    items[larger] = take_planes(cursor, len(larger), item_bytes) + least
    return items


def take_blocks(cursor, count, item_bytes, forms=(SAME, PLANES, QUADS, GAPS, IN_BITS),
                prediction=None, is_float=False):
    """`count` items, in blocks. `prediction`: the items that these are residuals to."""
    blocks = []
    for at in range(0, count, BLOCK_ITEMS):
        size = min(BLOCK_ITEMS, count - at)
        part = None if prediction is None else prediction[at:at + size]
        blocks.append(take_block(cursor, size, item_bytes, forms, part, is_float))
    return np.concatenate(blocks) if blocks else np.zeros(0, unsigned(item_bytes))


def decode_blocks(data, count, item_bytes, what, **options):
    cursor = Cursor(data, what)
    items = take_blocks(cursor, count, item_bytes, **options)
    cursor.end()
    return items


def ranks(items, is_float):
    top = items.dtype.type(1 << 8 * items.itemsize - 1)
    return np.where(items & top, ~items, items | top) if is_float else items


def unranked(numbers, is_float):
    top = numbers.dtype.type(1 << 8 * numbers.itemsize - 1)
    return np.where(numbers & top, numbers ^ top, ~numbers) if is_float else numbers


def corrected(prediction, residuals, is_float):
    """The items that differ from their prediction by `residuals`."""
    one = residuals.dtype.type(1)
    signed = residuals >> one ^ -(residuals & one)
    return unranked(ranks(prediction, is_float) + signed, is_float)


def residuals_of(items, prediction, is_float):
    """The other way: what `corrected` takes."""
    off, one = ranks(items, is_float) - ranks(prediction, is_float), items.dtype.type(1)
    return off << one ^ -(off >> items.dtype.type(8 * items.itemsize - 1))


def widened(items, dtype):
    """The F32 of items of a dtype, exact; NaNs keep their bits."""
    if dtype == F32:
        return items.view(np.float32)
    wide = items.astype(np.uint32)
    if dtype == BF16:
        return (wide << np.uint32(16)).view(np.float32)
    sign, magnitude = (wide & 0x8000) << np.uint32(16), wide & 0x7fff
    with np.errstate(all="ignore"):
        scaled = magnitude.astype(np.float64) * 2.0**-24  # subnormal: a multiple of 2^-24
    normal = (magnitude << np.uint32(13)) + np.uint32(112 << 23)
    special = magnitude << np.uint32(13) | np.uint32(0x7f800000)
    bits = np.where(magnitude >= 0x7c00, special, np.where(
        magnitude >= 0x400, normal, scaled.astype(np.float32).view(np.uint32)))
    return (bits | sign).view(np.float32)


def narrowed(floats, dtype):
    """Items of a dtype that F32 numbers round to: to nearest, ties to even."""
    bits = np.ascontiguousarray(floats, np.float32).view(np.uint32)
    if dtype == F32:
        return bits
    if dtype == F16:
        with np.errstate(all="ignore"):
            near = bits.view(np.float32).astype(np.float16).view(np.uint16)
        exponent, quiet, shift = 0x7c00, 0x200, 13
    else:
        odd = bits >> np.uint32(16) & 1
        near = (bits.astype(np.uint64) + 0x7fff + odd >> 16).astype(np.uint16)
        exponent, quiet, shift = 0x7f80, 0x40, 16
    sign, mantissa = bits >> np.uint32(16) & 0x8000, (bits & 0x7fffff) >> np.uint32(shift)
    nan = sign | mantissa | np.uint32(exponent | quiet)
    return np.where(np.isnan(bits.view(np.float32)), nan, near).astype(np.uint16)
