#!/usr/bin/env python3
"""What replay makes of other optimizers and forms of state. Run by hand; needs torch.

    python tests/bench/optimizers_bench.py build/cli/cairn [--only adamw,muon] [--folder DIR]

A tiny GPT learns real text with each of CASES. Six tags, one step apart, are imported with a roles
file and without. Printed is what the last tag takes for each parameter, in bytes: as it is; by
itself (planes); as a difference (delta); replayed; and of this what each class takes."""
import argparse
import collections
import json
import math
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional

from optimizer_zoo import Case, facts_of, is_muons, make_optimizer
from series_models import Gpt, SIZES, Text

WARM_UP, TAGS, CLIP = 40, 6, 0.5
MOMENTS = {"exp_avg": "exp_avg", "momentum_buffer": "exp_avg", "exp_avg_sq": "exp_avg_sq",
           "max_exp_avg_sq": "max_exp_avg_sq", "row_var": "other", "col_var": "other", "variance": "other"}
NAMES = {"weight": "{p}", "exp_avg": "{p}.exp_avg", "exp_avg_sq": "{p}.exp_avg_sq",
         "max_exp_avg_sq": "{p}.max_exp_avg_sq"}
CASES = [
    *(Case("adamw", kernel) for kernel in ("loop", "foreach", "fused")),
    Case("adamw", gradients="bf16"),
    *(Case("adamw", kernel, pure=True) for kernel in ("loop", "foreach", "fused")),
    Case("adamw", pure=True, settings=(("betas", (0.9, 0.999)),)),
    Case("wide adamw", "loop", gradients="bf16"),
    *(Case("adamw", kernel, gradients="bf16", settings=(("amsgrad", True),))
      for kernel in ("foreach", "fused")),
    Case("adamw", pure=True, settings=(("amsgrad", True),)),
    Case("adam"), Case("adam", gradients="bf16"), Case("adam", "fused", gradients="bf16"),
    Case("adam", pure=True), Case("adam", "fused", pure=True),
    *(Case("sgd", gradients=gradients, settings=settings)
      for settings in ((("momentum", 0.9),), (("momentum", 0.9), ("nesterov", True)),
                       (("momentum", 0.9), ("dampening", 0.1)), ())
      for gradients in ("f32", "bf16")),
    Case("sgd", "fused", gradients="bf16", settings=(("momentum", 0.9),)),
    Case("sgd", pure=True, settings=(("momentum", 0.9),)),
    Case("sgd", pure=True, settings=(("momentum", 0.9), ("nesterov", True))),
    Case("lion", "loop"), Case("lion", "loop", gradients="bf16"), Case("lion", "loop", pure=True),
    Case("muon", "loop"), Case("muon", "loop", gradients="bf16"),
    Case("muon", "loop", gradients="bf16", settings=(("adjust_lr_fn", "match_rms_adamw"),)),
    Case("muon", "loop", pure=True),
    Case("adafactor"), Case("adafactor", gradients="bf16"), Case("adafactor", pure=True),
]


def train(case):
    """Yields step, clip factor and the tensors of each tag."""
    torch.manual_seed(1)
    model, text = Gpt(SIZES["tiny"]), Text(SIZES["tiny"], 1)
    if case.pure or case.optimizer == "wide adamw":
        model = model.bfloat16()
    named = list(model.named_parameters())
    optimizer = make_optimizer(case, named)
    for step in range(1, WARM_UP + TAGS + 1):
        tokens = text.batch()
        logits = model(tokens[:, :-1]).float()
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        model.zero_grad()
        loss.backward()
        if case.gradients == "bf16" and not case.pure:
            for _, p in named:
                p.grad = p.grad.bfloat16().to(p.dtype)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        if step > WARM_UP:
            yield step, (CLIP / (norm.float() + 1e-6)).clamp(max=1.0).item(), state_of(named, optimizer)


def state_of(named, optimizer):
    state = {}
    for name, p in named:
        state[name] = p.detach()
        for key, role in MOMENTS.items():
            moment = optimizer.state.get(p, {}).get(key)
            if moment is not None:
                state[f"{name}.{key if role == 'other' else role}"] = moment.detach()
    return {name: value.contiguous().clone() for name, value in state.items()}


def roles_of(case, step, clip, state):
    roles = {**facts_of(case), "step": step, "names": NAMES}
    if not case.pure and case.optimizer != "wide adamw":
        roles["clip"] = clip
    if case.optimizer == "muon":
        roles["groups"] = [{"match": name, "optimizer": "muon", "lr": 0.02} for name, p in state.items()
                           if name.count(".weight") and is_muons(name, p)]
    return roles


class Program:
    def __init__(self, path, store):
        self.path, self.store = path, store
        shutil.rmtree(store, ignore_errors=True)
        self.run("init", str(store), bare=True)

    def run(self, *words, bare=False):
        where = [] if bare else ["-s", str(self.store)]
        return subprocess.run([self.path, *where, *words], check=True, capture_output=True,
                              text=True).stdout

    def by_class(self, step):
        """What each class takes in a tag, bytes a parameter; "raw" is what all of it is."""
        stored, parameters = collections.Counter(), 0
        for tensor in json.loads(self.run("show", f"run/{step}", "--json"))["tensors"]:
            name = class_of(tensor["name"])
            parameters += math.prod(tensor["shape"]) if name == "weight" else 0
            stored[name] += tensor["stored_bytes"]
            stored["raw"] += tensor["bytes"]
        return {name: count / parameters for name, count in stored.items()}


def class_of(name):
    return MOMENTS.get(name.rsplit(".", 1)[-1], "weight")


def measure(program, folder, roles, steps):
    """What the first tag and the last one take."""
    program = Program(program, folder / "store")
    for step in steps:
        file = folder / f"{step}.safetensors"
        known = folder / f"{step}.json" if roles == "known" else folder / "weights.json"
        program.run("import", f"run/{step}", str(file), "--roles", str(known), "--step", str(step))
    last = folder / "last.safetensors"
    program.run("export", f"run/{steps[-1]}", str(last), "--force")
    assert last.read_bytes() == file.read_bytes()
    return program.by_class(steps[0]), program.by_class(steps[-1])


def make_tags(case, folder):
    """Their steps. Made once."""
    listed = folder / "steps.json"
    if not listed.exists():
        folder.mkdir(parents=True, exist_ok=True)
        steps = []
        for step, clip, state in train(case):
            save_file(state, folder / f"{step}.safetensors", {"format": "pt"})
            roles = roles_of(case, step, clip, state)
            (folder / f"{step}.json").write_text(json.dumps(roles))
            steps.append(step)
        # All are weights: nothing is predicted from anything else.
        (folder / "weights.json").write_text(json.dumps({"names": {"weight": "{p}"}}))
        listed.write_text(json.dumps(steps))
    return json.loads(listed.read_text())


def run_case(case, options):
    folder = Path(options.folder or tempfile.gettempdir()) / case.name.replace(" ", "_")
    steps = make_tags(case, folder)
    planes, replay = measure(options.program, folder, "known", steps)
    _, delta = measure(options.program, folder, "none", steps)
    raw = replay.pop("raw")
    planes, delta = (sum(each.values()) - each["raw"] for each in (planes, delta))
    parts = ", ".join(f"{name} {count:.3f}" for name, count in sorted(replay.items()))
    print(f"| {case.name} | {raw:.2f} | {planes:.2f} | {delta:.2f} | {sum(replay.values()):.2f} | "
          f"{parts} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--only", help="cases whose names hold one of these words")
    parser.add_argument("--folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| case | raw | planes | delta | replay | of it |\n|---|---|---|---|---|---|")
    for case in CASES:
        if options.only is None or any(word in case.name for word in options.only.split(",")):
            run_case(case, options)


if __name__ == "__main__":
    main()
