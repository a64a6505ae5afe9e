"""The demo's fine-tuning: LoRA on the frozen base that a tag holds, in one process."""

import torch
from torch import Tensor, nn
from torch.nn import functional

import cairn
from cairn.torch import AsyncSaver
from demo_model import VOCABULARY, Gpt, Text


class LoraLinear(nn.Module):
    """A frozen linear layer and a low-rank update that is trained."""

    def __init__(self, base: nn.Linear, rank: int = 8) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features) * 0.02)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + functional.linear(functional.linear(x, self.down), self.up)


def model_of(store: cairn.Store, tag: str) -> nn.Module:
    """The tag's weights, frozen in bf16, with adapters in fp32 beside the large ones."""
    model = Gpt().bfloat16().requires_grad_(False)
    store.load(tag, into=model, tensors="model.*", rename={r"^model\.": ""})
    torch.manual_seed(2)
    for block in model.blocks:
        block.qkv, block.down = LoraLinear(block.qkv), LoraLinear(block.down)
    return model


def fine_tune(store: cairn.Store, base: str, steps: int) -> list[dict]:
    """Saves a tag at every step; returns what each save says of itself."""
    model, text = model_of(store, base), Text()
    adapter = {name: p for name, p in model.named_parameters() if p.requires_grad}
    # Under the names that they have in the base, frozen weights are found to be the same.
    frozen = {name.replace(".base.", "."): p for name, p in model.named_parameters()
              if not p.requires_grad}
    optimizer = torch.optim.AdamW(adapter.values(), lr=1e-3)
    savings = []
    with AsyncSaver(store) as saver:
        for step in range(1, steps + 1):
            loss = train_step(model, optimizer, text.batch(1_000_000 + step))
            state = {"model": frozen, "adapter": adapter, "optimizer": optimizer.state_dict()}
            savings.append(saver.save(f"lora/step-{step}", state, step=step,
                                      base=base if step == 1 else None,
                                      metadata={"loss": f"{loss:.4f}"}))
    return [saving.result() for saving in savings]


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, tokens: Tensor) -> float:
    # Arithmetic in fp32, as in demo_job.py.
    weights = {name: p.float() for name, p in model.named_parameters()}
    logits = torch.func.functional_call(model, weights, (tokens[:, :-1],))
    loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
