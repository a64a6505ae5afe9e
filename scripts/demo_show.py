"""What the demo prints: headings, bars, commands with what they answer."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

CAIRN = os.environ.get("CAIRN_PROGRAM") or str(
    Path(__file__).resolve().parent.parent / "build" / "cli" / "cairn")
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
            print(f"\r  {self.title} [{'#' * filled}{'.' * (30 - filled)}] {done}/{self.total} "
                  f"{note} {left:3.0f} s left ", end="", flush=True)
            if done == self.total:
                print()
        elif done == self.total or now - self.said > 5:
            self.said = now
            print(f"  {self.title}: {done}/{self.total} {note}, {left:.0f} s left", flush=True)


def cairn(*words: str) -> bytes:
    done = subprocess.run([CAIRN, *words], stdout=subprocess.PIPE, check=False)
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
    if lines and len(text) > lines:
        print(f"    ... {len(text) - lines} lines more")
    sys.stdout.flush()
