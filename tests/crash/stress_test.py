"""Savers, readers, forget, pin, gc and check at once on one store, some killed at any moment, the
index deleted now and then: what was acknowledged is there, whole and in what it says; the rest is
there whole or not at all; and in the end one gc leaves nothing that is not needed.

    stress_test.py CAIRN [--seconds 10] [--savers 6] [--seed N]

The store has few tags and few distinct states, so that they meet: the same chunks, bases that are
replaced, forgotten and collected meanwhile, the same names. What each tag may hold is written to
expected.json after each round; a failure shows it. The seed is printed; timing makes each run
another one.
"""
import argparse
import collections
import json
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import Program, memory_folder, noise, read_safetensors, write_safetensors

TAGS = [f"{run}/{step}" for run in "ab" for step in range(4)]
STATES = 5


def near(number):
    """Floats of which all move a little from state to state: their chunks are made from each
    other."""
    words = struct.unpack("<5000I", noise(20000, 300))
    moves = struct.unpack("<5000I", noise(20000, 301 + number))
    return struct.pack("<5000I", *(0x3c000000 | word & 0x81ffffe0 | move & 0x1f
                                   for word, move in zip(words, moves)))


def write_states(folder):
    """States that share half of their chunks with their neighbours."""
    return [write_safetensors(folder / f"{number}.safetensors", {
        "own": noise(30000, number + 1), "shared": noise(30000, 100 + number // 2),
        "same": noise(5000, 200), "near": ("F32", [5000], near(number))}) for number in range(STATES)]


class Act:
    """One command under way: which tag it is about and what the tag holds when it succeeds."""

    def __init__(self, cairn, kind, words, tag=None, outcome=None):
        self.kind, self.tag, self.outcome = kind, tag, outcome
        self.process = cairn.start(*words)

    def finish(self):
        out, error = self.process.communicate(timeout=120)
        self.status, self.out, self.error = self.process.returncode, out.decode(), error.decode()


# What else a command may answer than success: exists, gone meanwhile, protected or replaced.
REFUSALS = {"import": {16}, "export": {15, 11}, "forget": {15, 18, 11}, "pin": {15}, "unpin": {15},
            "gc": set(), "check": set(), "show": {15, 11}}


class Stress:
    def __init__(self, program, folder, options):
        self.random = random.Random(options.seed)
        self.folder, self.options = folder, options
        self.cairn = Program(program, folder / "store")
        self.cairn.run("init", self.cairn.store, "--chunk-elements", "1024")
        self.states = write_states(folder)
        self.held = [read_safetensors(state) for state in self.states]
        self.expected = {}  # tag -> the states it may hold; None: not there
        self.counts = collections.Counter()

    def start_save(self):
        tag, state = self.random.choice(TAGS), self.random.randrange(STATES)
        words = ["import", tag, self.states[state], "--if-exists",
                 self.random.choice(["error", "same", "replace"])]
        if self.random.random() < 0.3:  # so that the index is asked
            words += ["--base", "none"]
        return Act(self.cairn, "import", words, tag, state)

    def start_other(self, number):
        tag = self.random.choice(TAGS)
        kind = self.random.choice(["export", "export", "forget", "forget", "gc", "gc", "pin",
                                   "unpin", "check", "show"])
        words = {"export": ["export", tag, self.folder / f"out{number}.safetensors", "--force"],
                 "forget": ["forget", tag, "--allow-newest", "--yes",
                            *["--allow-pinned"] * self.random.randint(0, 1),
                            *["--gc"] * self.random.randint(0, 1)],
                 "gc": ["gc", "--yes", "--min-dead", self.random.choice(["0", "10", "50"]),
                        *["--rebase"] * self.random.randint(0, 1)],
                 "check": ["check", "--read-data"]}.get(kind, [kind, tag])
        return Act(self.cairn, kind, words, tag)

    def round(self):
        """Some commands at once; some of them are killed."""
        acts = [self.start_save() for _ in range(self.options.savers)]
        acts += [self.start_other(i) for i in range(self.random.randint(0, self.options.savers))]
        if self.random.random() < 0.2:
            shutil.rmtree(self.cairn.store / "index", ignore_errors=True)
        for act in self.random.sample(acts, self.random.randint(0, 3)):
            try:
                act.process.wait(timeout=self.random.random() * 0.1)
            except subprocess.TimeoutExpired:
                act.process.kill()
        for number, act in enumerate(acts):
            act.finish()
            self.judge(act)
        self.note_outcomes(acts)

    def judge(self, act):
        if act.status not in REFUSALS[act.kind] | {0, -9}:
            self.fail(f"{act.kind} {act.tag} ended with {act.status}: {act.out} {act.error}")
        self.counts[act.kind, {0: "done", -9: "killed"}.get(act.status, "refused")] += 1
        if act.kind == "export" and act.status == 0:
            if read_safetensors(Path(act.process.args[5])) not in self.held:
                self.fail(f"{act.tag} was exported and is none of the states")

    def note_outcomes(self, acts):
        """Which of several came last, and whether a killed one did anything, is not known."""
        possible = {}
        for act in acts:
            if act.kind in ("import", "forget") and act.status in (0, -9):
                possible.setdefault(act.tag, []).append((act.outcome, act.status == 0))
        for tag, outcomes in possible.items():
            is_sure = any(done for _, done in outcomes)
            before = set() if is_sure else self.expected.get(tag, {None})
            self.expected[tag] = {state for state, _ in outcomes} | before
        known = {tag: sorted(map(str, states)) for tag, states in self.expected.items()}
        (self.folder / "expected.json").write_text(json.dumps(known))

    def fail(self, why):
        sys.exit(f"{why}\nexpected: {(self.folder / 'expected.json').read_text()}")

    def verify(self):
        """Every tag holds one of the states it may hold; the whole store checks."""
        found = self.cairn.json("check", "--read-data")
        if not found["ok"]:
            self.fail(f"check: {found['errors']}")
        there = set(self.cairn.run("ls", "-q").stdout.split())
        for tag, states in self.expected.items():
            if tag not in there:
                if None not in states:
                    self.fail(f"{tag} was acknowledged and is gone")
                continue
            out = self.folder / "out.safetensors"
            self.cairn.run("export", tag, out, "--force")
            held = read_safetensors(out)
            if all(self.held[state] != held for state in states if state is not None):
                self.fail(f"{tag} holds none of {states}")

    def verify_collected(self):
        """Nobody is left: one gc, and nothing lies there that is not needed."""
        self.cairn.run("gc", "--yes")
        left = self.cairn.json("gc", "--dry-run")
        if left["packs_deleted"] or left["metas_deleted"] or left["freed_bytes"]:
            self.fail(f"gc left {left}")
        odd = [path for path in self.cairn.store.iterdir() if path.name.startswith("root.")]
        odd += (self.cairn.store / "sessions").iterdir()
        if odd:
            self.fail(f"leftovers: {odd}")
        self.verify()


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
        stress.verify_collected()
        print(f"{rounds} rounds: {dict(stress.counts)}")
        for kind in ("import", "gc", "forget"):
            if not stress.counts[kind, "done"]:
                sys.exit(f"no {kind} came to its end")


if __name__ == "__main__":
    main()
