#!/usr/bin/env python3
"""How long a training waits for an asynchronous save. Run by hand; needs torch.

    python tests/bench/async_bench.py build/lib/libcairn.so build/cli/cairn [--rounds 7]
        [--megabytes 714] [--tensors 200] [--folder DIR]

In turns: one copy of the state's bytes into touched memory; the call of AsyncSaver.save(); the calls
of dcp.async_save() with its own stager and writer, and with Cairn's. The saves before have ended at
each, and one tensor changes between them. Printed are the best and the median of all rounds but the
first, which touches memory; and the memory beside the state. Then, for 10,000 small tensors, the
time that Python takes of one processor: in the call, and in the saving thread beside the library."""
import argparse
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

import torch
from torch.distributed import checkpoint as dcp


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Copy:
    """One copy_() of a flat tensor, which PyTorch makes in all its threads."""

    def __init__(self, state):
        bytes_ = sum(tensor.nbytes for tensor in state.values())
        self._source = torch.ones(bytes_, dtype=torch.uint8)
        self._target = torch.ones(bytes_, dtype=torch.uint8)

    def save(self, state, step):
        self._target.copy_(self._source)

    def wait(self):
        pass


class Saver:
    def __init__(self, folder):
        import cairn.torch

        self._saver = cairn.torch.AsyncSaver(cairn.Store(folder, create=True), effort="fast")

    def save(self, state, step):
        self._saver.save(f"run/{step}", state)

    def wait(self):
        self._saver._finish()


class Dcp:
    """async_save with its own stager and writer, or with those of Cairn."""

    def __init__(self, folder, with_cairn):
        import cairn.torch

        self._folder, self._options = Path(folder), {}
        if with_cairn:
            cairn.Store(folder, create=True)
            self._writer = lambda step: (f"run/{step}", cairn.torch.StorageWriter(folder))
            self._options["async_stager"] = cairn.torch.AsyncStager()
        else:
            self._writer = self._file_writer

    def _file_writer(self, step):
        shutil.rmtree(self._folder, ignore_errors=True)
        return self._folder / str(step), dcp.FileSystemWriter(self._folder / str(step))

    def save(self, state, step):
        place, writer = self._place
        self._future = dcp.async_save(state, checkpoint_id=place, storage_writer=writer,
                                      no_dist=True, **self._options)

    def wait(self):
        if hasattr(self, "_future"):
            self._future.result()
            del self._future
        self._step = getattr(self, "_step", -1) + 1
        self._place = self._writer(self._step)


def blocking_times(ways, state, rounds):
    times, memory = {name: [] for name in ways}, {}
    for way in ways.values():
        way.wait()
    for step in range(rounds):
        for name, way in ways.items():
            next(iter(state.values())).add_(1e-3)
            before, begin = resident_bytes(), time.perf_counter()
            way.save(state, step)
            times[name].append(time.perf_counter() - begin)
            way.wait()
            memory[name] = memory.get(name, 0) + resident_bytes() - before
    return times, memory


def python_times(folder, count, rounds):
    """Seconds of one processor: in the call, and in the saving thread beside the library."""
    import cairn.torch
    from cairn import _library, _saving

    state = {"model": {f"layers.{i}.weight": torch.randn(32) for i in range(count // 4)},
             "optimizer": {"state": {i: {"step": torch.tensor(1.0), "exp_avg": torch.randn(32),
                                         "exp_avg_sq": torch.randn(32)} for i in range(count // 4)},
                           "param_groups": [{"lr": 1e-3, "params": list(range(count // 4))}]}}
    store = cairn.Store(folder, create=True)
    beside, real_save, real_call = [], _saving.save, _library.call_stoppable
    inside = [0.0]

    def call(*arguments, **options):
        begin = time.thread_time()
        try:
            return real_call(*arguments, **options)
        finally:
            inside[0] += time.thread_time() - begin

    def run(saver_run, *arguments):
        inside[0], begin = 0.0, time.thread_time()
        saver_run(*arguments)
        beside.append(time.thread_time() - begin - inside[0])

    _library.call_stoppable = call
    calls = []
    with cairn.torch.AsyncSaver(store, effort="fast") as saver:
        real_run = saver._run
        saver._run = lambda *arguments: run(real_run, *arguments)
        for step in range(rounds):
            begin = time.thread_time()
            saver.save(f"run/{step}", state)
            calls.append(time.thread_time() - begin)
            saver._finish()
    _library.call_stoppable = real_call
    return calls, beside


def milliseconds(times):
    rest = times[1:]
    return f"best {1e3 * min(rest):6.1f}  median {1e3 * statistics.median(rest):6.1f} ms"


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("libcairn")
    options.add_argument("program")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--megabytes", type=int, default=714)
    options.add_argument("--tensors", type=int, default=200)
    options.add_argument("--folder", default=tempfile.gettempdir())
    chosen = options.parse_args()
    os.environ["CAIRN_LIBRARY"] = str(Path(chosen.libcairn).resolve())
    os.environ["CAIRN_PROGRAM"] = str(Path(chosen.program).resolve())
    length = chosen.megabytes * 1000000 // 4 // chosen.tensors
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        state = {f"t{i}": torch.randn(length) for i in range(chosen.tensors)}
        ways = {"one copy": Copy(state), "AsyncSaver.save": Saver(f"{folder}/saver"),
                "dcp.async_save": Dcp(f"{folder}/files", False),
                "dcp.async_save, Cairn's": Dcp(f"{folder}/store", True)}
        times, memory = blocking_times(ways, state, chosen.rounds)
        for name, each in times.items():
            print(f"{name:25s} {milliseconds(each)}   memory {memory[name] / 1e6:6.0f} MB")
        calls, beside = python_times(f"{folder}/small", 10000, chosen.rounds)
        print(f"10,000 tensors, call      {milliseconds(calls)} of a processor")
        print(f"10,000 tensors, thread    {milliseconds(beside)} of a processor")


if __name__ == "__main__":
    main()
