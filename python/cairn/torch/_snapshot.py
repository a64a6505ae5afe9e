"""Copies of a state that training goes on changing, in memory that is reused from save to save.

A snapshot costs one copy of the state into memory that has been touched; of tensors on CUDA devices
only what changed since the memory was last used. Python takes few steps for each tensor; one call
copies them all.
"""

import dataclasses
import operator

import torch

from .. import _collector, _devices, _memory
from .._records import Records
from . import _room
from ._forms import is_plain
from ._copying import Copier
from ._mirror import Mirror

_outline = operator.attrgetter("shape", "dtype", "device", "layout")


def take(tensors, old=None, *, shared=False):
    """A snapshot of tensors (name -> tensor or array); of those that are cut among ranks, the boxes
    that are here. They may change once this returns. Otherwise as fitting()."""
    snapshot = fitting(tensors, old, shared=shared)
    snapshot.fill(tensors.values())
    return snapshot


def fitting(tensors, old=None, *, shared=False):
    """A snapshot that is yet to be filled with the values of the tensors.

    old: a snapshot that nobody needs any more: this is its room, if it fits.
    shared: other processes may map the memory.
    Errors: UsageError naming what has no values of its own.
    """
    with _collector.paused():
        outlines = [(name, _outline(value) if is_plain(value) else _outline_of(value))
                    for name, value in tensors.items()]
        if old is not None and old.outlines == outlines:
            return old
        if old is not None:
            old.release()  # before the new one's memory comes
        return Snapshot(outlines, _parts_of(tensors), shared)


class Snapshots:
    """Snapshots in two rooms in turn: each is whole until the next but one is taken.
    Threads: one at a time."""

    def __init__(self):
        self._next, self._last = None, None

    def take(self, tensors):
        """As take()."""
        room, self._next = self._next, None
        taken = take(tensors, room)
        self._next, self._last = self._last, taken
        return taken

    def prepare(self):
        """Makes the second room where there is only one: what the first snapshot spent on touching
        memory, the second need not."""
        if self._next is None and self._last is not None:
            self._next = self._last.another()

    def clear(self):
        """Gives the memory back."""
        for each in (self._next, self._last):
            if each is not None:
                each.release()
        self._next, self._last = None, None


@dataclasses.dataclass(frozen=True)
class Part:
    """A box of a tensor that this rank holds."""

    name: str
    dtype: object  # of PyTorch
    device: object
    lengths: object  # of the box
    shape: tuple  # of the whole tensor
    offsets: tuple

    def memory_of(self, copy):
        return _memory.memory_of_box(copy, self.shape, self.offsets)


class Snapshot:
    """Copies of all parts, row-major, in one room. Only fill() writes to them."""

    def __init__(self, outlines, parts, shared):
        self.outlines, self.parts = outlines, parts
        self._shared = shared
        forms = [(part.lengths, part.dtype) for part in parts]
        pinned = not shared and any(part.device.type == "cuda" and not _devices.serves(part.device)
                                    for part in parts)
        with _room.own_mode():
            self._room = _room.room(_room.bytes_of(forms), pinned=pinned, shared=shared)
            self.copies = _room.cut(self._room, forms)
        self._rest, self._copier = None, None  # numbers of what is copied whole; what does it
        self._followed, self._mirror = [], None  # of what the library reads where it lies
        self._writes = None  # to the room, when it was filled
        self._records, self._roles = None, None

    def another(self):
        """A room of its own for the same tensors, with no values yet."""
        return Snapshot(self.outlines, self.parts, self._shared)

    def release(self):
        """Gives its memory back. It holds nothing any more."""
        self.outlines, self.copies, self._copier, self._room, self._records = [None] * 5
        self._mirror = None

    def fill(self, values):
        """Copies the tensors of the outlines, as they are now. Errors: what is on devices, as
        Mirror.update(); it is to be filled again then."""
        with _collector.paused():
            sources = []
            for value in values:
                if is_plain(value):
                    sources.append(value)
                else:
                    sources += [local for local, _ in locals_of(value)]
            self._deal(sources)
            if self._mirror is not None:
                if self._writes != self._room._version:
                    self._mirror.forget()  # whoever was handed a copy has written to it
                self._mirror.update([sources[number] for number in self._followed])
            self._copier.copy([sources[number] for number in self._rest])
            self._writes = self._room._version  # what PyTorch counts, through all views

    def _deal(self, sources):
        """Who copies what: of tensors on a device, also whether they are conjugated tells."""
        followed = [number for number, source in enumerate(sources)
                    if _devices.device_of(source) is not None]
        if self._copier is not None and followed == self._followed:
            return
        of_mirror = set(followed)
        self._followed = followed
        self._rest = [number for number in range(len(sources)) if number not in of_mirror]
        self._copier = Copier([self.copies[number] for number in self._rest],
                              [self.parts[number].device for number in self._rest])
        self._mirror = Mirror([self.parts[number].name for number in followed],
                              [self.copies[number] for number in followed]) if followed else None

    @property
    def told(self):
        """What the library said of the latest fill(): {} where nothing was on a device."""
        return self._mirror.told if self._mirror is not None else {}

    def records(self, writer=0, roles=None):
        """The boxes for a save. roles: {name: (role, parameter)}."""
        if self._records is None or (roles is not None and self._roles != (writer, roles)):
            self._records, self._roles = self.new_records(writer, roles), (writer, roles)
        return self._records

    def new_records(self, writer=0, roles=None):
        """As records(), to be added to."""
        made = Records()
        for part, copy in zip(self.parts, self.copies):
            role, parameter = (roles or {}).get(part.name, (None, None))
            made.add(part.name, part.memory_of(copy), writer=writer, role=role,
                     parameter=parameter)
        return made


def _outline_of(value):
    """What must be equal for a room to fit again."""
    if _memory.is_array(value):
        return value.shape, value.dtype
    return (*_outline(value), [local.shape for local, _ in locals_of(value)],
            getattr(value, "placements", None), getattr(value, "device_mesh", None))


def locals_of(value):
    """(tensor, its offsets in the whole, or None) for each box that is not empty."""
    if _memory.is_array(value):
        native = value.dtype.newbyteorder("=")
        boxes = [(torch.from_numpy(value.astype(native, order="C", copy=True)), None)]
    elif hasattr(value, "_local_tensor"):
        boxes = [(value._local_tensor, None)]  # a DTensor: to_local() takes 50 times as long
    elif hasattr(value, "local_shards") or hasattr(value, "__create_chunk_list__"):
        boxes = _memory.local_boxes(value)
    else:
        return [(value, None)]
    return [(local, offsets) for local, offsets in boxes
            if local.numel() or not _elements(value.shape)]


def _elements(shape):
    return torch.Size(shape).numel()


def _parts_of(tensors):
    parts = []
    for name, value in tensors.items():
        if _memory.is_array(value):
            _memory.dtype_name(value.dtype.name, f"array '{name}'")
            boxes = locals_of(value)
        else:
            boxes = _memory.boxes_of(name, value)
        for local, offsets in boxes:
            _memory.dtype_name(local.dtype, f"tensor '{name}'")
            parts.append(Part(name, local.dtype, local.device, local.shape, tuple(value.shape),
                              offsets))
    return parts
