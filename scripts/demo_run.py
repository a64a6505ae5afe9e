"""The demo: see scripts/demo."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from demo_model import Trainer

STEPS, EVERY = 24, 4
LORA_STEPS, LORA_EVERY = 6, 2
CAIRN = Path(__file__).resolve().parent.parent / "build" / "cli" / "cairn"
IS_TERMINAL = sys.stdout.isatty()


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if IS_TERMINAL else f"\n== {text}", flush=True)


class Bar:
    """A bar on a terminal, a line every few seconds elsewhere."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self.started = self.said = time.monotonic()

    def show(self, done: int, note: str) -> None:
        now = time.monotonic()
        left = (now - self.started) / done * (self.total - done)
        if IS_TERMINAL:
            filled = 30 * done // self.total
            print(f"\r  {self.title} [{'#' * filled}{'.' * (30 - filled)}] {done}/{self.total} {note} {left:3.0f} s left ", end="", flush=True)
            if done == self.total:
                print()
        elif done == self.total or now - self.said > 5:
            self.said = now
            print(f"  {self.title}: {done}/{self.total} {note}, {left:.0f} s left", flush=True)


def cairn(*words: str) -> bytes:
    done = subprocess.run([str(CAIRN), *words], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"demo: 'cairn {' '.join(words)}' ended with {done.returncode}")
    return done.stdout


def cairn_json(*words: str) -> dict:
    return json.loads(cairn(*words, "--json"))


def show(*words: str, lines: int = 12) -> None:
    print(f"  $ cairn {' '.join(words)}")
    text = cairn(*words).decode().splitlines()
    for line in text[:lines]:
        print(f"    {line}")
    if len(text) > lines:
        print(f"    ... {len(text) - lines} lines more")


def forget_pages(path: Path) -> None:
    """The next read of a synced file comes from the disk, as it does for a job that restarts."""
    number = os.open(path, os.O_RDONLY)
    os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(number)


def sync_folder(path: Path) -> None:
    for name in (path, path.parent):
        number = os.open(name, os.O_RDONLY)
        os.fsync(number)
        os.close(number)


class Demo:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict] = []
        os.environ["CAIRN_STORE"] = str(folder / "store")

    def checkpoint(self, trainer: Trainer, tag: str, loss: float) -> None:
        """Saves the state as a tag, and with torch.save beside it for comparison."""
        state = trainer.state()
        peer = self.folder / "peer.pt"
        began = time.monotonic()
        torch.save(state, peer)
        sync_folder(peer)
        peer_seconds = time.monotonic() - began
        staged = self.folder / "staged.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, staged, {"format": "pt"})
        saved = cairn_json("import", tag, str(staged), "--step", str(trainer.step), "--meta", f"loss={loss:.4f}")
        began = time.monotonic()
        cairn("check", "--tag", tag, "--read-data")
        saved["load_s"] = time.monotonic() - began
        forget_pages(peer)
        began = time.monotonic()
        torch.load(peer)
        saved["peer_load_s"] = time.monotonic() - began
        saved["peer_save_s"] = peer_seconds
        saved["peer_bytes"] = peer.stat().st_size
        self.rows.append(saved)
        peer.unlink()
        staged.unlink()

    def train(self, trainer: Trainer, title: str, run: str, steps: int, every: int) -> list[float]:
        bar = Bar(title, steps)
        losses = []
        for done in range(1, steps + 1):
            losses.append(trainer.train_step())
            if done % every == 0:
                self.checkpoint(trainer, f"{run}/step-{trainer.step}", losses[-1])
            bar.show(done, f"loss {losses[-1]:.3f}")
        return losses

    def prove_resharding(self, tag: str) -> None:
        """Cuts two tensors among three ranks, by rows and by columns, and puts them together again."""
        whole = self.folder / "whole.safetensors"
        cairn("export", tag, str(whole), "--force")
        state = load_file(whole)
        name, tensor = max(((n, t) for n, t in state.items() if t.dim() == 2), key=lambda item: item[1].numel())
        rows, columns = tensor.shape
        for axis, length in ((0, rows), (1, columns)):
            edges = [length * rank // 3 for rank in range(4)]
            parts = []
            for begin, end in zip(edges, edges[1:]):
                box = f"{begin}:{end},:" if axis == 0 else f":,{begin}:{end}"
                shape = (end - begin, columns) if axis == 0 else (rows, end - begin)
                data = bytearray(cairn("cat", tag, name, "--box", box))
                parts.append(torch.frombuffer(data, dtype=tensor.dtype).view(shape))
            same = torch.equal(torch.cat(parts, dim=axis).view(torch.uint8), tensor.view(torch.uint8))
            if not same:
                sys.exit(f"demo: {name} of {tag} cut along axis {axis} is not the same")
            print(f"  {name} {list(tensor.shape)}: 3 ranks by {'rows' if axis == 0 else 'columns'}, bytes equal")

    def prove_resuming(self, tag: str, losses: list[float]) -> None:
        """Loads a tag into a fresh trainer and goes on: every loss must be the same to the last bit."""
        whole = self.folder / "whole.safetensors"
        began = time.monotonic()
        cairn("export", tag, str(whole), "--force")
        print(f"  exported '{tag}' in {time.monotonic() - began:.2f} s")
        trainer = Trainer(learning_rate=3e-4, seed=99)
        trainer.load(load_file(whole))
        resumed = [trainer.train_step() for _ in losses]
        if resumed != losses:
            sys.exit(f"demo: the losses after resuming differ: {resumed} instead of {losses}")
        print(f"  {len(losses)} steps after '{tag}': {', '.join(f'{loss:.4f}' for loss in resumed)}: exactly as before")

    def print_table(self) -> None:
        print(f"  {'tag':<16}{'logical':>10}{'new':>10}{'skipped':>10}{'stored':>10}{'save':>9}{'load':>9}   {'torch.save':>10}{'torch.load':>12}")
        for row in self.rows:
            sizes = [row["logical_bytes"], row["new_bytes"], row["reused_bytes"], row["stored_bytes"]]
            print(f"  {row['tag']:<16}" + "".join(f"{size / 1e6:>7.1f} MB" for size in sizes)
                  + f"{row['elapsed_s']:>7.2f} s{row['load_s']:>7.2f} s   {row['peer_save_s']:>8.2f} s{row['peer_load_s']:>10.2f} s")
        total = {key: sum(row[key] for row in self.rows) for key in ("logical_bytes", "stored_bytes", "peer_bytes")}
        print(f"  all tags: {total['logical_bytes'] / 1e6:.0f} MB of state, {total['stored_bytes'] / 1e6:.0f} MB stored; "
              f"torch.save would keep {total['peer_bytes'] / 1e6:.0f} MB")
        print("  Saves are durable, loads come from the disk. Cairn's load checks every byte against its digest; torch.load checks nothing.")

    def time_load(self, tag: str) -> None:
        whole = self.folder / "whole.safetensors"
        began = time.monotonic()
        result = cairn_json("export", tag, str(whole), "--force")
        seconds = time.monotonic() - began
        print(f"  cairn export of '{tag}', every byte checked, written and synced: {seconds:.2f} s for {result['bytes'] / 1e6:.0f} MB")

    def run(self) -> None:
        cairn("init", "-q", os.environ["CAIRN_STORE"])
        trainer = Trainer(learning_rate=3e-4)
        count = sum(p.numel() for p in trainer.model.parameters())
        say(f"Pretraining a GPT of {count / 1e6:.1f} M parameters, a checkpoint every {EVERY} steps")
        losses = self.train(trainer, "pretraining", "pretrain", STEPS, EVERY)
        say(f"LoRA on the frozen base, a checkpoint every {LORA_EVERY} steps")
        trainer.begin_lora()
        self.train(trainer, "lora", "lora", LORA_STEPS, LORA_EVERY)
        say("What is in the store")
        show("ls")
        show("show", "lora/@newest")
        last = STEPS + LORA_STEPS
        show("diff", f"lora/step-{last - LORA_EVERY}", f"lora/step-{last}")
        middle = STEPS - EVERY
        say("Another sharding")
        self.prove_resharding(f"pretrain/step-{middle}")
        say("Resuming")
        self.prove_resuming(f"pretrain/step-{middle}", losses[middle:])
        self.time_load("pretrain/@newest")
        say("The bill")
        self.print_table()


def main() -> None:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.use_deterministic_algorithms(True)
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        Demo(folder).run()
        return
    folder = Path(tempfile.mkdtemp(prefix="cairn-demo-"))
    try:
        Demo(folder).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
