"""The bytes of a store by docs/FORMAT.md alone, apart from files: fields, digests, names (1, 2, 7),
grids and pages (5, 9), metadata objects (3 to 6). Whatever breaks a rule is a Damage."""

import ctypes.util
import json
import math
import re
import struct
from types import SimpleNamespace as Record

import blake3
import numpy as np

FILE, REFERENCE = "16sI4x", "16sI4xQQ32s"  # layouts of struct
FORMAT, INLINE_BYTES, MAX_RANK, MAX_BASES, PAGE_ENTRIES, LAST_AXIS_LEAST = 1, 256, 16, 8, 4096, 512
CONTENT_CUTS = "content_cuts"  # a feature
REMOVED, PINNED, HAS_STEP, HAS_LAYOUT = 1, 2, 4, 8
RAW, ZERO, ZSTD, PLANES, DELTA, SPARSE, DERIVED, REPLAY = range(8)
DTYPES = dict(enumerate([
    ("BOOL", 8), ("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6), ("U8", 8), ("I8", 8), ("F8_E5M2", 8),
    ("F8_E4M3", 8), ("F8_E8M0", 8), ("F8_E4M3FNUZ", 8), ("F8_E5M2FNUZ", 8), ("I16", 16),
    ("U16", 16), ("F16", 16), ("BF16", 16), ("I32", 32), ("U32", 32), ("F32", 32), ("C64", 64),
    ("F64", 64), ("I64", 64), ("U64", 64)], 1))
LIBZSTD = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
LIBZSTD.ZSTD_decompress.restype = LIBZSTD.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t


class Damage(Exception):
    """The store breaks a rule of its format."""


class UnknownEncoding(Damage):
    """A copy in a way that is not in format 1 so far; other tensors can still be read."""


def need(condition, what):
    if not condition:
        raise Damage(what)


def digest(data):
    return blake3.blake3(data).digest()


class Cursor:
    """Takes fields off the front of some bytes, never past their end. Layouts are those of struct,
    little-endian, with x for reserved bytes, which must be zero."""

    def __init__(self, data, what, magic=b"", version=1, newest=1):
        self.data, self.what, self.at = memoryview(data), what, 0
        need(self.take(len(magic)) == magic, f"{what}: does not begin with {magic.decode()}")
        if magic and version:
            self.version = self.number("I")
            need(version <= self.version <= newest, f"{what}: an unknown version")

    def take(self, count):
        need(count <= len(self.data) - self.at, f"{self.what}: ends in the middle of a field")
        self.at += count
        return bytes(self.data[self.at - count:self.at])

    def get(self, layout):
        raw = self.take(struct.calcsize("<" + layout))
        values = struct.unpack("<" + layout, raw)
        need(struct.pack("<" + layout, *values) == raw, f"{self.what}: reserved bytes are not zero")
        return values

    def number(self, layout):
        return self.get(layout)[0]

    def many(self, count, layout):
        return [self.get(layout) for _ in range(count)]

    def string(self, length_layout):
        try:
            return self.take(self.number(length_layout)).decode("utf-8")
        except UnicodeDecodeError:
            raise Damage(f"{self.what}: a string is not UTF-8") from None

    def end(self):
        need(self.at == len(self.data), f"{self.what}: {len(self.data) - self.at} bytes too many")


def file_name(session, counter):
    return f"{session.hex()}-{counter}"


def reference(session, counter, offset, length, its_digest):
    return Record(file=file_name(session, counter), offset=offset, length=length, digest=its_digest)


def sealed_json(data, what):
    seal = re.fullmatch(rb'(.*),"blake3":"([0-9a-f]{64})"\}\n', data)
    need(seal and digest(seal[1]).hex().encode() == seal[2], f"{what}: the digest does not match")
    try:
        return json.loads(data)
    except ValueError as error:
        raise Damage(f"{what}: no JSON: {error}") from None


def zstd_decode(stored, decoded_bytes, what):
    room, length = ctypes.c_size_t(decoded_bytes), ctypes.c_size_t(len(stored))
    decoded = ctypes.create_string_buffer(max(decoded_bytes, 1))
    frame = LIBZSTD.ZSTD_findFrameCompressedSize(stored, length)
    got = LIBZSTD.ZSTD_decompress(decoded, room, stored, length)
    need((frame, got) == (len(stored), decoded_bytes), f"{what}: not one zstd frame of its size")
    return decoded.raw[:decoded_bytes]


def ceil_div(a, b):
    return -(-a // b)


def storage_shape(dtype, shape):
    """(item bytes, storage shape) of a tensor."""
    bits = DTYPES[dtype][1]
    unit = 8 // math.gcd(bits, 8)
    if unit == 1 or (shape and shape[-1] % unit == 0):
        return bits * unit // 8, shape[:-1] + [n // unit for n in shape[-1:]]
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
    index = [int(i) for i in np.unravel_index(number, parts)] if parts else []
    return [(ceil_div(i * n, p), ceil_div((i + 1) * n, p)) for i, n, p in zip(index, shape, parts)]


def volume(box):
    return math.prod(end - begin for begin, end in box)


def inside(box, whole):
    return all(w[0] <= b[0] <= b[1] <= w[1] for b, w in zip(box, whole))


def page_plan(counts):
    """Lengths of the pages that hold the entries of [(name, chunk count)]."""
    pages, here = [], 0
    for name, count in counts:
        if here and here + count > PAGE_ENTRIES:
            pages, here = pages + [here], 0
        pages += [PAGE_ENTRIES] * ((here + count - 1) // PAGE_ENTRIES)
        here = (here + count - 1) % PAGE_ENTRIES + 1 if here + count else 0
        if here and digest(name.encode())[0] % 32 == 0:
            pages, here = pages + [here], 0
    return pages + [here] if here else pages


def read_boxes(cursor, rank):
    offsets, lengths = cursor.get(f"{rank}Q"), cursor.get(f"{rank}Q")
    return [(offset, offset + length) for offset, length in zip(offsets, lengths)]


def read_schema(data, chunk_elements):
    c, tensors = Cursor(data, "schema", b"SCHM"), []
    log2, count = c.get("I4xQ")
    need(1 << min(log2, 64) == chunk_elements, "schema: another chunk_elements than the store")
    for _ in range(count):
        name, (dtype, rank) = c.string("H"), c.get("BB")
        need(dtype in DTYPES and rank <= MAX_RANK, f"schema: '{name}': dtype {dtype}, {rank} axes")
        shape = list(c.get(f"{rank}Q"))
        item, storage = storage_shape(dtype, shape)
        parts = [] if 0 in storage else grid(storage, chunk_elements)
        chunks = 0 if 0 in storage else math.prod(parts)
        need(c.number("Q") == chunks, f"schema: '{name}' has another chunk count than its grid")
        tensors.append(Record(name=name, dtype=DTYPES[dtype][0], shape=shape, storage=storage,
                              item=item, parts=parts, chunks=chunks))
    c.end()
    return tensors


def read_lengths(c):
    """(length of an attachment, those of its chunks or None where they are not told)"""
    size = c.number("Q")
    if c.version == 1:
        return size, None
    lengths = [c.number("I") for _ in range(c.number("Q"))]
    need(all(lengths) and sum(lengths) == size, "manifest: chunks that do not make up their whole")
    return size, lengths


def read_manifest(data):
    c = Cursor(data, "manifest", b"MANI", newest=2)
    flags, *counts, page_count, step, schema = c.get("IIIIq32s")
    metadata = {(c.number("B"), c.string("I")): c.string("I") for _ in range(counts[0])}
    attachments = {c.string("H"): read_lengths(c) for _ in range(counts[1])}
    pages = [page for page, in c.many(page_count, "32s")]
    c.end()
    need([len(metadata), len(attachments)] == counts, "manifest: a name twice")
    need(c.version == 1 or attachments, "manifest: of version 2 without attachments")
    need(all(section <= 1 for section, _ in metadata), "manifest: an unknown section of metadata")
    need(flags <= 1 and (flags or step == 0), "manifest: unknown flags, or a step without its own")
    return Record(step=step if flags else None, schema=schema, metadata=metadata,
                  attachments=attachments, pages=pages)


def read_page(data, what):
    """Entries (kind, digest, inline bytes or pieces, how many copies)."""
    c, entries = Cursor(data, what, b"PAGE"), []
    count, auxiliary_bytes = c.get("II")
    need(0 < count <= PAGE_ENTRIES, f"{what}: {count} entries")
    kinds = c.take(count)
    c.get(f"{-count % 8}x")
    records, auxiliary = c.many(count, "32s"), c.take(auxiliary_bytes)
    c.end()
    for kind, (record,) in zip(kinds, records):
        if kind != 0:
            at, length, pieces = Cursor(record, what).get("III20x")
            need(kind <= 2 and at + length <= auxiliary_bytes and (kind == 1) == (pieces == 0)
                 and (kind == 2 or length <= INLINE_BYTES), f"{what}: an entry of kind {kind}")
        entries.append((0, record, 1) if kind == 0 else (kind, auxiliary[at:at + length], pieces))
    return entries


def read_locator(data, what):
    c, copies = Cursor(data, what, b"LOCA"), []
    pack_count, copy_count, auxiliary_bytes, base_page_count = c.get("IIII")
    packs = [file_name(*file) for file in c.many(pack_count, FILE)]
    base_pages = [page for page, in c.many(base_page_count, "32s")]
    records, auxiliary = c.many(copy_count, "IBBHQIII4x"), c.take(auxiliary_bytes)
    c.end()
    for pack, encoding, base_count, parameters, offset, stored, decoded, at in records:
        need(pack < pack_count, f"{what}: a copy in pack {pack} of {pack_count}")
        need(base_count <= MAX_BASES, f"{what}: {base_count} bases")
        its = Cursor(auxiliary[at:] if base_count or parameters else b"", f"{what}: a copy")
        bases = its.many(base_count, "II")
        need(all(page < base_page_count for page, _ in bases), f"{what}: a base on no listed page")
        copies.append(Record(pack=packs[pack], encoding=encoding, offset=offset, stored=stored,
                             decoded=decoded, parameters=its.take(parameters),
                             bases=[(base_pages[page], slot) for page, slot in bases]))
    return copies


def read_locator_table(data, manifest, page_digests):
    """`pages`: references of each page and its locator, first those of the manifest."""
    c, place = Cursor(data, "locator table", b"LTAB"), "IIQQII8x32s"
    *counts, its_manifest = c.get("IIII32s")
    need(its_manifest == manifest, "locator table: made for another manifest")
    need(counts[1] == len(page_digests), "locator table: another page count than the manifest")
    packs, pages = [file_name(*file) for file in c.many(counts[0], FILE)], []
    places = [(*c.get(place), page) for page in page_digests] + c.many(counts[2], place + "32s")
    for *numbers, page_at, at, page_bytes, length, its_digest, page_digest in places:
        need(max(numbers) < counts[0], "locator table: a page outside the list of packs")
        page_pack, pack = [packs[number] for number in numbers]
        pages.append([Record(file=page_pack, offset=page_at, length=page_bytes, digest=page_digest),
                      Record(file=pack, offset=at, length=length, digest=its_digest)])
    data_packs = {file_name(*file): stored for *file, stored in c.many(counts[3], FILE + "Q")}
    c.end()
    return Record(own=len(page_digests), pages=pages, data_packs=data_packs)


def read_tag_entry(data):
    c = Cursor(data, "tag entry")
    flags, _, commit, _, step, _, *counts = c.get("IIQqq16s8Q")
    manifest, schema, table, layout = [reference(*fields) for fields in c.many(4, REFERENCE)]
    return Record(name=c.string("H"), flags=flags, commit=commit, step=step, counts=counts,
                  manifest=manifest, schema=schema, table=table, layout=layout)
