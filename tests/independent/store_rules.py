"""What format 1 demands beyond what a reader needs: packs that can be read alone, layouts that
cover, sizes that agree (docs/FORMAT.md, 4, 6 and 8). The second reader's tests hold stores to it."""

import struct

from store_format import (
    FILE, HAS_LAYOUT, HAS_STEP, MAX_BASES, Cursor, digest, file_name, need, read_boxes, reference, volume)

NO_REFERENCE = reference(bytes(16), 0, 0, 0, bytes(32))


def check_store(store):
    """Every tag of a read_store.Store, and every pack there is."""
    for name in store.tags:
        check_tag(store, name)
    tables = {}
    for path in sorted(store.folder.glob("meta/*/*")) + sorted(store.folder.glob("packs/*/*")):
        name = path.relative_to(store.folder).as_posix()
        tables[name] = check_pack(path.read_bytes(), name)
    for name in store.tags:
        for kind, ref in objects(store, name):
            need((kind, ref.offset, ref.length, ref.digest) in tables[f"meta/{ref.file[:2]}/{ref.file}"],
                 f"{ref.file}: its table lacks the object at {ref.offset}")


def objects(store, name):
    """(kind, reference) of all that a tag refers to."""
    entry = store.tags[name]
    yield from ((1, entry.manifest), (2, entry.schema), (5, entry.table))
    yield from [(6, entry.layout)] if entry.flags & HAS_LAYOUT else []
    for page, locator in store.read(name).table.pages:
        yield from ((3, page), (4, locator))


def check_tag(store, name):
    """What the tag entry and the locator table say of sizes is so."""
    entry, tag = store.tags[name], store.read(name)
    tensors = [tensor for tensor, _ in tag.tensors]
    ordered([tensor.name.encode() for tensor in tensors], f"tag '{name}': tensors")
    ordered([key.encode() for key in tag.attachments], f"tag '{name}': attachments")
    ordered([(section, key.encode()) for section, key in tag.metadata], f"tag '{name}': metadata")
    sizes = [sum(t.bytes for t in tensors), sum(map(len, tag.attachments.values())), len(tensors),
             sum(t.chunks for t in tensors)]
    need([entry.counts[0], *entry.counts[3:6]] == sizes, f"tag '{name}': {entry.counts} are not {sizes}")
    need(entry.flags & HAS_STEP or entry.step is None, f"tag '{name}': a step without its flag")
    need(bool(entry.flags & HAS_LAYOUT) == (entry.layout != NO_REFERENCE), f"tag '{name}': its layout")
    stored = dict.fromkeys(tag.table.data_packs, 0)
    for copy in tag.copies:
        stored[copy.pack] += copy.stored
    need(stored == tag.table.data_packs, f"tag '{name}': its packs do not hold {stored} bytes of it")
    if entry.flags & HAS_LAYOUT:
        check_layout(store.object(entry.layout, "layout"), tensors)


def ordered(names, what):
    need(all(a < b for a, b in zip(names, names[1:])), f"{what}: names are out of order")


def check_cover(boxes, whole, what):
    """Boxes are disjoint and cover `whole`."""
    for number, box in enumerate(boxes):
        need(all(w[0] <= b[0] <= b[1] <= w[1] for b, w in zip(box, whole)), f"{what}: a box outside")
        for other in boxes[:number]:
            apart = any(max(b[0], o[0]) >= min(b[1], o[1]) for b, o in zip(box, other))
            need(apart, f"{what}: boxes overlap")
    need(sum(map(volume, boxes)) == volume(whole), f"{what}: boxes do not cover it")


def check_layout(data, tensors):
    c = Cursor(data, "layout", b"LAYO")
    writers, count = c.get("II")
    need(count == len(tensors), "layout: another tensor count than the schema")
    for tensor in tensors:
        c.get("Bx")
        c.string("H")
        boxes = [(c.number("I"), read_boxes(c, len(tensor.shape))) for _ in range(c.number("I"))]
        need(all(writer < writers for writer, _ in boxes), "layout: a writer past the count")
        whole = [(0, n) for n in tensor.shape]
        check_cover([box for _, box in boxes] or [whole], whole, f"layout of '{tensor.name}'")
    c.end()


def check_pack(data, path):
    """The parts of a pack by its table, checked with its header, trailer and what lies between."""
    is_data, parts = path.startswith("packs/"), []
    c = Cursor(data, path, b"CAIRNPK1" if is_data else b"CAIRNMP1", version=None)
    need(file_name(*c.get(FILE)) == path.split("/")[-1], f"{path}: the header names another file")
    need(len(data) >= 96 and data[-8:] == b"CAIRNEND", f"{path}: cut off")
    count, at, auxiliary_bytes, seal = struct.unpack("<QQQ32s", data[-64:-8])
    need(at % 8 == 0 and at + 56 * count + auxiliary_bytes + 64 == len(data), f"{path}: the table")
    need(digest(data[:32] + data[at:-64]) == seal, f"{path}: the digest of the table does not match")
    for fields in Cursor(data[at:-64], path).many(count, "32sQIIBBHI" if is_data else "I4xQQ32s"):
        if is_data:
            _, offset, length, _, _, bases, parameters, auxiliary = fields
            need(bases <= MAX_BASES and auxiliary + 32 * bases + parameters <= auxiliary_bytes, path)
        else:
            kind, offset, length, its_digest = fields
            need(1 <= kind <= 8 and auxiliary_bytes == 0, f"{path}: an object of kind {kind}")
            need(digest(data[offset:offset + length]) == its_digest, f"{path}: damaged at {offset}")
        align = 4096 if is_data and length >= 65536 else 8
        parts.append((offset, offset + length, fields, offset % align))
    before = 32
    for begin, end, _, unaligned in sorted(parts) + [(at, at, (), 0)]:
        need(before <= begin and not unaligned, f"{path}: a misplaced part at {begin}")
        need(not any(data[before:begin]), f"{path}: the gap at {before} is not zero")
        before = end
    return {fields for _, _, fields, _ in parts}
