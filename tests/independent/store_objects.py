"""Metadata objects and packs, one function for each kind (docs/FORMAT.md, 3 to 6 and 8)."""

import math
import struct

from store_fields import Cursor, Record, digest, file_id, need, reference
from store_grid import DTYPES, PAGE_ENTRIES, check_cover, grid, storage_shape

INLINE_BYTES, MAX_RANK, MAX_BASES = 256, 16, 8
REMOVED, PINNED, HAS_STEP, HAS_LAYOUT = 1, 2, 4, 8
ZERO_REFERENCE = bytes(72)


def read_boxes(cursor, rank):
    offsets = [cursor.get("Q") for _ in range(rank)]
    return [(offset, offset + cursor.get("Q")) for offset in offsets]


def read_schema(data, chunk_elements):
    c = Cursor(data, "schema")
    c.magic(b"SCHM", 1)
    need(1 << min(c.get("I"), 64) == chunk_elements, "schema: another chunk_elements than the store")
    c.zeros(4)
    tensors, before = [], None
    for _ in range(c.get("Q")):
        name, dtype, rank = c.string("H"), *c.get("BB")
        need(before is None or before < name.encode(), f"schema: '{name}' is out of order")
        before = name.encode()
        need(dtype in DTYPES, f"schema: '{name}' has the unknown dtype {dtype}")
        need(rank <= MAX_RANK, f"schema: '{name}' has {rank} axes")
        shape = [c.get("Q") for _ in range(rank)]
        item, storage = storage_shape(dtype, shape)
        parts = [] if 0 in storage else grid(storage, chunk_elements)
        chunks = 0 if 0 in storage else math.prod(parts)
        need(c.get("Q") == chunks, f"schema: '{name}' has another chunk count than its grid")
        tensors.append(Record(name=name, dtype=DTYPES[dtype][0], shape=shape, item=item, storage=storage,
                              parts=parts, chunks=chunks, bytes=math.prod(storage) * item))
    c.end()
    return tensors


def read_manifest(data):
    c = Cursor(data, "manifest")
    c.magic(b"MANI", 1)
    flags, metadata_count, attachment_count, page_count, step = c.get("IIIIq")
    need(flags in (0, 1) and (flags or step == 0), "manifest: unknown flags, or a step without its flag")
    schema, metadata, attachments = c.take(32), {}, {}
    before = None
    for _ in range(metadata_count):
        section, key, value = c.get("B"), c.string("I"), c.string("I")
        need(section in (0, 1), f"manifest: metadata of section {section}")
        need(before is None or before < (section, key.encode()), f"manifest: metadata '{key}' is out of order")
        before = (section, key.encode())
        metadata[section, key] = value
    before = None
    for _ in range(attachment_count):
        name, length = c.string("H"), c.get("Q")
        need(before is None or before < name.encode(), f"manifest: attachment '{name}' is out of order")
        before, attachments[name] = name.encode(), length
    pages = c.many(page_count, 32)
    c.end()
    return Record(step=step if flags else None, schema=schema, metadata=metadata, attachments=attachments,
                  pages=pages)


def read_page(data, what):
    """Entries (kind, payload): digest, inline bytes, or (number of pieces, bytes)."""
    c = Cursor(data, what)
    c.magic(b"PAGE", 1)
    count, auxiliary_bytes = c.get("II")
    need(0 < count <= PAGE_ENTRIES, f"{what}: {count} entries")
    kinds = c.take(count)
    c.zeros(-count % 8)
    records = c.many(count, 32)
    auxiliary, entries = c.take(auxiliary_bytes), []
    c.end()
    for kind, record in zip(kinds, records):
        need(kind <= 2, f"{what}: an entry of kind {kind}")
        if kind == 0:
            entries.append((0, record, 1))
            continue
        offset, length, pieces = struct.unpack("<III", record[:12])
        need(not any(record[12:]), f"{what}: reserved bytes are not zero")
        need(offset + length <= auxiliary_bytes, f"{what}: an entry lies outside the auxiliary bytes")
        need((kind == 1) == (pieces == 0), f"{what}: {pieces} pieces in an entry of kind {kind}")
        need(kind != 1 or length <= INLINE_BYTES, f"{what}: {length} bytes inline")
        entries.append((kind, auxiliary[offset:offset + length], pieces))
    return entries


def read_locator(data, what):
    c = Cursor(data, what)
    c.magic(b"LOCA", 1)
    pack_count, copy_count, auxiliary_bytes = c.get("III")
    c.zeros(4)
    packs = [file_id(raw) for raw in c.many(pack_count, 24)]
    records = c.many(copy_count, 32)
    auxiliary, copies = c.take(auxiliary_bytes), []
    c.end()
    for raw in records:
        pack, encoding, bases, parameters, offset, stored, decoded, at, reserved = struct.unpack("<IBBHQIIII", raw)
        need(reserved == 0, f"{what}: reserved bytes are not zero")
        need(pack < pack_count, f"{what}: a copy in pack {pack} of {pack_count}")
        need(bases <= MAX_BASES, f"{what}: a copy with {bases} bases")
        need(at + 8 * bases + parameters <= auxiliary_bytes, f"{what}: a copy outside the auxiliary bytes")
        base_list = list(struct.iter_unpack("<II", auxiliary[at:at + 8 * bases]))
        copies.append(Record(pack=packs[pack], encoding=encoding, bases=base_list, parameters=parameters,
                             offset=offset, stored=stored, decoded=decoded))
    return copies


def read_locator_table(data, manifest_digest):
    c = Cursor(data, "locator table")
    c.magic(b"LTAB", 1)
    pack_count, page_count, closure_count, data_pack_count = c.get("IIII")
    need(c.take(32) == manifest_digest, "locator table: made for another manifest")
    packs = [file_id(raw) for raw in c.many(pack_count, 24)]
    pages = []
    for raw in c.many(page_count, 72) + c.many(closure_count, 104):
        page_pack, pack, page_offset, offset, page_length, length, reserved = struct.unpack("<IIQQIIQ", raw[:40])
        need(reserved == 0, "locator table: reserved bytes are not zero")
        need(max(page_pack, pack) < pack_count, "locator table: a page outside the list of packs")
        pages.append(Record(
            page=Record(file=packs[page_pack], offset=page_offset, length=page_length, digest=raw[72:]),
            locator=Record(file=packs[pack], offset=offset, length=length, digest=raw[40:72])))
    data_packs = {file_id(raw[:24]): int.from_bytes(raw[24:], "little") for raw in c.many(data_pack_count, 32)}
    c.end()
    return Record(own=page_count, pages=pages, data_packs=data_packs)


def check_layout(data, tensors):
    c = Cursor(data, "layout")
    c.magic(b"LAYO", 1)
    writers, count = c.get("II")
    need(count == len(tensors), "layout: another tensor count than the schema")
    for tensor in tensors:
        need(c.get("B") <= 6, f"layout: '{tensor.name}' has an unknown role")
        c.zeros(1)
        c.string("H")
        boxes = []
        for _ in range(c.get("I")):
            need(c.get("I") < writers, f"layout: '{tensor.name}' has a writer past the count")
            boxes.append(read_boxes(c, len(tensor.shape)))
        if boxes:
            check_cover(boxes, [(0, n) for n in tensor.shape], f"layout of '{tensor.name}'")
    c.end()


def read_tag_entry(data):
    c = Cursor(data, "tag entry")
    flags = c.get("I")
    c.zeros(4)
    commit, time, step, session = c.get("Qqq16s")
    counts = c.get("8Q")
    references = c.many(4, 72)
    name = c.string("H")
    need(name, "tag entry: no name")
    entry = Record(name=name, removed=bool(flags & REMOVED), pinned=bool(flags & PINNED), commit=commit, time=time)
    if entry.removed:
        return entry
    what = f"tag entry '{name}'"
    need(flags < 16, f"{what}: unknown flags {flags}")
    need(flags & HAS_STEP or step == 0, f"{what}: a step without its flag")
    need(counts[7] == 0, f"{what}: reserved bytes are not zero")
    need((references[3] != ZERO_REFERENCE) == bool(flags & HAS_LAYOUT), f"{what}: the layout and its flag disagree")
    entry.step, entry.session, entry.counts = step if flags & HAS_STEP else None, session.hex(), counts[:7]
    entry.manifest, entry.schema, entry.table = map(reference, references[:3])
    entry.layout = reference(references[3]) if flags & HAS_LAYOUT else None
    return entry


def pack_table(data):
    """The records (kind, offset, length, digest) of a metadata pack."""
    count, at = struct.unpack("<QQ", data[-64:-48])
    return set(struct.iter_unpack("<I4xQQ32s", data[at:at + 56 * count]))


def check_pack(data, path, name):
    """Header, table and trailer of a pack, and that only zeros lie between its parts."""
    c = Cursor(data, path)
    is_data = path.startswith("packs/")
    c.magic(b"CAIRNPK1" if is_data else b"CAIRNMP1")
    session, counter = c.get("16sI")
    c.zeros(4)
    need(f"{session.hex()}-{counter}" == name, f"{path}: the header names another file")
    need(len(data) >= 96 and data[-8:] == b"CAIRNEND", f"{path}: cut off")
    count, at, auxiliary_bytes, seal = struct.unpack("<QQQ32s", data[-64:-8])
    need(is_data or auxiliary_bytes == 0, f"{path}: reserved bytes are not zero")
    need(at % 8 == 0 and at + 56 * count + auxiliary_bytes + 64 == len(data), f"{path}: the table does not fit")
    need(digest(data[:32] + data[at:-64]) == seal, f"{path}: the digest of the table does not match")
    places = []
    for raw in (data[at + 56 * n:at + 56 * n + 56] for n in range(count)):
        if is_data:
            offset, length, decoded, encoding, bases, parameters, auxiliary = struct.unpack("<QIIBBHI", raw[32:])
            need(bases <= MAX_BASES and auxiliary + 32 * bases + parameters <= auxiliary_bytes, f"{path}: auxiliary")
            align = 4096 if length >= 65536 else 8
        else:
            kind, reserved, offset, length = struct.unpack("<IIQQ", raw[:24])
            need(1 <= kind <= 8 and reserved == 0, f"{path}: an object of kind {kind}")
            need(digest(data[offset:offset + length]) == raw[24:], f"{path}: the object at {offset} is damaged")
            align = 8
        need(offset % align == 0, f"{path}: the part at {offset} is not at a multiple of {align}")
        places.append((offset, offset + length))
    before = 32
    for begin, end in sorted(places) + [(at, at)]:
        need(before <= begin, f"{path}: parts overlap at {begin}")
        need(not any(data[before:begin]), f"{path}: the gap at {before} is not zero")
        before = end
