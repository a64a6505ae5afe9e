"""Names of a state that share memory, and are tensors of their own in a tag.

All of them are loaded into the same memory, which is right where the tag has the same values there:
a tied weight that was stored twice, say, or a flat buffer beside its views. So these are read a
second time, beside the memory, and compared with what it holds in the end.
"""

from . import _into, _memory
from .errors import UsageError


class Seconds:
    """flat: the state; shown: name for the caller -> stored name; sources: the same of what is
    loaded; new: tensors in place of those on the meta device.
    loads: pairs for Checkpoint.load()."""

    def __init__(self, checkpoint, flat, shown, sources, new):
        self._tag = checkpoint.tag
        self._pairs = []  # (name, box that was filled, the same read once more)
        self.loads = []
        targets = {name: new.get(name, flat.tensors[name]) for name in sources}
        doubles = {name: targets[known] for name, known in flat.tied.items()
                   if known in sources and shown.get(name, sources[known]) != sources[known]}
        doubtful = doubles | {name: targets[name] for name in _overlapping(targets)}
        for name, target in doubtful.items():
            for place, room, memory in _into.rooms(name, target, beside=True):
                self._pairs.append((name, place, room))
                self.loads.append((shown[name], memory))

    def check(self):
        """Errors: UsageError naming what holds something else than the tag has for it."""
        for name, place, room in self._pairs:
            if not _are_equal(place, room):
                raise UsageError(f"'{name}' shares memory with another name of the state, and is "
                                 f"another tensor in the tag '{self._tag}'",
                                 "give each memory of its own, or leave one of them out")


def _overlapping(targets):
    """Names of tensors in this process' memory that lie where others do, in part or all."""
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
    return [local for local, _ in boxes if local.is_cpu and local.numel()]


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
