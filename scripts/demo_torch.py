"""The demo's story with PyTorch: two ranks are killed while they save; one goes on, then three."""

import os
import sys
import time
from pathlib import Path

import torch

import cairn
from demo_job import RUN, STEPS
from demo_launch import Job
from demo_lora import fine_tune
from demo_show import Bar, cairn_json, say

KILLED, ALONE = 7, 11  # the step that two ranks are killed in; the last one of one rank
LORA_STEPS = 4
RESHARDED = f"{RUN}/step-{ALONE}"
LAST_TWO = f"lora/step-{LORA_STEPS}", f"lora/step-{LORA_STEPS - 1}"


class Record:
    """Losses and seconds that training waited, by step."""

    def __init__(self) -> None:
        self.losses: dict[int, float] = {}
        self.waited: dict[int, float] = {}

    def follow(self, job: Job, until: int, kill: bool = False) -> None:
        bar = None
        for event in job.events():
            if "step" not in event:
                continue
            step, loss = event["step"], event["loss"]
            if self.losses.setdefault(step, loss) != loss:
                sys.exit(f"demo: step {step} had the loss {self.losses[step]}, now {loss}")
            self.waited[step] = event["waited"]
            first = step if bar is None else first
            bar = bar or Bar(f"{job.number} rank{'s' if job.number > 1 else ''}", until - first + 1)
            bar.show(step - first + 1, f"step {step}, loss {loss:.4f}")
            if kill and step == until:
                job.kill()
                return
        job.finish()


peer, ours = Record(), Record()


def train(folder: Path) -> None:
    say(f"A small GPT on two ranks, {STEPS} steps undisturbed; torch.save after each one")
    peer.follow(Job(2, folder, "--with", "torch"), STEPS)

    say("The same with Cairn: a tag after each step, saved beside the training")
    ours.follow(Job(2, folder), KILLED, kill=True)
    print(f"  kill -9 of both ranks as step {KILLED} is being saved; "
          f"the newest tag is '{newest_tag()}', and it is whole")

    say("Going on with one rank")
    ours.follow(Job(1, folder, "--until", str(ALONE)), ALONE)
    say("Going on with three ranks")
    ours.follow(Job(3, folder), STEPS)
    if ours.losses != peer.losses:
        sys.exit(f"demo: the losses differ: {ours.losses} instead of {peer.losses}")
    print(f"  all {STEPS} losses are those of the undisturbed run, to the last bit")

    say("LoRA on the frozen base: a tag costs what is trained")
    for saved in fine_tune(cairn.Store(folder / "store"), f"{RUN}/step-{STEPS}", LORA_STEPS):
        print(f"  {saved['tag']}: {saved['logical_bytes'] / 1e6:.1f} MB of state, "
              f"{saved['stored_bytes'] / 1e6:.2f} MB stored")


def newest_tag() -> str:
    return cairn_json("ls", f"{RUN}/*")["tags"][0]["tag"]


def settle(folder: Path) -> None:
    say("The bill")
    size = (folder / "peer.pt").stat().st_size
    print(f"  {'tag':<18}{'state':>9}{'stored':>9}{'waited':>9}   torch.save's file{'waited':>9}")
    total = 0
    for row in reversed(cairn_json("ls", f"{RUN}/*")["tags"]):
        step, stored = row["step"], row["stored_bytes"]
        total += stored
        print(f"  {row['tag']:<18}{row['logical_bytes'] / 1e6:>6.1f} MB{stored / 1e6:>6.1f} MB"
              f"{ours.waited[step]:>7.3f} s{size / 1e6:>17.1f} MB{peer.waited[step]:>7.3f} s")
    print(f"  all of them: {total / 1e6:.0f} MB; files of torch.save {STEPS * size / 1e6:.0f} MB")
    print("  The first tag of a job with another number of ranks is cut anew, and costs more.")
    time_loads(folder)


def time_loads(folder: Path) -> None:
    """Of the last state, from the disk."""
    store = cairn.Store(folder / "store")
    for path in (folder / "store").rglob("*"):
        forget_pages(path)
    forget_pages(folder / "peer.pt")
    began = time.monotonic()
    store.load(f"{RUN}/@newest")
    ours_s = time.monotonic() - began
    began = time.monotonic()
    torch.load(folder / "peer.pt")
    print(f"  load: {ours_s:.2f} s, every byte checked against its digest; "
          f"torch.load {time.monotonic() - began:.2f} s, nothing checked")


def forget_pages(path: Path) -> None:
    """The next read of a synced file comes from the disk, as it does for a job that restarts."""
    if path.is_file():
        number = os.open(path, os.O_RDONLY)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(number)
