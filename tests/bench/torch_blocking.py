"""How long a training waits for an asynchronous save, and when the save is durable."""
import ctypes
import time

import torch
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint import staging

import cairn
import peers
from cairn.torch import AsyncSaver, AsyncStager, StorageWriter
from store_bench import Table, take_turns
from torch_states import Training, bytes_of, tensors_of

ASKED_OVER_COPY, ASKED_OF_DCP = 1.1, 0.2


class Memory:
    """As much memory as the state's tensors have, touched."""

    def __init__(self, state):
        self.sources = [tensor.contiguous() for tensor in tensors_of(state)]
        self.targets = [torch.zeros_like(tensor) for tensor in self.sources]

    def memcpy(self):
        for target, source in zip(self.targets, self.sources):
            ctypes.memmove(target.data_ptr(), source.data_ptr(), source.nbytes)

    def copy(self):
        for target, source in zip(self.targets, self.sources):
            target.copy_(source)


class Savers:
    """Each method begins a save and returns what waits for its end."""

    def __init__(self, folder):
        self.folder = folder
        self.saver = AsyncSaver(cairn.Store(folder / "store", create=True))
        self.writer, self.stager = StorageWriter(folder / "dcp-store"), AsyncStager()
        # The one that keeps the memory which it copies to.
        self.keeping = staging.DefaultStager(staging.StagingOptions(
            use_pinned_memory=False, use_shared_memory=True, use_async_staging=False,
            use_non_blocking_copy=False))

    def cairn(self, state, number):
        return self.saver.save(f"run/{number}", state).result

    def cairn_by_dcp(self, state, number):
        return dcp.async_save(state, storage_writer=self.writer, checkpoint_id=f"run/{number}",
                              async_stager=self.stager).result

    def dcp(self, state, number):
        writer = dcp.FileSystemWriter(self.folder / "dcp")
        return dcp.async_save(state, storage_writer=writer).result

    def dcp_keeping(self, state, number):
        writer = dcp.FileSystemWriter(self.folder / "dcp")
        saving = dcp.async_save(state, storage_writer=writer, async_stager=self.keeping)
        return getattr(saving, "upload_completion", saving).result


def measure(options):
    training = Training(options.size, narrow=True)
    training.jump()
    bytes_ = bytes_of(training.state())
    megabytes = f"{bytes_ / 1e6:.0f} MB"
    blocking = Table(f"An asynchronous save of {megabytes}: the training waits", bytes_)
    durable = Table(f"The same {megabytes}, until they are durable", bytes_)
    memory, savers = Memory(training.state()), Savers(options.folder)
    first = {}

    def save(name, begin, number):
        state = training.state()
        begun = time.perf_counter()
        wait = begin(state, number)
        waited = time.perf_counter() - begun
        wait()
        first.setdefault(name, waited)
        if number >= 0:
            durable.add(name, time.perf_counter() - begun)
        training.jump()
        return waited

    def player(name, begin):
        return lambda number: save(name, begin, number)

    players = {
        "cairn": player("cairn", savers.cairn),
        "cairn: dcp.async_save with writer and stager": player(
            "cairn: dcp.async_save with writer and stager", savers.cairn_by_dcp),
        "memcpy, one thread": lambda _: peers.timed(memory.memcpy),
        "copy_(), all threads": lambda _: peers.timed(memory.copy),
        "dcp.async_save": player("dcp.async_save", savers.dcp),
        "dcp.async_save, DefaultStager": player("dcp.async_save, DefaultStager",
                                                savers.dcp_keeping),
    }
    for play in players.values():
        play(-2)  # memory that a player keeps is touched now
        play(-1)
    take_turns(blocking, options.rounds, players)
    file = options.folder / "state.pt"
    take_turns(durable, options.rounds, {
        "torch.save + fsync": lambda _: peers.torch_save(training.state(), file),
        "dcp.save": lambda _: peers.dcp_save(training.state(), options.folder / "dcp")})
    blocking.facts |= {
        "first call, s": {name: round(seconds, 3) for name, seconds in first.items()},
        f"cairn / memcpy (asked: at most {ASKED_OVER_COPY})": blocking.ratio(
            "cairn", "memcpy, one thread"),
        "cairn / copy_()": blocking.ratio("cairn", "copy_(), all threads"),
        f"cairn / dcp.async_save (asked: at most {ASKED_OF_DCP})": blocking.ratio(
            "cairn", "dcp.async_save")}
    return [blocking, durable]
