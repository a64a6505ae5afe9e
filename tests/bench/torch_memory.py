#!/usr/bin/env python3
"""How much memory saves take beside the state: each player in a process of its own.

    torch_memory.py PLAYER SIZE FOLDER    prints the peak above the state, and the state, in bytes
"""
import json
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

SAVES = 4
ASKED = 2.0  # copies of the state


def resident(which):
    """A line of /proc/self/status in bytes: VmRSS now, VmHWM at most."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{which}:\s+(\d+) kB", text)[1]) * 1024


def saves_of(player, folder):
    """A function that saves a state, and one that waits for the last save."""
    import torch
    from torch.distributed import checkpoint as dcp

    import cairn
    from cairn.torch import AsyncSaver

    if player == "cairn":
        saver = AsyncSaver(cairn.Store(folder / "store", create=True))
        return lambda state, number: saver.save(f"run/{number}", state), saver.close
    if player == "cairn: Store.save":
        store = cairn.Store(folder / "store", create=True)
        return lambda state, number: store.save(f"run/{number}", state), lambda: None
    if player == "torch.save":
        return lambda state, _: torch.save(state, folder / "state.pt"), lambda: None
    begun = []

    def save(state, _):
        end()
        begun.append(dcp.async_save(state, storage_writer=dcp.FileSystemWriter(folder / "dcp")))

    def end():
        if begun:
            begun.pop().result()
    return save, end


def main(player, size, folder):
    from torch import distributed

    from torch_states import Training, bytes_of

    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    training = Training(size, narrow=True)
    training.jump()
    state = training.state()
    save, end = saves_of(player, Path(folder))
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    for number in range(SAVES):
        save(training.state(), number)
        training.jump()  # while it is being saved
    end()
    print(json.dumps([resident("VmHWM") - before, bytes_of(state)]))
    distributed.destroy_process_group()


def measure(options):
    import peers

    rows = {}
    for player in ("cairn", "cairn: Store.save", "dcp.async_save", "torch.save"):
        folder = options.folder / "memory"
        peers.remove(folder)
        folder.mkdir()
        command = [sys.executable, "-W", "ignore", __file__, player, options.size, str(folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        peak, state = json.loads(done.stdout.splitlines()[-1])
        rows[player] = {"peak_mb": peak / 1e6, "state_mb": state / 1e6, "copies": peak / state}
        peers.remove(folder)
    return rows


if __name__ == "__main__":
    main(*sys.argv[1:])
