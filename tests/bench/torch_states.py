"""What tests/bench/torch_bench.py saves: the state of a GPT that AdamW trains."""
import torch
from torch import nn
from torch.nn import functional

from series_models import SIZES, Gpt, Text


class Training:
    """A GPT in fp32 and stock AdamW, real text, fixed seeds. `narrow`: the state has bf16 weights
    and calls those in fp32 masters: 14 bytes a parameter, not 12."""

    def __init__(self, size, narrow=False):
        torch.manual_seed(1)
        self.size, self.narrow = SIZES[size], narrow
        self.model = Gpt(self.size)
        self.weights = {name: p.detach().bfloat16() for name, p in self.model.named_parameters()}
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=3e-4, betas=(0.9, 0.95),
                                           weight_decay=0.1)
        self.text = None

    def step(self):
        self.text = self.text or Text(self.size, seed=1)
        tokens = self.text.batch()
        logits = self.model(tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def jump(self):
        """A step with made-up gradients: as many bytes change, in no time."""
        for parameter in self.model.parameters():
            if parameter.grad is None:
                parameter.grad = torch.randn_like(parameter)
        self.optimizer.step()
        for weight, master in zip(self.weights.values(), self.model.parameters()):
            weight.copy_(master)

    def state(self):
        masters, optimizer = self.model.state_dict(), self.optimizer.state_dict()
        if not self.narrow:
            return {"model": masters, "optimizer": optimizer}
        return {"model": self.weights, "master": masters, "optimizer": optimizer}


def tensors_of(state):
    """All tensors of a nested state."""
    if isinstance(state, torch.Tensor):
        return [state]
    if isinstance(state, dict):
        return [tensor for value in state.values() for tensor in tensors_of(value)]
    return []


def bytes_of(state):
    return sum(tensor.nbytes for tensor in tensors_of(state))


def bytes_below(folder):
    """Of files, as the file system counts their blocks."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
