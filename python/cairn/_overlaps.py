"""Names of a state that share memory, and are tensors of their own in a tag.

All of them go into the same memory, which is right where the tag has the same values there: a tied
weight that was stored twice, say, or a flat buffer beside its views. So they are loaded beside it,
where several threads do not write to the same bytes, copied, and compared with what the memory holds
in the end.
"""

from . import _devices, _memory
from ._rooms import rooms_of
from .errors import UsageError


class Shared:
    """flat: the state; shown: name for the caller -> stored name; sources: the same of what is
    loaded; targets: name -> tensor that is filled.
    names: of those that overlap others. loads: pairs for Checkpoint.load(), of tied names that the
    tag has as tensors of their own."""

    def __init__(self, tag, flat, shown, sources, targets):
        self._tag = tag
        self.names = _overlapping(targets)
        self._doubles = []  # (name, box, the same of the tag)
        self.loads = []
        for name, first in flat.tied.items():
            if first in sources and shown.get(name, sources[first]) != sources[first]:
                for place, room, memory in rooms_of(name, targets[first], beside=True):
                    self._doubles.append((name, place, room))
                    self.loads.append((shown[name], memory))

    def check(self, copies):
        """copies: (name, box that was filled, what with). Errors: UsageError naming what holds
        something else than the tag has for it."""
        filled = [each for each in copies if each[0] in self.names]
        for name, place, room in filled + self._doubles:
            if not _are_equal(place, room):
                raise UsageError(f"'{name}' shares memory with another name of the state, and is "
                                 f"another tensor in the tag '{self._tag}'",
                                 "give each memory of its own, or leave one of them out")


def _overlapping(targets):
    """Names of tensors within reach that lie where others do, in part or all."""
    spans = sorted((*_span(local), name) for name, target in targets.items()
                   for local in _locals(target))
    found, end, last = set(), 0, None
    for begin, stop, name in spans:
        if begin < end and name != last:
            found |= {name, last}
        if stop > end:
            end, last = stop, name
    return found


def _locals(target):
    if _memory.is_array(target):
        return [target] if target.size else []
    boxes = _memory.local_boxes(target)
    return [local for local, _ in boxes if _devices.lies_here(local) and local.numel()]


def _span(local):
    """The addresses of its first byte and of the one after its last."""
    if _memory.is_array(local):
        import numpy

        # Of NumPy 1 and 2.
        bounds = getattr(numpy.lib, "array_utils", numpy).byte_bounds
        return bounds(local)
    begin, size = local.data_ptr(), local.element_size()
    steps = sum((length - 1) * stride for length, stride in zip(local.shape, local.stride()))
    return begin, begin + (steps + 1) * size


def _are_equal(place, room):
    """Bit by bit."""
    if _memory.is_array(room):
        return place.tobytes() == room.tobytes()
    torch = _memory.torch_module()
    here = place.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return torch.equal(here.flatten().view(torch.uint8), room.flatten().view(torch.uint8))
