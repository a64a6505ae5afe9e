"""What Python takes of a save of 10,000 small tensors, beyond the work in C++."""
import statistics
import sys
import threading
import time
from pathlib import Path

import torch
from torch import distributed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

import cairn
import ranks
from cairn import _library
from cairn.torch import AsyncSaver

ASKED = 0.050  # seconds a rank


class Clock:
    """Seconds that the Python threads of a save run on a processor, outside of the library."""

    def __init__(self):
        self._lock, self._seconds = threading.Lock(), 0.0
        self._count(_library, "call", -1)
        self._count(AsyncSaver, "save", +1)
        self._count(AsyncSaver, "_run", +1)  # of the thread beside the training

    def _count(self, place, name, sign):
        counted = getattr(place, name)

        def count(*arguments, **options):
            begun = time.thread_time()
            try:
                return counted(*arguments, **options)
            finally:
                with self._lock:
                    self._seconds += sign * (time.thread_time() - begun)
        setattr(place, name, count)

    def take(self):
        """What was counted since the last call."""
        with self._lock:
            taken, self._seconds = self._seconds, 0.0
        return taken


def save(rank, size, tensors, rounds, folder):
    """Medians: seconds of Python of a save of an AsyncSaver, and those that training waited."""
    state = {f"layers.{number}.weight": torch.randn(16) for number in range(tensors)}
    group = distributed.group.WORLD if size > 1 else None
    path = folder / f"store-{size}"
    if rank == 0:
        cairn.Store(path, create=True)
    distributed.barrier()
    clock, python, waited = Clock(), [], []
    with AsyncSaver(path, group=group) as saver:
        for number in range(rounds + 2):
            for tensor in state.values():
                tensor.add_(1)
            distributed.barrier()
            begun = time.perf_counter()
            saver.save(f"run/{number}", state)
            waited.append(time.perf_counter() - begun)
            saver.wait()
            distributed.barrier()
            python.append(clock.take())
    return statistics.median(python[2:]), statistics.median(waited[2:])


def measure(options):
    tensors = 500 if options.quick else 10_000
    folder = options.folder / "overhead"
    folder.mkdir()
    rows = {}
    for size in (1, 2):
        told = ranks.run(save, size, tensors, options.rounds, folder)
        rows[f"{size} rank{'s' if size > 1 else ''}"] = {
            "tensors": tensors, "python_s": max(each[0] for each in told),
            "waited_s": max(each[1] for each in told)}
    return rows
