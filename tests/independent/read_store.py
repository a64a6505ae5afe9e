"""Reads a Cairn store by docs/FORMAT.md alone: a second reader, to compare the program with. Nothing
here or in store_format.py comes from the program's code; whole files are held in memory."""

from pathlib import Path

import numpy as np

from store_format import (
    FILE, INLINE_BYTES, REFERENCE, REMOVED, Cursor, Damage, Record, UnknownEncoding, ceil_div, digest,
    need, page_plan, read_boxes, read_locator, read_locator_table, read_manifest, read_page,
    read_schema, read_tag_entry, reference, sealed_json, tile, volume, zstd_decode)

FORMAT = 1


class Store:
    """An open store. `tags` maps each name to its entry; `read` gives what a tag holds."""

    def __init__(self, folder):
        self.folder, self.files = Path(folder), {}
        self.config = config = sealed_json(self.file("config"), "config")
        need(config["format"] <= FORMAT and not config["features"]["read"], "of a newer format")
        self.chunk_elements, self.run_bytes = config["chunk_elements"], config["opaque_chunk_bytes"]
        need(self.chunk_elements in [1 << n for n in range(10, 25)], "config: chunk_elements")
        need(1 <= self.run_bytes <= 1 << 30, "config: opaque_chunk_bytes")
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
        need(len(data) >= 96 and digest(data[:-32]) == data[-32:], "root: the digest does not match")
        c, entries = Cursor(data[:-32], "root", b"CAIRNRT1"), []
        store_id, commit, epoch, *counts = c.get("4x16sQQIIII")
        need(store_id.hex() == self.config["store_id"], "root: of another store than config")
        condemned = c.many(counts[0], FILE + "I4xQ")
        need(all(kind <= 1 and since <= epoch for *_, kind, since in condemned), "root: condemned files")
        c.many(counts[1], "16s")
        for *fields, count in c.many(counts[2], REFERENCE + "Q"):
            table = Cursor(self.object(reference(*fields), "tag table"), "tag table")
            need(table.number("I4x") == count, "tag table: another count than root says")
            entries += [read_tag_entry(table.take(table.number("I"))) for _ in range(count)]
            table.end()
        entries += [read_tag_entry(c.take(c.number("I"))) for _ in range(counts[3])]
        c.end()
        need(all(entry.commit <= commit for entry in entries), "root: a tag of a later commit")
        last = {entry.name: entry for entry in entries}
        return {name: last[name] for name in sorted(last, key=str.encode)
                if not last[name].flags & REMOVED}

    def read(self, name):
        """What a tag holds: digest, step, metadata, tensors [(schema entry, bytes)], attachments."""
        entry = self.tags[name]
        manifest = read_manifest(self.object(entry.manifest, "manifest"))
        need(manifest.schema == entry.schema.digest, "manifest: another schema than the tag entry")
        tensors = read_schema(self.object(entry.schema, "schema"), self.chunk_elements)
        table = read_locator_table(self.object(entry.table, "locator table"), entry.manifest.digest)
        runs = {key: ceil_div(size, self.run_bytes) for key, size in manifest.attachments.items()}
        plan = page_plan([(t.name, t.chunks) for t in tensors]) + page_plan(runs.items())
        need(table.own == len(manifest.pages) == len(plan), "manifest: pages not of its tensors")
        chunks, copies = [], []
        for number, (page, locator) in enumerate(table.pages):
            page.digest = manifest.pages[number] if number < table.own else page.digest
            entries, here = self.page(page, locator, f"page {number}")
            need(all(copy.pack in table.data_packs for copy in here), "locator table: packs")
            if number < table.own:
                need(len(entries) == plan[number], f"page {number}: not what its tensors have")
                chunks, copies = chunks + entries, copies + here
        following = iter(chunks)
        held = [(t, self.tensor(t, [next(following) for _ in range(t.chunks)])) for t in tensors]
        attached = {key: self.attachment(key, size, [next(following) for _ in range(runs[key])])
                    for key, size in manifest.attachments.items()}
        return Record(manifest=entry.manifest.digest.hex(), step=manifest.step, tensors=held,
                      metadata=manifest.metadata, attachments=attached, table=table, copies=copies)

    def page(self, page, locator, what):
        """([(kind, payload, copies of the entry)], all copies)."""
        entries = read_page(self.object(page, what), what)
        copies = read_locator(self.object(locator, f"locator of {what}"), f"locator of {what}")
        counts = [0 if kind == 1 else count for kind, _, count in entries]
        need(len(copies) == sum(counts), f"{what}: another number of copies in its locator")
        rest = iter(copies)
        return [(kind, payload, [next(rest) for _ in range(count)])
                for (kind, payload, _), count in zip(entries, counts)], copies

    def tensor(self, tensor, chunks):
        """The bytes of a tensor, or the UnknownEncoding that one of its chunks is in."""
        out, missing = np.empty((*tensor.storage, tensor.item), np.uint8), np.ones(tensor.storage, bool)
        for number, (kind, payload, copies) in enumerate(chunks):
            whole, what = tile(tensor.storage, tensor.parts, number), f"chunk {number} of '{tensor.name}'"
            pieces = [(whole, payload)]
            if kind == 2:
                c = Cursor(payload, what)
                pieces = [(read_boxes(c, len(whole)), c.take(32)) for _ in copies]
                c.end()
            for (box, wanted), copy in zip(pieces, copies or [None]):
                try:
                    data = self.chunk(kind, wanted, copy, volume(box) * tensor.item, what)
                except UnknownEncoding as error:
                    return error
                place = tuple(slice(*edges) for edges in box)
                need(missing[place].all() and missing[place].size == volume(box), f"{what}: its pieces")
                out[place] = np.frombuffer(data, np.uint8).reshape(*missing[place].shape, tensor.item)
                missing[place] = False
        need(not missing.any(), f"'{tensor.name}': its pieces do not cover it")
        return out.tobytes()

    def attachment(self, name, size, chunks):
        out = b""
        for kind, payload, copies in chunks:
            what = f"attachment '{name}' at {len(out)}"
            need(kind != 2, f"{what}: in pieces")
            out += self.chunk(kind, payload, *(copies or [None]), min(self.run_bytes, size - len(out)), what)
        return out

    def chunk(self, kind, payload, copy, size, what):
        """The decoded bytes of a chunk or piece: `payload` is its digest, or the bytes themselves."""
        need((kind == 1) == (size <= INLINE_BYTES) or kind == 2, f"{what}: inline or not, wrongly")
        need(size == (len(payload) if kind == 1 else copy.decoded), f"{what}: has not {size} bytes")
        if kind == 1:
            return payload
        if copy.encoding > 2:
            raise UnknownEncoding(f"{what}: unknown encoding {copy.encoding}")
        need(copy.is_plain and (copy.encoding != 1 or copy.stored == 0), f"{what}: its copy")
        stored = self.part("packs", copy.pack, copy.offset, copy.stored)
        decoded = (stored if copy.encoding == 0 else bytes(size) if copy.encoding == 1
                   else zstd_decode(stored, size, what))
        need(digest(decoded) == payload, f"{what}: the digest does not match (pack {copy.pack}, at {copy.offset})")
        return decoded
