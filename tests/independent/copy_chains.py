"""The copies of a tag and those of the pages of its bases, decoded along their chains
(docs/FORMAT.md, 6)."""

from copy_decoder import decode
from store_format import REPLAY, digest, need


class Chains:
    """`part` reads bytes of a pack. `slots`: page's digest -> [(digest, copy)], the manifest's own
    pages first."""

    def __init__(self, part, table, pages):
        self.part, self.slots, self.done = part, {}, {}
        for (page, _), entries in zip(table.pages, pages):
            self.slots.setdefault(page.digest, [
                (payload if kind == 0 else piece_digest(payload, number, len(copies)), copy)
                for kind, payload, copies in entries for number, copy in enumerate(copies)])

    def base(self, page, slot, what):
        """(digest, copy)"""
        need(page in self.slots, f"{what}: page {page.hex()} of a base is not there")
        need(slot < len(self.slots[page]), f"{what}: a base in no slot of its page")
        return self.slots[page][slot]

    def decoded(self, payload, copy, what):
        """The bytes of a copy, after those of its bases and theirs; each is decoded once."""
        path, on_path = [(payload, copy)], {id(copy)}
        while path:
            payload, copy = path[-1]
            bases = [self.base(*base, what) for base in copy.bases if copy.encoding <= REPLAY]
            missing = [base for base in bases if id(base[1]) not in self.done]
            if missing:
                need(id(missing[0][1]) not in on_path, f"{what}: a copy that needs itself")
                on_path.add(id(missing[0][1]))
                path.append(missing[0])
            else:
                its_bases = [self.done[id(base)] for _, base in bases]
                self.done[id(copy)] = self.one(payload, copy, its_bases, what)
                path.pop()
        return self.done[id(copy)]

    def one(self, payload, copy, bases, what):
        what += f" (pack {copy.pack}, at {copy.offset})"
        data = decode(copy, self.part("packs", copy.pack, copy.offset, copy.stored), bases, what)
        is_right = len(data) == copy.decoded and digest(data) == payload
        need(is_right, f"{what}: the digest does not match")
        return data


def piece_digest(pieces, number, count):
    """Of one of a chunk's pieces, each a box and a digest."""
    size = len(pieces) // count
    return pieces[:size * (number + 1)][-32:]
