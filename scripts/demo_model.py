"""A small GPT with bf16 weights, fp32 masters and AdamW: the state that real training checkpoints."""

import math
import sysconfig
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY = 256
CONTEXT = 128
BETA1, BETA2, EPSILON, WEIGHT_DECAY = 0.9, 0.95, 1e-8, 0.1


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).chunk(3, dim=-1)
        )
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    def __init__(self, width: int = 384, depth: int = 6, heads: int = 6) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.places = nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                scale = 0.02 / (math.sqrt(2 * depth) if name.endswith(("out.weight", "down.weight")) else 1)
                nn.init.normal_(parameter, std=scale)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class LoraLinear(nn.Module):
    """A frozen linear layer and a low-rank update that is trained."""

    def __init__(self, base: nn.Linear, rank: int = 8) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features, dtype=torch.bfloat16) * 0.02)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank, dtype=torch.bfloat16))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + functional.linear(functional.linear(x, self.down), self.up)


class Trainer:
    """Model, optimizer and data position; its whole state is a flat dictionary of tensors."""

    def __init__(self, learning_rate: float, seed: int = 1) -> None:
        torch.manual_seed(seed)
        self.model: nn.Module = Gpt().to(torch.bfloat16)
        self.text = read_text()
        self.learning_rate = learning_rate
        self.step = 0
        self.position = 0
        self.begin_optimizer()

    def begin_optimizer(self) -> None:
        self.trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.masters = {n: p.detach().float().clone() for n, p in self.trained.items()}
        self.exp_avg = {n: torch.zeros_like(m) for n, m in self.masters.items()}
        self.exp_avg_sq = {n: torch.zeros_like(m) for n, m in self.masters.items()}
        self.optimizer_step = 0

    def begin_lora(self) -> None:
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        for block in self.model.blocks:
            block.qkv = LoraLinear(block.qkv)
            block.down = LoraLinear(block.down)
        self.begin_optimizer()

    def batch(self, size: int = 8) -> Tensor:
        starts = [(self.position + i * 7919 * CONTEXT) % (len(self.text) - CONTEXT - 1) for i in range(size)]
        self.position += CONTEXT
        return torch.stack([self.text[s : s + CONTEXT + 1] for s in starts]).long()

    def train_step(self) -> float:
        tokens = self.batch()
        # bf16 weights, arithmetic in fp32: processors without bf16 units take ten times as long in bf16.
        weights = {n: p.detach().float() for n, p in self.model.named_parameters()}
        trained = [weights[name].requires_grad_() for name in self.trained]
        logits = torch.func.functional_call(self.model, weights, (tokens[:, :-1],))
        loss = functional.cross_entropy(logits.reshape(-1, VOCABULARY), tokens[:, 1:].reshape(-1))
        gradients = torch.autograd.grad(loss, trained)
        self.step += 1
        self.optimizer_step += 1
        for (name, parameter), gradient in zip(self.trained.items(), gradients):
            self.update(name, parameter, gradient)
        return loss.item()

    @torch.no_grad()
    def update(self, name: str, parameter: Tensor, gradient: Tensor) -> None:
        master, mean, square = self.masters[name], self.exp_avg[name], self.exp_avg_sq[name]
        mean.mul_(BETA1).add_(gradient, alpha=1 - BETA1)
        square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        correction1 = 1 - BETA1**self.optimizer_step
        correction2 = math.sqrt(1 - BETA2**self.optimizer_step)
        master.mul_(1 - self.learning_rate * (WEIGHT_DECAY if master.dim() > 1 else 0))
        master.addcdiv_(mean, (square.sqrt() / correction2).add_(EPSILON), value=-self.learning_rate / correction1)
        parameter.copy_(master)

    def state(self) -> dict[str, Tensor]:
        state = {name: p.detach() for name, p in self.model.named_parameters()}
        for name in self.masters:
            state[f"master.{name}"] = self.masters[name]
            state[f"exp_avg.{name}"] = self.exp_avg[name]
            state[f"exp_avg_sq.{name}"] = self.exp_avg_sq[name]
            state[f"step.{name}"] = torch.tensor(float(self.optimizer_step))
        state["random_state"] = torch.get_rng_state()
        state["data_position"] = torch.tensor([self.position, self.step])
        return state

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            parameter.copy_(state[name])
        for name in self.masters:
            self.masters[name].copy_(state[f"master.{name}"])
            self.exp_avg[name].copy_(state[f"exp_avg.{name}"])
            self.exp_avg_sq[name].copy_(state[f"exp_avg_sq.{name}"])
            self.optimizer_step = int(state[f"step.{name}"])
        torch.set_rng_state(state["random_state"])
        self.position, self.step = (int(value) for value in state["data_position"])


def read_text(bytes_max: int = 8_000_000) -> Tensor:
    """The sources of the Python standard library: real text that is on every machine."""
    text = bytearray()
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text += path.read_bytes()
        if len(text) >= bytes_max:
            break
    return torch.frombuffer(text[:bytes_max], dtype=torch.uint8)
