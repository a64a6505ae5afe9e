"""The NCCL that stands in for one (tests/gpu/nccl) for ranks that are processes: they meet in a
folder, and what they enqueue stands in the streams of the simulated devices."""
import contextlib
import ctypes
import os

from cairn import _library


class Faults(ctypes.Structure):
    """As FakeNcclFaults."""

    _fields_ = [("delay_us", ctypes.c_uint), ("missing_rank", ctypes.c_int),
                ("missing_at", ctypes.c_uint64), ("failing_rank", ctypes.c_int),
                ("error", ctypes.c_int), ("is_in_progress", ctypes.c_bool),
                ("version", ctypes.c_int), ("unable_rank", ctypes.c_int)]


class Counts(ctypes.Structure):
    """As FakeNcclCounts."""

    _fields_ = [("made", ctypes.c_int), ("destroyed", ctypes.c_int), ("aborted", ctypes.c_int),
                ("broadcasts", ctypes.c_uint64), ("broadcast_bytes", ctypes.c_uint64),
                ("ids", ctypes.c_int)]


def is_alone():
    """Whether the system has no NCCL, which the library would take before this one."""
    with contextlib.suppress(OSError):
        ctypes.CDLL("libnccl.so.2")
        return False
    return True


def announce(file, folder):
    """For the ranks that this process starts."""
    os.environ["CAIRN_NCCL"], os.environ["CAIRN_FAKE_NCCL_FOLDER"] = str(file), str(folder)


class Nccl:
    """That of this rank."""

    def __init__(self):
        self._fake = ctypes.CDLL(os.environ["CAIRN_NCCL"])
        self._fake.fake_nccl_counts.restype = Counts
        streams = _library.loaded().cairn_simulated_streams
        streams.restype = ctypes.c_void_p
        self._fake.fake_nccl_use_streams(ctypes.c_void_p(streams()))
        self.set()

    def set(self, **faults):
        """What goes wrong with communicators that are made from now on."""
        given = {"missing_rank": -1, "failing_rank": -1, "unable_rank": -1, "version": 22304}
        self._fake.fake_nccl_set(ctypes.byref(Faults(**(given | faults))))

    def counts(self):
        """Since set(): communicators that were made, destroyed and aborted, and broadcasts."""
        told = self._fake.fake_nccl_counts()
        return told.made, told.destroyed, told.aborted, told.broadcasts
