"""Trains with bf16 weights, fp32 masters and stock AdamW, and tells state and hyperparameters."""
import math

import torch
from torch import nn
from torch.nn import functional

BETA1, EPSILON, WEIGHT_DECAY, CLIP = 0.9, 1e-8, 0.1, 1.0
NAMES = {"weight": "{p}", "master": "master.{p}", "exp_avg": "exp_avg.{p}",
         "exp_avg_sq": "exp_avg_sq.{p}", "step": "step.{p}"}
KERNELS = {"loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
ROWS = "rows.weight"  # of the sparse embedding


def pretrain_rate(step):
    """Rises for 20 steps, then falls along a cosine, so that no two steps have the same."""
    return 3e-4 * min(1, step / 20) * (0.55 + 0.45 * math.cos(math.pi * min(1, step / 4000)))


class RowAdam:
    """Adam for the rows that a step touched, as torch.optim.SparseAdam and recommenders have it:
    all other rows keep weights and moments."""

    def __init__(self, parameter, beta2):
        self.parameter, self.beta2, self.step_number = parameter, beta2, 0
        self.state = {"exp_avg": torch.zeros_like(parameter),
                      "exp_avg_sq": torch.zeros_like(parameter)}

    @torch.no_grad()
    def step(self, touched, rate):
        self.step_number += 1
        gradient = self.parameter.grad[touched]
        mean = self.state["exp_avg"][touched].lerp_(gradient, 1 - BETA1)
        square = self.state["exp_avg_sq"][touched].mul_(self.beta2)
        square.addcmul_(gradient, gradient, value=1 - self.beta2)
        self.state["exp_avg"][touched], self.state["exp_avg_sq"][touched] = mean, square
        correction1 = 1 - BETA1**self.step_number
        correction2 = math.sqrt(1 - self.beta2**self.step_number)
        below = (square.sqrt() / correction2).add_(EPSILON)
        rows = self.parameter.detach()[touched]
        self.parameter[touched] = rows.addcdiv_(mean, below, value=-rate / correction1)


class Trainer:
    """Forward and backward are in fp32 with weights rounded to bf16: processors without bf16 units
    take ten times as long in bf16, and the optimizer sees the same kind of gradient."""

    def __init__(self, model, text, rate, *, kernel, beta2=0.95, rounded_gradients=False):
        self.model, self.text, self.rate, self.beta2 = model, text, rate, beta2
        self.rounded_gradients = rounded_gradients
        self.step, self.clip, self.loss = 0, 1.0, math.nan
        # Frozen weights stay as they are in bf16 from the beginning.
        self.frozen = {name: value.detach().bfloat16()
                       for name, value in model.named_parameters() if not value.requires_grad}
        self.masters = {name: nn.Parameter(value.detach().clone())
                        for name, value in model.named_parameters() if value.requires_grad}
        self.rows = RowAdam(self.masters[ROWS], beta2) if ROWS in self.masters else None
        dense = {name: value for name, value in self.masters.items() if name != ROWS}
        self.optimizer = torch.optim.AdamW(
            [{"params": [v for n, v in dense.items() if "norm" not in n]},
             {"params": [v for n, v in dense.items() if "norm" in n], "weight_decay": 0.0}],
            lr=rate(1), betas=(BETA1, beta2), eps=EPSILON, weight_decay=WEIGHT_DECAY,
            **KERNELS[kernel])

    def weights(self):
        return {name: value.detach().bfloat16() for name, value in self.masters.items()}

    def gradients(self, tokens):
        weights = {name: value.float().requires_grad_() for name, value in self.weights().items()}
        frozen = {name: value.float() for name, value in self.frozen.items()}
        logits = torch.func.functional_call(self.model, {**weights, **frozen}, (tokens[:, :-1],))
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        self.loss = loss.item()
        # An expert that no sequence chose has none, and its optimizer does not step.
        return torch.autograd.grad(loss, list(weights.values()), allow_unused=True)

    def train_step(self):
        self.step += 1
        tokens = self.text.batch()
        for master, gradient in zip(self.masters.values(), self.gradients(tokens)):
            if self.rounded_gradients and gradient is not None:
                gradient = gradient.bfloat16().float()
            master.grad = gradient
        norm = nn.utils.clip_grad_norm_(self.masters.values(), CLIP)
        # The factor just as clip_grad_norm_ has it.
        self.clip = (CLIP / (norm + 1e-6)).clamp(max=1.0).item()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step)
        self.optimizer.step()
        if self.rows is not None:
            self.rows.step(self.model.hashed(tokens[:, :-1]).unique(), self.rate(self.step))

    def moments(self, name):
        """exp_avg, exp_avg_sq, step; zeros before the first step of a parameter."""
        master = self.masters[name]
        if self.rows is not None and name == ROWS:
            return (*self.rows.state.values(), torch.tensor(float(self.rows.step_number)))
        state = self.optimizer.state.get(master)
        if not state:
            return torch.zeros_like(master), torch.zeros_like(master), torch.tensor(0.0)
        return state["exp_avg"], state["exp_avg_sq"], state["step"]

    def state(self, weights_only=False):
        """The flat dictionary that a tag holds: a bf16 weight and 12 bytes of optimizer each."""
        state = {**self.frozen, **self.weights()}
        if weights_only:
            return state
        for name, master in self.masters.items():
            mean, square, step = self.moments(name)
            state |= {f"master.{name}": master.detach(), f"exp_avg.{name}": mean.detach(),
                      f"exp_avg_sq.{name}": square.detach(), f"step.{name}": step.detach()}
        return state

    def roles(self, weights_only=False):
        """What a roles file says of this step."""
        names = {"weight": NAMES["weight"]} if weights_only else NAMES
        groups = [{"match": "*norm*", "weight_decay": 0.0}]
        if self.rows is not None:
            groups.append({"match": ROWS, "weight_decay": 0.0})
        return {"optimizer": "adamw", "step": self.step, "lr": self.rate(self.step),
                "beta1": BETA1, "beta2": self.beta2, "eps": EPSILON,
                "weight_decay": WEIGHT_DECAY, "clip": self.clip, "names": names, "groups": groups}
