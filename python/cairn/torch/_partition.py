"""States of what this rank holds, and states of whole tensors, given to parts of a training."""

from .. import _memory
from ..errors import UsageError


def local(value):
    """A state with tensors that are cut among ranks as this rank's own, in the same memory."""
    if _memory.is_tensor(value):
        return value.to_local() if hasattr(value, "to_local") else value
    if isinstance(value, dict):
        return {key: local(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return _like(value, map(local, value))
    return value


def _like(kind, items):
    """A list, a tuple, or a named tuple of the items."""
    return type(kind)(*items) if hasattr(kind, "_fields") else type(kind)(items)


class Filler:
    """Gives one state's values to another, whose tensors stay where they are.

    is_local: the values are those of local(), where ranks hold the same again; else whole tensors,
    of which each rank takes what it holds.
    unmatched: names that only one of the two has. Nothing is written before copy()."""

    def __init__(self, is_local):
        self._is_local = is_local
        self.unmatched = []
        self._copies = []  # (tensor, its values)

    def filled(self, target, value, name=""):
        """The target as it will be. Errors: UsageError naming what has another shape."""
        if _memory.is_tensor(target):
            self._check(target, value, name)
            return target
        if isinstance(target, dict) and isinstance(value, dict):
            self.unmatched += [f"{name}{key}" for key in target.keys() ^ value.keys()]
            return {key: self.filled(child, value[key], f"{name}{key}.") if key in value else child
                    for key, child in target.items()}
        if isinstance(target, (list, tuple)) and type(value) is type(target):
            if len(target) != len(value):
                raise UsageError(f"'{name}' has {len(value)} items, here are {len(target)}")
            return _like(target, (self.filled(child, given, f"{name}{number}.")
                                  for number, (child, given) in enumerate(zip(target, value))))
        return value

    def copy(self):
        for own, values in self._copies:
            own.copy_(values)

    def _check(self, target, value, name):
        name = name.rstrip(".")
        if not _memory.is_tensor(value):
            raise UsageError(f"'{name}' is a tensor here, and a {type(value).__name__} in the state")
        if self._is_local:
            target, value = local(target), local(value)
        if tuple(target.shape) != tuple(value.shape):
            hint = "same_partition_load=False takes whole tensors" if self._is_local else ""
            raise UsageError(f"'{name}' is {list(target.shape)} here, {list(value.shape)} in the "
                             "state", hint)
        for own, offsets in _memory.local_boxes(target):
            box = tuple(slice(start, start + length) for start, length in zip(offsets, own.shape))
            self._copies.append((own.detach(), value[box]))
