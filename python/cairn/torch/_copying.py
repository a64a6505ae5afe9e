"""Copying many tensors at once, as fast as memory goes."""

import array
import ctypes
import os

import torch

from .. import _library

_LARGE = 1 << 17  # bytes; below, one call of PyTorch for all is as fast
_MOST_THREADS = 8  # more do not make memory faster


class Copier:
    """Copies tensors to row-major ones in host memory, of the same dtypes and shapes; `devices` are
    those of the sources. What can be known before is."""

    def __init__(self, targets, devices):
        self._large = []  # (number, target, address, bytes), from memory of this process
        self._rest = {}  # device -> (numbers, targets)
        for number, (target, device) in enumerate(zip(targets, devices)):
            if device.type == "cpu" and target.nbytes >= _LARGE:
                self._large.append((number, target, target.data_ptr(), target.nbytes))
            else:
                numbers, beside = self._rest.setdefault(device, ([], []))
                numbers.append(number)
                beside.append(target)

    def copy(self, sources):
        """All of them; when it returns they are there."""
        begun = []
        try:
            with torch.no_grad():
                for device, (numbers, targets) in self._rest.items():
                    if device.type == "cuda":
                        chosen = [sources[number] for number in numbers]
                        begun.append(_copy_from_gpu(targets, chosen, device))
                for device, (numbers, targets) in self._rest.items():
                    if device.type != "cuda":
                        torch._foreach_copy_(targets, [sources[number] for number in numbers])
                self._copy_large(sources)
        finally:
            for event in begun:  # until then the sources must live, after an error too
                event.synchronize()

    def _copy_large(self, sources):
        moves = array.array("Q")
        for number, target, address, bytes_ in self._large:
            source = sources[number]
            if _is_plain(source):
                moves.extend((address, source.data_ptr(), bytes_))
            else:
                target.copy_(source)
        if moves:
            size = ctypes.sizeof(_library.Move)
            _library.call("cairn_copy", moves.buffer_info()[0],
                          moves.itemsize * len(moves) // size, size, _threads())


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
