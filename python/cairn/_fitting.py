"""What of a caller's state does not fit a tag, in words."""

import re

from . import _memory
from .errors import UsageError

_TOLD = 8  # names in a message


def check(checkpoint, flat, shown, sources, values, choice):
    """flat: the state; shown: name for the caller -> stored name; sources: the same of what both
    have; values: name -> value of the tag for what is no tensor.
    Errors: UsageError with what does not fit, and what would help."""
    wrong = []
    for name, stored in sources.items():
        wrong += _compare(checkpoint, flat, name, stored, choice.dtype is not None)
    hint = ""
    if choice.strict:
        here, there = _lone_names(flat, shown, sources, values, choice)
        wrong += [f"'{name}' is not in the tag" for name in here]
        wrong += [f"'{name}' of the tag is not in the state" for name in there]
        hint = _hint(here, there)
    if wrong:
        more = f"; and {len(wrong) - _TOLD} more" if len(wrong) > _TOLD else ""
        raise UsageError(f"the state does not fit the tag '{checkpoint.tag}': "
                         + "; ".join(wrong[:_TOLD]) + more, hint)


def shares_elements(target):
    """Whether several elements of a tensor or array are one in memory, as expand() makes them."""
    strides = target.strides if _memory.is_array(target) else target.stride()
    return any(stride == 0 and size > 1 for stride, size in zip(strides, target.shape))


def _lone_names(flat, shown, sources, values, choice):
    """What only the state has, and what only the tag has."""
    here = []
    if choice.tensors is None:
        here += [name for name in flat.tensors if name not in sources]
    if choice.is_whole:
        here += [name for name in (*flat.values, *flat.objects) if name not in values]
    if choice.partly:
        return here, []
    known = set(sources) | set(flat.tied)
    loaded = set(sources.values())  # under one of the names of tied tensors is enough
    there = [name for name, stored in shown.items() if name not in known and stored not in loaded]
    return here, there


def _hint(here, there):
    if not here and not there:
        return ""
    both = "strict=False loads what both have"
    if len(here) != len(there):
        return both
    longer, shorter = (here, there) if len(here[0]) > len(there[0]) else (there, here)
    for name in shorter:
        if longer[0].endswith(name):
            prefix = longer[0][:len(longer[0]) - len(name)]
            if prefix and {prefix + each for each in shorter} == set(longer):
                rename = {"^": prefix} if longer is here else {"^" + re.escape(prefix): ""}
                return f"rename={rename} makes the names alike"
    return both


def _compare(checkpoint, flat, name, stored, cast):
    target, (kept, shape) = flat.tensors[name], checkpoint.tensors[stored]
    own = _memory.dtype_name(target.dtype, f"'{name}'")
    if tuple(target.shape) != shape:
        yield f"'{name}' is {list(shape)} in the tag, here {list(target.shape)}"
    elif own != kept and not cast:
        yield f"'{name}' is {kept} in the tag, here {own} (dtype= converts)"
    if _memory.is_tensor(target) and target.layout is not _memory.torch_module().strided:
        yield f"'{name}' is sparse here"
    elif shares_elements(target) or (_memory.is_array(target) and not target.flags.writeable):
        yield f"'{name}' cannot be written: elements share memory, or it is read-only"
    if name in flat.in_tuples and not _memory.is_array(target) and target.is_meta:
        yield f"'{name}' is on the meta device, in a tuple, whose items cannot be exchanged"
