"""Empty dicts of a caller's state take all that the tag has in their place: an optimizer that has
not stepped yet has no moments that could be filled."""

from . import _checkpoint, _memory, _tree


def grow(state, saved, stored):
    """Puts tensors without memory and arrays into the empty dicts in a nested state, named as the
    tag has them; a load makes them like those on the meta device. Values are the tag's at once.
    saved: a SavedState; stored: name -> (dtype, shape). Returns the dicts that have grown."""
    grown = []
    if saved.structure is not None and not _memory.is_of_several_ranks(state):  # boxes are unknown
        _visit(saved.structure, state, "", saved, stored, grown)
    return grown


def _visit(node, value, name, saved, stored, grown):
    if not isinstance(node, dict) or "tied" in node:
        return
    (kind, children), = node.items()
    if kind == "dict" and isinstance(value, dict):
        if not value and children and name:  # but not into an empty state
            value.update(_made(node, name, saved, stored))
            grown.append(value)
            return
        pairs = [(key, child) for key, child in children if key in value]
    elif kind == "list" and isinstance(value, list):
        pairs = list(enumerate(children[:len(value)]))
    else:
        return
    for key, child in pairs:
        _visit(child, value[key], _tree.below(name, key), saved, stored, grown)


def _made(node, name, saved, stored):
    arrays = _tree.arrays_of(node, name)
    tensors = {}
    for path in _tree.stored_in(node, name):
        dtype, shape = stored[path]
        tensors[path] = (_checkpoint.new_array(dtype, shape) if path in arrays
                         else _without_memory(dtype, shape))
    return _tree.unflatten(node, tensors, saved.values, {}, name)


def _without_memory(dtype, shape):
    torch = _memory.torch_module()
    return torch.empty(shape, dtype=_memory.torch_dtype(dtype), device="meta")
