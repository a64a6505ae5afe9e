"""Which rank writes which of the replicas in a plan.

DCP's planner leaves each replica to the rank with the fewest bytes so far, a weight here and its
moments there. They are made from each other (docs/REDUCTIONS.md), so that the tensors of a
parameter go to one rank, whichever. The plans stay DCP's: orders say what a rank writes instead.
"""

import math

from torch.distributed.checkpoint.planner import WriteItemType

from . import _shares


def boxes_of(plan):
    """Which boxes of tensors this rank has, replicas included."""
    return [_box(item) for item in plan.items if item.type != WriteItemType.BYTE_IO]


def are_complete(plans, boxes_of_ranks):
    """Whether the plans of all ranks have each box that some rank has: a planner may have left some
    out on purpose. boxes_of_ranks: as for deal(); where a plan is cached nobody knows."""
    if any(boxes is None for boxes in boxes_of_ranks):
        return False
    planned = {_box(item) for plan in plans for item in plan.items
               if item.type != WriteItemType.BYTE_IO}
    return all(planned.issuperset(boxes) for boxes in boxes_of_ranks)


def left_by(items, held):
    """The tensors' items among all that a rank holds whose boxes are not among those it writes."""
    written = {_box(item) for item in items if item.type != WriteItemType.BYTE_IO}
    return [item for item in held
            if item.type != WriteItemType.BYTE_IO and _box(item) not in written]


def deal(plans, boxes_of_ranks):
    """(items to leave, items to take) for each rank, of plans without replicas. boxes_of_ranks: what
    each had before; None where a plan is cached: then all stays as it is."""
    changes = [([], []) for _ in plans]
    if any(boxes is None for boxes in boxes_of_ranks):
        return changes
    holders = {}
    for rank, boxes in enumerate(boxes_of_ranks):
        for box in boxes:
            holders.setdefault(box, []).append(rank)
    shared = {}  # holders -> {box: (rank, item)}
    for rank, plan in enumerate(plans):
        for item in plan.items:
            if item.type != WriteItemType.BYTE_IO and len(holders.get(_box(item), ())) > 1:
                shared.setdefault(tuple(holders[_box(item)]), {})[_box(item)] = rank, item
    for ranks, items in shared.items():
        if all(rank == ranks[0] for rank, _ in items.values()):
            continue  # the planner was told to leave all to the first
        for place, to in enumerate(ranks):
            for box in _shares.dealt(list(items), {box: _bytes(item) for box, (_, item)
                                                   in items.items()}, _cluster, place, len(ranks)):
                rank, item = items[box]
                if rank != to:
                    changes[rank][0].append(item)
                    changes[to][1].append(item)
    return changes


def _box(item):
    chunk = item.tensor_data.chunk
    return item.index.fqn, tuple(chunk.offsets), tuple(chunk.sizes)


def _bytes(item):
    told = item.tensor_data
    return math.prod(told.chunk.sizes) * told.properties.dtype.itemsize


def _cluster(box):
    name, offsets, _ = box
    return _shares.without_role(name), offsets
