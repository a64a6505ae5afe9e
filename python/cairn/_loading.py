"""Loading into tensors: new ones, or those that the caller has."""

from . import _checkpoint, _memory, _tree
from ._saved import SavedState
from .errors import UsageError

_FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")


def load_new(checkpoint, tensors, map_location, dtype, rename, allow_pickle):
    """The state as it was saved, without the tensors that are not chosen; a flat dict of tensors
    when they are renamed."""
    saved = SavedState(checkpoint)
    shown = _shown(checkpoint, saved, tensors, rename)
    structure = None if rename else saved.structure
    objects = {}
    if structure and (tensors is None or allow_pickle):  # who chooses tensors wants no objects
        objects = _tree.load_objects(saved.read, structure, allow_pickle)
    arrays = _tree.arrays_of(structure)
    made = {}
    for name, stored in shown.items():
        if stored in made:
            continue
        kept, shape = checkpoint.tensors[stored]
        wanted = _memory.dtype_name(dtype) if dtype is not None and kept in _FLOATS else kept
        make = _checkpoint.new_array if name in arrays else _checkpoint.new_tensor
        made[stored] = make(wanted, shape)
    checkpoint.load([(stored, _memory.memory_of(stored, value)) for stored, value in made.items()],
                    cast=dtype is not None)
    if map_location is not None:
        made = {stored: value if stored in arrays else value.to(map_location)
                for stored, value in made.items()}
    made = {name: made[stored] for name, stored in shown.items()}
    if structure is None:
        return made
    return _tree.unflatten(structure, made, saved.values, objects)


def _shown(checkpoint, saved, tensors, rename):
    """name for the caller -> stored name, of the tensors that are chosen. Tensors that were tied
    when they were saved are stored under one name, and have all of theirs here."""
    stored = {name: name for name in checkpoint.tensors} | _tree.ties_of(saved.structure)
    return _checkpoint.renamed(_checkpoint.chosen(stored, tensors), rename, stored)


def load_into(checkpoint, into, tensors, dtype, rename, strict):
    """Fills the tensors of a nested state where they lie; those on the meta device become new ones.
    With `tensors` what is not chosen stays as it is.
    Errors: UsageError with every name that does not fit, before a byte is read."""
    flat = _tree.flatten(into, allow_pickle=True)
    shown = _shown(checkpoint, SavedState(checkpoint), tensors, rename)
    sources = {name: shown[name] for name in flat.tensors if name in shown}
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


def load_into_module(checkpoint, module, tensors, dtype, rename, strict):
    """As load_into(), of what has state_dict() and load_state_dict()."""
    state = module.state_dict()
    is_meta = any(_memory.is_tensor(value) and value.is_meta for value in state.values())
    is_own = is_meta or _are_own(module, state)
    load_into(checkpoint, state, tensors, dtype, rename, strict)
    if is_meta:
        module.load_state_dict(_tied_again(module, state), strict=strict, assign=True)
    elif not is_own:  # hooks have made copies
        module.load_state_dict(state)
    return module


def _are_own(module, state):
    """Whether the tensors of the state are the module's memory."""
    if not hasattr(module, "parameters"):
        return False
    own = {_address(each) for each in (*module.parameters(), *module.buffers())}
    return all(_address(value) in own for value in state.values()
               if _memory.is_tensor(value) and value.numel())


def _address(tensor):
    return getattr(tensor, "_local_tensor", tensor).data_ptr()


def _tied_again(module, state):
    """Parameters that the module has under several names are one again."""
    if not hasattr(module, "named_parameters"):
        return state
    torch = _memory.torch_module()
    made = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if name in state and not state[name].is_meta:
            first = made.setdefault(id(parameter), torch.nn.Parameter(
                state[name], requires_grad=parameter.requires_grad))
            state[name] = first
    return state


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


def _room_like(target):
    make = _checkpoint.new_array if _memory.is_array(target) else _checkpoint.new_tensor
    return make(_memory.dtype_name(target.dtype), tuple(target.shape))


def _compare_names(flat, shown, sources, is_part):
    wrong = []
    if not is_part:
        wrong += [f"'{name}' is not in the tag" for name in flat.tensors if name not in sources]
    known = set(sources) | set(flat.tied)
    loaded = set(sources.values())  # under one of the names of tied tensors is enough
    return wrong + [f"'{name}' of the tag is not in the state"
                    for name, stored in shown.items() if name not in known and stored not in loaded]


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
