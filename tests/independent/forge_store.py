"""Writes a store by docs/FORMAT.md alone, with what an import never writes: zstd copies, chunks cut
among several writers, layouts, closure pages, tag tables, removed tags.

A Forge collects one session's objects and copies; `close` writes the files. Not durable, no locks.
"""

import ctypes
import json
import struct
from types import SimpleNamespace as Record

import numpy as np

from store_format import (
    DTYPES, HAS_LAYOUT, HAS_STEP, INLINE_BYTES, LIBZSTD, REMOVED, digest, grid, page_plan, storage_shape,
    tile, volume)

RAW, ZERO, ZSTD, UNKNOWN = 0, 1, 2, 200
CODES = {name: code for code, (name, _) in DTYPES.items()}
RUN = 1 << 20
ZERO_REFERENCE = bytes(72)


def sealed(members):
    text = json.dumps(members)[:-1].encode()
    return text + b',"blake3":"' + digest(text).hex().encode() + b'"}\n'


def string(text, length_layout="H"):
    data = text.encode()
    return struct.pack("<" + length_layout, len(data)) + data


def box_bytes(box):
    return struct.pack(f"<{2 * len(box)}Q", *(b for b, _ in box), *(e - b for b, e in box))


def compress(data):
    LIBZSTD.ZSTD_compress.restype = ctypes.c_size_t
    LIBZSTD.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t] * 2 + [ctypes.c_int]
    out = ctypes.create_string_buffer(len(data) + 1024)
    length = LIBZSTD.ZSTD_compress(out, len(out), data, len(data), 3)
    return out.raw[:length]


class Pack:
    """One pack file as it grows."""

    def __init__(self, kind, session, counter):
        self.kind, self.name = kind, f"{session.hex()}-{counter}"
        self.id = struct.pack("<16sII", session, counter, 0)
        self.data = bytearray((b"CAIRNPK1" if kind == "packs" else b"CAIRNMP1") + self.id)
        self.table = []

    def add(self, part, align):
        self.data += bytes(-len(self.data) % align)
        self.data += part
        return len(self.data) - len(part)

    def write(self, folder):
        at = self.add(b"", 8)
        table = b"".join(self.table)
        seal = digest(bytes(self.data[:32]) + table)
        self.data += table + struct.pack("<QQQ", len(self.table), at, 0) + seal + b"CAIRNEND"
        path = folder / self.kind / self.name[:2] / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.data)


class Forge:
    def __init__(self, folder, session=bytes(range(16, 32)), chunk_elements=1024):
        self.folder, self.session, self.chunk_elements = folder, session, chunk_elements
        self.meta, self.packs = Pack("meta", session, 0), Pack("packs", session, 1)
        self.store_id, self.commit, self.format, self.features = bytes(range(16)), 0, 1, []

    def object(self, kind, data):
        offset = self.meta.add(data, 8)
        self.meta.table.append(struct.pack("<IIQQ", kind, 0, offset, len(data)) + digest(data))
        return struct.pack("<24sQQ", self.meta.id, offset, len(data)) + digest(data)

    def copy(self, data, encoding):
        """The 32 bytes of a locator's copy."""
        if not any(data):
            encoding = ZERO
        stored = {ZERO: b"", ZSTD: compress(data)}.get(encoding, data)
        offset = self.packs.add(stored, 4096 if len(stored) >= 65536 else 8)
        lengths = struct.pack("<QII", offset, len(stored), len(data))
        self.packs.table.append(digest(data) + lengths + struct.pack("<BBHI", encoding, 0, 0, 0))
        return struct.pack("<IBBH", 0, encoding, 0, 0) + lengths + struct.pack("<II", 0, 0)

    def entry(self, boxes, encoding):
        """One chunk, given as [(box or None, bytes)], as (kind, record, auxiliary, copies)."""
        size = sum(len(data) for _, data in boxes)
        if size <= INLINE_BYTES:
            assert len(boxes) == 1
            return 1, size, boxes[0][1], []
        copies = [self.copy(data, encoding) for _, data in boxes]
        if len(boxes) == 1:
            return 0, digest(boxes[0][1]), b"", copies
        return 2, len(boxes), b"".join(box_bytes(box) + digest(data) for box, data in boxes), copies

    def page(self, entries):
        """(page, locator, stored bytes of the copies); the first two as references."""
        kinds = bytes(kind for kind, *_ in entries)
        records, auxiliary, copies = b"", b"", []
        for kind, held, more, its_copies in entries:
            pieces = held if kind == 2 else 0
            records += held if kind == 0 else struct.pack("<III20x", len(auxiliary), len(more), pieces)
            auxiliary += more
            copies += its_copies
        page = (b"PAGE" + struct.pack("<III", 1, len(entries), len(auxiliary)) + kinds
                + bytes(-len(kinds) % 8) + records + auxiliary)
        packs = [self.packs.id] if copies else []
        locator = b"LOCA" + struct.pack("<IIIII", 1, len(packs), len(copies), 0, 0)
        stored = sum(int.from_bytes(copy[16:20], "little") for copy in copies)
        return self.object(3, page), self.object(4, locator + b"".join(packs + copies)), stored

    def tensor_chunks(self, held, cuts, encoding):
        dtype, shape, data = held
        item, storage = storage_shape(CODES[dtype], shape)
        if 0 in storage:
            return []
        values = np.frombuffer(data, np.uint8).reshape([*storage, item])
        parts = grid(storage, self.chunk_elements)
        entries = []
        for number in range(int(np.prod(parts, dtype=int))):
            whole = tile(storage, parts, number)
            boxes = [whole]
            if volume(whole) * item > INLINE_BYTES and cuts:
                boxes = [[(max(a, c), min(b, d)) for (a, b), (c, d) in zip(whole, cut)] for cut in cuts]
                boxes = [box for box in boxes if all(begin < end for begin, end in box)]
            entries.append(self.entry(
                [(box, values[tuple(slice(*e) for e in box)].tobytes()) for box in boxes], encoding))
        return entries

    def save(self, name, tensors, attachments=None, step=None, cuts=None, encoding=RAW, closure=(), unknown=()):
        """A tag entry. `cuts`: tensor -> boxes of the writers 0, 1, ..., of 8 bits an element or more.
        `unknown`: tensors in an encoding that does not exist."""
        attachments, cuts, entries, names = attachments or {}, cuts or {}, [], sorted(tensors, key=str.encode)
        schema = b"SCHM" + struct.pack("<IIIQ", 1, self.chunk_elements.bit_length() - 1, 0, len(tensors))
        layout = b"LAYO" + struct.pack("<III", 1, max(map(len, cuts.values()), default=1), len(tensors))
        counts = []
        for key in names:
            dtype, shape, _ = tensors[key]
            its_encoding = encoding if key not in unknown else UNKNOWN
            its_entries = self.tensor_chunks(tensors[key], cuts.get(key), its_encoding)
            counts.append((key, len(its_entries)))
            entries += its_entries
            schema += string(key) + struct.pack(f"<BB{len(shape)}QQ", CODES[dtype], len(shape), *shape, counts[-1][1])
            boxes = cuts.get(key, [[(0, n) for n in shape]])
            layout += bytes(2) + string("") + struct.pack("<I", len(boxes))
            layout += b"".join(struct.pack("<I", writer) + box_bytes(box) for writer, box in enumerate(boxes))
        runs = {key: [data[at:at + RUN] for at in range(0, len(data), RUN)] for key, data in sorted(attachments.items())}
        entries += [self.entry([(None, run)], encoding) for its_runs in runs.values() for run in its_runs]
        pages = []
        for length in page_plan(counts) + page_plan((key, len(value)) for key, value in runs.items()):
            pages.append(self.page(entries[:length]))
            entries = entries[length:]
        schema = self.object(2, schema)
        manifest = b"MANI" + struct.pack("<IIIIIq", 1, step is not None, 0, len(runs), len(pages), step or 0)
        manifest += schema[40:] + b"".join(string(key) + struct.pack("<Q", len(attachments[key])) for key in runs)
        manifest = self.object(1, manifest + b"".join(page[40:] for page, *_ in pages))
        table = self.table(manifest, pages, closure)
        sizes = (sum(len(data) for *_, data in tensors.values()), 0, 0, sum(map(len, attachments.values())),
                 len(tensors), sum(count for _, count in counts), 0, 0)
        flags = (HAS_STEP if step is not None else 0) | (HAS_LAYOUT if cuts else 0)
        layout = self.object(6, layout) if cuts else ZERO_REFERENCE
        entry = self.tag_entry(name, flags, step or 0, sizes, manifest + schema + table + layout)
        self.object(7, entry)
        return Record(entry=entry, pages=pages)

    def table(self, manifest, pages, closure):
        def place(page, locator, _):
            numbers = struct.unpack("<QQ", page[24:40]), struct.unpack("<QQ", locator[24:40])
            return struct.pack("<IIQQIIQ", 0, 0, numbers[0][0], numbers[1][0], numbers[0][1], numbers[1][1],
                               0) + locator[40:]
        return self.object(5, b"LTAB" + struct.pack("<IIIII", 1, 1, len(pages), len(closure), 1) + manifest[40:]
                           + self.meta.id + b"".join(place(*page) for page in pages)
                           + b"".join(place(*page) + page[0][40:] for page in closure)
                           + self.packs.id + struct.pack("<Q", sum(stored for *_, stored in pages)))

    def tag_entry(self, name, flags, step, sizes, references):
        self.commit += 1
        return (struct.pack("<IIQqq16s8Q", flags, 0, self.commit, 10**18, step, self.session, *sizes)
                + references + string(name))

    def removal(self, name):
        return Record(entry=self.tag_entry(name, REMOVED, 0, [0] * 8, bytes(4 * 72)))

    def tag_table(self, tags):
        entries = [tag.entry for tag in tags]
        data = struct.pack("<II", len(entries), 0) + b"".join(struct.pack("<I", len(e)) + e for e in entries)
        return self.object(8, data) + struct.pack("<Q", len(entries))

    def close(self, tables, tags):
        """`tables` made by tag_table, and the tags in root itself."""
        self.folder.mkdir(parents=True)
        self.meta.write(self.folder)
        self.packs.write(self.folder)
        (self.folder / "lock").touch()
        (self.folder / "config").write_bytes(sealed({
            "format": self.format, "store_id": self.store_id.hex(), "created": "2024-05-06T07:08:09Z",
            "chunk_elements": self.chunk_elements, "opaque_chunk_bytes": RUN, "pack_bytes": 1 << 28,
            "features": {"read": self.features, "write": [], "collect": []}}))
        root = b"CAIRNRT1" + struct.pack("<II16sQQ4I", 1, 0, self.store_id, self.commit, 0, 0, 0, len(tables), len(tags))
        root += b"".join(tables) + b"".join(struct.pack("<I", len(t.entry)) + t.entry for t in tags)
        (self.folder / "root").write_bytes(root + digest(root))
