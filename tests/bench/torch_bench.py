#!/usr/bin/env python3
"""Cairn in PyTorch beside torch.save and torch.distributed.checkpoint, taking turns in one run.

    torch_bench.py SECTION... [--folder DIR] [--rounds 5] [--quick] [--json FILE]

Sections: blocking (what a training waits for an asynchronous save), series (20 steps of a real
training, each saved), loads (by as many ranks and by others), memory (beside the state), overhead
(of Python, 10,000 tensors). Prints tables in Markdown: medians, and ratios within a round.
--quick: small states and two rounds, to see that it runs.
"""
import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

from torch import distributed

import peers
import report
import torch_blocking
import torch_loads
import torch_memory
import torch_overhead
import torch_series


def tables(measure):
    def run(options):
        return [table.report() for table in measure(options)]
    return run


SECTIONS = {"blocking": tables(torch_blocking.measure), "series": tables(torch_series.measure),
            "loads": torch_loads.measure, "memory": torch_memory.measure,
            "overhead": torch_overhead.measure}


def show_loads(rows):
    yield report.heading(f"loads of {rows[0]['bytes'] / 1e6:.0f} MB, saved on "
                         f"{torch_loads.SAVED_ON} ranks by rows", "files", "dcp.load with Cairn, s",
                         "Store.load, s", "dcp.load with files, s", "files / Cairn",
                         "files / Store.load")
    for row in rows:
        seconds = [f"{row[name]['seconds']:.3f}" for name in ("cairn", "cairn: Store.load",
                                                              "dcp.load")]
        yield report.row(f"on {row['ranks']}, {row['cut']}",
                         row["files"], *seconds, report.spread(row["dcp.load / cairn"]),
                         report.spread(row["dcp.load / Store.load"]))
    yield "\nasked: above 1"


def show_memory(rows):
    yield report.heading("peak memory beside the state", "MB", "copies of the state")
    for name, row in rows.items():
        yield report.row(name, f"{row['peak_mb']:.0f} of {row['state_mb']:.0f}",
                         f"{row['copies']:.2f}")
    yield f"\nasked of cairn: at most {torch_memory.ASKED:g} copies"


def show_overhead(rows):
    yield report.heading("a save of small tensors", "tensors", "Python, ms a rank",
                         "training waited, ms")
    for name, row in rows.items():
        yield report.row(name, f"{row['tensors']:,}", f"{1000 * row['python_s']:.1f}",
                         f"{1000 * row['waited_s']:.1f}")
    yield f"\nasked: Python below {1000 * torch_overhead.ASKED:g} ms"


def show(section, told):
    shows = {"loads": show_loads, "memory": show_memory, "overhead": show_overhead}
    parts = [shows[section](told)] if section in shows else map(report.section, told)
    for part in parts:
        print("\n".join(part), end="\n\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION",
                        help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--folder", default="/var/tmp/cairn-torch-bench", help="on the disk to measure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", help="file to write all figures to")
    options = parser.parse_args()
    wanted = options.sections or list(SECTIONS)
    if unknown := set(wanted) - set(SECTIONS):
        parser.error(f"no section '{min(unknown)}'")
    options.size = "tiny" if options.quick else "large"
    if options.quick:
        options.rounds = min(2, options.rounds)
    options.folder = Path(options.folder)
    peers.remove(options.folder)
    options.folder.mkdir(parents=True)
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    told = {}
    for section in wanted:
        told[section] = SECTIONS[section](options)
        show(section, told[section])
        if options.json:
            Path(options.json).write_text(json.dumps(told, indent=1))
    distributed.destroy_process_group()
    peers.remove(options.folder)


if __name__ == "__main__":
    main()
