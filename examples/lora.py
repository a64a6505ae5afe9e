"""LoRA on a frozen base: every tag is a whole checkpoint, and costs what the adapter costs.

    python examples/lora.py /data/store --steps 5

Prints what each tag holds and what it added to the store:

    base/llm: 6.30 MB of state, 4.17 MB stored
    lora/step-1: 6.60 MB of state, 0.15 MB stored
    lora/step-2: 6.60 MB of state, 0.10 MB stored
"""

import argparse

import torch
from torch import nn

import cairn
from cairn.torch import AsyncSaver

WIDTH, LAYERS, RANK = 512, 12, 4
BASE = "base/llm"


class LoraLinear(nn.Linear):
    """A frozen layer and a low-rank update that is trained. The frozen weight keeps its name."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, dtype=torch.bfloat16)
        self.requires_grad_(False)
        self.lora_down = nn.Parameter(torch.randn(RANK, width, dtype=torch.bfloat16) / width)
        self.lora_up = nn.Parameter(torch.zeros(width, RANK, dtype=torch.bfloat16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + x @ self.lora_down.T @ self.lora_up.T


def make_base(store: cairn.Store) -> None:
    """Stands for a model that was imported: `cairn import base/llm FOLDER`."""
    torch.manual_seed(1)
    base = nn.Sequential(*(nn.Linear(WIDTH, WIDTH, dtype=torch.bfloat16) for _ in range(LAYERS)))
    tell(store.save(BASE, {"model": base.state_dict()}, if_exists="same"))


def tell(saved: dict) -> None:
    print(f"{saved['tag']}: {saved['logical_bytes'] / 1e6:.2f} MB of state, "
          f"{saved['stored_bytes'] / 1e6:.2f} MB stored")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", help="a folder; made when it is not there")
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    store = cairn.Store(options.store, create=True)
    make_base(store)

    model = nn.Sequential(*(LoraLinear(WIDTH) for _ in range(LAYERS)))
    # strict=False: the tag knows nothing of adapters.
    store.load(BASE, into={"model": model.state_dict()}, strict=False)
    adapter = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(adapter, lr=1e-3)
    savings = []
    with AsyncSaver(store) as saver:
        for step in range(1, options.steps + 1):
            x = torch.randn(64, WIDTH, dtype=torch.bfloat16)
            loss = nn.functional.mse_loss(model(x), x.roll(1, dims=1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            # The first tag is compared with the base, the others with the one before them.
            savings.append(saver.save(f"lora/step-{step}", state, step=step,
                                      base=BASE if step == 1 else None,
                                      if_exists="replace"))
    for saving in savings:
        tell(saving.result())


if __name__ == "__main__":
    main()
