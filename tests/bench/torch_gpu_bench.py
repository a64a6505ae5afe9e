#!/usr/bin/env python3
"""Saves of CUDA tensors from PyTorch, beside torch.save and dcp.async_save of the same state.

    torch_gpu_bench.py SECTION... [--folder DIR] [--rounds 20] [--gib 8] [--json FILE]

Sections: slowdown (of a matmul loop while a save runs on 8 multiprocessors), blocking (what a
training waits for a save of which 90 % did not change), dense (the same of steps of AdamW, each
saved, and the bytes written). Prints tables in Markdown: medians with the least and the most, and
ratios within a round. Each save of Cairn's is loaded and compared.
--device cpu: the same on the host, in tiny sizes, to see that it runs.
Exit status 77: no CUDA device.
"""
import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

import torch
from torch import distributed

import peers
import report
from torch_gpu_state import (CairnSaver, DcpSaver, DeviceTraining, FrozenState, TorchSaver, bytes_of,
                             copy_rates, timed, wait_for)

MULTIPROCESSORS = 8
LIKE_DCP, LIKE_TORCH = "dcp.async_save, pinned", "torch.save"


class Rows:
    """Values by name, one a round, with what was asked."""

    def __init__(self, title):
        self.title, self.values, self.asked = title, {}, {}

    def add(self, name, value):
        self.values.setdefault(name, []).append(value)

    def ask(self, name, must, aim, is_most):
        self.asked[name] = {"must": must, "aim": aim, "is_most": is_most}

    def told(self):
        rows = {name: {"median": statistics.median(values), "least": min(values),
                       "most": max(values), "values": values, **self.asked.get(name, {})}
                for name, values in self.values.items()}
        return {"title": self.title, "rows": rows}


def verdict(row, is_device):
    if "must" not in row:
        return ""
    if not is_device:
        return "no device"

    def meets(limit):
        return row["median"] <= limit if row["is_most"] else row["median"] >= limit
    return "aim met" if meets(row["aim"]) else "met" if meets(row["must"]) else "**missed**"


def show(told, is_device):
    yield report.heading(told["title"], "median (least to most)", "must", "aim", "")
    for name, row in told["rows"].items():
        asked = [f"{'at most ' if row['is_most'] else ''}{row[key]:g}" if key in row else ""
                 for key in ("must", "aim")]
        yield report.row(name, report.spread(row, 4), *asked, verdict(row, is_device))
    yield "\n" + "; ".join(f"{name} {value}" for name, value in told["facts"].items())


def limit_share(device, count):
    """How many multiprocessors saves take; None: all."""
    if device.type == "cuda":
        from cairn.torch import device_options
        device_options(multiprocessors=count, pinned_bytes=2 << 30)


class Loop:
    """Products of matrices in BF16, one after the other."""

    def __init__(self, device):
        size = 8192 if device.type == "cuda" else 64
        self.device = device
        self.a, self.b = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
        self.c = torch.empty_like(self.a)

    def seconds(self, is_done=None):
        """Of one product, on average of those until is_done(), or of some."""
        count, together = 0, 4  # are enqueued before the host looks
        begun = time.perf_counter()  # all else of the device goes on: nothing of it is waited for
        while count < 40 if is_done is None else count == 0 or not is_done():
            for _ in range(together):
                torch.matmul(self.a, self.b, out=self.c)
            count += together
            if self.device.type == "cuda":
                torch.cuda.current_stream(self.device).synchronize()
        return (time.perf_counter() - begun) / count


def slowdown(options):
    limit_share(options.device, MULTIPROCESSORS)
    state, loop = FrozenState(options.bytes, options.device), Loop(options.device)
    rows = Rows(f"products of BF16 while {bytes_of(state.state()) / 1e9:.3f} GB are saved on "
                f"{MULTIPROCESSORS} multiprocessors, 90 % unchanged")
    rows.ask("longer than without a save", 0.08, 0.04, True)
    saver = CairnSaver(options.folder / "slowdown", options.device, overlap=True)
    for number in range(-2, options.rounds):
        state.change()
        wait_for(options.device)
        alone = loop.seconds()
        saving = saver.begin(state.state(), number + 2)
        beside = loop.seconds(saving.is_read if options.device.type == "cuda" else saving.done)
        saving.result()
        after = loop.seconds()
        saver.check(state.state())
        if number < 0:  # what is kept from save to save is made, and all is saved once
            continue
        without = (alone + after) / 2
        rows.add("ms a product, no save", 1000 * without)
        rows.add("ms a product, until the save has read all", 1000 * beside)
        rows.add("longer than without a save", beside / without - 1)
    saver.close()
    return rows


def take_turns(rows, options, savers, change, state_of):
    """All savers save each state, beginning with another one in each round; the training is held to
    wait for each. What is first is not counted."""
    names = list(savers)
    for number in range(-2, options.rounds):
        change()
        for turn in range(len(names)):
            name = names[(number + turn) % len(names)]
            state = state_of()
            seconds, end = timed(options.device, lambda: savers[name].save(state, number + 2))
            done = end()
            savers[name].check(state)
            if number < 0:
                continue
            rows.add(f"{name}: the training waits, ms", 1000 * seconds)
            if not isinstance(done, dict):
                continue
            rows.add("written, state = 1", done["stored_bytes"] / bytes_of(state))
            if "brought_bytes" in done:
                rows.add("brought from the device, state = 1",
                         done["brought_bytes"] / bytes_of(state))
    for name, saver in savers.items():
        saver.close()
        if name != "cairn":
            ours = rows.values["cairn: the training waits, ms"]
            for theirs, mine in zip(rows.values[f"{name}: the training waits, ms"], ours):
                rows.add(f"{name} / cairn", theirs / mine)


def blocking(options):
    limit_share(options.device, None)
    state = FrozenState(options.bytes, options.device)
    rows = Rows(f"a save of {bytes_of(state.state()) / 1e9:.3f} GB, 90 % unchanged")
    for name in (LIKE_DCP, LIKE_TORCH):
        rows.ask(f"{name} / cairn", 10, 20, False)
    savers = {"cairn": CairnSaver(options.folder / "blocking", options.device),
              LIKE_DCP: DcpSaver(options.folder / "dcp", options.device),
              LIKE_TORCH: TorchSaver(options.folder / "torch", options.device)}
    take_turns(rows, options, savers, state.change, state.state)
    return rows


def dense(options):
    limit_share(options.device, None)
    training = DeviceTraining("large" if options.device.type == "cuda" else "tiny", options.device)
    training.step()
    rows = Rows(f"steps of AdamW, {bytes_of(training.state()) / 1e6:.0f} MB, each one saved")
    rows.ask(f"{LIKE_DCP} / cairn", 2, 4, False)
    rows.ask("written, state = 1", 0.30, 0.25, True)
    savers = {"cairn": CairnSaver(options.folder / "dense", options.device,
                                  model=training.model, optimizer=training.optimizer,
                                  keep_on_device=True),
              LIKE_DCP: DcpSaver(options.folder / "dcp", options.device)}
    take_turns(rows, options, savers, training.step, training.state)
    return rows


SECTIONS = {"slowdown": slowdown, "blocking": blocking, "dense": dense}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION",
                        help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--folder", default="/dev/shm/cairn-torch-gpu-bench")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--gib", type=float, default=8, help="of the state of which little changes")
    parser.add_argument("--json", help="file to write all figures to")
    options = parser.parse_args()
    wanted = options.sections or list(SECTIONS)
    if unknown := set(wanted) - set(SECTIONS):
        parser.error(f"no section '{min(unknown)}'")
    is_device = options.device == "cuda"
    if is_device and not torch.cuda.is_available():
        print("skipped: no CUDA device")
        sys.exit(77)
    options.device = torch.device("cuda", 0) if is_device else torch.device("cpu")
    options.bytes = int(options.gib * 2**30) if is_device else 1 << 22
    options.folder = Path(options.folder)
    peers.remove(options.folder)
    options.folder.mkdir(parents=True)
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    name = torch.cuda.get_device_name(options.device) if is_device else "the host"
    told = {}
    for section in wanted:
        rates = copy_rates(options.device)
        told[section] = SECTIONS[section](options).told()
        facts = {"on": name, "rounds": options.rounds}
        told[section]["facts"] = facts | {key: f"{rate:.1f}" for key, rate in rates.items()}
        print("\n".join(show(told[section], is_device)), end="\n\n", flush=True)
        peers.remove(options.folder)
        options.folder.mkdir()
        if options.json:
            Path(options.json).write_text(json.dumps(told, indent=1))
    distributed.destroy_process_group()
    peers.remove(options.folder)


if __name__ == "__main__":
    main()
