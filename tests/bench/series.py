#!/usr/bin/env python3
"""Series of checkpoints from real training, for scripts/bench reductions and its test.

    tests/bench/series.py REGIME...|all [--folder DIR] [--size medium] [--tags N] [--kernel KERNEL]

A GPT learns the Python standard library's sources on the CPU with stock torch.optim.AdamW and fixed
seeds. After some tens of steps, in which the moments settle, every tag becomes one safetensors file
and a roles file (`cairn help import`) in DIR/REGIME. A series that is there with the same settings
is kept. Regimes: see REGIMES; with optimizer a tag has 14 bytes a parameter: a bf16 weight, and its
master, exp_avg and exp_avg_sq in fp32.
"""
import argparse
import dataclasses
import functools
import json
import os
import platform
import shutil
import sys
import time
import zlib
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file

from series_models import Gpt, MixtureGpt, SIZES, Text, add_lora
from series_trainer import KERNELS, Trainer, pretrain_rate

VERSION = 1  # of what this program makes; another one makes series anew
SEED = 1
BASE_STEPS = 80  # of the pretraining before a fine-tuning


@dataclasses.dataclass(frozen=True)
class Regime:
    """How a series is trained and how often it is saved."""
    what: str
    every: int = 1
    tags: int = 30
    warm_up: int = 40
    kernel: str = "foreach"
    rate: float = 0.0  # of a fine-tuning; 0: pretraining
    rounded_gradients: bool = False
    weights_only: bool = False
    lora: bool = False
    experts: bool = False
    train: bool = True


REGIMES = {
    "pretrain": Regime("every step, fp32 gradients"),
    "pretrain-fused": Regime("every step, fp32 gradients, fused AdamW", kernel="fused"),
    "pretrain-bf16grad": Regime("every step, gradients rounded to bf16 and then clipped",
                                rounded_gradients=True),
    "pretrain-gap5": Regime("every 5th step", every=5),
    "pretrain-gap20": Regime("every 20th step", every=20),
    "sft": Regime("fine-tuning after a bf16 reload, lr 2e-6, every step", rate=2e-6,
                  kernel="fused"),
    "weights-2e-6": Regime("bf16 weights only, lr 2e-6, every step", rate=2e-6,
                           weights_only=True),
    "weights-1e-7": Regime("bf16 weights only, lr 1e-7, every step", rate=1e-7,
                           weights_only=True),
    "lora": Regime("rank 8 on a frozen bf16 base that is in every tag", rate=1e-4, tags=11,
                   lora=True),
    "moe": Regime("8 experts, top 1; sparse embedding; every step", experts=True),
    "random": Regime("random bytes", tags=3, train=False),
    "compressed": Regime("bytes that are compressed already", tags=3, train=False),
}


@dataclasses.dataclass(frozen=True)
class Tag:
    step: int
    file: Path
    roles: Path
    roles_without_clip: Path


def kernel_of(name, options):
    return options.kernel or REGIMES[name].kernel


def settings(name, options):
    """All that the bytes depend on but for the number of tags: a longer series begins the same."""
    return {"version": VERSION, "regime": dataclasses.asdict(REGIMES[name]), "seed": SEED,
            "size": options.size, "kernel": kernel_of(name, options), "threads": options.threads,
            "base_steps": BASE_STEPS, "torch": torch.__version__,
            "python": platform.python_version()}


def listed(folder):
    """The settings and tags of a finished series; None and nothing where there is none."""
    path = folder / "settings.json"
    if not path.exists():
        return None, []
    facts = json.loads(path.read_text())
    steps = facts.pop("steps")
    return facts, [tag_at(folder, step) for step in steps]


def tag_at(folder, step):
    stem = f"step-{step:05}"
    return Tag(step, folder / f"{stem}.safetensors", folder / f"{stem}.roles.json",
               folder / f"{stem}.roles-without-clip.json")


def write_roles(tag, roles):
    tag.roles.write_text(json.dumps(roles, indent=1) + "\n")
    roles = {key: value for key, value in roles.items() if key != "clip"}
    tag.roles_without_clip.write_text(json.dumps(roles, indent=1) + "\n")


@functools.cache
def base_weights(size, kernel):
    """A model after some pretraining, its weights rounded to bf16 as a release has them."""
    torch.manual_seed(SEED)
    trainer = Trainer(Gpt(SIZES[size]), Text(SIZES[size], SEED), pretrain_rate, kernel=kernel)
    for _ in range(BASE_STEPS):
        trainer.train_step()
    return trainer.weights()


def make_model(regime, size, kernel):
    if regime.experts:
        return MixtureGpt(SIZES[size])
    model = Gpt(SIZES[size])
    if regime.rate:
        model.load_state_dict(base_weights(size, kernel))
        torch.manual_seed(SEED + 1)
    if regime.lora:
        model.requires_grad_(False)
        add_lora(model)
    return model


def make_trainer(name, options):
    regime, size = REGIMES[name], options.size
    kernel = kernel_of(name, options)
    torch.manual_seed(SEED)
    model = make_model(regime, size, kernel)
    rate = (lambda _: regime.rate) if regime.rate else pretrain_rate
    return Trainer(model, Text(SIZES[size], SEED + 1 if regime.rate else SEED), rate,
                   kernel=kernel, beta2=0.999 if regime.rate else 0.95,
                   rounded_gradients=regime.rounded_gradients)


def train(name, folder, options):
    """Steps of the tags written."""
    regime, trainer = REGIMES[name], make_trainer(name, options)
    for _ in range(regime.warm_up):
        trainer.train_step()
    steps = []
    for _ in range(options.tags or regime.tags):
        for _ in range(regime.every):
            trainer.train_step()
        tag = tag_at(folder, trainer.step)
        state = trainer.state(regime.weights_only)
        save_file({key: value.contiguous() for key, value in state.items()}, tag.file,
                  {"format": "pt"})
        write_roles(tag, trainer.roles(regime.weights_only))
        steps.append(trainer.step)
        print(f"{name}: step {trainer.step}, loss {trainer.loss:.3f}", file=sys.stderr)
    return steps


def noise(name, number, count):
    """Bytes that a compressor can do nothing about."""
    random = numpy.random.default_rng(SEED + number)
    if name == "random":
        return {"noise": random.integers(0, 256, count, dtype=numpy.uint8)}
    values = random.standard_normal(count // 4, dtype=numpy.float32)
    text = bytes(Text(SIZES["tiny"], SEED).pieces.to(torch.int16).numpy())
    parts = {"values.zlib": values.tobytes(), "text.zlib": text[number << 16:]}
    return {key: numpy.frombuffer(zlib.compress(part, 6), numpy.uint8)
            for key, part in parts.items()}


def make_noise(name, folder, options):
    count = 4 << 20 if options.size == "tiny" else 64 << 20
    steps = list(range(1, (options.tags or REGIMES[name].tags) + 1))
    for step in steps:
        tag = tag_at(folder, step)
        state = noise(name, step, count)
        save_file({key: torch.from_numpy(value.copy()) for key, value in state.items()}, tag.file)
        write_roles(tag, {"names": {"weight": "{p}"}})
    return steps


def make(name, options):
    """The tags of a series, made unless it is there."""
    folder, wanted = Path(options.folder) / name, settings(name, options)
    count = options.tags or REGIMES[name].tags
    found, tags = listed(folder)
    if found == wanted and len(tags) >= count:
        return tags[:count]
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    # Under another name until it is whole, so that an interrupted one is not taken for a series.
    part = folder.with_name(f"{name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    begun = time.monotonic()
    steps = (train if REGIMES[name].train else make_noise)(name, part, options)
    (part / "settings.json").write_text(json.dumps({**wanted, "steps": steps}, indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(part, folder)
    print(f"{name}: {len(steps)} tags in {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return listed(folder)[1]


def add_flags(parser):
    """Those that tests/bench/reductions_bench.py has, too."""
    parser.add_argument("--size", choices=SIZES, default="medium")
    parser.add_argument("--tiny", dest="size", action="store_const", const="tiny")
    parser.add_argument("--tags", type=int, help="instead of the regime's own number")
    parser.add_argument("--kernel", choices=KERNELS, help="AdamW's, instead of the regime's own")
    parser.add_argument("--threads", type=int, default=1, help="other sums with another number")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("regimes", nargs="+", choices=[*REGIMES, "all"], metavar="REGIME")
    parser.add_argument("--folder", default="/var/tmp/cairn-series")
    add_flags(parser)
    options = parser.parse_args()
    for name in REGIMES if "all" in options.regimes else options.regimes:
        make(name, options)


if __name__ == "__main__":
    main()
