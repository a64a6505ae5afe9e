"""The ranks of a job, as a call of the library knows them (`cairn_group`, lib/cairn.h)."""

import ctypes

from . import _library
from .errors import UnreachableError

_DONE, _TIMED_OUT, _FAILED = range(3)


class RankGroup:
    """Lent for one call, which all ranks make at the same time.

    talk: how they reach each other. all_gather(own, everyones) and broadcast(data, root) take
    memoryviews of bytes and fill `everyones`, or `data` on all but `root`; called in the same order
    on all ranks, from a thread of the library. They raise cairn.UnreachableError when ranks do not
    come in time, and talk.missing lists these where they are known. broadcast may be missing where
    the call is a save. look(), which may be missing too, raises when ranks that wait for each other
    on their devices need not wait any more.
    timeout: seconds that one of them may take.
    device: CUDA's number, for a load that is to make a communicator of NCCL there.
    """

    def __init__(self, rank, size, timeout, talk, device=None):
        # ctypes keeps these functions as long as this does, and they nothing of it: so all of it goes
        # with the call, and needs no collector.
        self._calls = _Calls(size, talk)
        self.struct = _library.Group(ctypes.sizeof(_library.Group), rank, size, timeout, None,
                                     _library.ALL_GATHER(self._calls.all_gather),
                                     _library.BROADCAST(self._calls.broadcast))
        if device is not None:
            self.struct.nccl_stream.device, self.struct.makes_nccl = device, 1
            self.struct.look = _library.LOOK(self._calls.look)

    def take_failed(self):
        """What the first of its functions has raised, once: the traceback of what was raised has
        hold of this. None without any."""
        failed, self._calls.failed = self._calls.failed, None
        return failed

    def pointer(self):
        """For a request."""
        return ctypes.pointer(self.struct)


class _Calls:
    """What the library calls."""

    def __init__(self, size, talk):
        self.failed = None
        self._size, self._talk = size, talk

    def all_gather(self, _, own, bytes_, everyones, wait):
        return self._answer(wait, lambda: self._talk.all_gather(
            _view(own, bytes_), _view(everyones, bytes_ * self._size)))

    def broadcast(self, _, data, bytes_, root, wait):
        return self._answer(wait, lambda: self._talk.broadcast(_view(data, bytes_), root))

    def look(self, _, wait):
        return self._answer(wait, self._talk.look)

    def _answer(self, wait, call):
        try:
            call()
        except BaseException as error:  # no exception may reach the library
            self.failed = self.failed or error
            return self._tell(wait.contents, error)
        return _DONE

    def _tell(self, wait, error):
        text = str(error).encode()[:wait.message_bytes - 1].decode("utf-8", "ignore").encode()
        ctypes.memmove(wait.message, text + b"\0", len(text) + 1)
        if not isinstance(error, UnreachableError):
            return _FAILED
        missing = (ctypes.c_uint8 * self._size).from_address(wait.missing)
        for rank in self._talk.missing:
            missing[rank] = 1
        return _TIMED_OUT


def _view(address, bytes_):
    return memoryview((ctypes.c_uint8 * bytes_).from_address(address)).cast("B")
