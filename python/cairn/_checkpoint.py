"""A tag opened for reading, over the C ABI."""

import contextlib
import ctypes
import fnmatch
import json
import re

from . import _devices, _library, _memory, _notes
from ._records import Records
from .errors import UsageError


class Checkpoint:
    """Names, dtypes and shapes at once; bytes when they are asked for. store: a cairn.Store.
    together: of torch._loads, for a load by several ranks. Threads: any."""

    def __init__(self, store, tag, together=None):
        self._handle, self._together = ctypes.c_void_p(), together
        _library.call_waiting("cairn_checkpoint_open", store._handle, tag.encode(),
                              ctypes.byref(self._handle))
        text = ctypes.c_void_p()
        _library.call_waiting("cairn_checkpoint_describe", self._handle, ctypes.byref(text))
        told = json.loads(_library.take_text(text))
        self.tag, self.manifest, self.step = told["tag"], told["manifest"], told["step"]
        self.metadata = told["metadata"]
        self.tensors = {each["name"]: (each["dtype"], tuple(each["shape"]))
                        for each in told["tensors"]}
        self.attachments = {each["name"]: each["bytes"] for each in told["attachments"]}

    def __del__(self):
        if getattr(self, "_handle", None):
            _library.loaded().cairn_checkpoint_close(self._handle)
            self._handle = None

    def attachment(self, name):
        """Its bytes; None when there is none of that name."""
        if name not in self.attachments:
            return None
        room = ctypes.create_string_buffer(max(1, self.attachments[name]))
        _library.call_waiting("cairn_checkpoint_attachment", self._handle, name.encode(), room,
                              self.attachments[name])
        return room.raw[:self.attachments[name]]

    def load(self, loads, cast=False):
        """Fills memory: pairs of a stored tensor's name and a _memory.Memory, a box of it or all.
        Ranks that load together call it once. Returns the JSON of `cairn_load()`.
        Errors: UsageError while a CUDA graph is being captured; any of cairn.Error."""
        _devices.refuse_capture()
        records, loads = Records(), list(loads)
        for name, memory in loads:
            records.add(name, memory)
        watch = _library.Watch()
        request = _library.LoadRequest(
            struct_bytes=ctypes.sizeof(_library.LoadRequest), targets=records.pack(),
            target_count=len(records), target_bytes=records.element_bytes, cast=cast,
            watch=watch.handle)
        use = _devices.Use(records.on_devices) if records.on_devices else None
        for name, value in (use.fields() if use else {}).items():
            setattr(request, name, value)
        text = ctypes.c_void_p()
        together = (contextlib.nullcontext() if self._together is None
                    else self._together.lent(request, watch, loads))
        with together:
            _library.call_stoppable(watch, "cairn_load", self._handle, ctypes.byref(request),
                                    ctypes.byref(text),
                                    keep=(self, request, records, loads, use, text))
        told = json.loads(_library.take_text(text))
        _notes.log_once(told.get("notes", ()))
        return told


def chosen(names, patterns):
    """Those that match a glob or one of several. Errors: UsageError for one that matches none."""
    if patterns is None:
        return list(names)
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            raise UsageError(f"no tensor matches '{pattern}'")
    return [name for name in names if any(fnmatch.fnmatchcase(name, p) for p in patterns)]


def renamed(names, rename, stored):
    """shown name -> stored name. `rename`: {regular expression: replacement}, applied in order.
    `stored`: what each of the names is stored under."""
    shown = {}
    for name in names:
        new = name
        for pattern, replacement in (rename or {}).items():
            try:
                new = re.sub(pattern, replacement, new)
            except re.error as error:
                raise UsageError(f"'{pattern}' is no regular expression: {error}") from error
        if shown.setdefault(new, stored[name]) != stored[name]:
            raise UsageError(f"'{name}' and '{shown[new]}' are both renamed to '{new}'")
    return shown


def new_tensor(dtype, shape, device="cpu"):
    """Uninitialized memory: a tensor where PyTorch is imported, else an array."""
    torch = _memory.torch_module()
    if torch is not None:
        return torch.empty(shape, dtype=_memory.torch_dtype(dtype), device=device)
    return new_array(dtype, shape)


def new_array(dtype, shape):
    import numpy

    return numpy.empty(shape, dtype=_memory.numpy_dtype(dtype))
