"""What is the same from save to save of a training, so that it is worked out once."""

import torch

from .. import _memory
from .._latest import Latest

_PLAIN = frozenset((torch.Tensor, torch.nn.Parameter))
_forms = Latest()


class FormedTensors(dict):
    """Name -> tensor or array, not to be changed. `latest`: a Latest of what was made of tensors of
    these names, dtypes, shapes and cuts; the same one for all that are alike."""

    def __init__(self, tensors):
        super().__init__(tensors)
        key = (tuple(tensors), tuple(map(_outline, tensors.values())))
        self.latest = _forms.find(key, Latest)


def formed(tensors):
    """Them as FormedTensors, if they are not already."""
    return tensors if isinstance(tensors, FormedTensors) else FormedTensors(tensors)


def is_plain(value):
    """Whether nothing but its class says that it is a tensor which this rank holds all of."""
    return type(value) in _PLAIN


def _outline(value):
    if type(value) in _PLAIN:
        return value.shape, value.dtype
    is_cut = hasattr(value, "local_shards") and _memory.is_cut(value)
    return (value.shape, value.dtype, getattr(value, "device_mesh", None),
            str(getattr(value, "placements", None)), is_cut)
