"""What it takes to train 20 steps and save each one: time and bytes."""
import time

from torch.distributed import checkpoint as dcp

import cairn
import peers
from cairn.torch import AsyncSaver
from store_bench import Table, take_turns
from torch_states import Training, bytes_below, bytes_of

STEPS = 20


class NoSaves:
    def save(self, state, step):
        pass

    def end(self):
        pass


class Cairn:
    def __init__(self, folder):
        self.saver = AsyncSaver(cairn.Store(folder, create=True))

    def save(self, state, step):
        self.saver.save(f"run/step-{step}", state, step=step)

    def end(self):
        self.saver.close()


class TorchSave:
    def __init__(self, folder):
        self.folder = folder

    def save(self, state, step):
        peers.torch_save(state, self.folder / f"{step}.pt")

    def end(self):
        pass


class DcpSave(TorchSave):
    def save(self, state, step):
        peers.dcp_save(state, self.folder / str(step))


class DcpAsyncSave(TorchSave):
    """One at a time, as DCP wants it."""

    saving = None

    def save(self, state, step):
        self.end()
        writer = dcp.FileSystemWriter(self.folder / str(step))
        self.saving = dcp.async_save(state, storage_writer=writer)

    def end(self):
        if self.saving is not None:
            self.saving.result()


PLAYERS = {"cairn": Cairn, "torch.save + fsync": TorchSave, "dcp.save": DcpSave,
           "dcp.async_save": DcpAsyncSave}


def measure(options):
    size = "tiny" if options.quick else "medium"
    training = Training(size)
    training.step()
    table = Table(f"{STEPS} steps of AdamW on {size} ({bytes_of(training.state()) / 1e6:.0f} MB), "
                  "each one saved", STEPS * bytes_of(training.state()))
    stored, waited = {}, {}

    def play(name):
        folder = options.folder / "series"
        peers.remove(folder)
        folder.mkdir()
        saves = PLAYERS[name](folder) if name in PLAYERS else NoSaves()
        training = Training(size)
        training.text = text  # cut into words once
        blocked, begun = 0.0, time.perf_counter()
        for step in range(1, STEPS + 1):
            training.step()
            state, before = training.state(), time.perf_counter()
            saves.save(state, step)
            blocked += time.perf_counter() - before
        saves.end()
        seconds = time.perf_counter() - begun
        stored[name] = bytes_below(folder)
        waited.setdefault(name, []).append(blocked)
        peers.remove(folder)
        return seconds

    text = training.text
    names = [*PLAYERS, "no saves"]
    rounds = max(1, (options.rounds + 1) // 2)
    take_turns(table, rounds, {name: lambda _, name=name: play(name) for name in names})
    table.facts |= {
        "stored, MB": {name: round(stored[name] / 1e6, 1) for name in PLAYERS},
        "training waited, s": {name: round(sorted(waited[name])[rounds // 2], 3)
                               for name in PLAYERS},
        "files of torch.save / cairn's bytes": round(
            stored["torch.save + fsync"] / stored["cairn"], 2)}
    return [table]
