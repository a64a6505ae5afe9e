#!/usr/bin/env python3
"""What tags of every step take by what a save knows of the optimizer. Run by hand; needs torch.

    CAIRN_LIBRARY=build/lib/libcairn.so.0.1.0 CAIRN_PROGRAM=build/cli/cairn \\
        python tests/bench/roles_bench.py [--size small] [--tags 6]

A GPT learns real text with AdamW: decay on matrices alone, gradients clipped, a cosine schedule that
is stepped before the save. Every step is saved by Store.save, with roles="none"; with names alone to
tell; as the state tells (the default); and as the live optimizer does. Printed are bytes a parameter
of each tag after the first, and the time that telling takes."""
import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

import torch
from torch.nn import functional

import cairn
from cairn import _roles, _tree
from cairn.torch import roles_of
from series_models import Gpt, SIZES, Text

WARM_UP = 20


class Names:
    """Leaves it to the names of tensors, as `cairn import` does."""

    def describe(self, *_):
        return "auto", {}


def train(size, tags):
    """Yields step, model, optimizer and scheduler when a tag is due."""
    torch.manual_seed(1)
    model, text = Gpt(SIZES[size]), Text(SIZES[size], 1)
    named = list(model.named_parameters())
    optimizer = torch.optim.AdamW(
        [{"params": [p for _, p in named if p.dim() > 1]},
         {"params": [p for _, p in named if p.dim() < 2], "weight_decay": 0.0}],
        lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4000)
    yield 0, model, optimizer, schedule
    for step in range(1, WARM_UP + tags + 1):
        tokens = text.batch()
        loss = functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step > WARM_UP:
            yield step, model, optimizer, schedule


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="small", choices=SIZES)
    parser.add_argument("--tags", type=int, default=6)
    options = parser.parse_args()
    run = train(options.size, options.tags)
    _, model, optimizer, _ = next(run)
    ways = {"none": "none", "names": Names(), "state": "auto", "live": roles_of(model, optimizer)}
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters\n| step | {' | '.join(ways)} |\n|---|{'---|' * len(ways)}")
    with tempfile.TemporaryDirectory(prefix="cairn-roles-") as folder:
        stores = {way: cairn.Store(f"{folder}/{way}", create=True) for way in ways}
        for step, model, optimizer, schedule in run:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                     "schedule": schedule.state_dict(), "step": step}
            taken = [stores[way].save(f"run/{step}", state, step=step, roles=roles)["stored_bytes"]
                     for way, roles in ways.items()]
            print(f"| {step} | {' | '.join(f'{each / parameters:.2f}' for each in taken)} |",
                  flush=True)
    flat = _tree.flatten(state)
    for way, roles in (("state", _roles), ("live", ways["live"])):
        begin = time.process_time()
        for _ in range(100):
            roles.describe(flat.tensors, flat.values)
        print(f"{way}: {len(flat.tensors)} tensors described in "
              f"{10 * (time.process_time() - begin):.2f} ms")


if __name__ == "__main__":
    main()
