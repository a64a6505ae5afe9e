"""Boxes of a tag's tensors into tensors of any device, dtype and strides, by one load."""

import torch

from .. import _devices, _fitting, _memory


class Filling:
    """Targets of one load. They are unspecified when it fails."""

    def __init__(self, opened):
        self._opened = opened
        self._loads = []
        self._copies = []  # (target, what is loaded for it)

    def add(self, key, offsets, target):
        """The box of a tensor that begins at `offsets` and is as large as `target`; other dtypes
        and devices get theirs by a copy. Returns the tensor that the load fills."""
        name, dtype, shape = self._opened.tensor(key)
        room = target
        if not _is_in_place(target, dtype):
            room = torch.empty(target.shape, dtype=dtype, device="cpu")
            self._copies.append((target, room))
        if target.numel() > 0:
            self._loads.append((name, _memory.memory_of_box(room, shape, offsets)))
        return room

    def add_new(self, name, make):
        """A new tensor or array, make(dtype, shape), for all of a stored tensor."""
        made = make(*self._opened.checkpoint.tensors[name])
        self._loads.append((name, _memory.memory_of(name, made)))
        return made

    def run(self):
        """Errors: CorruptError naming the place, and others of cairn.Error."""
        self._opened.checkpoint.load(self._loads)
        for target, room in self._copies:
            target.copy_(room)


def _is_in_place(target, dtype):
    if target.dtype != dtype or target.layout is not torch.strided:
        return False
    if not _devices.lies_here(target):
        return False
    return (not target.is_conj() and not target.is_neg() and
            (target.is_contiguous() or not _fitting.shares_elements(target)))
