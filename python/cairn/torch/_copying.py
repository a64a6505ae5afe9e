"""Copying many tensors at once, as fast as memory goes.

PyTorch's threads meet after every tensor, which costs several times the copy where other programs
want the processors too. Here each thread takes a run of bytes, and they meet once.
"""

import ctypes
import os
import threading

import torch

_LARGE = 1 << 17  # bytes; copy_() uses threads of its own over 2^15 elements
_MOST_THREADS = 8  # more do not make memory faster


def copy_all(targets, sources, device):
    """Copies tensors of one device to row-major ones in host memory, of the same dtypes and shapes.
    Returns the event after which they are there; None: they are."""
    with torch.no_grad():
        if device.type == "cuda":
            return _copy_from_gpu(targets, sources, device)
        moves, rest = [], ([], [])
        for target, source in zip(targets, sources):
            bytes_ = target.nbytes
            if bytes_ >= _LARGE and device.type == "cpu" and _is_plain(source):
                moves.append((target.data_ptr(), source.data_ptr(), bytes_))
            else:
                rest[0].append(target)
                rest[1].append(source)
        with _Moving(moves):
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


class _Moving:
    """Moves bytes in several threads, of which this one is the last."""

    def __init__(self, moves):
        self._shares = _shares(moves, _threads())
        self._helpers = [threading.Thread(target=_move, args=[share], daemon=True)
                         for share in self._shares[1:]]

    def __enter__(self):
        for helper in self._helpers:
            helper.start()

    def __exit__(self, *_):
        _move(self._shares[0])
        for helper in self._helpers:
            helper.join()


def _move(share):
    for target, source, bytes_ in share:
        ctypes.memmove(target, source, bytes_)  # without the interpreter's lock


def _shares(moves, count):
    """The moves in at most `count` runs of about as many bytes; one that is cut is in two."""
    quota = max(_LARGE, -(-sum(bytes_ for *_, bytes_ in moves) // count))
    shares, left = [[]], quota
    for target, source, bytes_ in moves:
        while bytes_ > left:
            shares[-1].append((target, source, left))
            target, source, bytes_ = target + left, source + left, bytes_ - left
            shares.append([])
            left = quota
        shares[-1].append((target, source, bytes_))
        left -= bytes_
    return shares


def _threads():
    """The processors that this process may use, shared with the job's others on this machine."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    beside = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, min(_MOST_THREADS, mine // (int(beside) if beside.isdecimal() else 1)))
