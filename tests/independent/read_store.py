#!/usr/bin/env python3
"""Reads a Cairn store by docs/FORMAT.md alone: a second reader, to compare the program with.

Nothing here or in store_*.py comes from the program's code, and nothing is trusted: every digest,
bound, order and reserved field that the format names is checked, and what breaks a rule is a
Damage. Wants numpy, blake3 and libzstd. Whole files are held in memory: meant for stores of tests,
not of trainings.

    read_store.py STORE [--tag TAG] [--out DIR] [--json]

Exit status: 0 all read, 1 damage (named on stderr), 2 usage.
"""

import argparse
import hashlib
import json
import struct
import sys
from pathlib import Path
from urllib.parse import quote

import numpy as np

from store_fields import (
    Cursor, Damage, Record, UnknownEncoding, ceil_div, digest, file_id, need, reference, sealed_json, zstd_decode)
from store_grid import check_cover, page_plan, tile, volume
from store_objects import (
    INLINE_BYTES, check_layout, check_pack, pack_table, read_boxes, read_locator,
    read_locator_table, read_manifest, read_page, read_schema, read_tag_entry)

FORMAT = 1
MANIFEST, SCHEMA, PAGE, LOCATOR, LOCATOR_TABLE, LAYOUT, _, TAG_TABLE = range(1, 9)


class Store:
    """An open store. `tags` maps each name to its entry; `read` gives what a tag holds."""

    def __init__(self, folder):
        self.folder, self.files = Path(folder), {}
        self.config = sealed_json(self.file("config"), "config")
        need(self.config["format"] <= FORMAT, f"format {self.config['format']} is newer than this reader")
        need(not self.config["features"]["read"], f"unknown features {self.config['features']['read']}")
        self.chunk_elements, self.run_bytes = self.config["chunk_elements"], self.config["opaque_chunk_bytes"]
        need(self.chunk_elements in [1 << n for n in range(10, 25)], "config: chunk_elements out of bounds")
        need(self.run_bytes == 1 << 20, "config: opaque_chunk_bytes is not 1048576")
        self.tags = self.read_root()

    def file(self, name):
        if name not in self.files:
            try:
                self.files[name] = (self.folder / name).read_bytes()
            except OSError as error:
                raise Damage(f"{name}: {error.strerror}") from None
        return self.files[name]

    def pack(self, kind, name):
        """The bytes of a pack, which was checked as a whole on first use."""
        path = f"{kind}/{name[:2]}/{name}"
        if path not in self.files:
            check_pack(self.file(path), path, name)
        return self.files[path]

    def object(self, ref, kind, what):
        data = self.pack("meta", ref.file)
        need(ref.offset % 8 == 0 and 32 <= ref.offset and ref.offset + ref.length <= len(data) - 64,
             f"{what}: lies outside its metadata pack {ref.file}")
        found = data[ref.offset:ref.offset + ref.length]
        need(digest(found) == ref.digest, f"{what}: the digest does not match (in meta pack {ref.file})")
        need((kind, ref.offset, ref.length, ref.digest) in pack_table(data), f"{what}: not in the table of its pack")
        return found

    def read_root(self):
        data = self.file("root")
        need(len(data) >= 96 and digest(data[:-32]) == data[-32:], "root: the digest does not match")
        c = Cursor(data[:-32], "root")
        c.magic(b"CAIRNRT1", FORMAT)
        c.zeros(4)
        need(c.take(16).hex() == self.config["store_id"], "root: of another store than config")
        self.commit, self.epoch, condemned, revoked, tables, entries = c.get("QQIIII")
        for raw in c.many(condemned, 40):
            file_id(raw[:24])
            kind, reserved, epoch = struct.unpack("<IIQ", raw[24:])
            need(kind <= 1 and reserved == 0 and epoch <= self.epoch, "root: a malformed condemned file")
        c.many(revoked, 16)
        found = []
        for raw in c.many(tables, 80):
            t = Cursor(self.object(reference(raw[:72]), TAG_TABLE, "tag table"), "tag table")
            count = t.get("I")
            t.zeros(4)
            need(count == int.from_bytes(raw[72:], "little"), "tag table: another count than root says")
            found += [read_tag_entry(t.take(t.get("I"))) for _ in range(count)]
            t.end()
        found += [read_tag_entry(c.take(c.get("I"))) for _ in range(entries)]
        c.end()
        need(all(entry.commit <= self.commit for entry in found), "root: a tag of a later commit")
        last = {entry.name: entry for entry in found}
        return {name: last[name] for name in sorted(last, key=str.encode) if not last[name].removed}

    def read(self, name):
        """What a tag holds: digest, step, metadata, tensors [(schema entry, bytes)], attachments."""
        entry = self.tags[name]
        manifest = read_manifest(self.object(entry.manifest, MANIFEST, "manifest"))
        need(manifest.step == entry.step, "manifest: another step than the tag entry")
        need(manifest.schema == entry.schema.digest, "manifest: another schema than the tag entry")
        tensors = read_schema(self.object(entry.schema, SCHEMA, "schema"), self.chunk_elements)
        if entry.layout:
            check_layout(self.object(entry.layout, LAYOUT, "layout"), tensors)
        table = read_locator_table(self.object(entry.table, LOCATOR_TABLE, "locator table"), entry.manifest.digest)
        runs = {key: ceil_div(length, self.run_bytes) for key, length in manifest.attachments.items()}
        plan = page_plan([(t.name, t.chunks) for t in tensors]) + page_plan(runs.items())
        need(table.own == len(manifest.pages) == len(plan), f"manifest: not the {len(plan)} pages of its tensors")
        chunks, stored = [], dict.fromkeys(table.data_packs, 0)
        for number, place in enumerate(table.pages):
            own = number < table.own
            place.page.digest = manifest.pages[number] if own else place.page.digest
            entries = read_page(self.object(place.page, PAGE, f"page {number}"), f"page {number}")
            copies = read_locator(self.object(place.locator, LOCATOR, f"locator {number}"), f"locator {number}")
            need(len(copies) == sum(e[2] if e[0] else 1 for e in entries if e[0] != 1),
                 f"locator {number}: another number of copies than its page")
            need(all(copy.pack in table.data_packs for copy in copies), "locator table: a data pack is not listed")
            need(not own or len(entries) == plan[number],
                 f"page {number}: {len(entries)} entries are not what its tensors have")
            rest = iter(copies)
            if own:
                for copy in copies:
                    stored[copy.pack] += copy.stored
                chunks += [(*e[:2], [next(rest) for _ in range(e[2] if e[0] != 1 else 0)]) for e in entries]
        need(stored == table.data_packs, "locator table: the stored bytes in its packs are not those of its copies")
        next_chunk = iter(chunks)
        found = [(t, self.tensor(t, [next(next_chunk) for _ in range(t.chunks)])) for t in tensors]
        attached = {key: self.attachment(key, length, [next(next_chunk) for _ in range(runs[key])])
                    for key, length in manifest.attachments.items()}
        sizes = (sum(t.bytes for t in tensors), sum(manifest.attachments.values()), len(tensors),
                 sum(t.chunks for t in tensors))
        need((entry.counts[0], *entry.counts[3:6]) == sizes, f"tag entry: {entry.counts} are not the sizes {sizes}")
        return Record(manifest=entry.manifest.digest.hex(), step=entry.step, metadata=manifest.metadata,
                      tensors=found, attachments=attached)

    def tensor(self, tensor, chunks):
        """The bytes of a tensor, or the UnknownEncoding that one of its chunks is in."""
        if 0 in tensor.storage:
            return b""
        out = np.empty((*tensor.storage, tensor.item), np.uint8)
        try:
            for number, (kind, payload, copies) in enumerate(chunks):
                whole, what = tile(tensor.storage, tensor.parts, number), f"chunk {number} of '{tensor.name}'"
                boxes, digests = [whole], [payload]
                if kind == 2:
                    c = Cursor(payload, what)
                    pieces = [(read_boxes(c, len(whole)), c.take(32)) for _ in copies]
                    c.end()
                    boxes, digests = [box for box, _ in pieces], [piece for _, piece in pieces]
                    check_cover(boxes, whole, what)
                need((kind == 1) == (volume(whole) * tensor.item <= INLINE_BYTES), f"{what}: inline or not, wrongly")
                for box, wanted, copy in zip(boxes, digests, copies or [None]):
                    data = self.chunk(kind, wanted, copy, volume(box) * tensor.item, what)
                    shape = [end - begin for begin, end in box] + [tensor.item]
                    out[tuple(slice(*edges) for edges in box)] = np.frombuffer(data, np.uint8).reshape(shape)
        except UnknownEncoding as error:
            return error
        return out.tobytes()

    def attachment(self, name, length, chunks):
        out = b""
        for kind, payload, copies in chunks:
            size, what = min(self.run_bytes, length - len(out)), f"attachment '{name}' at {len(out)}"
            need(kind != 2 and (kind == 1) == (size <= INLINE_BYTES), f"{what}: an entry of kind {kind}")
            out += self.chunk(kind, payload, copies[0] if copies else None, size, what)
        return out

    def chunk(self, kind, payload, copy, size, what):
        if kind == 1:
            need(len(payload) == size, f"{what}: {len(payload)} bytes inline, not {size}")
            return payload
        need(copy.decoded == size, f"{what}: decodes to {copy.decoded} bytes, not {size}")
        data = self.pack("packs", copy.pack)
        if copy.encoding > 2:
            raise UnknownEncoding(f"{what}: unknown encoding {copy.encoding}")
        need(not copy.bases and not copy.parameters, f"{what}: bases or parameters where there are none")
        need(32 <= copy.offset and copy.offset + copy.stored <= len(data) - 64, f"{what}: outside pack {copy.pack}")
        stored = data[copy.offset:copy.offset + copy.stored]
        if copy.encoding == 1:
            need(copy.stored == 0, f"{what}: zeros with stored bytes")
            decoded = bytes(size)
        else:
            decoded = stored if copy.encoding == 0 else zstd_decode(stored, size, what)
        need(digest(decoded) == payload, f"{what}: the digest does not match (pack {copy.pack}, at {copy.offset})")
        return decoded


def listing(tag):
    """What a tag holds in words and digests, for JSON."""
    return {
        "manifest": tag.manifest, "step": tag.step,
        "metadata": {key: value for (section, key), value in tag.metadata.items() if section == 0},
        "safetensors_metadata": {key: value for (section, key), value in tag.metadata.items() if section == 1},
        "tensors": [{"name": t.name, "dtype": t.dtype, "shape": t.shape} | (
            {"error": str(data)} if isinstance(data, Damage) else {"sha256": hashlib.sha256(data).hexdigest()})
            for t, data in tag.tensors],
        "attachments": [{"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                        for name, data in tag.attachments.items()]}


def write_out(folder, tag):
    """The bytes of tensors and attachments as files; names are quoted, so that none leaves the folder."""
    parts = {"tensors": [(t.name, data) for t, data in tag.tensors], "attachments": tag.attachments.items()}
    for part, held in parts.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        for name, data in held:
            if not isinstance(data, Damage):
                (folder / part / quote(name, safe="")).write_bytes(data)


def main():
    parser = argparse.ArgumentParser(description="Reads a Cairn store without the program.")
    parser.add_argument("store")
    parser.add_argument("--tag", action="append")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    failed, tags, name = False, {}, ""
    try:
        store = Store(args.store)
        for name in args.tag or store.tags:
            need(name in store.tags, "no such tag")
            tag = store.read(name)
            tags[name] = listing(tag)
            failed |= any(isinstance(data, Damage) for _, data in tag.tensors)
            if args.out:
                write_out(args.out / quote(name, safe=""), tag)
    except Damage as error:
        print(f"read_store: {args.store}: {name and f'tag {name!r}: '}{error}", file=sys.stderr)
        failed = True
    if args.json:
        print(json.dumps({"store_id": store.config["store_id"], "tags": tags} if tags else {}, indent=1))
    for name, tag in () if args.json else tags.items():
        print(f"{name}  {tag['manifest']}  step {tag['step']}")
        for held in tag["tensors"] + tag["attachments"]:
            print("  ", *(held.get(key, "") for key in ("name", "dtype", "shape", "bytes", "sha256", "error")))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
