"""Trains with FSDP2, a tag every few steps, and goes on from the newest tag on any number of ranks.

    torchrun --nproc-per-node 2 examples/fsdp2_train.py /data/store --until 20
    torchrun --nproc-per-node 3 examples/fsdp2_train.py /data/store --until 40

The second job goes on where the first one ended, or was killed: each rank loads what it holds
under the new cut. Prints:

    goes on after step 20 with 3 ranks
    step 25: loss 6.8382
    step 30: loss 6.7730; the save before: 7.65 MB stored of 9.31 MB
"""

import argparse

import torch
from torch import distributed, nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard

import cairn
from cairn.torch import AsyncSaver

RUN, EVERY = "fsdp2", 5


def make_sharded(width: int = 256) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The model, cut among all ranks of the job, and its optimizer."""
    torch.manual_seed(1)
    layers = [nn.Sequential(nn.Linear(width, width), nn.GELU()) for _ in range(4)]
    model = nn.Sequential(nn.Embedding(1000, width), *layers, nn.Linear(width, 1000))
    for module in (*layers, model):
        fully_shard(module)
    return model, torch.optim.AdamW(model.parameters(), lr=1e-3)


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> float:
    """Learns that a number is followed by the next one."""
    random = torch.Generator().manual_seed(1000 * step + distributed.get_rank())
    tokens = torch.randint(999, (32,), generator=random)
    loss = nn.functional.cross_entropy(model(tokens), tokens + 1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def state_of(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> dict:
    weights, moments = get_state_dict(model, optimizer)
    return {"model": weights, "optimizer": moments, "step": torch.tensor(step)}


def take_over(model: nn.Module, optimizer: torch.optim.Optimizer, state: dict) -> int:
    """Gives a loaded state to model and optimizer; returns the step that it is of."""
    set_state_dict(model, optimizer, model_state_dict=state["model"],
                   optim_state_dict=state["optimizer"])
    return int(state["step"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", help="a folder; made when it is not there")
    parser.add_argument("--until", type=int, default=20, help="the last step")
    options = parser.parse_args()
    distributed.init_process_group("gloo")
    is_first = distributed.get_rank() == 0
    model, optimizer = make_sharded()
    store, step, saving = cairn.Store(options.store, create=True), 0, None
    if store.tags(f"{RUN}/*"):
        state = store.load(f"{RUN}/@newest", into=state_of(model, optimizer, 0))
        step = take_over(model, optimizer, state)
        if is_first:
            print(f"goes on after step {step} with {distributed.get_world_size()} ranks")

    with AsyncSaver(store) as saver:
        while step < options.until:
            loss = train_step(model, optimizer, step)
            step += 1
            if step % EVERY == 0:
                before = saving
                saving = saver.save(f"{RUN}/step-{step}", state_of(model, optimizer, step), step=step)
                if is_first:
                    print(f"step {step}: loss {loss:.4f}{told(before)}")
    distributed.destroy_process_group()


def told(saving) -> str:
    if saving is None:
        return ""
    saved = saving.result()
    return (f"; the save before: {saved['stored_bytes'] / 1e6:.2f} MB stored of "
            f"{saved['logical_bytes'] / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
