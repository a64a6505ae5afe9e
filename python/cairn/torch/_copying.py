"""Copying many tensors at once, as fast as memory goes."""

import array
import ctypes
import os

import torch

from .. import _library

_LARGE = 1 << 17  # bytes; below, one call of PyTorch for all is as fast
_MOST_THREADS = 8  # more do not make memory faster


def copy_all(targets, sources, device):
    """Copies tensors of one device to row-major ones in host memory, of the same dtypes and shapes.
    Returns the event after which they are there; None: they are."""
    with torch.no_grad():
        if device.type == "cuda":
            return _copy_from_gpu(targets, sources, device)
        moves, rest = array.array("Q"), ([], [])
        for target, source in zip(targets, sources):
            bytes_ = target.nbytes
            if bytes_ >= _LARGE and device.type == "cpu" and _is_plain(source):
                moves.extend((target.data_ptr(), source.data_ptr(), bytes_))
            else:
                rest[0].append(target)
                rest[1].append(source)
        if moves:
            size = ctypes.sizeof(_library.Move)
            _library.call("cairn_copy", moves.buffer_info()[0],
                          moves.itemsize * len(moves) // size, size, _threads())
        if rest[0]:
            torch._foreach_copy_(*rest)
    return None


def _is_plain(source):
    """Whether its bytes, one after the other, are its values."""
    return source.is_contiguous() and not source.is_conj() and not source.is_neg()


def _copy_from_gpu(targets, sources, device):
    # Beside what is yet to come on the stream that computes, after what is under way there.
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        torch._foreach_copy_(targets, sources, non_blocking=True)
        return stream.record_event()


def _threads():
    """The processors that this process may use, shared with the job's others on this machine."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    beside = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, min(_MOST_THREADS, mine // (int(beside) if beside.isdecimal() else 1)))
