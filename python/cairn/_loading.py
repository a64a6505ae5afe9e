"""Loading into new tensors. Into those that the caller has: _into.py."""

from . import _checkpoint, _devices, _memory, _tree
from ._saved import SavedState

_FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")


def load_new(checkpoint, tensors, map_location, dtype, rename, allow_pickle):
    """The state as it was saved, without the tensors that are not chosen; a flat dict of tensors
    when they are renamed."""
    saved = SavedState(checkpoint)
    shown = shown_names(checkpoint, saved, tensors, rename)
    structure = None if rename else saved.structure
    objects = {}
    if structure and (tensors is None or allow_pickle):  # who chooses tensors wants no objects
        objects = _tree.load_objects(saved.read, structure, allow_pickle)
    arrays = _tree.arrays_of(structure)
    device = _device_to_fill(map_location)
    made = {}
    for name, stored in shown.items():
        if stored in made:
            continue
        kept, shape = checkpoint.tensors[stored]
        wanted = _memory.dtype_name(dtype) if dtype is not None and kept in _FLOATS else kept
        made[stored] = (_checkpoint.new_array(wanted, shape) if name in arrays
                        else _checkpoint.new_tensor(wanted, shape, device or "cpu"))
    checkpoint.load([(stored, _memory.memory_of(stored, value)) for stored, value in made.items()],
                    cast=dtype is not None)
    if map_location is not None and device is None:
        made = {stored: value if stored in arrays else value.to(map_location)
                for stored, value in made.items()}
    made = {name: made[stored] for name, stored in shown.items()}
    if structure is None:
        return made
    return _tree.unflatten(structure, made, saved.values, objects)


def _device_to_fill(map_location):
    """The device where tensors are to be, if the library fills them there; else None."""
    torch = _memory.torch_module()
    if torch is None or map_location is None:
        return None
    device = torch.device(map_location)
    return device if _devices.serves(device) else None


def shown_names(checkpoint, saved, tensors, rename):
    """name for the caller -> stored name, of the tensors that are chosen. Tensors that were tied
    when they were saved are stored under one name, and have all of theirs here."""
    stored = {name: name for name in checkpoint.tensors} | _tree.ties_of(saved.structure)
    return _checkpoint.renamed(_checkpoint.chosen(stored, tensors), rename, stored)
