"""Reads a Cairn store by docs/FORMAT.md alone: a second reader, to compare the program with.
Nothing here or in store_format.py comes from the program's code. Holds whole files in memory."""

from itertools import islice
from pathlib import Path

import numpy as np

from copy_chains import Chains
from store_format import (
    CONTENT_CUTS, FILE, FORMAT, INLINE_BYTES, PAGE_ENTRIES, REFERENCE, REMOVED, Cursor, Damage,
    Record, UnknownEncoding, digest, inside, need, page_plan, read_boxes, read_locator,
    read_locator_table, read_manifest, read_page, read_schema, read_tag_entry, reference,
    sealed_json, tile, volume)


class Store:
    """An open store. `tags` maps each name to its entry; `read` gives what a tag holds."""

    def __init__(self, folder):
        self.folder, self.files = Path(folder), {}
        self.config = config = sealed_json(self.file("config"), "config")
        features = config["features"]["read"]
        need(config["format"] <= FORMAT and set(features) <= {CONTENT_CUTS}, "of a newer format")
        self.chunk_elements, self.run_bytes = config["chunk_elements"], config["opaque_chunk_bytes"]
        self.content_cuts = CONTENT_CUTS in features
        need(self.chunk_elements in [1 << n for n in range(10, 25)], "config: chunk_elements")
        need(1 <= self.run_bytes <= 1 << 30, "config: opaque_chunk_bytes")
        need(not self.content_cuts or self.run_bytes in range(256, (1 << 28) + 1, 16),
             "config: content cuts every opaque_chunk_bytes")
        self.tags = self.read_root()

    def file(self, name):
        if name not in self.files:
            try:
                self.files[name] = (self.folder / name).read_bytes()
            except OSError as error:
                raise Damage(f"{name}: {error.strerror}") from None
        return self.files[name]

    def part(self, kind, name, offset, length):
        """Bytes of a pack, between its header and its trailer."""
        data = self.file(f"{kind}/{name[:2]}/{name}")
        need(32 <= offset and offset + length <= len(data) - 64, f"{kind} {name}: cut off")
        return data[offset:offset + length]

    def object(self, ref, what):
        found = self.part("meta", ref.file, ref.offset, ref.length)
        need(digest(found) == ref.digest, f"{what}: the digest does not match (in {ref.file})")
        return found

    def read_root(self):
        data = self.file("root")
        need(len(data) >= 96 and digest(data[:-32]) == data[-32:], "root: not of its digest")
        c, entries = Cursor(data[:-32], "root", b"CAIRNRT1"), []
        store_id, commit, epoch, *counts = c.get("4x16sQQIIII")
        need(store_id.hex() == self.config["store_id"], "root: of another store than config")
        condemned = c.many(counts[0], FILE + "I4xQ")
        need(all(kind <= 1 and since <= epoch for *_, kind, since in condemned), "root: condemned")
        c.many(counts[1], "16s")
        self.tag_tables, self.in_tables = [], entries
        for _ in range(counts[2]):
            ref, count = reference(*c.get(REFERENCE)), c.number("Q")
            self.tag_tables.append((ref, count, c.number("Q"), c.string("H")))
            table = Cursor(self.object(ref, "tag table"), "tag table")
            need(table.number("I4x") == count, "tag table: another count than root says")
            entries += [read_tag_entry(table.take(table.number("I"))) for _ in range(count)]
            table.end()
        own = [read_tag_entry(c.take(c.number("I"))) for _ in range(counts[3])]
        c.end()
        last = {entry.name: entry for entry in entries + own}
        need(all(e.commit <= commit for e in last.values()), "root: a tag of a later commit")
        return {name: last[name] for name in sorted(last, key=str.encode)
                if not last[name].flags & REMOVED}

    def read(self, name):
        """What a tag holds, its tensors as [(schema entry, bytes)], and its pages as they lie."""
        entry = self.tags[name]
        manifest = read_manifest(self.object(entry.manifest, "manifest"))
        need(manifest.schema == entry.schema.digest, "manifest: another schema than the tag entry")
        tensors = read_schema(self.object(entry.schema, "schema"), self.chunk_elements)
        table = read_locator_table(
            self.object(entry.table, "locator table"), entry.manifest.digest, manifest.pages)
        runs = {key: self.runs(*held, PAGE_ENTRIES * len(manifest.pages))
                for key, held in manifest.attachments.items()}
        plan = page_plan((t.name, t.chunks) for t in tensors) + page_plan(
            (key, len(lengths)) for key, lengths in runs.items())
        pages = [self.page(*place, f"page {n}") for n, place in enumerate(table.pages)]
        own = pages[:table.own]
        need([len(page) for page in own] == plan, "manifest: pages not of its tensors")
        self.chains = Chains(self.part, table, pages)
        rest = iter([chunk for page in own for chunk in page])
        held = [(t, self.tensor(t, list(islice(rest, t.chunks)))) for t in tensors]
        attached = {key: self.attachment(key, lengths, list(islice(rest, len(lengths))))
                    for key, lengths in runs.items()}
        return Record(manifest=entry.manifest.digest.hex(), step=manifest.step, tensors=held,
                      metadata=manifest.metadata, attachments=attached, runs=runs, table=table,
                      pages=pages, chains=self.chains)

    def page(self, page, locator, what):
        """The entries of a page: [(kind, payload, copies)]."""
        entries = read_page(self.object(page, what), what)
        copies = read_locator(self.object(locator, f"locator of {what}"), f"locator of {what}")
        need(len(copies) == sum(count for *_, count in entries), f"{what}: its locator's copies")
        rest = iter(copies)
        return [(kind, payload, list(islice(rest, count))) for kind, payload, count in entries]

    def tensor(self, tensor, chunks):
        """The bytes of a tensor, or the UnknownEncoding that one of its chunks is in."""
        out = np.empty((*tensor.storage, tensor.item), np.uint8)
        missing = np.ones(tensor.storage, bool)
        for number, (kind, payload, copies) in enumerate(chunks):
            what = f"chunk {number} of '{tensor.name}'"
            whole = tile(tensor.storage, tensor.parts, number)
            is_inline = volume(whole) * tensor.item <= INLINE_BYTES
            need((kind == 1) == is_inline, f"{what}: an entry of kind {kind}")
            pieces = self.pieces(payload, whole, copies, what) if kind == 2 else [(whole, payload)]
            for (box, wanted), copy in zip(pieces, copies or [None]):
                try:
                    data = self.chunk(wanted, copy, volume(box) * tensor.item, what)
                except UnknownEncoding as error:
                    return error
                place = tuple(slice(*edges) for edges in box)
                need(missing[place].all(), f"{what}: its pieces overlap")
                out[place] = np.frombuffer(data, np.uint8).reshape(out[place].shape)
                missing[place] = False
        need(not missing.any(), f"'{tensor.name}': its pieces do not cover it")
        return out.tobytes()

    def pieces(self, payload, whole, copies, what):
        """(box, digest) of each piece."""
        c = Cursor(payload, what)
        pieces = [(read_boxes(c, len(whole)), c.take(32)) for _ in copies]
        c.end()
        need(all(inside(box, whole) for box, _ in pieces), f"{what}: a piece outside of it")
        return pieces

    def runs(self, size, lengths, most):
        """The lengths of an attachment's chunks, at most so many: `lengths` where they are told."""
        need((lengths is not None) == self.content_cuts, "manifest: of another kind of store")
        if lengths is None:
            full, rest = divmod(size, self.run_bytes)
            need(full <= most, "manifest: pages not of its attachments")
            return [self.run_bytes] * full + [rest] * (rest > 0)
        need(max(lengths, default=0) <= 4 * self.run_bytes, "manifest: a chunk that is too long")
        return lengths

    def attachment(self, name, lengths, chunks):
        out = b""
        for here, (kind, payload, copies) in zip(lengths, chunks):
            what = f"attachment '{name}' at {len(out)}"
            need(kind == (1 if here <= INLINE_BYTES else 0), f"{what}: an entry of kind {kind}")
            out += self.chunk(payload, *(copies or [None]), here, what)
        return out

    def chunk(self, payload, copy, size, what):
        """The decoded bytes of a chunk or piece: `payload` is its digest, or inline its bytes."""
        need(size == (copy.decoded if copy else len(payload)), f"{what}: has not {size} bytes")
        return self.chains.decoded(payload, copy, what) if copy else payload
