"""Boxes of a tag's tensors into tensors of any device, dtype and strides, by one load."""

import torch

from .. import _checkpoint, _loading, _memory
from ..errors import UsageError


class Filling:
    """Targets of one load. They are unspecified when it fails."""

    def __init__(self, checkpoint):
        self._checkpoint = checkpoint
        self._loads = []
        self._copies = []  # (target, what is loaded for it)

    def add(self, name, offsets, target):
        """The box of the stored tensor that begins at `offsets` and is as large as `target`.
        Other dtypes and devices get theirs by a copy."""
        dtype, shape = self._checkpoint.tensors[name]
        kept = _memory.torch_dtype(dtype)
        room = target
        if not _is_in_place(target, kept):
            room = torch.empty(target.shape, dtype=kept)
            self._copies.append((target, room))
        if target.numel() == 0:
            return
        memory = _memory.memory_of_tensor(room)
        if memory.shape != shape:
            memory.shape, memory.offsets, memory.lengths = shape, offsets, memory.shape
        self._loads.append((name, memory))

    def add_new(self, name, make):
        """A new tensor or array for all of a stored tensor."""
        made = make(*self._checkpoint.tensors[name])
        self._loads.append((name, _memory.memory_of(name, made)))
        return made

    def run(self):
        """Errors: CorruptError naming the place, and others of cairn.Error."""
        self._checkpoint.load(self._loads)
        for target, room in self._copies:
            target.copy_(room)


def _is_in_place(target, dtype):
    return (target.is_cpu and target.dtype == dtype and target.layout is torch.strided and
            not target.is_conj() and not target.is_neg() and
            not _loading.shares_elements(target))
