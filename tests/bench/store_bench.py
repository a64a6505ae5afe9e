#!/usr/bin/env python3
"""Saves and loads of Cairn and its peers, taking turns on the same state in one run.

    tests/bench/store_bench.py PROGRAM SECTION... [--folder DIR] [--rounds 10] [--json FILE]

PROGRAM is the built store_server. Each section prints medians of seconds and of the ratios within
a round, with least and most: a machine's speed drifts, so only what stands side by side counts.
Sections: first-save, unchanged, changed, load-warm, load-cold, reshard, series.
"""
import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import peers

ROWS, COLUMNS = 2048, 2048
TENSOR_BYTES = ROWS * COLUMNS * 4


class Server:
    """A training job in C++ that Cairn's library lives in."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def __call__(self, op, **fields):
        self.process.stdin.write(json.dumps({"op": op, **fields}, default=str) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"{op}: {answer['error']}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Table:
    """Seconds by name, a list of rounds each."""

    def __init__(self, title, bytes_moved):
        self.title, self.bytes_moved = title, bytes_moved
        self.seconds, self.facts = {}, {}

    def add(self, name, seconds):
        self.seconds.setdefault(name, []).append(seconds)

    def ratio(self, over, under):
        """How many times faster `under` is than `over`, a round at a time."""
        pairs = [a / b for a, b in zip(self.seconds[over], self.seconds[under])]
        return {"median": statistics.median(pairs), "least": min(pairs), "most": max(pairs),
                "rounds": len(pairs)}

    def report(self):
        rows = {}
        for name, values in self.seconds.items():
            rows[name] = {"seconds": statistics.median(values), "least": min(values),
                          "most": max(values),
                          "gb_per_s": self.bytes_moved / statistics.median(values) / 1e9}
            if name != "cairn" and "cairn" in self.seconds:
                rows[name]["times_cairn"] = self.ratio(name, "cairn")
        return {"title": self.title, "rows": rows, **self.facts}

    def show(self):
        print(f"\n{self.title}", file=sys.stderr)
        for name, row in self.report()["rows"].items():
            ratio = row.get("times_cairn")
            beside = ("" if ratio is None else f"   {ratio['median']:6.2f} x cairn "
                      f"({ratio['least']:.2f} to {ratio['most']:.2f}, {ratio['rounds']} rounds)")
            print(f"  {name:24} {row['seconds']:8.3f} s  {row['gb_per_s']:6.2f} GB/s{beside}",
                  file=sys.stderr)
        for name, value in self.facts.items():
            print(f"  {name}: {value}", file=sys.stderr)


def take_turns(table, rounds, players):
    """Every player once a round, each round beginning with another one."""
    names = list(players)
    for number in range(rounds):
        for i in range(len(names)):
            name = names[(i + number) % len(names)]
            table.add(name, players[name](number))


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = Path(options.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.server = None
        self.peak = {"save": 0, "load": 0}

    def save(self, store, tag, **fields):
        answer = self.server("save", store=store, tag=tag, **fields)
        self.peak["save"] = max(self.peak["save"], answer["peak_bytes"])
        return answer

    def load(self, store, tag, **fields):
        answer = self.server("load", store=store, tag=tag, **fields)
        self.peak["load"] = max(self.peak["load"], answer["peak_bytes"])
        return answer

    def make(self, gib):
        """A state in a process of its own: what another left in the allocator would look like
        memory that a save or load took."""
        self.close()
        self.server = Server(self.options.program)
        self.tensors = gib * 2**30 // TENSOR_BYTES
        self.bytes = self.server("make", tensors=self.tensors, rows=ROWS, columns=COLUMNS,
                                 seed=1)["bytes"]

    def close(self):
        if self.server is not None:
            self.server.close()

    def fresh(self, name):
        path = self.folder / name
        peers.remove(path)
        return path

    def first_save(self):
        self.make(self.options.gib)
        state = peers.torch_state(self.tensors, ROWS, COLUMNS)
        table = Table(f"First save of {self.options.gib} GiB, durable", self.bytes)

        def cairn(_):
            return self.save(self.fresh("store"), "a", init=True)["elapsed_s"]

        players = {
            "cairn": cairn,
            "safetensors + fsync": lambda _: peers.safetensors_save(state, self.fresh("st")),
            "torch.save + fsync": lambda _: peers.torch_save(state, self.fresh("pt")),
            "DCP": lambda _: peers.dcp_save(state, self.fresh("dcp")),
        }
        if peers.have("fio") and self.options.direct:
            players["fio direct + fsync"] = lambda _: peers.fio_write(self.fresh("fio"),
                                                                      self.bytes)
        take_turns(table, self.options.rounds, players)
        return table

    def unchanged(self):
        gib = 4 * self.options.gib
        self.make(gib)
        state = peers.torch_state(self.tensors, ROWS, COLUMNS)
        table = Table(f"Saving {gib} GiB that did not change", self.bytes)
        store = self.fresh("store")
        self.save(store, "t/0", init=True)
        written = []

        def cairn(number):
            answer = self.save(store, f"t/{number + 1}")
            written.append(answer["new_bytes"])
            return answer["elapsed_s"]

        players = {"cairn": cairn,
                   "hash alone, 2 threads": lambda _: self.server("hash", threads=2)["elapsed_s"]}
        take_turns(table, self.options.rounds, players)
        slow = {"torch.save + fsync": lambda _: peers.torch_save(state, self.fresh("pt"))}
        source = self.folder / "source"
        for tool, save in (("restic", peers.restic), ("borg", peers.borg)):
            if not (peers.have(tool) and self.options.direct):  # tmpfs has no room for theirs
                continue

            def again(number, tool=tool, save=save):
                # Rewritten, so that the tool cannot go by the file's time.
                source.mkdir(exist_ok=True)
                peers.safetensors_save(state, self.fresh("source/state"))
                return save(self.folder / tool, source)
            peers.remove(self.folder / tool)
            again(0)
            slow[tool] = again
        # One round of these is minutes: fewer rounds, each beside a save of Cairn's.
        beside = Table("", self.bytes)
        take_turns(beside, min(3, self.options.rounds),
                   {"cairn": lambda n: cairn(1000 + n), **slow})
        for name in slow:
            table.seconds[name] = beside.seconds[name]
        table.seconds["cairn beside those"] = beside.seconds["cairn"]
        pairs = zip(table.seconds["cairn"], table.seconds["hash alone, 2 threads"])
        table.facts["over hash time / 0.9, ms (asked: at most 80)"] = round(
            1000 * statistics.median(c - h / 0.9 for c, h in pairs), 1)
        table.facts["data bytes written"] = sum(written)
        return table

    def changed(self):
        self.make(self.options.gib)
        table = Table(f"{self.options.gib} GiB of which 5 % of the chunks changed", self.bytes)
        store = self.fresh("store")
        self.save(store, "t/0", init=True)
        factors = []

        def cairn(number):
            changed = self.server("mutate", fraction=0.05)
            answer = self.save(store, f"t/{number + 1}")
            factors.append(answer["stored_bytes"] / changed["bytes"])
            return answer["elapsed_s"]

        take_turns(table, self.options.rounds, {"cairn": cairn})
        table.facts["bytes stored / bytes of changed chunks (asked: at most 1.1)"] = round(
            statistics.median(factors), 4)
        return table

    def load_files(self):
        """One tag, and the same state as files of the peers."""
        self.make(self.options.gib)
        state = peers.torch_state(self.tensors, ROWS, COLUMNS)
        store, st, pt = self.fresh("store"), self.fresh("st"), self.fresh("pt")
        self.save(store, "a", init=True)
        peers.safetensors_save(state, st)
        peers.torch_save(state, pt)
        return store, st, pt, {name: tensor.clone() for name, tensor in state.items()}

    def load_warm(self):
        store, st, pt, targets = self.load_files()
        table = Table(f"Load of {self.options.gib} GiB into touched memory, file cached",
                      self.bytes)
        players = {"cairn": lambda _: self.load(store, "a")["elapsed_s"],
                   "safetensors + copy": lambda _: peers.safetensors_load(st, targets),
                   "torch.load": lambda _: peers.torch_load(pt)}
        for path in (store, st, pt):
            peers.cache(path)
        take_turns(table, self.options.rounds, players)
        table.facts["equal"] = self.load(store, "a", compare=True)["equal"]
        return table

    def load_cold(self):
        store, st, pt, targets = self.load_files()
        self.load(store, "a")
        packs = sorted(path for path in (store / "packs").rglob("*") if path.is_file())
        table = Table(f"Load of {self.options.gib} GiB into touched memory, nothing cached",
                      self.bytes)

        def cold(path, work):
            def play(_):
                peers.forget_cached(path)
                return work()
            return play
        players = {
            "cairn": cold(store, lambda: self.load(store, "a")["elapsed_s"]),
            "fio direct": cold(store, lambda: peers.fio_read(packs, True)),
            "fio buffered": cold(store, lambda: peers.fio_read(packs, False)),
            "safetensors + copy": cold(st, lambda: peers.safetensors_load(st, targets)),
            "torch.load": cold(pt, lambda: peers.torch_load(pt)),
        }
        take_turns(table, self.options.rounds, players)
        return table

    def reshard(self):
        self.make(self.options.gib)
        store = self.fresh("store")
        self.save(store, "a", init=True, parts=4)
        table = Table(f"Load of {self.options.gib} GiB saved by 4 ranks, cached", self.bytes)
        reads = {}

        def cut(parts, axis):
            def play(_):
                answer = self.load(store, "a", parts=parts, cut=axis)
                reads[f"{parts} by {axis}"] = answer["read_bytes"]
                return answer["elapsed_s"]
            return play
        players = {"cairn": cut(4, "rows"), "3 by rows": cut(3, "rows"),
                   "3 by columns": cut(3, "columns")}
        peers.cache(store)
        take_turns(table, self.options.rounds, players)
        table.facts["bytes read / bytes of the state"] = {
            name: round(value / self.bytes, 4) for name, value in reads.items()}
        return table

    def series(self):
        self.make(self.options.gib)
        store = self.fresh("store")
        self.save(store, "t/1", init=True)
        for number in range(2, 51):
            self.server("mutate", fraction=0.05)
            self.save(store, f"t/{number}")
        table = Table("Load of the first and the fiftieth tag of a series, 5 % of the chunks new "
                      "in each", self.bytes)
        for kind in ("cached", "cold"):
            def play(tag, kind=kind):
                def once(_):
                    if kind == "cold":
                        peers.forget_cached(store)
                    return self.load(store, tag)["elapsed_s"]
                return once
            players = {f"tag 1, {kind}": play("t/1"), f"tag 50, {kind}": play("t/50")}
            if kind == "cached":
                peers.cache(store)
            take_turns(table, self.options.rounds, players)
            table.facts[f"tag 50 / tag 1, {kind} (asked: at most 1.5)"] = table.ratio(
                f"tag 50, {kind}", f"tag 1, {kind}")
        return table


    def memory(self):
        """What a million chunks take beside the tensors: 4 GiB in chunks of 4 KiB."""
        self.make(4)
        store = self.fresh("store")
        table = Table("A million chunks of 4 KiB", self.bytes)
        peaks = {}

        def play(name, op, **fields):
            answer = self.server(op, store=store, **fields)
            table.add(name, answer["elapsed_s"])
            peaks[name] = f"{answer['peak_bytes'] / 2**20:.0f} MiB"
        play("first save", "save", tag="t/1", init=True, chunk_elements=1024)
        self.make(4)
        play("unchanged", "save", tag="t/2")
        self.make(4)
        play("load", "load", tag="t/2")
        table.facts["peak memory above the tensors (asked: at most 256 MiB)"] = peaks
        return table


SECTIONS = {"first-save": Bench.first_save, "unchanged": Bench.unchanged,
            "changed": Bench.changed, "load-warm": Bench.load_warm,
            "load-cold": Bench.load_cold, "reshard": Bench.reshard, "series": Bench.series,
            "memory": Bench.memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the built store_server")
    parser.add_argument("sections", nargs="+", choices=[*SECTIONS, "all"])
    parser.add_argument("--folder", default="/var/tmp/cairn-bench", help="on the disk to measure")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--gib", type=int, default=1, help="size of the state")
    parser.add_argument("--no-direct", dest="direct", action="store_false",
                        help="the folder's file system knows no direct I/O (tmpfs)")
    parser.add_argument("--json", help="file to write all figures to")
    options = parser.parse_args()
    wanted = list(SECTIONS) if "all" in options.sections else options.sections
    bench = Bench(options)
    reports = []
    for name in wanted:
        table = SECTIONS[name](bench)
        table.show()
        reports.append({"section": name, **table.report()})
    bench.close()
    print(f"\npeak memory above the tensors: save {bench.peak['save'] / 2**20:.0f} MiB, "
          f"load {bench.peak['load'] / 2**20:.0f} MiB", file=sys.stderr)
    peers.remove(bench.folder)
    if options.json:
        Path(options.json).write_text(json.dumps(
            {"sections": reports, "peak_bytes": bench.peak}, indent=1))


if __name__ == "__main__":
    main()
