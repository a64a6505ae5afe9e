"""What format 1 demands beyond what a reader needs: names in order, packs that can be read alone,
layouts that cover, sizes that agree, bases that packs name too (docs/FORMAT.md, 3 to 8). Tests hold
stores to it."""

import math
import struct

import numpy as np

from content_cuts import content_cuts
from copy_decoder import check_seal
from store_format import (
    FILE, HAS_LAYOUT, HAS_STEP, MAX_BASES, REMOVED, REPLAY, ZSTD, Cursor, Record, digest, file_name,
    inside, need, read_boxes, reference, volume)

NO_REFERENCE = reference(bytes(16), 0, 0, 0, bytes(32))


def check_store(store):
    """Every tag of a read_store.Store, and every pack there is."""
    tags = {name: store.read(name) for name in store.tags}
    for name, tag in tags.items():
        check_tag(store, name, tag)
    check_tag_tables(store)
    tables = {}
    for path in sorted(store.folder.glob("meta/*/*")) + sorted(store.folder.glob("packs/*/*")):
        name = path.relative_to(store.folder).as_posix()
        tables[name] = check_pack(path.read_bytes(), name)
    for kind, ref in objects(store, tags):
        table = tables[f"meta/{ref.file[:2]}/{ref.file}"]
        need((kind, ref.offset, ref.length, ref.digest) in table,
             f"{ref.file}: its table lacks the object at {ref.offset}")
    for tag in tags.values():
        check_copies(tag, tables)


def check_copies(tag, tables):
    """Each copy that the tag needs is in the table of its pack, with bases of the same digests."""
    for payload, copy in needed_copies(tag):
        bases = b"".join(tag.chains.base(*base, "a base")[0] for base in copy.bases)
        fields = (payload, copy.offset, copy.stored, copy.decoded, copy.encoding, bases,
                  copy.parameters)
        need(fields in tables[f"packs/{copy.pack[:2]}/{copy.pack}"],
             f"{copy.pack}: its table lacks the copy at {copy.offset} and its bases")


def needed_copies(tag):
    """[(digest, copy)] of the tag's own entries and of all others that these need as bases."""
    own = [held for page, _ in tag.table.pages[:tag.table.own]
           for held in tag.chains.slots[page.digest]]
    seen, found = {id(copy) for _, copy in own}, own
    for _, copy in found:  # which grows
        for base in [tag.chains.base(*base, "a base") for base in copy.bases]:
            if id(base[1]) not in seen:
                seen.add(id(base[1]))
                found.append(base)
    return found


def check_tag_tables(store):
    """Each is as root says, and names increase from entry to entry and from table to table."""
    entries = list(store.in_tables)
    ordered([entry.name.encode() for entry in entries], "tag tables")
    for _, count, newest, first in store.tag_tables:
        held, entries = entries[:count], entries[count:]
        need(held and held[0].name == first, "tag table: begins otherwise than root says")
        need(newest == max(entry.commit for entry in held), "tag table: another newest commit")
        need(not any(entry.flags & REMOVED for entry in held), "tag table: a removed tag")


def objects(store, tags):
    """(kind, reference) of all that root and its tags refer to."""
    yield from ((8, ref) for ref, *_ in store.tag_tables)
    for name, tag in tags.items():
        entry = store.tags[name]
        yield from ((1, entry.manifest), (2, entry.schema), (5, entry.table))
        yield from [(6, entry.layout)] if entry.flags & HAS_LAYOUT else []
        for page, locator in tag.table.pages:
            yield from ((3, page), (4, locator))


def check_tag(store, name, tag):
    """The names are in order; the tag entry and the locator table say what is so."""
    entry, tensors = store.tags[name], [tensor for tensor, _ in tag.tensors]
    ordered([tensor.name.encode() for tensor in tensors], f"tag '{name}': tensors")
    ordered([key.encode() for key in tag.attachments], f"tag '{name}': attachments")
    ordered([(section, key.encode()) for section, key in tag.metadata], f"tag '{name}': metadata")
    sizes = [sum(math.prod(t.storage) * t.item for t in tensors),
             sum(map(len, tag.attachments.values())), len(tensors), sum(t.chunks for t in tensors)]
    need([entry.counts[0], *entry.counts[3:6]] == sizes, f"tag '{name}': other sizes than {sizes}")
    need((tag.step is not None, tag.step or 0) == (bool(entry.flags & HAS_STEP), entry.step),
         f"tag '{name}': another step than the manifest, or one without its flag")
    has_layout = bool(entry.flags & HAS_LAYOUT)
    need(has_layout == (entry.layout != NO_REFERENCE), f"tag '{name}': its layout and its flag")
    check_stored(tag, f"tag '{name}'")
    for key, data in tag.attachments.items() if store.content_cuts else ():
        need(tag.runs[key] == content_cuts(data, store.run_bytes),
             f"tag '{name}': attachment '{key}' is cut otherwise than its content says")
    if has_layout:
        check_layout(store.object(entry.layout, "layout"), tensors)


def check_stored(tag, what):
    """The locator table lists every pack of a copy, with the stored bytes of the tag's own and of
    their bases."""
    stored = dict.fromkeys(tag.table.data_packs, 0)
    for copy in (copy for page in tag.pages for *_, copies in page for copy in copies):
        need(copy.pack in stored, f"{what}: pack {copy.pack} is not in its list")
    for _, copy in needed_copies(tag):
        stored[copy.pack] += copy.stored
    need(stored == tag.table.data_packs, f"{what}: its packs do not hold {stored} bytes of it")


def ordered(names, what):
    need(all(a < b for a, b in zip(names, names[1:])), f"{what}: names are out of order")


def check_cover(boxes, whole, what):
    """Boxes lie inside `whole` and leave no hole; replicas overlap."""
    need(all(inside(box, whole) for box in boxes), f"{what}: a box outside")
    edges = [sorted({edge for box in [*boxes, whole] for edge in box[axis]})
             for axis in range(len(whole))]
    held = np.zeros([len(cuts) - 1 for cuts in edges], bool)
    for box in boxes:
        held[tuple(slice(cuts.index(begin), cuts.index(end))
                   for cuts, (begin, end) in zip(edges, box))] = True
    need(held.all(), f"{what}: boxes do not cover it")


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


def table_entry(fields, data, auxiliary_at, path):
    """The fields of a copy with its bases and parameters, of which the seal is checked."""
    *fixed, bases, parameters, at = fields
    _, offset, length, _, encoding = fixed
    need(bases <= MAX_BASES, f"{path}: {bases} bases")
    auxiliary = Cursor(data[auxiliary_at:-64][at:] if bases or parameters else b"", path)
    bases, parameters = auxiliary.take(32 * bases), auxiliary.take(parameters)
    if ZSTD < encoding <= REPLAY:
        check_seal(Record(parameters=parameters), data[offset:offset + length], path)
    return *fixed, bases, parameters


def check_pack(data, path):
    """The parts of a pack by its table, checked with its header, trailer and what lies between."""
    is_data, parts = path.startswith("packs/"), []
    c = Cursor(data, path, b"CAIRNPK1" if is_data else b"CAIRNMP1", version=None)
    need(file_name(*c.get(FILE)) == path.split("/")[-1], f"{path}: the header names another file")
    need(len(data) >= 96 and data[-8:] == b"CAIRNEND", f"{path}: cut off")
    count, at, auxiliary_bytes, seal = struct.unpack("<QQQ32s", data[-64:-8])
    need(at % 8 == 0 and at + 56 * count + auxiliary_bytes + 64 == len(data), f"{path}: the table")
    need(digest(data[:32] + data[at:-64]) == seal, f"{path}: the table is not of its digest")
    layout = "32sQIIBBHI" if is_data else "I4xQQ32s"
    for fields in Cursor(data[at:-64], path).many(count, layout):
        if is_data:
            fields = table_entry(fields, data, at + 56 * count, path)
            _, offset, length, *_ = fields
        else:
            kind, offset, length, its_digest = fields
            need(1 <= kind <= 9 and auxiliary_bytes == 0, f"{path}: an object of kind {kind}")
            found = digest(data[offset:offset + length])
            need(found == its_digest, f"{path}: the object at {offset} is damaged")
        align = 4096 if is_data and length >= 65536 and length % 4096 == 0 else 8
        parts.append((offset, offset + length, fields, offset % align))
    before = 32
    for begin, end, _, unaligned in sorted(parts) + [(at, at, (), 0)]:
        need(before <= begin and not unaligned, f"{path}: a misplaced part at {begin}")
        need(not any(data[before:begin]), f"{path}: the gap at {before} is not zero")
        before = end
    return {fields for _, _, fields, _ in parts}
