"""Loading into what the caller has: tensors where they lie, and plain values in their places."""

import collections.abc
import dataclasses

from . import _fitting, _growing, _loading, _memory, _overlaps, _tree
from ._rooms import rooms_of
from ._saved import SavedState


@dataclasses.dataclass
class Choice:
    """What of a tag is wanted, and how; arguments of Store.load(). sections: the keys of the outermost
    dict that are meant, whatever else the tag has; partly: of these too the tag may have more."""

    tensors: object = None
    dtype: object = None
    rename: object = None
    strict: bool = True
    allow_pickle: bool = False
    sections: object = None
    partly: bool = False

    def is_meant(self, name):
        """Whether a name of the tag is in one of the sections."""
        return self.sections is None or name.partition(".")[0] in self.sections

    @property
    def is_whole(self):
        """Whether names are the tag's, and all of them are meant."""
        return self.tensors is None and not self.rename


def load_into(checkpoint, into, choice):
    """Fills the tensors of a nested state where they lie; those on the meta device become new ones,
    and plain values become the tag's, in lists and dicts where they lie; empty dicts take what the
    tag has there. With `tensors` or `rename`
    values stay as they are. Returns the state.
    Errors: UsageError with every name that does not fit, before a byte is read; for names that share
    memory and differ in the tag, after."""
    saved = SavedState(checkpoint)
    grown = []
    if choice.is_whole and not choice.partly and isinstance(into, dict):
        grown = _growing.grow(into, saved, checkpoint.tensors)
    try:
        return _load_into(checkpoint, saved, into, choice)
    except BaseException:
        for each in grown:
            each.clear()
        raise


def _load_into(checkpoint, saved, into, choice):
    flat = _tree.flatten(into, allow_pickle=True)
    shown = _loading.shown_names(checkpoint, saved, choice.tensors, choice.rename)
    shown = {name: stored for name, stored in shown.items() if choice.is_meant(name)}
    sources = _sources_of(flat, shown)
    new = _values_of(saved, flat, choice) if choice.is_whole else {}
    _fitting.check(checkpoint, flat, shown, sources, new, choice)
    targets = {name: flat.tensors[name] for name in sources}
    for name, target in targets.items():
        if _memory.is_tensor(target) and target.is_meta:
            targets[name] = new[name] = _filled_like(target)
    shared = _overlaps.Shared(checkpoint.tag, flat, shown, sources, targets)
    loads, copies = [], []
    for name, target in targets.items():
        for place, room, memory in rooms_of(name, target, beside=name in shared.names):
            loads.append((sources[name], memory))
            if room is not place:
                copies.append((name, place, room))
    checkpoint.load(loads + shared.loads, cast=choice.dtype is not None)
    for _, place, room in copies:
        place[...] = room
    shared.check(copies)
    return _filled(into, "", new, flat.tied)


def _sources_of(flat, shown):
    """name -> stored name, for the tensors that the tag has, under that name or one that is tied to
    it."""
    others = {}
    for name, first in flat.tied.items():
        others.setdefault(first, []).append(name)
    sources = {}
    for first in flat.tensors:
        known = next((name for name in (first, *others.get(first, ())) if name in shown), None)
        if known is not None:
            sources[first] = shown[known]
    return sources


def _values_of(saved, flat, choice):
    """name -> value of the tag, for what is no tensor in the state."""
    names = [*flat.values, *flat.objects]
    found = {name: _tree.from_plain(saved.values[name]) for name in names if name in saved.values}
    wanted = {name for name in names if name not in found}
    if saved.structure is not None and wanted and (choice.strict or choice.allow_pickle):
        found |= _tree.load_objects(saved.read, saved.structure, choice.allow_pickle, only=wanted)
    return found


def load_into_module(checkpoint, module, choice):
    """As load_into(), of what has state_dict() and load_state_dict()."""
    state = module.state_dict()
    is_meta = any(_memory.is_tensor(value) and value.is_meta for value in state.values())
    is_own = is_meta or _are_own(module, state)
    state = load_into(checkpoint, state, choice)
    if is_meta:
        module.load_state_dict(_tied_again(module, state), strict=choice.strict, assign=True)
    elif not is_own:  # hooks have made copies, it has an extra state, or is an optimizer
        module.load_state_dict(state)
    return module


def _are_own(module, state):
    """Whether the state is nothing but the module's memory."""
    if not hasattr(module, "parameters"):
        return False
    own = {_address(each) for each in (*module.parameters(), *module.buffers())}
    return all(_memory.is_tensor(value) and (not value.numel() or _address(value) in own)
               for value in state.values())


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


def _filled(node, name, new, tied):
    """A part of a nested state with new leaves, in its own containers; tuples are made anew."""
    is_dict = isinstance(node, collections.abc.Mapping)
    pairs = list(node.items() if is_dict else enumerate(node))
    items = [_child(child, _tree.below(name, key), new, tied) for key, child in pairs]
    if type(node) is tuple:
        changed = any(item is not child for item, (_, child) in zip(items, pairs))
        return tuple(items) if changed else node
    for item, (key, child) in zip(items, pairs):
        if item is not child:
            node[key] = item
    return node


def _child(child, path, new, tied):
    stored = tied.get(path, path)
    if stored in new:
        return new[stored]
    if isinstance(child, collections.abc.Mapping) or type(child) in (list, tuple):
        return _filled(child, path, new, tied)
    return child
