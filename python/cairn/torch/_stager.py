"""Snapshots for torch.distributed.checkpoint's async_save."""

import copy
import weakref

import torch
from torch.distributed.checkpoint import staging

from .. import _collector, _devices, _tree
from . import _snapshot


class AsyncStager(staging.AsyncStager):
    """For `dcp.async_save(..., async_stager=AsyncStager())`, for any number of saves.

    A stage is one copy of the state into memory that is reused as soon as the save that it was made
    for has let go of it; saves that overlap get memory of their own. What is no tensor is copied
    too. CUDA tensors are digested where they lie, and only what differs from what the memory holds
    crosses over to the host; of memory that is new, all. They use what device_options() says. What
    is handed out is to be read: when something writes to it, the next stage copies all.
    shared: the memory may go to other processes, as AsyncCheckpointerType.PROCESS needs; they only
    read it.
    Threads: one at a time.
    """

    def __init__(self, *, shared=False):
        self._shared = shared
        self._staged = []  # (snapshot, references to what was handed out of it), oldest first

    def stage(self, state_dict):
        """The same state, of copies: tensors in host memory, DTensors around this rank's part.
        Errors: UsageError naming what has no values of its own, or while a CUDA graph is being
        captured; what a device fails with. The next stage needs nothing of one that failed."""
        _devices.refuse_capture()
        with _collector.paused():
            return self._stage(state_dict)

    def _stage(self, state_dict):
        flat = _tree.flatten(state_dict, allow_pickle=True)
        snapshot = _snapshot.fitting(flat.tensors, self._free_snapshot(), shared=self._shared)
        handed_out = []
        self._staged.append((snapshot, handed_out))  # it stays, also when filling it fails
        snapshot.fill(flat.tensors.values())
        parts = {}
        for part, made in zip(snapshot.parts, snapshot.copies):
            parts.setdefault(part.name, []).append(made.view_as(made))
        handed_out += [weakref.ref(each) for made in parts.values() for each in made]
        made = {name: _rebuilt(value, parts.get(name, []))
                for name, value in flat.tensors.items()}
        # deepcopy() takes for copied what its memo has: all else is copied by its own rules.
        memo = {id(value): made[name] for name, value in flat.tensors.items()}
        memo |= {id(value): made[flat.tied[name]] for name, value in flat.doubles.items()}
        return copy.deepcopy(state_dict, memo)

    @property
    def should_synchronize_after_execute(self):
        """stage() has made the copy when it returns."""
        return False

    def synchronize_staging(self):
        """Nothing is left to wait for."""

    def close(self):
        """Gives the memory back that no save needs any more."""
        self._staged = []

    def _free_snapshot(self):
        """One that nobody holds a tensor of; None without. Others that are free go."""
        held, free = [], None
        for snapshot, references in self._staged:
            if any(reference() is not None for reference in references):
                held.append((snapshot, references))
            else:
                free = snapshot
        self._staged = held
        return free


def _rebuilt(value, made):
    """What `value` is, of copies of the boxes that are here."""
    if hasattr(value, "device_mesh"):
        local = made[0] if made else torch.empty_like(value._local_tensor, device="cpu")
        # from_local() would take it to the mesh's device.
        return type(value)(local, value._spec, requires_grad=False)
    if hasattr(value, "local_shards"):
        rebuilt = copy.copy(value)
        rebuilt._local_shards = [type(shard)(each, shard.metadata)
                                 for shard, each in zip(value.local_shards(), made)]
        return rebuilt
    return made[0] if isinstance(value, torch.Tensor) else made[0].numpy()
