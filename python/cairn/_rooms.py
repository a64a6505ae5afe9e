"""Where a load may write the boxes of a caller's tensor."""

from . import _checkpoint, _devices, _memory


def rooms_of(name, target, beside=False):
    """(box of the target, where a load may write it, that as memory) for each box that this process
    holds. beside: elsewhere in any case."""
    if _memory.is_array(target):
        is_there = not beside and all(stride >= 0 for stride in target.strides)
        room = target if is_there else _room_like(target)
        return [(target, room, _memory.memory_of(name, room))]
    made = []
    for local, offsets in _memory.local_boxes(target):
        local = local.detach()
        is_there = (not beside and _devices.lies_here(local) and not local.is_conj()
                    and not local.is_neg())
        room = local if is_there else _room_like(local)
        if room.numel() or not target.numel():
            made.append((local, room, _memory.memory_of_box(room, target.shape, offsets)))
    return made


def _room_like(target):
    make = _checkpoint.new_array if _memory.is_array(target) else _checkpoint.new_tensor
    return make(_memory.dtype_name(target.dtype), tuple(target.shape))
