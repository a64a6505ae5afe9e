"""Loading into tensors: new ones, or those that the caller has."""

from . import _checkpoint, _memory, _tree
from ._saved import SavedState
from .errors import UsageError

_FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")


def load_new(checkpoint, tensors, map_location, dtype, rename, allow_pickle):
    """The state as it was saved, without the tensors that are not chosen; a flat dict of tensors
    when they are renamed."""
    shown = _checkpoint.renamed(_checkpoint.chosen(checkpoint.tensors, tensors), rename)
    saved = SavedState(checkpoint)
    structure = None if rename else saved.structure
    objects = _tree.load_objects(saved.read, structure, allow_pickle) if structure else {}
    arrays = _tree.arrays_of(structure)
    made = {}
    for name, stored in shown.items():
        kept, shape = checkpoint.tensors[stored]
        wanted = _memory.dtype_name(dtype) if dtype is not None and kept in _FLOATS else kept
        make = _checkpoint.new_array if name in arrays else _checkpoint.new_tensor
        made[name] = make(wanted, shape)
    checkpoint.load([(shown[name], _memory.memory_of(name, value)) for name, value in made.items()],
                    cast=dtype is not None)
    if map_location is not None:
        made = {name: value if name in arrays else value.to(map_location)
                for name, value in made.items()}
    if structure is None:
        return made
    return _tree.unflatten(structure, made, saved.values, objects)


def load_into(checkpoint, into, tensors, dtype, rename, strict):
    """Fills the tensors of a nested state where they lie; those on the meta device become new ones.
    With `tensors` what is not chosen stays as it is.
    Errors: UsageError with every name that does not fit, before a byte is read."""
    flat = _tree.flatten(into, allow_pickle=True)
    shown = _checkpoint.renamed(_checkpoint.chosen(checkpoint.tensors, tensors), rename)
    sources = _sources(checkpoint, flat, shown, rename)
    wrong = []
    for name, stored in sources.items():
        wrong += _compare(checkpoint, flat, name, stored, dtype is not None)
    if strict:
        wrong += _compare_names(flat, shown, sources, tensors is not None)
    if wrong:
        raise UsageError(f"the state does not fit the tag '{checkpoint.tag}': " + "; ".join(wrong),
                         "strict=False loads what both have" if strict else "")
    loads, copies, new = [], [], {}
    for name, stored in sources.items():
        target = flat.tensors[name]
        if _memory.is_tensor(target) and target.is_meta:
            target = new[name] = _filled_like(target)
        for place, room, memory in _rooms(name, target):
            loads.append((stored, memory))
            if room is not place:
                copies.append((place, room))
    checkpoint.load(loads, cast=dtype is not None)
    for place, room in copies:
        place[...] = room
    _put(into, "", new, flat.tied)
    return into


def _filled_like(target):
    """A tensor with memory, instead of one on the meta device."""
    mesh = getattr(target, "device_mesh", None)
    torch = _memory.torch_module()
    return torch.empty_like(target, device="cpu" if mesh is None else mesh.device_type).detach()


def _rooms(name, target):
    """(box of the target, where a load may write it, that as memory) for each box that this process
    holds."""
    if _memory.is_array(target):
        room = target if all(stride >= 0 for stride in target.strides) else _room_like(target)
        return [(target, room, _memory.memory_of(name, room))]
    rooms = []
    for local, offsets in _memory.local_boxes(target):
        local = local.detach()
        is_there = local.is_cpu and not local.is_conj() and not local.is_neg()
        room = local if is_there else _room_like(local)
        if room.numel() or not target.numel():
            rooms.append((local, room, _memory.memory_of_box(room, target.shape, offsets)))
    return rooms


def _sources(checkpoint, flat, shown, rename):
    """name in the state -> stored name. Tensors that were tied when they were saved have one."""
    ties = {}
    if not rename:
        ties = _tree.ties_of(SavedState(checkpoint).structure)
    found = {name: shown.get(name, shown.get(ties.get(name))) for name in flat.tensors}
    return {name: stored for name, stored in found.items() if stored is not None}


def _room_like(target):
    make = _checkpoint.new_array if _memory.is_array(target) else _checkpoint.new_tensor
    return make(_memory.dtype_name(target.dtype), tuple(target.shape))


def _compare_names(flat, shown, sources, is_part):
    known = set(flat.tensors) | set(flat.tied)
    wrong = []
    if not is_part:
        wrong += [f"'{name}' is not in the tag" for name in flat.tensors if name not in sources]
    known = set(flat.tensors) | set(flat.tied)
    return wrong + [f"'{name}' of the tag is not in the state"
                    for name in shown if name not in known]


def _compare(checkpoint, flat, name, stored, cast):
    target, (kept, shape) = flat.tensors[name], checkpoint.tensors[stored]
    own = _memory.dtype_name(target.dtype, f"'{name}'")
    if tuple(target.shape) != shape:
        yield f"'{name}' is {list(shape)} in the tag, here {list(target.shape)}"
    elif own != kept and not cast:
        yield f"'{name}' is {kept} in the tag, here {own} (dtype= converts)"
    if shares_elements(target) or (_memory.is_array(target) and not target.flags.writeable):
        yield f"'{name}' cannot be written: elements share memory, or it is read-only"
    if name in flat.in_tuples and not _memory.is_array(target) and target.is_meta:
        yield f"'{name}' is on the meta device, in a tuple, whose items cannot be exchanged"


def shares_elements(target):
    strides = target.strides if _memory.is_array(target) else target.stride()
    return any(stride == 0 and size > 1 for stride, size in zip(strides, target.shape))


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
