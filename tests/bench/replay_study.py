#!/usr/bin/env python3
"""How well replay predicts what torch's optimizers do. Run by hand; needs torch and numpy.

    python tests/bench/replay_study.py build/tests/bench/replay_tool

Trains a small model with each kernel of torch.optim, takes one step's state before and after, and
prints for each rule how many items it predicts exactly, what it stores for each (bytes), the variant
that fitted, and how long that took."""

import argparse
import itertools
import pathlib
import subprocess
import tempfile

import torch

SECOND, PARAMETER, FIRST, SGD, MAXIMUM, NESTEROV = 1, 2, 3, 4, 5, 6


def make_model(width, dtype):
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(512, width)
    net = torch.nn.Sequential(
        torch.nn.Linear(4 * width, width), torch.nn.GELU(), torch.nn.LayerNorm(width),
        torch.nn.Linear(width, 512))
    return embedding.to(dtype), net.to(dtype)


def optimizer_of(args, parameters):
    kernel = {"foreach": args.kernel == "foreach", "fused": args.kernel == "fused"}
    if args.optimizer in ("sgd", "nesterov"):
        return torch.optim.SGD(parameters, lr=args.lr, momentum=0.9, weight_decay=args.wd,
                               nesterov=args.optimizer == "nesterov", **kernel)
    kind = torch.optim.AdamW if args.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=args.lr, betas=(args.beta1, args.beta2), weight_decay=args.wd,
                amsgrad=args.optimizer == "amsgrad", **kernel)


def snapshot(optimizer, parameters):
    keys = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer")
    return [dict(w=p.detach().clone(),
                 **{k: optimizer.state[p][k].clone() for k in keys if k in optimizer.state[p]})
            for p in parameters]


def clip(parameters, limit):
    """torch.nn.utils.clip_grad_norm_, and the factor."""
    grads = [p.grad for p in parameters]
    factor = torch.clamp(limit / (torch.nn.utils.get_total_norm(grads) + 1e-6), max=1.0)
    torch._foreach_mul_(grads, factor)
    return factor.item()


def train(args, steps):
    """Yields (step, clip factor, before, after) for each of the steps."""
    dtype = torch.bfloat16 if args.dtype == "bf16" else torch.float32
    embedding, net = make_model(args.width, dtype)
    parameters = [*embedding.parameters(), *net.parameters()]
    optimizer = optimizer_of(args, parameters)
    generator = torch.Generator().manual_seed(1)
    text = torch.softmax(3 * torch.randn(512, 512, generator=generator), -1)
    for step in range(1, max(steps) + 1):
        context = torch.randint(512, (64, 4), generator=generator)
        following = torch.multinomial(text[context[:, -1]], 1, generator=generator)[:, 0]
        loss = torch.nn.functional.cross_entropy(net(embedding(context).flatten(1)).float(),
                                                 following)
        optimizer.zero_grad()
        loss.backward()
        if args.gradients == "bf16":
            for p in parameters:
                p.grad = p.grad.bfloat16().to(dtype)
        factor = clip(parameters, 0.5)
        before = snapshot(optimizer, parameters)
        optimizer.step()
        if step in steps:
            yield step, factor, before, snapshot(optimizer, parameters)


class Tool:
    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)

    def run(self, rule, facts, tensors):
        paths = []
        for number, tensor in enumerate(tensors):
            paths.append(self.folder / str(number))
            paths[-1].write_bytes(tensor.contiguous().view(torch.uint8).numpy().tobytes())
        dtype = "bf16" if tensors[0].dtype == torch.bfloat16 else "f32"
        given = ",".join(f"{k}={v!r}" for k, v in facts.items()) or "-"
        return subprocess.run([self.program, str(rule), dtype, given, *map(str, paths)],
                              check=True, capture_output=True, text=True).stdout.split()


def show(label, words):
    if words[0] == "-1":
        return f"{label}: -"
    return f"{label}: {words[3]} % {float(words[1]):.4f} B (variant {words[0]}, {words[2]} ms)"


def study(args, tool):
    facts = dict(lr=args.lr, beta1=args.beta1, beta2=args.beta2, eps=1e-8, weight_decay=args.wd)
    for fact in filter(None, args.unknown.split(",")):
        facts.pop(fact, None)
    for step, factor, before, after in train(args, args.steps):
        known = dict(facts, step=step)
        if args.clip:
            known["clip"] = factor
        if "step" in args.unknown:
            known.pop("step")
        for index in (0, 1, 4):
            new, old = after[index], before[index]
            zeros = torch.zeros_like(new["w"])
            line = [f"{args.optimizer} {args.kernel} {args.gradients} wd {args.wd} "
                    f"step {step} [{new['w'].numel()}]"]
            if "exp_avg" in new:
                m, v = new["exp_avg"], new["exp_avg_sq"]
                m0, v0 = old.get("exp_avg", zeros), old.get("exp_avg_sq", zeros)
                line.append(show("m", tool.run(FIRST, known, [m, m0])))
                line.append(show("v", tool.run(SECOND, known, [v, m, m0, v0])))
                if "max_exp_avg_sq" in new:
                    line.append(show("max", tool.run(MAXIMUM, known, [
                        new["max_exp_avg_sq"], old.get("max_exp_avg_sq", zeros), v])))
                    v = new["max_exp_avg_sq"]
                line.append(show("w", tool.run(PARAMETER, known, [new["w"], old["w"], m, v])))
            else:
                buffer, buffer0 = new["momentum_buffer"], old.get("momentum_buffer", zeros)
                bases = [new["w"], old["w"], buffer]
                rule = SGD
                if args.optimizer == "nesterov":
                    bases.append(buffer0)
                    rule = NESTEROV
                line.append(show("w", tool.run(rule, dict(known, momentum=0.9), bases)))
            print(" | ".join(line), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool")
    parser.add_argument("--optimizer", default="adamw",
                        choices=["adamw", "adam", "amsgrad", "sgd", "nesterov"])
    parser.add_argument("--kernels", default="foreach,loop,fused")
    parser.add_argument("--gradients", default="fp32,bf16", dest="kinds")
    parser.add_argument("--wds", default="0.1,0")
    parser.add_argument("--steps", default="1,2,10,50", type=lambda s: [int(x) for x in s.split(",")])
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--beta1", type=float, default=0.9)
    parser.add_argument("--beta2", type=float, default=0.999)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"], help="of the parameters")
    parser.add_argument("--clip", action="store_true", help="tell the tool the clip factor")
    parser.add_argument("--unknown", default="", help="facts that the tool is not told, like lr,step")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for kernel, kind, wd in itertools.product(args.kernels.split(","), args.kinds.split(","),
                                                  args.wds.split(",")):
            args.kernel, args.gradients, args.wd = kernel, kind, float(wd)
            study(args, Tool(args.tool, folder))


if __name__ == "__main__":
    main()
