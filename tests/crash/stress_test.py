#!/usr/bin/env python3
"""Many saves at once into one store, some killed at any moment, its index deleted now and then: what
was acknowledged is there, whole and in what it says; the rest is there whole or not at all.

    stress_test.py CAIRN [--seconds 10] [--savers 6] [--seed N]

The store has few tags and few distinct states, so that saves meet: the same chunks, bases that are
replaced meanwhile, the same names. The seed is printed; timing makes each run another one.
"""
import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

TAGS = [f"{run}/{step}" for run in "ab" for step in range(4)]
STATES = 5


def write_states(folder):
    """States that share half of their chunks with their neighbours."""
    return [write_safetensors(folder / f"{number}.safetensors", {
        "own": noise(30000, number + 1), "shared": noise(30000, 100 + number // 2),
        "same": noise(5000, 200)}) for number in range(STATES)]


class Stress:
    def __init__(self, program, folder, options):
        self.random = random.Random(options.seed)
        self.folder, self.options = folder, options
        self.cairn = Program(program, folder / "store")
        self.cairn.run("init", self.cairn.store, "--chunk-elements", "1024")
        self.states = write_states(folder)
        self.acknowledged, self.counts = {}, {"saved": 0, "refused": 0, "killed": 0}

    def round(self):
        """Some saves at once; some of them are killed."""
        begun = []
        for _ in range(self.options.savers):
            tag, state = self.random.choice(TAGS), self.random.randrange(STATES)
            words = ["import", tag, self.states[state], "--if-exists",
                     self.random.choice(["error", "same", "replace"])]
            if self.random.random() < 0.3:  # so that the index is asked
                words += ["--base", "none"]
            begun.append((self.cairn.start(*words), tag, state))
        if self.random.random() < 0.2:
            shutil.rmtree(self.cairn.store / "index", ignore_errors=True)
        for process, _, _ in self.random.sample(begun, self.random.randint(0, 2)):
            try:
                process.wait(timeout=self.random.random() * 0.05)
            except subprocess.TimeoutExpired:
                process.kill()
        possible = {}
        for process, tag, state in begun:
            _, error = process.communicate(timeout=120)
            self.count(process.returncode, error)
            # Which of several won, and whether a killed one did, is not known: one of them.
            if process.returncode != 16:
                possible.setdefault(tag, set()).add((state, process.returncode == 0))
        for tag, outcomes in possible.items():
            states = {state for state, _ in outcomes}
            is_sure = any(done for _, done in outcomes)
            before = set() if is_sure else self.acknowledged.get(tag, {None})
            self.acknowledged[tag] = states | before

    def count(self, status, error):
        name = {0: "saved", 16: "refused", -9: "killed"}.get(status)
        if name is None:
            sys.exit(f"a save ended with {status}: {error.decode()}")
        self.counts[name] += 1

    def verify(self):
        """Every tag holds one of the states it may hold; the whole store checks."""
        found = self.cairn.json("check", "--read-data")
        if not found["ok"]:
            sys.exit(f"check: {found['errors']}")
        there = set(self.cairn.run("ls", "-q").stdout.split())
        for tag, states in self.acknowledged.items():
            if tag not in there:
                if None not in states:
                    sys.exit(f"{tag} was acknowledged and is gone")
                continue
            out = self.folder / "out.safetensors"
            self.cairn.run("export", tag, out, "--force")
            held = read_safetensors(out)
            if all(read_safetensors(self.states[state]) != held
                   for state in states if state is not None):
                sys.exit(f"{tag} holds none of {states}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--savers", type=int, default=6)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-stress-") as folder:
        stress = Stress(options.program, Path(folder), options)
        end = time.monotonic() + options.seconds
        rounds = 0
        while time.monotonic() < end:
            stress.round()
            rounds += 1
            if rounds % 5 == 0:
                stress.verify()
        stress.verify()
        print(f"{rounds} rounds: {stress.counts}")
        if not all(stress.counts.values()):
            sys.exit("saved, refused and killed: each must have happened")


if __name__ == "__main__":
    main()
