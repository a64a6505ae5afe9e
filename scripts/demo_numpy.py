"""The demo's story without PyTorch: NumPy trains a small network, a tag at every step."""

import sys
import sysconfig
from pathlib import Path

import numpy
from numpy import ndarray

import cairn
from demo_show import Bar, cairn_json, say

STEPS, RESUMED = 16, 12
CONTEXT, WIDTH, HIDDEN = 8, 64, 1024
RATE, BETA1, BETA2, EPSILON, DECAY = 1e-3, 0.9, 0.95, 1e-8, 0.1
RESHARDED = f"run/step-{RESUMED}"
LAST_TWO = f"run/step-{STEPS}", f"run/step-{STEPS - 1}"


class Trainer:
    """Predicts a byte from the CONTEXT bytes before it. Its state is a flat dict of arrays."""

    def __init__(self, seed: int) -> None:
        random = numpy.random.default_rng(seed)
        shapes = {"tokens": (256, WIDTH), "up": (CONTEXT * WIDTH, HIDDEN), "down": (HIDDEN, 256)}
        self.weights = {name: (random.standard_normal(shape) * 0.02).astype(numpy.float32)
                        for name, shape in shapes.items()}
        self.mean = {name: numpy.zeros_like(w) for name, w in self.weights.items()}
        self.square = {name: numpy.zeros_like(w) for name, w in self.weights.items()}
        self.step = numpy.zeros((), numpy.int64)
        files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:40]
        self.text = numpy.frombuffer(b"".join(map(Path.read_bytes, files)), numpy.uint8)

    def state(self) -> dict[str, ndarray]:
        return {"step": self.step, **self.weights,
                **{f"exp_avg.{name}": mean for name, mean in self.mean.items()},
                **{f"exp_avg_sq.{name}": square for name, square in self.square.items()}}

    def train_step(self, batch: int = 512) -> float:
        starts = (int(self.step) * batch + numpy.arange(batch)) * 7919 % (len(self.text) - CONTEXT)
        before = self.text[starts[:, None] + numpy.arange(CONTEXT)]
        loss, gradients = self.gradients(before, self.text[starts + CONTEXT])
        self.step += 1
        for name, gradient in gradients.items():
            self.update(self.weights[name], self.mean[name], self.square[name], gradient)
        return loss

    def gradients(self, before: ndarray, after: ndarray) -> tuple[float, dict[str, ndarray]]:
        tokens, up, down = self.weights.values()
        batch = len(after)
        x = tokens[before].reshape(batch, -1)
        hidden = numpy.maximum(x @ up, 0)
        logits = hidden @ down
        share = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        loss = -numpy.log(share[numpy.arange(batch), after]).mean()
        share[numpy.arange(batch), after] -= 1
        share /= batch
        to_hidden = (share @ down.T) * (hidden > 0)
        to_tokens = numpy.zeros_like(tokens)
        numpy.add.at(to_tokens, before, (to_hidden @ up.T).reshape(batch, CONTEXT, WIDTH))
        return float(loss), {"tokens": to_tokens, "up": x.T @ to_hidden, "down": hidden.T @ share}

    def update(self, weight: ndarray, mean: ndarray, square: ndarray, gradient: ndarray) -> None:
        """AdamW, in place."""
        step = int(self.step)
        mean *= BETA1
        mean += (1 - BETA1) * gradient
        square *= BETA2
        square += (1 - BETA2) * gradient * gradient
        weight *= 1 - RATE * DECAY
        below = numpy.sqrt(square / (1 - BETA2**step)) + EPSILON
        weight -= RATE / (1 - BETA1**step) * mean / below


def train(folder: Path) -> None:
    say(f"A small network, {STEPS} steps, a tag after each one")
    store, trainer, losses = cairn.Store(folder / "store"), Trainer(seed=1), []
    bar = Bar("training", STEPS)
    for step in range(1, STEPS + 1):
        losses.append(trainer.train_step())
        store.save(f"run/step-{step}", trainer.state(), step=step,
                   metadata={"loss": f"{losses[-1]:.4f}"})
        bar.show(step, f"loss {losses[-1]:.4f}")

    say("Resuming")
    again = Trainer(seed=99)
    store.load(RESHARDED, into=again.state())
    resumed = [again.train_step() for _ in range(STEPS - RESUMED)]
    if resumed != losses[RESUMED:]:
        sys.exit(f"demo: the losses after '{RESHARDED}' are {resumed}, not {losses[RESUMED:]}")
    print(f"  {len(resumed)} steps after '{RESHARDED}': the same losses, to the last bit")


def settle(_: Path) -> None:
    say("The bill")
    rows = cairn_json("ls")["tags"]
    state, stored = (sum(row[key] for row in rows) for key in ("logical_bytes", "stored_bytes"))
    print(f"  {len(rows)} tags: {state / 1e6:.0f} MB of state, {stored / 1e6:.0f} MB stored")
