"""What Python takes of a save of 10,000 small tensors, beyond the work in C++."""
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import distributed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

import cairn
import ranks
from cairn import _library
from cairn.torch import AsyncSaver, _ranks

ASKED = 0.050  # seconds a rank


class Clock:
    """Seconds that a save spends in the library, and in waits for other ranks."""

    def __init__(self):
        self.library, self.waits = 0.0, 0.0
        self._count(_library, "call", "library")
        self._count(_ranks.Exchange, "_wait", "waits")

    def _count(self, place, name, what):
        counted = getattr(place, name)

        def count(*arguments):
            begun = time.perf_counter()
            try:
                return counted(*arguments)
            finally:
                setattr(self, what, getattr(self, what) + time.perf_counter() - begun)
        setattr(place, name, count)

    def take(self):
        """What was counted since the last call."""
        taken = self.library + self.waits
        self.library = self.waits = 0.0
        return taken


def save(rank, size, tensors, rounds, folder):
    """Seconds of Python for each save of an AsyncSaver, and those that training waited."""
    state = {f"layers.{number}.weight": torch.randn(16) for number in range(tensors)}
    group = distributed.group.WORLD if size > 1 else None
    if rank == 0:
        cairn.Store(folder / f"store-{size}", create=True)
    distributed.barrier()
    clock, overheads, blocked = Clock(), [], []
    with AsyncSaver(folder / f"store-{size}", group=group) as saver:
        for number in range(rounds + 2):
            for tensor in state.values():
                tensor.add_(1)
            distributed.barrier()
            clock.take()
            begun = time.perf_counter()
            saving = saver.save(f"run/{number}", state)
            blocked.append(time.perf_counter() - begun)
            saving.result()
            overheads.append(time.perf_counter() - begun - clock.take())
    return statistics.median(overheads[2:]), statistics.median(blocked[2:])


def measure(options):
    tensors = 500 if options.quick else 10_000
    folder = options.folder / "overhead"
    folder.mkdir()
    rows = {}
    for size in (1, 2):
        told = ranks.run(save, size, tensors, options.rounds, folder)
        rows[f"{size} rank{'s' if size > 1 else ''}"] = {
            "tensors": tensors, "python_s": max(each[0] for each in told),
            "blocked_s": max(each[1] for each in told)}
    return rows
