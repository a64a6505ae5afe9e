"""torch.distributed.checkpoint loads a file of torch.save into a state that is cut among ranks."""

import dataclasses
import io
import math

import torch
from torch import distributed
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint._nested_dict import flatten_state_dict
from torch.distributed.checkpoint.metadata import (BytesStorageMetadata, ChunkStorageMetadata,
                                                   Metadata, TensorProperties,
                                                   TensorStorageMetadata)
from torch.distributed.checkpoint.planner import LoadItemType
from torch.futures import Future

from ..errors import NotFoundError, UsageError
from . import _reading, _sharing, _values


@dataclasses.dataclass(frozen=True)
class _Chosen:
    """What the coordinator of a load tells each rank."""

    rank: int  # number of the plan
    ranks: int
    shared: tuple  # of _sharing.Shared: all boxes, which rank 0 reads


class TorchSaveReader(dcp.StorageReader):
    """Makes dcp.load read a file of torch.save, without a store and without loading it whole.

        dcp.load(state, storage_reader=TorchSaveReader(), checkpoint_id="model.pt")

    As torch.distributed.checkpoint.format_utils.BroadcastingTorchSaveReader, but each rank gets the
    boxes that it holds and nothing else, values that are no tensors are loaded too, pickles run no
    code, and any planner will do.
    checkpoint_id: the file, for calls that give none.
    group: the process group of the load, where only its rank 0 has the file: it sends the others
    their boxes. None: each rank maps the file.
    Threads: one load at a time.
    Memory: the file is mapped; one of the legacy form is loaded whole.
    Errors: NotFoundError; UsageError for what is no such file, or names what is no data.
    """

    def __init__(self, checkpoint_id=None, *, group=None):
        self.checkpoint_id = checkpoint_id
        self._group = group
        # By DCP's keys. Tensors: where the file is; values: bytes.
        self._entries, self._tensors, self._values = {}, {}, {}

    def reset(self, checkpoint_id=None):
        if checkpoint_id is not None:
            self.checkpoint_id = checkpoint_id

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id):
        return True

    def set_up_storage_reader(self, metadata, is_coordinator, *args, **kwargs):
        pass

    def prepare_local_plan(self, plan):
        return plan

    def read_metadata(self, *args, **options):
        if self._group is None:
            return self._open()
        told = [None, None, {}]
        if distributed.get_rank(self._group) == 0:
            told = self._opened()
        first = distributed.get_global_rank(self._group, 0)
        distributed.broadcast_object_list(told, first, group=self._group)
        error, metadata, self._values = told
        if error is not None:
            raise error
        self._entries = metadata.state_dict_metadata
        return metadata

    def _opened(self):
        """What rank 0 tells of the file: an error, or its metadata and values."""
        try:
            return [None, self._open(), self._values]
        except Exception as error:  # the others wait to be told
            return [error, None, {}]

    def _open(self):
        try:
            flat, paths = flatten_state_dict(_load(self.checkpoint_id))
        except ValueError as error:  # names that meet
            raise UsageError(f"'{self.checkpoint_id}' cannot be loaded: {error}") from error
        self._tensors = {key: value for key, value in flat.items()
                         if isinstance(value, torch.Tensor)}
        self._values = {key: _values.bytes_of(value) for key, value in flat.items()
                        if key not in self._tensors}
        entries = {key: _entry(self._tensors[key]) if key in self._tensors
                   else BytesStorageMetadata() for key in flat}
        return Metadata(entries, planner_data=paths, storage_data={})

    def prepare_global_plan(self, plans):
        shared = () if self._group is None else self._all_boxes(plans)
        return [dataclasses.replace(plan, storage_data=_Chosen(rank, len(plans), shared))
                for rank, plan in enumerate(plans)]

    def _all_boxes(self, plans):
        """Each with the ranks that want it, and rank 0, which sends it."""
        ranks_of = {}
        for rank, plan in enumerate(plans):
            for box in dict.fromkeys(_reading.boxes_of(plan)):
                ranks_of.setdefault(box, {0}).add(rank)
        made = [_sharing.Shared(box, math.prod(box[2]) * self._tensors[box[0]].itemsize, 0,
                                tuple(sorted(ranks)))
                for box, ranks in ranks_of.items() if len(ranks) > 1]
        return tuple(sorted(made, key=lambda each: each.ranks))

    def read_data(self, plan, planner):
        filled, targets, error = [], {}, None
        try:
            for item in plan.items:
                if item.type == LoadItemType.TENSOR:
                    target = planner.resolve_tensor(item).detach()
                    filled.append((item, target))
                    self._fill(_reading.box_of(item), target, targets)
        except Exception as caught:  # other ranks may be waiting: they are told first
            error = caught
        if self._group is not None:
            self._exchange(plan.storage_data, targets, error)
        elif error is not None:
            raise error
        for item, target in filled:
            planner.commit_tensor(item, target)
        for item in plan.items:
            if item.type == LoadItemType.BYTE_IO:
                planner.load_bytes(item, io.BytesIO(self._values[item.storage_index.fqn]))
        self._tensors, self._values = {}, {}  # the file's memory
        done = Future()
        done.set_result(None)
        return done

    def _exchange(self, chosen, targets, error):
        exchange = _sharing.Exchange(self._group, chosen.rank, chosen.ranks, chosen.shared)
        exchange.agree(error)
        sources = {each.box: self._box(each.box) for each in chosen.shared if chosen.rank == 0}
        exchange.run(sources, targets)

    def _fill(self, box, target, targets):
        if tuple(target.shape) != box[2]:
            raise UsageError(f"tensor '{box[0]}': the plan has a box of {list(box[2])}, its target "
                             f"is {list(target.shape)}")
        if self._tensors:
            target.copy_(self._box(box))
        else:
            targets[box] = (target, self._entries[box[0]].properties.dtype)

    def _box(self, box):
        """A view of the file's memory."""
        key, offsets, lengths = box
        view = self._tensors[key].detach()
        for axis, (offset, length) in enumerate(zip(offsets, lengths)):
            view = view.narrow(axis, offset, length)
        return view


def _load(path):
    """The object of the file. Errors: NotFoundError, UsageError."""
    if path is None:
        raise UsageError("no checkpoint_id says which file is meant", "give its path")
    options = {"map_location": "cpu", "weights_only": True}
    try:
        state = _mapped(path, options)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file '{path}'") from error
    except Exception as error:  # a pickle raises whatever it likes
        raise UsageError(f"'{path}' cannot be loaded: {error}") from error
    if not isinstance(state, dict):
        raise UsageError(f"'{path}' holds a {type(state).__name__}, not a dict")
    return state


def _mapped(path, options):
    try:
        return torch.load(path, mmap=True, **options)
    except RuntimeError as error:
        if "mmap can only be used" not in str(error):
            raise
        return torch.load(path, **options)  # the legacy form


def _entry(tensor):
    chunk = ChunkStorageMetadata(torch.Size([0] * tensor.dim()), tensor.shape)
    return TensorStorageMetadata(TensorProperties(dtype=tensor.dtype), tensor.shape, [chunk])
