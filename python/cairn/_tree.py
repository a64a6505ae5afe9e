"""Nested state dicts as named tensors and back.

Keys are joined with '.'. What a flat dict of tensors does not need is kept beside them in two
attachments: the structure (containers, and which leaf is what), equal from save to save, and the
values that are no tensors. Nothing here is executed when it is read: other Python objects are
pickled, in an attachment of their own, only where the caller allows it.
"""

import base64
import collections
import dataclasses
import io
import json
import math
import pickle
import sys

from ._memory import has_boxes_everywhere, is_array, is_tensor, tensor_types, torch_module
from .errors import CorruptError, UsageError

STRUCTURE = "cairn_structure.json"
VALUES = "cairn_values.json"
OBJECTS = "cairn_objects.pickle"
_LEAVES = ("tensor", "array", "value", "object", "bytes")
BYTES = "cairn_bytes/"  # and a name: what torch.distributed.checkpoint's planner made of an object


@dataclasses.dataclass
class Flat:
    """A state dict taken apart."""

    tensors: dict = dataclasses.field(default_factory=dict)  # name -> tensor or array
    tied: dict = dataclasses.field(default_factory=dict)  # name -> the name it is stored under
    doubles: dict = dataclasses.field(default_factory=dict)  # name -> the tensor itself, for those
    structure: object = None  # None: a flat dict of tensors
    in_tuples: set = dataclasses.field(default_factory=set)  # names of tensors
    values: dict = dataclasses.field(default_factory=dict)  # name -> what JSON holds
    objects: dict = dataclasses.field(default_factory=dict)  # name -> anything else

    def attachments(self):
        """name -> bytes."""
        made = {}
        if self.structure is not None:
            made[STRUCTURE] = _json(self.structure)
            made[VALUES] = _json(self.values)
        if self.objects:
            made[OBJECTS] = _pickled(self.objects)
        return made


def _pickled(objects):
    """Errors: UsageError naming the object that no pickle can be made of."""
    try:
        return pickle.dumps(objects)
    except Exception as error:  # an object may raise anything
        for name, value in objects.items():
            try:
                pickle.dumps(value)
            except Exception:
                raise UsageError(f"no pickle can be made of '{name}', a {type(value).__name__}: "
                                 f"{error}", "leave it out of the state") from error
        raise


def _json(value):
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def flatten(state, allow_pickle=False):
    """Errors: UsageError naming the key, for names that meet and objects that need a pickle."""
    if not isinstance(state, collections.abc.Mapping):
        hint = "give its state_dict()" if hasattr(state, "state_dict") else ""
        raise UsageError(f"a state is a dict of tensors, not {type(state).__name__}", hint)
    taker = _Taker(allow_pickle)
    structure = taker.take(state, "")
    flat = taker.flat
    is_plain = not flat.tied and all(
        isinstance(key, str) and (is_tensor(value)) for key, value in state.items())
    flat.structure = None if is_plain else structure
    return flat


def flatten_value(value, name):
    """(node, values) of a value without tensors, all of which JSON holds; None for others."""
    taker = _Taker(allow_pickle=False)
    try:
        node = taker.take(value, name)
    except UsageError:
        return None
    return None if taker.flat.tensors else (node, taker.flat.values)


def plain_key(key, name=""):
    """A key as the structure keeps it: text or an integer, also of an Enum that is one.
    Errors: UsageError."""
    if not isinstance(key, (str, int)) or isinstance(key, bool):
        raise UsageError(f"the key {key!r} in '{name}' is neither text nor an integer")
    return str.__str__(key) if isinstance(key, str) else int(key)


def below(name, key):
    """The name of what a container called `name` has under a key."""
    key = key if type(key) in (str, int) else plain_key(key, name)
    return f"{name}.{key}" if name else str(key)


class _Taker:
    def __init__(self, allow_pickle):
        self.flat = Flat()
        self._allow_pickle = allow_pickle
        self._tensors, self._arrays = tensor_types()
        self._strided = getattr(torch_module(), "strided", None)
        self._names = set()
        self._addresses = {}  # where a tensor begins -> its name
        self._places = {}  # the same with what else tells tensors apart
        self._holders = set()  # ids of containers on the way here: a state may not hold itself

    def take(self, value, name):
        if isinstance(value, self._tensors):
            return self._tensor(value, name)
        if isinstance(value, dict) or isinstance(value, collections.abc.Mapping):
            return self._container("dict", value, name, value.items())
        if type(value) in (list, tuple):
            kind = "list" if type(value) is list else "tuple"
            return self._container(kind, value, name, enumerate(value))
        self._claim(name)
        plain = _plain(value)
        if plain is not None or value is None:
            self.flat.values[name] = plain
            return "value"
        if not self._allow_pickle:
            raise UsageError(f"'{name}' is a {type(value).__name__}, which is neither a tensor nor "
                             "a value that JSON holds", "allow_pickle=True stores it as a pickle")
        self.flat.objects[name] = value
        return "object"

    def _container(self, kind, value, name, children):
        if id(value) in self._holders:
            raise UsageError(f"'{name}' holds itself")
        self._holders.add(id(value))
        taken, begin = [], f"{name}." if name else ""
        for key, child in children:
            if kind == "dict" and type(key) not in (str, int):
                key = plain_key(key, name)
            path = f"{begin}{key}"
            node = self.take(child, path)
            if kind == "tuple" and node == "tensor":
                self.flat.in_tuples.add(path)
            taken.append([key, node] if kind == "dict" else node)
        self._holders.remove(id(value))
        return {kind: taken}

    def _claim(self, name):
        known = len(self._names)
        self._names.add(name)
        if len(self._names) == known:
            raise UsageError(f"two values of the state are called '{name}' when keys are joined "
                             "with '.'", "rename one")

    def _tensor(self, value, name):
        self._claim(name)
        if isinstance(value, self._arrays):
            self.flat.tensors[name] = value
            return "array"
        local = getattr(value, "_local_tensor", value)  # of a DTensor
        address = local.data_ptr() if local.layout is self._strided else 0
        if local is not value and not has_boxes_everywhere(value):
            address = 0  # ranks without a box could not tell
        # Few tensors begin where another does: only of these it is asked what else is the same.
        first = self._addresses.setdefault(address, name) if address else name
        known = name if first == name else self._known(first, value, name)
        if known == name:
            self.flat.tensors[name] = value
            return "tensor"
        self.flat.tied[name], self.flat.doubles[name] = known, value
        return {"tied": known}

    def _known(self, first, value, name):
        """The name under which a tensor is already here, or its own. `first`: of one that begins
        at the same address."""
        self._places.setdefault(_place(self.flat.tensors[first]), first)
        return self._places.setdefault(_place(value), name)


def _place(value):
    """What two names of one tensor have in common, besides where it begins."""
    local = getattr(value, "_local_tensor", value)
    return (local.data_ptr(), value.shape, local.shape, local.stride(), local.dtype, local.device,
            local.is_conj(), local.is_neg(), getattr(value, "placements", None),
            getattr(value, "device_mesh", None))


def _plain(value):
    """The value as JSON; None when it does not fit. A number of NumPy becomes one of Python."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        if isinstance(value, (numpy.datetime64, numpy.timedelta64)):
            return None
        value = value.item()
    if type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if type(value) is bytes:
        return {"bytes": base64.b64encode(value).decode()}
    return None


def from_plain(value):
    """A value from its form in JSON."""
    if isinstance(value, dict):
        if "float" in value:
            return float(value["float"])
        return base64.b64decode(value["bytes"])
    return value


def load_structure(read):
    """The structure and the values of a tag; `read(name)`: an attachment's bytes or None."""
    structure = read(STRUCTURE)
    if structure is None:
        return None, {}
    return json.loads(structure), json.loads(read(VALUES))


def load_objects(read, structure, allow_pickle, name="", only=None):
    """name -> object, for those of the structure, or of the part of it called `name`. only: names
    that are wanted; None: all.
    Errors: UsageError when there are some and the caller does not allow pickles."""
    kinds = {path: leaf for path, leaf in leaves(structure, name)
             if leaf in ("object", "bytes") and (only is None or path in only)}
    if not kinds:
        return {}
    if not allow_pickle:
        raise UsageError("the tag holds Python objects as a pickle, which may run any code when it "
                         "is read", "allow_pickle=True reads it, if you trust who saved it")
    pickled = pickle.loads(read(OBJECTS)) if "object" in kinds.values() else {}
    return {name: pickled[name] if kind == "object" else _load_bytes(name, read(BYTES + name))
            for name, kind in kinds.items()}


def _load_bytes(name, data):
    torch = torch_module()
    if torch is None:
        raise UsageError(f"'{name}' was saved by PyTorch", "import torch first")
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)


def leaves(node, name=""):
    """(name, leaf) for each leaf of a structure."""
    if not isinstance(node, dict) or "tied" in node:
        yield name, node
        return
    for kind, children in node.items():
        for key, child in children if kind == "dict" else enumerate(children):
            yield from leaves(child, f"{name}.{key}" if name else str(key))


def check(structure, values):
    """Errors: ValueError and others of its kind for what is no structure, or lacks a value."""
    for name, leaf in leaves(structure):
        is_tied = isinstance(leaf, dict) and isinstance(leaf["tied"], str)
        if not is_tied and leaf not in _LEAVES:
            raise ValueError(f"'{name}' is {leaf!r}")
        if leaf == "value":
            from_plain(values[name])


def arrays_of(structure, name=""):
    """Names of what were NumPy arrays."""
    return {name for name, leaf in leaves(structure, name) if leaf == "array"}


def stored_in(node, name):
    """Stored names of the tensors and arrays in the part of a structure called `name`."""
    for path, leaf in leaves(node, name):
        if leaf in ("tensor", "array"):
            yield path
        elif isinstance(leaf, dict) and "tied" in leaf:
            yield leaf["tied"]


def ties_of(structure):
    """name -> the name it is stored under."""
    return {name: leaf["tied"] for name, leaf in leaves(structure) if isinstance(leaf, dict)}


def merged(one, other, settle, name="the state"):
    """A structure with all that either of two has. settle(one, other, name): the node where both
    have one, and they differ and are not both dicts."""
    if one == other:
        return one
    if not all(isinstance(node, dict) and "dict" in node for node in (one, other)):
        return settle(one, other, name)
    theirs = dict(map(tuple, other["dict"]))
    both = [[key, merged(child, theirs.pop(key), settle, f"'{key}' of {name}")
             if key in theirs else child] for key, child in one["dict"]]
    return {"dict": both + [[key, child] for key, child in theirs.items()]}


def unflatten(structure, tensors, values, objects, name=""):
    """The nested state, or the part of it called `name`, of which `structure` is then the node.
    `tensors`: by name; those that are not there are left out."""
    return _build(structure, name, tensors, values, objects)


_ABSENT = object()


def _build(node, name, tensors, values, objects):
    if node in ("tensor", "array"):
        return tensors.get(name, _ABSENT)
    if node == "value":
        return from_plain(values[name])
    if node in ("object", "bytes"):
        return objects.get(name, _ABSENT)
    if not isinstance(node, dict) or len(node) != 1:
        raise CorruptError(f"the structure of the state is not understood at '{name}'")
    (kind, children), = node.items()
    if kind == "tied":
        return tensors.get(name, tensors.get(children, _ABSENT))
    if kind == "dict":
        built = {key: _build(child, f"{name}.{key}" if name else str(key), tensors, values, objects)
                 for key, child in children}
        return {key: child for key, child in built.items() if child is not _ABSENT}
    built = [_build(child, f"{name}.{number}" if name else str(number), tensors, values, objects)
             for number, child in enumerate(children)]
    built = [child for child in built if child is not _ABSENT]
    return tuple(built) if kind == "tuple" else built
