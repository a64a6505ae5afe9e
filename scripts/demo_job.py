"""One rank of the demo's training job.

    python demo_job.py RANK RANKS FOLDER --meeting FILE [--until STEP] [--with cairn|torch]

Weights in bf16 on every rank; fp32 masters and AdamW's moments cut among the ranks. A step's
gradient is the sum of MICRO_BATCHES gradients in fixed point, where order makes no difference: any
number of ranks computes the same bits. The job goes on from the newest tag of FOLDER/store and
saves every EVERY steps. Rank 0 tells what happens on standard output, a JSON a line.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import torch
from torch import distributed
from torch.distributed.checkpoint.state_dict import (StateDictOptions, get_state_dict,
                                                     set_state_dict)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_module, distribute_tensor
from torch.nn import functional

import cairn
from cairn.torch import AsyncSaver
from demo_model import VOCABULARY, Gpt, Text

RUN = "pretrain"
STEPS, EVERY, MICRO_BATCHES = 15, 1, 6
FIXED_POINT = 2.0**40  # one, in the integers that gradients are summed in


class Trainer:
    """Model, masters and optimizer of one rank."""

    def __init__(self, mesh, **size):
        torch.manual_seed(1)
        model = Gpt(**size)
        self.weights = {name: p.detach().bfloat16() for name, p in model.named_parameters()}
        self.mesh, self.text, self.step = mesh, Text(), 0
        self.masters = distribute_module(model, mesh, _cut)
        self.optimizer = torch.optim.AdamW(_groups(self.masters), lr=3e-4, betas=(0.9, 0.95),
                                           foreach=False)

    def state(self):
        masters, optimizer = get_state_dict(self.masters, self.optimizer)
        return {"model": self.weights, "master": masters, "optimizer": optimizer,
                "step": torch.tensor(self.step)}

    def load(self, store, tag):
        """Each rank reads what it holds, whoever saved it."""
        state = store.load(tag, into=self.state())
        set_state_dict(self.masters, self.optimizer, model_state_dict=state["master"],
                       optim_state_dict=state["optimizer"])
        self.step = int(state["step"])

    def train_step(self):
        """Returns the loss, the same on all ranks."""
        total, ranks = self._sum_of_micro_batches(), distributed.get_world_size()
        if ranks > 1:
            distributed.all_reduce(total)
        mean = (total.double() / FIXED_POINT / MICRO_BATCHES).float()
        sizes = [p.numel() for p in self.weights.values()]
        *gradients, loss = mean.split([*sizes, 1])
        for gradient, master in zip(gradients, self.masters.parameters()):
            whole = DTensor.from_local(gradient.view(master.shape), self.mesh, run_check=False)
            master.grad = whole.redistribute(placements=master.placements)
        self.optimizer.step()
        for weight, master in zip(self.weights.values(), self.masters.parameters()):
            weight.copy_(master.detach().full_tensor())
        self.step += 1
        return loss.item()

    def _sum_of_micro_batches(self):
        """Of those of this rank: gradients and loss, flat, in fixed point."""
        total = 0
        for number in range(distributed.get_rank(), MICRO_BATCHES, distributed.get_world_size()):
            # Arithmetic in fp32: processors without bf16 units take ten times as long in bf16.
            weights = {name: w.float().requires_grad_() for name, w in self.weights.items()}
            tokens = self.text.batch(self.step * MICRO_BATCHES + number)
            logits = torch.func.functional_call(self.masters, weights, (tokens[:, :-1],))
            loss = functional.cross_entropy(logits.reshape(-1, VOCABULARY),
                                            tokens[:, 1:].reshape(-1))
            gradients = torch.autograd.grad(loss, list(weights.values()))
            flat = torch.cat([each.detach().reshape(-1) for each in (*gradients, loss)])
            total = total + (flat.double() * FIXED_POINT).round().long()
        return total


def _cut(_, module, mesh):
    """Matrices by rows; what is small is on all ranks."""
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.dim() > 1:
            rows = distribute_tensor(parameter.detach(), mesh, [Shard(0)])
            module.register_parameter(name, torch.nn.Parameter(rows))


def _groups(module):
    matrices, vectors = [], []
    for parameter in module.parameters():
        (matrices if parameter.dim() > 1 else vectors).append(parameter)
    return [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]


def tell(**facts):
    if distributed.get_rank() == 0:
        print(json.dumps(facts), flush=True)


class CairnSaves:
    """Tags, saved beside the training."""

    def __init__(self, folder, timeout=30.0):
        self.store = cairn.Store(folder / "store")
        self.saver = AsyncSaver(self.store, timeout=timeout)
        self.saving = None

    def resume(self, trainer):
        if self.store.tags(f"{RUN}/*"):
            trainer.load(self.store, f"{RUN}/@newest")

    def save(self, trainer, loss):
        self.tell_last()
        self.saving = self.saver.save(f"{RUN}/step-{trainer.step}", trainer.state(),
                                      step=trainer.step, metadata={"loss": f"{loss:.4f}"})

    def tell_last(self):
        if self.saving is not None:
            tell(saved=self.saving.result())

    def close(self):
        self.tell_last()
        self.saver.close()


class TorchSaves:
    """Files of torch.save, each made durable, of the state that rank 0 gathers."""

    def __init__(self, folder):
        self.path = folder / "peer.pt"

    def resume(self, trainer):
        """There is nothing to go on from."""

    def save(self, trainer, loss):
        whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
        masters, optimizer = get_state_dict(trainer.masters, trainer.optimizer, options=whole)
        if distributed.get_rank() == 0:
            with open(self.path, "wb") as file:
                torch.save({"model": trainer.weights, "master": masters, "optimizer": optimizer}, file)
                os.fsync(file.fileno())

    def close(self):
        """Its saves have ended when they return."""


def train(trainer, saves, until):
    saves.resume(trainer)
    while trainer.step < until:
        loss = trainer.train_step()
        began = time.monotonic()
        if trainer.step % EVERY == 0:
            saves.save(trainer, loss)
        tell(step=trainer.step, loss=loss, waited=time.monotonic() - began)
    saves.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rank", type=int)
    parser.add_argument("ranks", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--meeting", required=True, help="a file that no other job has used")
    parser.add_argument("--until", type=int, default=STEPS)
    parser.add_argument("--with", dest="saves", choices=("cairn", "torch"), default="cairn")
    options = parser.parse_args()
    torch.set_num_threads(1)  # their number has a say in the order of sums
    torch.use_deterministic_algorithms(True)
    distributed.init_process_group("gloo", init_method=f"file://{options.meeting}",
                                   rank=options.rank, world_size=options.ranks)
    saves = {"cairn": CairnSaves, "torch": TorchSaves}[options.saves](options.folder)
    train(Trainer(init_device_mesh("cpu", (options.ranks,))), saves, options.until)
    distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
    # Threads of gloo that outlive the group have aborted an interpreter that was ending.
    sys.stdout.flush()
    os._exit(0)
