"""libcairn by ctypes: where it is, its functions, and calls that Ctrl-C can stop (lib/cairn.h)."""

import contextlib
import ctypes
import functools
import os
import threading
from ctypes import POINTER, Structure, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint32
from ctypes import c_uint64, c_void_p
from pathlib import Path

from ._places import library_folders
from .errors import NewerFormatError, NotFoundError, error_of

ABI = 1
_NAMES = ("libcairn.so", "libcairn.so.0")


class Attachment(Structure):
    _fields_ = [("name", c_char_p), ("data", c_void_p), ("bytes", c_size_t)]


class Pair(Structure):
    _fields_ = [("key", c_char_p), ("value", c_char_p)]


class StagingOptions(Structure):
    _fields_ = [("struct_bytes", c_size_t), ("pinned_bytes", c_uint64), ("slab_bytes", c_uint64),
                ("device_bytes", c_uint64), ("multiprocessors", c_uint32)]


class Stream(Structure):
    _fields_ = [("handle", c_void_p), ("device", c_uint32)]


FENCE = ctypes.CFUNCTYPE(None, c_void_p)


class GroupWait(Structure):
    _fields_ = [("struct_bytes", c_size_t), ("timeout_ms", c_uint64), ("missing", c_void_p),
                ("message", c_void_p), ("message_bytes", c_size_t)]


ALL_GATHER = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t, c_void_p, POINTER(GroupWait))
BROADCAST = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t, c_uint32, POINTER(GroupWait))
LOOK = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(GroupWait))


class Group(Structure):
    _fields_ = [("struct_bytes", c_size_t), ("rank", c_uint32), ("size", c_uint32),
                ("timeout_s", c_double), ("context", c_void_p), ("all_gather", ALL_GATHER),
                ("broadcast", BROADCAST), ("nccl_comm", c_void_p), ("nccl_stream", Stream),
                ("makes_nccl", c_int32), ("look", LOOK)]


class SaveRequest(Structure):
    _fields_ = [
        ("struct_bytes", c_size_t), ("tag", c_char_p),
        ("tensors", c_void_p), ("tensor_count", c_size_t), ("tensor_bytes", c_size_t),
        ("attachments", POINTER(Attachment)), ("attachment_count", c_size_t),
        ("attachment_bytes", c_size_t),
        ("metadata", POINTER(Pair)), ("metadata_count", c_size_t),
        ("step", c_int64), ("has_step", c_int32), ("pinned", c_int32),
        ("base", c_char_p), ("if_exists", c_char_p), ("effort", c_char_p), ("roles", c_char_p),
        ("restore_budget", c_double), ("weights_every", c_int32), ("threads", c_uint32),
        ("wait_s", c_double), ("watch", c_void_p),
        ("base_memory", c_void_p), ("base_memory_count", c_size_t),
        ("parts", POINTER(c_char_p)), ("part_count", c_size_t),
        ("warnings", POINTER(c_char_p)), ("warning_count", c_size_t),
        ("job", c_char_p), ("still", c_int32),
        ("staging", c_void_p), ("streams", c_void_p), ("stream_count", c_size_t),
        ("stream_bytes", c_size_t), ("fence", FENCE), ("fence_context", c_void_p),
        ("group", POINTER(Group)),
    ]


class Sampling(Structure):
    _fields_ = [("struct_bytes", c_size_t), ("bytes", c_uint64), ("turn", c_uint64)]


class LoadRequest(Structure):
    _fields_ = [
        ("struct_bytes", c_size_t),
        ("targets", c_void_p), ("target_count", c_size_t), ("target_bytes", c_size_t),
        ("renames", POINTER(Pair)), ("rename_count", c_size_t),
        ("strict", c_int32), ("cast", c_int32), ("threads", c_uint32), ("watch", c_void_p),
        ("staging", c_void_p), ("streams", c_void_p), ("stream_count", c_size_t),
        ("stream_bytes", c_size_t), ("group", POINTER(Group)),
    ]


class MirrorRequest(Structure):
    _fields_ = [
        ("struct_bytes", c_size_t),
        ("tensors", c_void_p), ("tensor_count", c_size_t), ("tensor_bytes", c_size_t),
        ("copies", c_void_p), ("threads", c_uint32), ("watch", c_void_p),
        ("staging", c_void_p), ("streams", c_void_p), ("stream_count", c_size_t),
        ("stream_bytes", c_size_t),
    ]


class Move(Structure):
    _fields_ = [("target", c_void_p), ("source", c_void_p), ("bytes", c_size_t)]


class Progress(ctypes.Structure):
    _fields_ = [("struct_bytes", c_size_t), ("total_bytes", c_uint64), ("done_bytes", c_uint64),
                ("new_bytes", c_uint64)]


# Calls that answer with a status, by their arguments.
_CALLS = {
    "cairn_init": [c_char_p],
    "cairn_open": [c_char_p, POINTER(c_void_p)],
    "cairn_watch_new": [POINTER(c_void_p)],
    "cairn_devices": [POINTER(c_uint32)],
    "cairn_staging_new": [POINTER(StagingOptions), POINTER(c_void_p)],
    "cairn_staging_lend": [c_void_p, c_uint32, c_void_p, c_size_t],
    "cairn_save": [c_void_p, POINTER(SaveRequest), POINTER(c_void_p)],
    "cairn_check_tag": [c_char_p],
    "cairn_base_of": [c_void_p, c_char_p, POINTER(c_void_p)],
    "cairn_save_part": [c_void_p, POINTER(SaveRequest), POINTER(c_void_p)],
    "cairn_part_notes": [c_void_p, POINTER(c_void_p)],
    "cairn_part_meet": [c_void_p, c_void_p, POINTER(SaveRequest), c_uint32, c_uint32, c_double,
                        POINTER(c_void_p)],
    "cairn_digest": [c_void_p, c_size_t, c_size_t, POINTER(Sampling), c_uint32, c_void_p,
                     c_char_p],
    "cairn_sampled_box": [c_void_p, c_size_t, POINTER(Sampling), POINTER(c_uint64),
                          POINTER(c_uint64)],
    "cairn_checkpoint_open": [c_void_p, c_char_p, POINTER(c_void_p)],
    "cairn_checkpoint_describe": [c_void_p, POINTER(c_void_p)],
    "cairn_checkpoint_attachment": [c_void_p, c_char_p, c_void_p, c_size_t],
    "cairn_copy": [c_void_p, c_size_t, c_size_t, c_uint32],
    "cairn_mirror_new": [POINTER(c_void_p)],
    "cairn_mirror_update": [c_void_p, POINTER(MirrorRequest), POINTER(c_void_p)],
    "cairn_load": [c_void_p, POINTER(LoadRequest), POINTER(c_void_p)],
}
_VOIDS = ("cairn_free", "cairn_close", "cairn_checkpoint_close", "cairn_watch_free",
          "cairn_watch_stop", "cairn_watch_thread", "cairn_staging_free", "cairn_mirror_free")


def _candidates():
    named = os.environ.get("CAIRN_LIBRARY")
    if named:
        yield Path(named)
        return
    for folder in library_folders():
        for name in _NAMES:
            yield folder / name


def _path():
    tried = list(_candidates())
    for path in tried:
        if path.is_file():
            return str(path)
    if os.environ.get("CAIRN_LIBRARY"):
        raise NotFoundError(f"CAIRN_LIBRARY names '{tried[0]}', which is no file")
    return "libcairn.so.0"  # wherever the system's loader finds it


@functools.lru_cache(maxsize=None)
def loaded():
    """The library with its functions declared. Errors: NotFoundError, NewerFormatError."""
    try:
        lib = ctypes.CDLL(_path())
    except OSError as error:
        raise NotFoundError(f"cannot load libcairn: {error}",
                            "run scripts/setup in a clone, or set CAIRN_LIBRARY") from error
    lib.cairn_abi.restype = c_uint32
    if lib.cairn_abi() != ABI:
        raise NewerFormatError(f"libcairn has the ABI {lib.cairn_abi()}, this package needs {ABI}",
                               "install the two together")
    for name in ("cairn_version_text", "cairn_error_message", "cairn_error_hint"):
        getattr(lib, name).restype = c_char_p
    lib.cairn_part_name.argtypes, lib.cairn_part_name.restype = [c_void_p], c_char_p
    lib.cairn_watch_read.argtypes = [c_void_p, POINTER(Progress)]
    lib.cairn_watch_read.restype = None
    lib.cairn_part_end.argtypes, lib.cairn_part_end.restype = [c_void_p, c_int32], None
    for name in _VOIDS:
        getattr(lib, name).argtypes = [c_void_p]
        getattr(lib, name).restype = None
    for name, arguments in _CALLS.items():
        getattr(lib, name).argtypes = arguments
        getattr(lib, name).restype = c_int32
    return lib


def call(name, *arguments):
    """Calls a function; raises what it failed with."""
    lib = loaded()
    status = getattr(lib, name)(*arguments)
    if status != 0:
        raise error_of(status, lib.cairn_error_message().decode("utf-8", "replace"),
                       lib.cairn_error_hint().decode("utf-8", "replace"))


def take_text(pointer):
    """The text that a call gave, freed."""
    try:
        return ctypes.string_at(pointer).decode("utf-8")
    finally:
        loaded().cairn_free(pointer)


class Watch:
    """Stops a call in another thread."""

    def __init__(self):
        self._watch, self.is_stopped = c_void_p(), False
        call("cairn_watch_new", ctypes.byref(self._watch))

    @property
    def handle(self):
        return self._watch

    def stop(self):
        self.is_stopped = True
        loaded().cairn_watch_stop(self._watch)

    def progress(self):
        """Bytes that the call has done, and those of them that were written."""
        told = Progress(struct_bytes=ctypes.sizeof(Progress))
        loaded().cairn_watch_read(self._watch, ctypes.byref(told))
        return told.done_bytes, told.new_bytes

    def __del__(self):
        if getattr(self, "_watch", None):
            loaded().cairn_watch_free(self._watch)
            self._watch = None


def call_waiting(name, *arguments):
    """As call_stoppable(), of a call that takes no watch and may wait for a server."""
    watch = Watch()

    def call_watched(*given):
        loaded().cairn_watch_thread(watch.handle)
        try:
            call(*given)
        finally:
            loaded().cairn_watch_thread(None)

    return call_stoppable(watch, name, *arguments, how=call_watched)


def call_stoppable(watch, name, *arguments, keep=(), how=None):
    """As call(), or how(); Ctrl-C stops the call, and is raised when it has ended. keep: what the
    arguments point to, for as long as it runs.

    Python delivers signals to its main thread between two of its own instructions, so a long call
    there runs in a thread beside it. That is not joined: a join that is interrupted takes the thread
    for ended (CPython issue 89437).
    """
    how = how or call
    if threading.current_thread() is not threading.main_thread():
        return how(name, *arguments)
    failed, ended = [], threading.Event()

    def work(_=(watch, keep)):
        try:
            how(name, *arguments)
        except BaseException as error:  # handed over to the caller
            failed.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=work, name=name)
    try:
        thread.start()
        ended.wait()
    except BaseException:
        watch.stop()
        # It uses the caller's memory, however often Ctrl-C is pressed.
        while thread in threading.enumerate() and not ended.is_set():
            with contextlib.suppress(KeyboardInterrupt):
                ended.wait()
        raise
    if failed:
        raise failed.pop()  # whose traceback has hold of this frame
    return None
