"""The boxes that a plan has this rank write, as they lie within the library's reach, and what they
are to the optimizer."""

import math

from .. import _memory, _tree
from .._saving import Box
from ..errors import UsageError


def box_of(item, data, rank, roles):
    """The _saving.Box of a WriteItem and the tensor that the planner gave for it; None for a box
    without elements of a tensor that has some. `roles`: name -> (role, parameter).
    Errors: UsageError naming the tensor."""
    name, told = item.index.fqn, item.tensor_data
    what = f"tensor '{name}'"
    if not _memory.is_tensor(data):
        raise UsageError(f"{what}: the planner gave a {type(data).__name__}")
    shape, lengths = tuple(told.size), tuple(told.chunk.sizes)
    if tuple(data.shape) != lengths:
        raise UsageError(f"{what}: the plan has a box of {list(lengths)}, its data is "
                         f"{list(data.shape)}", "save it without a planner that changes shapes")
    if math.prod(lengths) == 0 != math.prod(shape):
        return None
    memory = _memory.memory_of_box(_memory.within_reach(data.detach(), what), shape,
                                   tuple(told.chunk.offsets), what)
    return Box(name, memory, rank, *roles.get(name, ()))


def state_of(planner):
    """(tensors, plain values) by name: all of this rank's state, of which a plan has a part. Empty
    of planners that do not keep it."""
    tensors, values = {}, {}
    state = getattr(planner, "state_dict", None)
    for key, value in (state if isinstance(state, dict) else {}).items():
        if _memory.is_tensor(value):
            tensors[key] = value
        elif (plain := _tree.flatten_value(value, key)) is not None:
            values |= plain[1]
    return tensors, values
