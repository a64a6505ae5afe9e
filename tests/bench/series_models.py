"""The models that tests/bench/series.py trains, and the text that they learn."""
import collections
import dataclasses
import math
import re
import sysconfig
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

TEXT_BYTES = 4_000_000
PIECES = re.compile(r"[A-Za-z]+| +|.", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Size:
    """About how many parameters; of those with experts, the same but for the experts."""
    width: int
    depth: int
    vocabulary: int
    context: int = 128
    batch: int = 4
    hashed_rows: int = 16384  # of the sparse embedding

    @property
    def heads(self):
        return max(2, self.width // 64)


SIZES = {"tiny": Size(128, 4, 512, context=64, hashed_rows=2048),  # 0.9 M
         "small": Size(256, 5, 2048),                              # 5.0 M
         "medium": Size(384, 6, 2048),                             # 12.2 M
         "large": Size(768, 7, 2048)}                              # 53 M


class Text:
    """The sources of the Python standard library, cut into words and signs: real text that is on
    every machine."""

    def __init__(self, size, seed):
        text = bytearray()
        for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
            text += path.read_bytes()
            if len(text) >= TEXT_BYTES:
                break
        pieces = PIECES.findall(text[:TEXT_BYTES].decode("latin-1"))
        common = collections.Counter(pieces).most_common(size.vocabulary - 1)
        numbers = {piece: number for number, (piece, _) in enumerate(common, 1)}
        self.size = size
        self.pieces = torch.tensor([numbers.get(piece, 0) for piece in pieces])
        self.random = torch.Generator().manual_seed(seed)

    def batch(self):
        """A row a sequence, one piece longer than what the model sees."""
        starts = torch.randint(len(self.pieces) - self.size.context - 1, (self.size.batch,),
                               generator=self.random)
        return torch.stack([self.pieces[s:s + self.size.context + 1] for s in starts.tolist()])


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        for name in ("q", "k", "v", "out"):
            self.add_module(name, nn.Linear(width, width, bias=False))

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (each(x).view(batch, length, self.heads, width // self.heads).transpose(1, 2)
                   for each in (self.q, self.k, self.v))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        return self.down(functional.gelu(self.up(x)))


class Experts(nn.Module):
    """Top-1 of 8, a whole sequence to one expert: batches as small as these would else reach every
    expert in every step, which a large mixture's do not."""

    def __init__(self, width, count=8):
        super().__init__()
        self.router = nn.Linear(width, count, bias=False)
        self.experts = nn.ModuleList(Mlp(width) for _ in range(count))

    def forward(self, x):
        logits = self.router(x[:, 0])
        share = logits.softmax(-1)
        chosen = (logits + torch.randn_like(logits)).argmax(-1)  # noise keeps one from taking all
        rows = [self.experts[expert](row) * share[number, expert]
                for number, (row, expert) in enumerate(zip(x, chosen.tolist()))]
        return torch.stack(rows)


class Block(nn.Module):
    def __init__(self, size, experts):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(size.width), nn.LayerNorm(size.width)
        self.attention = Attention(size.width, size.heads)
        self.mlp = Experts(size.width) if experts else Mlp(size.width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Gpt(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.tokens = nn.Embedding(size.vocabulary, size.width)
        self.places = nn.Embedding(size.context, size.width)
        self.blocks = nn.ModuleList(self.make_block(size, number) for number in range(size.depth))
        self.norm = nn.LayerNorm(size.width)
        self.head = nn.Linear(size.width, size.vocabulary, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                deep = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * size.depth) if deep else 1))

    def make_block(self, size, _):
        return Block(size, experts=False)

    def embed(self, tokens):
        return self.tokens(tokens) + self.places.weight[:tokens.shape[1]]

    def forward(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class MixtureGpt(Gpt):
    """Two blocks of four have experts; pairs of pieces choose rows of a large embedding."""

    def __init__(self, size):
        wanted = dataclasses.replace(size, width=size.width * 2 // 3 // 64 * 64 or 64, depth=4)
        super().__init__(wanted)
        self.rows = nn.Embedding(size.hashed_rows, wanted.width)
        nn.init.normal_(self.rows.weight, std=0.02)

    def make_block(self, size, number):
        return Block(size, experts=number % 2 == 1)

    def hashed(self, tokens):
        before = functional.pad(tokens, (1, 0))[:, :-1]
        return (before * 40503 + tokens) % self.rows.num_embeddings

    def embed(self, tokens):
        return super().embed(tokens) + self.rows(self.hashed(tokens))


class LoraLinear(nn.Module):
    """A frozen linear layer and a low-rank update that is trained."""

    def __init__(self, base, rank=8):
        super().__init__()
        self.base = base
        self.lora_down = nn.Parameter(torch.randn(rank, base.in_features) * 0.02)
        self.lora_up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        low = functional.linear(x, self.lora_down)
        return self.base(x) + functional.linear(low, self.lora_up)


def add_lora(model):
    for block in model.blocks:
        for name in ("q", "k", "v", "out"):
            setattr(block.attention, name, LoraLinear(getattr(block.attention, name)))
