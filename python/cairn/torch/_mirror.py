"""Copies in the host's memory that follow tensors on CUDA devices: what these hold is digested where
they lie, and what a copy does not hold yet comes over."""

import array
import ctypes
import json
import os

from .. import _devices, _library, _memory, _notes
from .._records import Records


class Mirror:
    """What some copies, row-major tensors, hold. Nobody else writes to them, but who says so by
    forget(). names: of the tensors, for messages. Threads: one at a time.

    told: of the latest update: {"bytes", "brought_bytes", "elapsed_s"}.
    """

    def __init__(self, names, copies):
        self._names, self._copies = names, copies
        self._places = array.array("Q", (copy.data_ptr() for copy in copies))
        self._handle, self._process, self.told = None, None, {}

    def forget(self):
        """The copies hold something else: the next update brings all."""
        # Not a parent's; and at the end of the program modules may be gone.
        if self._handle is not None and os.getpid() == self._process and _library is not None:
            _library.loaded().cairn_mirror_free(self._handle)
        self._handle = None

    def update(self, tensors):
        """Makes the copies what the tensors are, which are read where they lie, when it returns.
        Errors: UsageError while a graph is being captured, or naming a tensor that changed
        meanwhile; what the device fails with. The next update makes the copies right then."""
        if self._handle is None or os.getpid() != self._process:
            self._begin()
        records = Records()
        for name, tensor in zip(self._names, tensors):
            records.add(name, _memory.memory_of_tensor(tensor, f"tensor '{name}'"))
        use = _devices.Use(records.on_devices)
        watch, result = _library.Watch(), ctypes.c_void_p()
        request = _library.MirrorRequest(
            ctypes.sizeof(_library.MirrorRequest), records.pack(), len(records),
            Records.element_bytes, self._places.buffer_info()[0], watch=watch.handle,
            **use.fields())
        _library.call_stoppable(watch, "cairn_mirror_update", self._handle, ctypes.byref(request),
                                ctypes.byref(result), keep=(self, records, use, request, result))
        self.told = json.loads(_library.take_text(result))
        _notes.log_once(self.told.get("notes", ()))

    def _begin(self):
        self.forget()
        handle = ctypes.c_void_p()
        _library.call("cairn_mirror_new", ctypes.byref(handle))
        self._handle, self._process = handle, os.getpid()

    def __del__(self):
        if getattr(self, "_handle", None) is not None:
            self.forget()
