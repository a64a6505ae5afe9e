"""CUDA tensors: which of them the library reads and fills where they lie, and what calls with them
need: memory to work with, the caller's streams, and a look at whether somebody writes meanwhile.

All that is PyTorch's or a driver's is in five functions (`cuda_index`, `new_memory`, `streams_of`,
`is_capturing`, `are_in_use`), which the tests replace: a library whose devices are simulated takes
the host's memory for a device's.
"""

import ctypes
import dataclasses
import os
import sys
import threading

from . import _library, _notes
from .errors import Error, UsageError

_ALIGN = 256  # bytes, of memory that is lent


@dataclasses.dataclass(frozen=True)
class Options:
    """The fields of `cairn_staging_options`; 0: the default."""

    pinned_bytes: int = 0
    slab_bytes: int = 0
    device_bytes: int = 0
    multiprocessors: int = 0


# Where the options say 0, as in lib/cairn.h.
_DEVICE_BYTES, _SLABS_OF_DEVICE = 256 << 20, 4


def cuda_index(tensor):
    """The number of the CUDA device that a tensor is on; None for any other place."""
    return tensor.device.index if tensor.is_cuda else None


def new_memory(device, bytes_):
    """A tensor in a device's memory, by PyTorch's allocator, which so knows of it. Errors:
    RuntimeError when there is no room."""
    torch = sys.modules["torch"]
    with torch.inference_mode(False):
        return torch.empty(bytes_, dtype=torch.uint8, device=torch.device("cuda", device))


def streams_of(devices, later=False):
    """(stream, device) for each: the stream that is current here. later: the call begins at some
    time, and what is enqueued here until then is no matter to it."""
    torch, made = sys.modules["torch"], []
    for device in devices:
        stream = torch.cuda.current_stream(device)
        if later:
            mark = _state.mark_of(device, torch.cuda.Stream)
            mark.wait_stream(stream)
            stream = mark
        made.append((stream.cuda_stream, device))
    return made


def is_capturing():
    """Whether a CUDA graph is being captured on the current stream."""
    return are_in_use() and sys.modules["torch"].cuda.is_current_stream_capturing()


def are_in_use():
    """Whether this process may have tensors on CUDA devices. Asks no driver."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_initialized()


def device_of(tensor):
    """The number of the CUDA device where the library reads and fills the tensor as it lies; None
    where that is the host's memory, and for what is copied to the host first."""
    index = cuda_index(tensor)
    if index is None or tensor.is_conj() or tensor.is_neg():
        return None
    return index if _is_served(index) else None


def serves(device):
    """Whether tensors of a torch.device are for the library to fill."""
    if device.type != "cuda":
        return False
    index = device.index
    if index is None:
        index = sys.modules["torch"].cuda.current_device()
    return _is_served(index)


def count():
    """How many devices the library reads and fills tensors on."""
    return _state.count()


def _is_served(index):
    if index < _state.count():
        return True
    _notes.log_once([f"tensors on device {index} are copied to the host: this libcairn serves "
                     f"{_state.count()} devices (it was built without kernels, or the driver is "
                     "older than its CUDA; docs/INSTALL.md)"])
    return False


def lies_here(tensor):
    """Whether the library reads and fills a strided tensor where it lies."""
    return tensor.is_cpu or device_of(tensor) is not None


def refuse_capture():
    """Errors: UsageError while a graph is being captured: a call waits, which a graph cannot."""
    if is_capturing():
        raise UsageError("a CUDA graph is being captured on the current stream: a save or load "
                         "waits for what it enqueues, and is no part of a graph",
                         "save and load before the capture begins, or after it has ended")


def set_options(options):
    """For calls that begin from now on. What was kept for others is given back."""
    _state.set_options(options)


class _State:
    """What this process keeps for all calls. A forked child has one of its own."""

    def __init__(self, options=Options()):
        self._lock = threading.Lock()
        self._options, self._count, self._staging, self._marks = options, None, None, {}

    def count(self):
        """How many devices the library serves. Where they cannot be asked, tensors are copied."""
        if self._count is None:
            told = ctypes.c_uint32()
            try:
                _library.call("cairn_devices", ctypes.byref(told))
            except Error as error:
                _notes.log_once([f"CUDA tensors are copied to the host: {error}"])
            self._count = told.value
        return self._count

    def staging(self):
        with self._lock:
            if self._staging is None:
                self._staging = Staging(self._options)
            return self._staging

    def set_options(self, options):
        with self._lock:
            self._options, self._staging = options, None

    def mark_of(self, device, make):
        with self._lock:
            if device not in self._marks:
                self._marks[device] = make(device)
            return self._marks[device]

    def of_child(self):
        """The same options, and nothing else; the parent's objects stay, unused."""
        made = _State(self._options)
        made._parents = self
        return made


class Staging:
    """A `cairn_staging`, and the memory that it was lent. Ends with the last call that uses it."""

    def __init__(self, options):
        self._options, self._process = options, os.getpid()
        self._lock = threading.Lock()
        self._lent = {}  # device -> tensor
        self.handle = ctypes.c_void_p()
        given = _library.StagingOptions(ctypes.sizeof(_library.StagingOptions),
                                        *dataclasses.astuple(options))
        _library.call("cairn_staging_new", ctypes.byref(given), ctypes.byref(self.handle))

    def lend(self, device):
        """Memory of the device, once. Where PyTorch has no room, the library looks for some."""
        with self._lock:
            if device in self._lent:
                return
            wanted = self._options.device_bytes or max(
                _DEVICE_BYTES, _SLABS_OF_DEVICE * self._options.slab_bytes)
            try:
                memory = new_memory(device, wanted + _ALIGN)
            except RuntimeError:  # torch.OutOfMemoryError is one
                return
            begin = -(-memory.data_ptr() // _ALIGN) * _ALIGN
            _library.call("cairn_staging_lend", self.handle, device, begin, wanted)
            self._lent[device] = memory

    def __del__(self):
        # Not a parent's; and at the end of the program, when modules are gone, the driver frees all.
        is_ours = _library is not None and os.getpid() == self._process
        if is_ours and getattr(self, "handle", None):
            _library.loaded().cairn_staging_free(self.handle)
            self.handle = None


_state = _State()


def _forget_parent():
    global _state
    _state = _state.of_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


class Use:
    """Of devices, by one call: to be made in the thread whose streams count, when the tensors are
    what is to be saved.

    tensors: (name, tensor, device) of all that are on a device; a save lets go of them as soon as
    they are read. later: the call does not begin at once.
    on_read: called when they are, and were not written to meanwhile; from a thread of the library.
    Errors: UsageError while a graph is being captured; what a staging fails with.
    """

    def __init__(self, tensors, later=False, on_read=lambda: None):
        refuse_capture()
        devices = sorted({device for _, _, device in tensors})
        self.staging = _state.staging()
        for device in devices:
            self.staging.lend(device)
        streams = streams_of(devices, later)
        self.streams = (_library.Stream * len(streams))(*streams)
        self.changed = None  # the name of a tensor that was written to before it was read
        self._seen = [(name, tensor, _version_of(tensor)) for name, tensor, _ in tensors]
        self._on_read = on_read

    def fields(self):
        """Of a request."""
        return {"staging": self.staging.handle, "streams": ctypes.addressof(self.streams),
                "stream_count": len(self.streams), "stream_bytes": ctypes.sizeof(_library.Stream)}

    def fence(self, watch):
        """The C function that a save calls when it has read all tensors."""

        def pass_(_):
            self._pass(watch)

        return _library.FENCE(pass_)

    def mark_written(self, name):
        """The caller knows that a tensor is about to be written to."""
        if self._seen:
            self.changed = name

    def let_go(self):
        """Of the tensors: the call has ended."""
        self._seen = []

    def _pass(self, watch):
        seen, self._seen = self._seen, []
        self.changed = self.changed or next((name for name, tensor, version in seen
                                             if _version_of(tensor) != version), None)
        if self.changed is None:
            self._on_read()
        else:
            watch.stop()  # chunks of before and after: no tag is made of them

    def check(self):
        """Errors: UsageError naming a tensor that was written to before it was read."""
        if self.changed is not None:
            raise UsageError(f"tensor '{self.changed}' was changed while it was saved",
                             "change tensors when save() has returned, or with overlap=True "
                             "when wait_read() has")


def _version_of(tensor):
    """What PyTorch counts up with each of its operations that writes to the tensor's memory."""
    return None if tensor.is_inference() else tensor._version
