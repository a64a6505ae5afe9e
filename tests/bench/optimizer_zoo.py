"""Optimizers in the forms in which trainers keep their state, for tests/bench/optimizers_bench.py.

A form says in which dtypes parameters and moments are held; what torch has is torch's own, what it
has not (Lion, BF16 parameters with F32 moments) is written down here as the usual libraries do it.
"""
import dataclasses

import torch

LR, WEIGHT_DECAY, EPSILON = 1e-3, 0.1, 1e-8


@dataclasses.dataclass(frozen=True)
class Case:
    """`pure`: parameters, gradients and moments in BF16. `gradients`: "f32", or "bf16" and then
    clipped in F32 (of pure ones they are BF16 in any case)."""
    optimizer: str
    kernel: str = "foreach"
    pure: bool = False
    gradients: str = "f32"
    settings: tuple = ()

    @property
    def name(self):
        form = "bf16" if self.pure else f"{self.gradients} gradients"
        extra = "".join(f", {key} {value}" for key, value in self.settings)
        return f"{self.optimizer} {self.kernel}, {form}{extra}"


class Lion(torch.optim.Optimizer):
    """As its authors' repository has it."""

    def __init__(self, parameters, lr, betas, weight_decay):
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                moment = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                update = moment * beta1 + p.grad * (1 - beta1)
                p.add_(update.sign_(), alpha=-group["lr"])
                moment.mul_(beta2).add_(p.grad, alpha=1 - beta2)


class WideAdamW(torch.optim.Optimizer):
    """BF16 parameters with F32 moments and no master: the arithmetic is F32, the parameter is
    rounded at the end. As Apex's FusedAdam and its descendants do it."""

    def __init__(self, parameters, lr, betas, eps, weight_decay):
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps,
                                      "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["exp_avg"] = torch.zeros_like(p, dtype=torch.float32)
                    state["exp_avg_sq"] = torch.zeros_like(p, dtype=torch.float32)
                    state["step"] = torch.tensor(0.0)
                state["step"] += 1
                step, g, w = state["step"].item(), p.grad.float(), p.float()
                m, v = state["exp_avg"], state["exp_avg_sq"]
                m.copy_(beta1 * m + (1 - beta1) * g)
                v.copy_(beta2 * v + (1 - beta2) * g * g)
                root = (v / (1 - beta2**step)).sqrt() + group["eps"]
                update = m / (1 - beta1**step) / root + group["weight_decay"] * w
                p.copy_(w - group["lr"] * update)


class MuonAndAdamW:
    """Muon for matrices, AdamW for the rest, as Muon is meant to be used."""

    def __init__(self, named, **settings):
        self.muon = torch.optim.Muon([p for n, p in named if is_muons(n, p)], lr=0.02,
                                     weight_decay=WEIGHT_DECAY, **settings)
        self.adamw = torch.optim.AdamW([p for n, p in named if not is_muons(n, p)], lr=LR,
                                       betas=(0.9, 0.95), weight_decay=WEIGHT_DECAY)

    @property
    def state(self):
        return {**self.muon.state, **self.adamw.state}

    def step(self):
        self.muon.step()
        self.adamw.step()


def is_muons(name, parameter):
    return parameter.ndim == 2 and name.startswith("blocks.")


def make_optimizer(case, named):
    parameters, more = [p for _, p in named], dict(case.settings)
    kernel = {"loop": {"foreach": False}, "foreach": {"foreach": True},
              "fused": {"fused": True}}[case.kernel]
    decay = {"weight_decay": more.pop("weight_decay", WEIGHT_DECAY)}
    betas = more.pop("betas", (0.9, 0.95))
    match case.optimizer:
        case "adamw":
            return torch.optim.AdamW(parameters, lr=LR, betas=betas, **decay, **kernel, **more)
        case "adam":
            return torch.optim.Adam(parameters, lr=LR, betas=betas, **decay, **kernel, **more)
        case "wide adamw":
            return WideAdamW(parameters, LR, betas, EPSILON, **decay)
        case "sgd":
            return torch.optim.SGD(parameters, lr=0.05, **decay, **kernel, **more)
        case "lion":
            return Lion(parameters, 1e-4, (0.9, 0.99), **decay)
        case "muon":
            return MuonAndAdamW(named, **more)
        case "adafactor":
            return torch.optim.Adafactor(parameters, lr=0.01, **decay, **more)
    raise ValueError(case.optimizer)


def facts_of(case):
    """What a roles file says of the optimizer, without step and clip."""
    more = dict(case.settings)
    decay, betas = more.get("weight_decay", WEIGHT_DECAY), more.get("betas", (0.9, 0.95))
    adam = {"lr": LR, "beta1": betas[0], "beta2": betas[1], "eps": EPSILON, "weight_decay": decay}
    match case.optimizer:
        case "sgd":
            return {"optimizer": "sgd", "lr": 0.05, "weight_decay": decay,
                    "momentum": more.get("momentum", 0), "dampening": more.get("dampening", 0)}
        case "lion":
            return {"optimizer": "lion", "lr": 1e-4, "beta1": 0.9, "beta2": 0.99,
                    "weight_decay": decay}
        case "muon":
            return {"optimizer": "muon", **adam, "momentum": 0.95}
        case "adafactor":
            return {"optimizer": "adafactor", "lr": 0.01, "weight_decay": decay}
    return {"optimizer": case.optimizer.split()[-1], **adam}
