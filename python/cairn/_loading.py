"""Loading into tensors: new ones, or those that the caller has."""

from . import _checkpoint, _memory, _tree
from .errors import UsageError

_FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")


def load_new(checkpoint, tensors, map_location, dtype, rename, allow_pickle):
    """The state as it was saved; a flat dict of tensors when it is renamed or only in part."""
    shown = _checkpoint.renamed(_checkpoint.chosen(checkpoint.tensors, tensors), rename)
    structure, values = (None, {}) if rename else _tree.load_structure(checkpoint.attachment)
    objects = _tree.load_objects(checkpoint.attachment, allow_pickle) if structure else {}
    arrays = _arrays_of(structure)
    made = {}
    for name, stored in shown.items():
        kept, shape = checkpoint.tensors[stored]
        wanted = _memory.dtype_name(dtype) if dtype is not None and kept in _FLOATS else kept
        make = _checkpoint.new_array if name in arrays else _checkpoint.new_tensor
        made[name] = make(wanted, shape)
    checkpoint.load({shown[name]: _memory.memory_of(name, value) for name, value in made.items()},
                    cast=dtype is not None)
    if map_location is not None:
        made = {name: value if name in arrays else value.to(map_location)
                for name, value in made.items()}
    if structure is None:
        return made
    return _tree.unflatten(structure, made, values, objects)


def _arrays_of(node, name=""):
    """Names of leaves that were NumPy arrays."""
    if node == "array":
        return {name}
    if not isinstance(node, dict) or "tied" in node:
        return set()
    found = set()
    for kind, children in node.items():
        pairs = children if kind == "dict" else enumerate(children)
        for key, child in pairs:
            found |= _arrays_of(child, f"{name}.{key}" if name else str(key))
    return found


def load_into(checkpoint, into, tensors, dtype, rename, strict):
    """Fills the tensors of a nested state where they lie; those on the meta device become new ones.
    Errors: UsageError with every name that does not fit, before a byte is read."""
    flat = _tree.flatten(into, allow_pickle=True)
    shown = _checkpoint.renamed(_checkpoint.chosen(checkpoint.tensors, tensors), rename)
    wrong = _compare(checkpoint, flat, shown, strict and tensors is None, dtype is not None)
    if wrong:
        raise UsageError(f"the state does not fit the tag '{checkpoint.tag}': " + "; ".join(wrong),
                         "strict=False loads what both have" if strict else "")
    memories, afterwards = {}, []
    for name, target in flat.tensors.items():
        if name not in shown:
            continue
        direct = target
        if not _is_in_place(target):
            direct = _checkpoint.new_tensor(_memory.dtype_name(target.dtype), tuple(target.shape))
            afterwards.append((name, target, direct))
        memories[shown[name]] = _memory.memory_of(name, direct)
    checkpoint.load(memories, cast=dtype is not None)
    new = {}
    for name, target, loaded in afterwards:
        if target.device.type == "meta":
            new[name] = loaded
        else:
            _memory.torch_module().Tensor.copy_(target.detach(), loaded)
    _put(into, "", new, flat.tied)
    return into


def _is_in_place(target):
    if _memory.is_array(target):
        return target.dtype.isnative and all(stride >= 0 for stride in target.strides)
    if target.device.type != "cpu" or target.is_conj() or target.is_neg():
        return False
    # Elements that share memory would be filled twice, by threads.
    return all(stride > 0 or size <= 1 for stride, size in zip(target.stride(), target.shape))


def _compare(checkpoint, flat, shown, strict, cast):
    wrong = []
    for name, target in flat.tensors.items():
        if name not in shown:
            if strict:
                wrong.append(f"'{name}' is not in the tag")
            continue
        kept, shape = checkpoint.tensors[shown[name]]
        own = _memory.dtype_name(target.dtype, f"'{name}'")
        if tuple(target.shape) != shape:
            wrong.append(f"'{name}' is {list(shape)} in the tag, here {list(target.shape)}")
        elif own != kept and not cast:
            wrong.append(f"'{name}' is {kept} in the tag, here {own} (dtype= converts)")
    if strict:
        known = set(flat.tensors) | set(flat.tied)
        wrong += [f"'{name}' of the tag is not in the state" for name in shown if name not in known]
    return wrong


def _put(node, name, new, tied):
    """Puts new tensors in the places of a nested state that had none in memory."""
    pairs = node.items() if hasattr(node, "items") else enumerate(node)
    for key, child in list(pairs):
        path = f"{name}.{key}" if name else str(key)
        stored = tied.get(path, path)
        if stored in new:
            node[key] = new[stored]
        elif hasattr(child, "items") or type(child) in (list, tuple):
            _put(child, path, new, tied)
