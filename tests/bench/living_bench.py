#!/usr/bin/env python3
"""Living with a large store: what commands cost as tags and chunks grow.

    living_bench.py CAIRN MAKE_STORE [--rounds 5] [--folder DIR] [--json FILE]

Stores without data are made by make_store in three sizes; of each figure the median of the rounds
and the growth exponent (the slope of log time over log size between the least and the largest) are
printed. Times are those of whole commands, start of the program included. The rate of gc's moves is
measured on real data beside `cp` and a sync of the same bytes, taking turns.
"""
import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from program import write_safetensors


def median(values):
    return sorted(values)[len(values) // 2]


def timed(words, environment=None):
    """Seconds and peak memory in bytes of a command that must succeed."""
    begun = time.perf_counter()
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, env=environment)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{words}: {error.decode()}")
    return time.perf_counter() - begun, usage.ru_maxrss * 1024


class Bench:
    def __init__(self, options):
        self.options, self.rows = options, []
        self.folder = Path(tempfile.mkdtemp(prefix="cairn-living-", dir=options.folder))

    def store(self, **wanted):
        path = self.folder / "store"
        shutil.rmtree(path, ignore_errors=True)
        words = [word for name, value in wanted.items() for word in (f"--{name}", str(value))]
        subprocess.run([self.options.make_store, path, *words], check=True)
        return path

    def cairn(self, store, *words):
        return timed([self.options.cairn, "-s", store, *words])

    def rounds(self, work):
        results = [work(number) for number in range(self.options.rounds)]
        return median([seconds for seconds, _ in results]), max(peak for _, peak in results)

    def row(self, what, sizes, figures, asked=""):
        exponent = ""
        if len(sizes) > 1:
            growth = math.log(figures[-1][0] / figures[0][0]) / math.log(sizes[-1] / sizes[0])
            exponent = f"{growth:.2f}"
        cells = [f"{size:,}: {seconds * 1000:.0f} ms, {peak / 2**20:.0f} MiB"
                 for size, (seconds, peak) in zip(sizes, figures)]
        self.rows.append({"what": what, "figures": cells, "exponent": exponent, "asked": asked})
        print(f"| {what} | {'; '.join(cells)} | {exponent} | {asked} |", flush=True)

    def names(self):
        sizes, listed, committed = (1000, 10000, 100000), [], []
        for size in sizes:
            store = self.store(tags=1, chunks=100, names=size)
            listed.append(self.rounds(lambda _: self.cairn(store, "ls", "-q")))
            committed.append(self.rounds(
                lambda number: self.cairn(store, "tag", f"new/{number}", "run/000000")))
        self.row("`ls -q`, tags", sizes, listed, "10,000: 300 ms")
        self.row("`tag NEW TAG` (a commit), tags", sizes, committed,
                 "a commit at 10,000: 10 ms; at 100,000: 50 ms")

    def exclusive(self):
        sizes, figures = (10, 30, 100), []
        for size in sizes:
            store = self.store(tags=size, chunks=100000)
            figures.append(self.rounds(lambda _: self.cairn(store, "ls", "--exclusive")))
        self.row("`ls --exclusive`, tags of 100,000 chunks, 5 % new in each", sizes, figures,
                 "stated")

    def chunks(self):
        sizes, shown, compared = (10000, 100000, 1000000), [], []
        for size in sizes:
            # 1 % of the chunks, in runs, as a run of training steps on few experts leaves them.
            store = self.store(tags=2, chunks=size, new=1)
            shown.append(self.rounds(lambda _: self.cairn(store, "show", "run/000000", "-q")))
            compared.append(self.rounds(
                lambda _: self.cairn(store, "diff", "run/000000", "run/000001", "-q")))
        self.row("`show`, chunks", sizes, shown, "1,000,000: 300 ms")
        self.row("`diff`, 1 % of the chunks changed (in every page), chunks", sizes, compared,
                 "1,000,000: 300 ms")

    def collect(self):
        sizes, figures = (1000, 10000, 100000), []
        for size in sizes:
            store = self.store(tags=100, chunks=size)
            self.cairn(store, "forget", "run/000050", "--yes")
            figures.append(self.rounds(lambda _: self.cairn(store, "gc", "--dry-run")))
        self.row("`gc --dry-run`, 1 of 100 tags gone, chunks a tag", sizes, figures,
                 "100,000: 2,000 ms, 200 MiB")
        self.saver_beside(store)

    def index(self):
        sizes, figures = (100000, 1000000, 10000000), []
        for size in sizes:
            store = self.store(tags=1, chunks=size, tensors=3000)
            figures.append(self.rounds(lambda _: self.cairn(store, "repair", "index")))
        self.row("`repair index`: caught up from nothing, chunks", sizes, figures,
                 "96 bytes a chunk + 64 MiB")

    def many_tags(self):
        sizes, words = (500, 1500, 5000), (("check",), ("stats",), ("gc", "--dry-run"),
                                           ("repair", "index"))
        figures = {each: [] for each in words}
        for size in sizes:
            store = self.store(tags=size, chunks=1000, tensors=50)
            for each in words:
                figures[each].append(self.rounds(lambda _: self.cairn(store, *each)))
        for each in words:
            self.row(f"`{' '.join(each)}`, tags of 1,000 chunks, 5 % new in each", sizes,
                     figures[each])

    def flat_table(self):
        for chunks in 100000, 1000000, 10000000:
            words = [self.options.make_store.parent / "flat_table_bench", str(chunks)]
            facts = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
            said = (f"{chunks:,} chunks: {facts['bytes_per_chunk']:.1f} bytes a chunk, "
                    f"{facts['look_ups_per_second'] / 1e6:.1f} M look-ups/s")
            self.rows.append({"what": "flat digest table", "figures": said, "exponent": "",
                              "asked": "30 bytes a chunk"})
            print(f"| flat digest table | {said} | | 30 bytes a chunk |", flush=True)

    def saver_beside(self, store):
        """The longest commit while a collection runs that moves nothing (there is no data)."""
        waits, stop = [], threading.Event()

        def commit():
            number = 0
            while not stop.is_set():
                waits.append(self.cairn(store, "tag", f"beside/{number}", "run/000000")[0])
                number += 1

        saver = threading.Thread(target=commit)
        saver.start()
        self.cairn(store, "gc", "--yes", "--max-repack-bytes", "0")
        stop.set()
        saver.join()
        self.row("slowest commit beside gc, commits", (len(waits),), [(max(waits), 0)], "200 ms")

    def small_saves(self):
        """1,000 saves of 256 KiB, half of it new in each; every second tag is forgotten."""
        store = self.folder / "small"
        subprocess.run([self.options.cairn, "init", store], check=True, capture_output=True)
        file, same = self.folder / "small.safetensors", os.urandom(131072)
        saves = []
        for number in range(1000):
            write_safetensors(file, {"same": same, "own": os.urandom(131072)})
            saves.append(self.cairn(store, "import", f"s/{number:04}", file))
        parts = [saves[first:first + 100] for first in (0, 400, 900)]
        figures = [(median([seconds for seconds, _ in part]), max(peak for _, peak in part))
                   for part in parts]
        self.row("`import` of 256 KiB, half of it new, saves before it", (50, 450, 950), figures)
        self.cairn(store, "forget", *(f"s/{number:04}" for number in range(0, 999, 2)), "--gc",
                   "--yes")
        stats = json.loads(subprocess.run([self.options.cairn, "-s", store, "stats", "--json"],
                                          capture_output=True, check=True).stdout)
        files = [path for path in store.rglob("*")
                 if path.is_file() and "index" not in path.parts]
        total = sum(path.stat().st_size for path in files)
        said = (f"{total / stats['stored_bytes']:.3f}x of what is needed "
                f"({total / 2**20:.0f} MiB), {len(files)} files")
        self.rows.append({"what": "1,000 small saves and gc", "figures": said, "exponent": "",
                          "asked": "1.05x, 1 file per 16 MiB + 50"})
        print(f"| 1,000 small saves and gc | {said} | | 1.05x, 1 file per 16 MiB + 50 |", flush=True)

    def move_rate(self):
        """Half of a GiB's chunks die; the other half is moved, beside cp and a sync of as much."""
        ratios = []
        for number in range(self.options.rounds):
            store = self.folder / "real"
            shutil.rmtree(store, ignore_errors=True)
            subprocess.run([self.options.cairn, "init", store], check=True, capture_output=True)
            old, new = self.folder / "old.safetensors", self.folder / "new.safetensors"
            half = 512 << 20
            kept = os.urandom(half)
            write_safetensors(old, {"kept": kept, "dies": os.urandom(half)})
            write_safetensors(new, {"kept": kept})
            for tag, file in (("r/1", old), ("r/2", new)):
                self.cairn(store, "import", tag, file)
            self.cairn(store, "forget", "r/1", "--yes")
            begun = time.perf_counter()
            subprocess.run(["cp", new, self.folder / "copy"], check=True)
            subprocess.run(["sync", self.folder / "copy"], check=True)
            copied = time.perf_counter() - begun
            moved, _ = self.cairn(store, "gc", "--yes")
            ratios.append(copied / moved)
            for path in (self.folder / "copy", old, new):
                path.unlink()
        self.rows.append({"what": "rate of gc's moves / cp + sync", "figures": ratios, "exponent": "",
                          "asked": "at least 0.7"})
        print(f"| rate of a gc that moves 512 MiB / cp + sync | {median(ratios):.2f} "
              f"({min(ratios):.2f} to {max(ratios):.2f}) | | at least 0.7 |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cairn", type=Path)
    parser.add_argument("make_store", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default="/var/tmp")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bench = Bench(options)
    try:
        print("| what | median of whole commands, peak memory | growth exponent | asked |\n"
              "|---|---|---|---|")
        bench.names()
        bench.exclusive()
        bench.chunks()
        bench.collect()
        bench.index()
        bench.many_tags()
        bench.flat_table()
        bench.small_saves()
        bench.move_rate()
    finally:
        shutil.rmtree(bench.folder, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps(bench.rows, indent=1))


if __name__ == "__main__":
    main()
