"""Values that are no tensors, between the bytes of DCP's planner and the tag.

The default planner hands out what torch.save makes of a value. Where that is nothing but a plain
value, the value itself goes into the tag, as Store.save has it: JSON, a few bytes, the same in
every release of PyTorch. All else stays the bytes that they are, an attachment for each key.
"""

import functools
import io

import torch

from .. import _tree
from . import _keys

# Longer ones are left as they are: finding out what they hold would take longer than storing them.
_PLAIN_BYTES = 64 * 1024


def bytes_of(value):
    """What torch.save makes of it."""
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def plain_of(data, key):
    """(node, values) of the plain value that torch.save makes exactly these bytes of, for
    cairn._tree; None where there is none."""
    value = _decoded(data) if len(data) <= _PLAIN_BYTES else None
    if value is None:
        return None
    told = _tree.flatten_value(value[0], key)
    if told is None or not _keys.is_leaf(told[0]):
        return None  # a planner that flattens would ask for its parts
    node, values = told
    same = bytes_of(_tree.unflatten(node, {}, values, {}, key)) == data
    return told if same else None


@functools.lru_cache(maxsize=1024)
def _decoded(data):
    """(value,); None for what is not understood without running code."""
    try:
        return (torch.load(io.BytesIO(data), map_location="cpu", weights_only=True),)
    except Exception:  # pickles raise whatever they like
        return None
