"""Writes a store by docs/FORMAT.md alone, with what an import never writes: zstd copies, chunks cut
among several writers, layouts, closure pages, tag tables, removed tags, copies with any bases.

A Forge collects one session's objects and copies, `close` writes the files. Not durable, no locks.
"""

import ctypes
import json
import struct
from itertools import accumulate, repeat
from types import SimpleNamespace as Record

import numpy as np

from content_cuts import content_cuts
from store_format import (
    CONTENT_CUTS, DTYPES, HAS_LAYOUT, HAS_STEP, INLINE_BYTES, LIBZSTD, RAW, REMOVED, ZERO, ZSTD,
    digest, grid, page_plan, storage_shape, tile, volume)

UNKNOWN = 200  # an encoding
CODES = {name: code for code, (name, _) in DTYPES.items()}
ZERO_REFERENCE = bytes(72)


def sealed(members):
    text = json.dumps(members)[:-1].encode()
    return text + b',"blake3":"' + digest(text).hex().encode() + b'"}\n'


def string(text, length_layout="H"):
    data = text.encode()
    return struct.pack("<" + length_layout, len(data)) + data


def sized(entry):
    return struct.pack("<I", len(entry)) + entry


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
        self.table, self.auxiliary = [], b""

    def add(self, part, align):
        self.data += bytes(-len(self.data) % align)
        self.data += part
        return len(self.data) - len(part)

    def write(self, folder):
        at = self.add(b"", 8)
        table = b"".join(self.table) + self.auxiliary
        seal = digest(bytes(self.data[:32]) + table)
        lengths = struct.pack("<QQQ", len(self.table), at, len(self.auxiliary))
        self.data += table + lengths + seal + b"CAIRNEND"
        path = folder / self.kind / self.name[:2] / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.data)


class Forge:
    """`change`: kind of a metadata object -> function of its bytes that makes them others.
    `content_cuts`: attachments are cut by their content, else in runs."""

    def __init__(self, folder, session=bytes(range(16, 32)), chunk_elements=1024,
                 content_cuts=False):
        self.folder, self.session, self.chunk_elements = folder, session, chunk_elements
        self.meta, self.packs = Pack("meta", session, 0), Pack("packs", session, 1)
        self.store_id, self.commit, self.format = bytes(range(16)), 0, 1
        self.content_cuts, self.features = content_cuts, [CONTENT_CUTS] * content_cuts
        self.run_bytes, self.change, self.slots = 1 << 20, {}, {}  # page's digest -> copies

    def object(self, kind, data):
        data = data if kind == 7 else self.change.get(kind, bytes)(data)  # entries: see tag_entry
        offset = self.meta.add(data, 8)
        self.meta.table.append(struct.pack("<IIQQ", kind, 0, offset, len(data)) + digest(data))
        return struct.pack("<24sQQ", self.meta.id, offset, len(data)) + digest(data)

    def copy(self, data, way):
        """`way`: a plain encoding, or what forge_encodings.coded makes."""
        if isinstance(way, int):
            encoding = way if any(data) else ZERO
            stored = {ZERO: b"", ZSTD: compress(data)}.get(encoding, data)
            way = Record(encoding=encoding, parameters=b"", stored=stored, bases=[])
        offset = self.packs.add(way.stored, 4096 if len(way.stored) >= 65536 else 8)
        lengths = struct.pack("<QII", offset, len(way.stored), len(data))
        kind = struct.pack("<BBH", way.encoding, len(way.bases), len(way.parameters))
        at = struct.pack("<I", len(self.packs.auxiliary))
        self.packs.table.append(digest(data) + lengths + kind + at)
        self.packs.auxiliary += b"".join(held for *_, held in way.bases) + way.parameters
        return Record(lengths=lengths, kind=kind, stored=len(way.stored), bases=way.bases,
                      parameters=way.parameters)

    def entry(self, boxes, ways):
        """One chunk, given as [(box or None, bytes)], as (kind, record, auxiliary, copies)."""
        size = sum(len(data) for _, data in boxes)
        if size <= INLINE_BYTES:
            assert len(boxes) == 1
            return 1, size, boxes[0][1], []
        copies = [self.copy(data, next(ways)) for _, data in boxes]
        if len(boxes) == 1:
            return 0, digest(boxes[0][1]), b"", copies
        return 2, len(boxes), b"".join(box_bytes(box) + digest(data) for box, data in boxes), copies

    def page(self, entries):
        """(page, locator) as references."""
        kinds = bytes(kind for kind, *_ in entries)
        records, auxiliary, copies = b"", b"", []
        for kind, held, more, its_copies in entries:
            pieces = held if kind == 2 else 0
            place = struct.pack("<III20x", len(auxiliary), len(more), pieces)
            records += held if kind == 0 else place
            auxiliary += more
            copies += its_copies
        page = (b"PAGE" + struct.pack("<III", 1, len(entries), len(auxiliary)) + kinds
                + bytes(-len(kinds) % 8) + records + auxiliary)
        page = self.object(3, page)
        self.slots[page[40:]] = copies
        return page, self.object(4, self.locator(page[40:], copies))

    def locator(self, page, copies):
        """`page`: its digest."""
        base_pages, records, auxiliary = [], b"", b""
        for copy in copies:
            at = len(auxiliary)
            for base_page, slot, _ in copy.bases:
                base_page = page if base_page is None else base_page
                if base_page not in base_pages:
                    base_pages.append(base_page)
                auxiliary += struct.pack("<II", base_pages.index(base_page), slot)
            auxiliary += copy.parameters
            records += struct.pack("<I4s16sII", 0, copy.kind, copy.lengths, at, 0)
        packs = self.packs.id if copies else b""
        counts = 1, len(packs) // 24, len(copies), len(auxiliary), len(base_pages)
        head = b"LOCA" + struct.pack("<IIIII", *counts)
        return head + packs + b"".join(base_pages) + records + auxiliary

    def tensor_chunks(self, held, cuts, ways):
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
                boxes = [[(max(a, c), min(b, d)) for (a, b), (c, d) in zip(whole, cut)]
                         for cut in cuts]
                boxes = [box for box in boxes if all(begin < end for begin, end in box)]
            places = [tuple(slice(*edges) for edges in box) for box in boxes]
            held = [(box, values[place].tobytes()) for box, place in zip(boxes, places)]
            entries.append(self.entry(held, ways))
        return entries

    def save(self, name, tensors, attachments=None, step=None, cuts=None, encoding=RAW, closure=(),
             unknown=(), ways=None):
        """A tag entry. `cuts`: tensor -> boxes of the writers 0, 1, ..., of 8 bits an element or
        more. `unknown`: tensors in an encoding that does not exist. `ways`: tensor -> for each of
        its copies what forge_encodings.coded makes."""
        tensors = dict(sorted(tensors.items(), key=lambda held: held[0].encode()))
        attachments, cuts = dict(sorted((attachments or {}).items())), cuts or {}
        ways = {key: (ways or {}).get(key, repeat(UNKNOWN if key in unknown else encoding))
                for key in tensors}
        chunks = {key: self.tensor_chunks(held, cuts.get(key), iter(ways[key]))
                  for key, held in tensors.items()}
        runs = {key: [self.entry([(None, data[begin:end])], repeat(encoding))
                      for begin, end in self.cuts(data)]
                for key, data in attachments.items()}
        pages = self.pages(chunks) + self.pages(runs)
        schema = self.schema(tensors, chunks)
        manifest = self.manifest(step, schema, attachments, pages)
        table = self.table(manifest, pages, closure)
        layout = self.layout(tensors, cuts) if cuts else ZERO_REFERENCE
        logical_bytes = sum(len(data) for *_, data in tensors.values())
        sizes = (logical_bytes, 0, 0, sum(map(len, attachments.values())), len(tensors),
                 sum(map(len, chunks.values())), 0, 0)
        flags = (HAS_STEP if step is not None else 0) | (HAS_LAYOUT if cuts else 0)
        entry = self.tag_entry(name, flags, step or 0, sizes, manifest + schema + table + layout)
        self.object(7, entry)
        return Record(entry=entry, pages=pages)

    def cuts(self, data):
        """[(begin, end)] of an attachment's chunks."""
        if not self.content_cuts:
            return [(at, at + self.run_bytes) for at in range(0, len(data), self.run_bytes)]
        ends = list(accumulate(content_cuts(data, self.run_bytes)))
        return list(zip([0, *ends], ends))

    def pages(self, chunks):
        """The pages of {name: entries}."""
        entries = [entry for its_entries in chunks.values() for entry in its_entries]
        ends = list(accumulate(page_plan((key, len(held)) for key, held in chunks.items())))
        return [self.page(entries[begin:end]) for begin, end in zip([0, *ends], ends)]

    def schema(self, tensors, chunks):
        log2 = self.chunk_elements.bit_length() - 1
        data = b"SCHM" + struct.pack("<IIIQ", 1, log2, 0, len(tensors))
        for key, (dtype, shape, _) in tensors.items():
            data += string(key) + struct.pack("<BB", CODES[dtype], len(shape))
            data += struct.pack(f"<{len(shape)}QQ", *shape, len(chunks[key]))
        return self.object(2, data)

    def manifest(self, step, schema, attachments, pages):
        tells_cuts = self.content_cuts and bool(attachments)
        numbers = 1 + tells_cuts, step is not None, 0, len(attachments), len(pages), step or 0
        data = b"MANI" + struct.pack("<IIIIIq", *numbers) + schema[40:]
        for key, held in attachments.items():
            data += string(key) + struct.pack("<Q", len(held))
            if tells_cuts:
                lengths = [end - begin for begin, end in self.cuts(held)]
                data += struct.pack(f"<Q{len(lengths)}I", len(lengths), *lengths)
        return self.object(1, data + b"".join(page[40:] for page, *_ in pages))

    def layout(self, tensors, cuts):
        data = b"LAYO" + struct.pack("<III", 1, max(map(len, cuts.values())), len(tensors))
        for key, (_, shape, _) in tensors.items():
            boxes = cuts.get(key, [[(0, n) for n in shape]])
            data += bytes(2) + string("") + struct.pack("<I", len(boxes))
            for writer, box in enumerate(boxes):
                data += struct.pack("<I", writer) + box_bytes(box)
        return self.object(6, data)

    def table(self, manifest, pages, closure):
        def place(page, locator):
            (page_at, page_bytes), (at, length) = (
                struct.unpack("<QQ", held[24:40]) for held in (page, locator))
            return struct.pack("<IIQQIIQ", 0, 0, page_at, at, page_bytes, length, 0) + locator[40:]
        data = b"LTAB" + struct.pack("<IIIII", 1, 1, len(pages), len(closure), 1) + manifest[40:]
        data += self.meta.id + b"".join(place(*page) for page in pages)
        data += b"".join(place(*page) + page[0][40:] for page in closure)
        stored = sum(copy.stored for copy in self.needed([page[40:] for page, _ in pages]))
        return self.object(5, data + self.packs.id + struct.pack("<Q", stored))

    def needed(self, pages):
        """The copies of pages, and once each all others that they need; bases that are not there
        are passed over."""
        found = [(page, copy) for page in pages for copy in self.slots[page]]
        seen = {id(copy) for _, copy in found}
        for page, copy in found:  # which grows
            for its_page, slot, _ in copy.bases:
                its_page = its_page or page
                for base in self.slots.get(its_page, [])[slot:slot + 1]:
                    if id(base) not in seen:
                        seen.add(id(base))
                        found.append((its_page, base))
        return [copy for _, copy in found]

    def tag_entry(self, name, flags, step, sizes, references):
        self.commit += 1
        numbers = flags, 0, self.commit, 10**18, step, self.session, *sizes
        data = struct.pack("<IIQqq16s8Q", *numbers) + references + string(name)
        return self.change.get(7, bytes)(data)

    def removal(self, name):
        return Record(entry=self.tag_entry(name, REMOVED, 0, [0] * 8, bytes(4 * 72)))

    def tag_table(self, tags):
        """Of tags in name order."""
        entries = [tag.entry for tag in tags]
        newest = max(struct.unpack_from("<Q", entry, 8)[0] for entry in entries)
        data = struct.pack("<II", len(entries), 0) + b"".join(map(sized, entries))
        first_name = entries[0][400:]  # the last field of an entry
        return self.object(8, data) + struct.pack("<QQ", len(entries), newest) + first_name

    def close(self, tables, tags):
        """`tables` made by tag_table, and the tags in root itself."""
        self.folder.mkdir(parents=True)
        self.meta.write(self.folder)
        self.packs.write(self.folder)
        (self.folder / "lock").touch()
        (self.folder / "config").write_bytes(sealed({
            "format": self.format, "store_id": self.store_id.hex(),
            "created": "2024-05-06T07:08:09Z", "chunk_elements": self.chunk_elements,
            "opaque_chunk_bytes": self.run_bytes, "pack_bytes": 1 << 28,
            "features": {"read": self.features, "write": [], "collect": []}}))
        counts = 0, 0, len(tables), len(tags)
        root = b"CAIRNRT1" + struct.pack("<II16sQQ4I", 1, 0, self.store_id, self.commit, 0, *counts)
        root += b"".join(tables) + b"".join(sized(tag.entry) for tag in tags)
        (self.folder / "root").write_bytes(root + digest(root))
