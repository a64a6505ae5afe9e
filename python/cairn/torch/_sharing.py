"""Boxes that several ranks of a load want: one of them reads, the others get them from it.

The coordinator sees the plans of all ranks and says who reads what, by bytes; so the state is read
once per job, in equal shares. What all ranks want is broadcast, what some want (the replicas of a
sharded state) is sent to each of them.
"""

import collections
import dataclasses

import torch
from torch import distributed

from ..errors import Error, UsageError
from . import _outcomes

_BATCH_BYTES = 4 << 20  # what is larger travels alone
_UNDER_WAY_BYTES = 256 << 20
_ALIGNMENT = 16  # of boxes in a batch: no element is wider
_TOLD_BYTES = 4096  # of an error


@dataclasses.dataclass(frozen=True)
class Shared:
    """A box that several ranks want."""

    box: tuple  # key, offsets, lengths
    bytes: int
    owner: int  # the rank that reads it
    ranks: tuple  # all that want it


def shared_boxes(wanted_of_ranks, bytes_of):
    """In one order for all. `wanted_of_ranks`: for each rank its boxes; bytes_of(box)."""
    ranks_of = {}
    for rank, boxes in enumerate(wanted_of_ranks):
        for box in dict.fromkeys(boxes):
            ranks_of.setdefault(box, []).append(rank)
    load = [0] * len(wanted_of_ranks)
    shared = []
    for box, ranks in ranks_of.items():
        owner = min(ranks, key=load.__getitem__)
        load[owner] += bytes_of(box)
        if len(ranks) > 1:
            shared.append(Shared(box, bytes_of(box), owner, tuple(ranks)))
    # Neighbours with the same owner travel together.
    return sorted(shared, key=lambda each: (each.ranks, each.owner))


@dataclasses.dataclass
class _Passing:
    """A batch on its way."""

    room: object  # its bytes
    copies: list = ()  # (target, where its values come)
    works: list = ()

    def finish(self):
        """Waits until it has arrived. Returns its bytes."""
        for work in self.works:
            work.wait()
        for target, values in self.copies:
            target.copy_(values)
        return self.room.numel()


class Exchange:
    """This rank's part in handing boxes on. `rank`: the number of its plan.
    Errors: UsageError for a group that is not the one of the load."""

    def __init__(self, group, rank, ranks, shared):
        if (distributed.get_rank(group), distributed.get_world_size(group)) != (rank, ranks):
            raise UsageError("the group of the StorageReader is not the one that loads",
                             "give both the same process_group")
        self._group, self._rank, self._ranks = group, rank, ranks
        self._shared = shared
        self._owners = {each.box: each.owner for each in shared if rank in each.ranks}

    def gets(self, box):
        """Whether another rank reads the box for this one."""
        return self._owners.get(box, self._rank) != self._rank

    def check(self, sources, targets):
        """Errors: UsageError when a planner has changed its plan after the coordinator saw it."""
        for box, owner in self._owners.items():
            if box not in (sources if owner == self._rank else targets):
                raise UsageError(f"tensor '{box[0]}': the planner no longer asks for {box[1:]}, "
                                 "which other ranks want too", "load it without a group")

    def agree(self, error):
        """All ranks call this when they have read, before run(). Errors: this rank's, or one that
        names another rank and what it failed with."""
        own = torch.zeros(_TOLD_BYTES, dtype=torch.uint8)
        if error is not None:
            _, message, _ = _outcomes.told(error)["error"]
            text = b"!" + message.encode()[:_TOLD_BYTES - 1]
            own[:len(text)] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        own = own.to(_device_of(self._group))
        told = [torch.empty_like(own) for _ in range(self._ranks)]
        distributed.all_gather(told, own, self._group)
        if error is not None:
            raise error
        for rank, each in enumerate(told):
            text = bytes(each.tolist()).rstrip(b"\0").decode("utf-8", "ignore")
            if text:
                raise Error(f"rank {rank} could not read its share: {text[1:]}")

    def run(self, sources, targets):
        """Sends what this rank has read, fills what others have. `sources`: box -> tensor, as it
        is stored; targets: box -> (tensor of any kind, dtype as it is stored)."""
        under_way, size = collections.deque(), 0
        for batch in _batches(self._shared):
            if self._rank not in batch[0].ranks:
                continue
            passing = self._passing(batch, sources, targets)
            passing.works = self._pass_on(batch[0], passing.room)
            under_way.append(passing)
            size += passing.room.numel()
            while size > _UNDER_WAY_BYTES:
                size -= under_way.popleft().finish()
        for passing in under_way:
            passing.finish()

    def _passing(self, batch, sources, targets):
        device, is_owner = _device_of(self._group), batch[0].owner == self._rank
        if len(batch) == 1:  # as it lies, where it can
            box = batch[0].box
            lying = sources[box] if is_owner else targets[box][0]
            dtype = lying.dtype if is_owner else targets[box][1]
            if lying.is_contiguous() and lying.device == device and lying.dtype == dtype:
                return _Passing(lying.view(-1).view(torch.uint8))
        places, size = _places(batch)
        room = torch.empty(size, dtype=torch.uint8, device=device)
        copies = []
        for each, place in zip(batch, places):
            if is_owner:
                source = sources[each.box]
                _view(room, place, each, source.dtype).copy_(source)
            else:
                target, dtype = targets[each.box]
                copies.append((target, _view(room, place, each, dtype)))
        return _Passing(room, copies)

    def _pass_on(self, one, room):
        ranks = [distributed.get_global_rank(self._group, rank) for rank in one.ranks]
        owner = distributed.get_global_rank(self._group, one.owner)
        if len(ranks) == self._ranks:
            return [distributed.broadcast(room, owner, group=self._group, async_op=True)]
        if one.owner == self._rank:
            return [distributed.isend(room, rank, group=self._group)
                    for rank in ranks if rank != owner]
        return [distributed.irecv(room, owner, group=self._group)]


def _device_of(group):
    """Where tensors must lie that a process group sends: the current device, of those it knows."""
    # "cpu:gloo,cuda:nccl"
    kinds = [each.partition(":")[0] for each in distributed.get_backend_config(group).split(",")]
    if "cpu" in kinds:
        return torch.device("cpu")
    return torch.device(kinds[0], torch.get_device_module(kinds[0]).current_device())


def _batches(shared):
    """Neighbours with the same owner and ranks, some megabytes of them."""
    batch, size = [], 0
    for each in shared:
        ends = batch and (each.owner, each.ranks) != (batch[0].owner, batch[0].ranks)
        if ends or (batch and size + each.bytes > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += each.bytes
    if batch:
        yield batch


def _places(batch):
    """(where each box begins, bytes in all)."""
    places, size = [], 0
    for each in batch:
        places.append(size)
        size += -(-each.bytes // _ALIGNMENT) * _ALIGNMENT
    return places, size


def _view(room, place, each, dtype):
    lengths = each.box[2]
    return room[place:place + each.bytes].view(dtype).view(lengths)
