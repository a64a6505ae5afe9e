#!/usr/bin/env python3
"""How long conversions take beside `cp` of the same bytes, made durable, and their memory.

Each round does all ways in turn, from the page cache; ratios are of one round, then the median.
1: as fast as cp. usage: convert_bench.py CAIRN [--rounds N] [--folder DIR] [--mib N] [--json FILE]
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from peers import cache, sync, timed


def make_sources(folder, mib):
    """A training's weights and moments: bf16 and fp32 of normal distribution."""
    import torch
    from safetensors.torch import save_file
    from torch.distributed import checkpoint as dcp

    torch.manual_seed(1)
    count = max(1, mib // 14)  # of a million parameters each
    state = {}
    for i in range(count):
        weight = torch.randn(1024, 1024)
        state[f"model.{i}"] = weight.bfloat16()
        for name in ("master", "exp_avg", "exp_avg_sq"):
            state[f"{name}.{i}"] = weight * torch.rand(1024, 1024)
    torch.save(state, folder / "state.pt")
    save_file(state, folder / "state.safetensors")
    dcp.save(state, checkpoint_id=folder / "state.dcp")


SOURCES = {"torch": "state.pt", "dcp": "state.dcp", "safetensors": "state.safetensors"}


class Bench:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def run(self, *words):
        """Seconds of a command of the program."""
        command = [self.program, "-s", str(self.folder / "store"), *map(str, words)]
        return timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))

    def memory(self, *words):
        """MiB that a command of the program took at most."""
        command = [self.program, "-s", str(self.folder / "store"), *map(str, words)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        assert status == 0, command
        return used.ru_maxrss / 1024

    def copy(self, source):
        target = self.folder / "copy"

        def work():
            subprocess.run(["cp", "-r", str(source), str(target)], check=True)
            sync(target)
        seconds = timed(work)
        self.remove(target)
        return seconds

    def remove(self, path):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def fresh_store(self):
        shutil.rmtree(self.folder / "store", ignore_errors=True)
        self.run("-q", "init")

    def round(self, form, name):
        """Seconds of cp, import and export."""
        source, target = self.folder / name, self.folder / f"out-{name}"
        self.fresh_store()
        cache(source)
        made = {"cp": self.copy(source), "import": self.run("import", "a", source)}
        made["export"] = self.run("export", "a", target, "--format", form)
        self.remove(target)
        return made

    def measured(self, form, name, rounds):
        times = [self.round(form, name) for _ in range(rounds)]
        target = self.folder / f"out-{name}"
        self.fresh_store()
        memory = {"import": self.memory("import", "a", self.folder / name),
                  "export": self.memory("export", "a", target, "--format", form)}
        self.remove(target)
        return {way: {"seconds": statistics.median(each[way] for each in times),
                      "speed_of_cp": statistics.median(each["cp"] / each[way] for each in times),
                      "lowest": min(each["cp"] / each[way] for each in times),
                      "highest": max(each["cp"] / each[way] for each in times),
                      "memory_mib": memory[way]} for way in ("import", "export")}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/cairn-convert"))
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        return make_sources(arguments.folder, arguments.mib)
    shutil.rmtree(arguments.folder, ignore_errors=True)
    arguments.folder.mkdir(parents=True)
    # By another process: what this one has would count as memory of those that it starts.
    subprocess.run([sys.executable, "-W", "ignore", __file__, arguments.program, "--make",
                    "--folder", arguments.folder, "--mib", str(arguments.mib)], check=True)
    bench = Bench(os.path.abspath(arguments.program), arguments.folder)
    results = {form: bench.measured(form, name, arguments.rounds) for form, name in SOURCES.items()}
    print("| | seconds | speed, cp = 1 | memory |\n|---|---|---|---|")
    for form, ways in results.items():
        for way, told in ways.items():
            print(f"| {way} {form} | {told['seconds']:.2f} | {told['speed_of_cp']:.2f} "
                  f"({told['lowest']:.2f} to {told['highest']:.2f}) | {told['memory_mib']:.0f} MiB |")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    shutil.rmtree(arguments.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
