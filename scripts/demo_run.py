"""The demo: see scripts/demo."""

import argparse
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

from demo_show import cairn, cairn_json, say, show

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))


def show_store(newest: str, before: str) -> None:
    say("What is in the store")
    show("ls", lines=8)
    show("show", newest)
    show("diff", before, newest)


def show_retention(keep: int) -> None:
    say("Letting go")
    show("forget", "--keep-last", str(keep), "--dry-run", lines=8)
    show("forget", "--keep-last", str(keep), "--yes", lines=0)
    show("gc", "--yes")
    show("check", "--read-data")


def prove_resharding(tag: str) -> None:
    """Cuts a tensor among three ranks, by rows and by columns, and puts it together again."""
    import numpy

    say("Another sharding")
    name, shape, dtype = largest_matrix(tag)
    whole = numpy.frombuffer(cairn("cat", tag, name), dtype=dtype).reshape(shape)
    for axis, length in enumerate(shape):
        edges = [length * rank // 3 for rank in range(4)]
        parts = []
        for begin, end in zip(edges, edges[1:]):
            box = f"{begin}:{end},:" if axis == 0 else f":,{begin}:{end}"
            part = numpy.frombuffer(cairn("cat", tag, name, "--box", box), dtype=dtype)
            parts.append(part.reshape(-1, shape[1] if axis == 0 else end - begin))
        if not numpy.array_equal(numpy.concatenate(parts, axis), whole):
            sys.exit(f"demo: {name} of {tag} cut along axis {axis} is not the same")
        print(f"  {name} {list(shape)}: 3 ranks by {('rows', 'columns')[axis]}, bytes equal")


def largest_matrix(tag: str) -> tuple[str, tuple[int, ...], str]:
    """Its name, its shape, and how NumPy calls integers as wide as its elements."""
    matrices = [t for t in cairn_json("show", tag)["tensors"] if len(t["shape"]) == 2]
    largest = max(matrices, key=lambda tensor: tensor["bytes"])
    rows, columns = largest["shape"]
    return largest["name"], (rows, columns), f"u{largest['bytes'] // (rows * columns)}"


def run(folder: Path, with_torch: bool) -> None:
    os.environ["CAIRN_STORE"] = str(folder / "store")
    cairn("init", "-q", os.environ["CAIRN_STORE"])
    if not with_torch:
        print("demo: without PyTorch: no ranks, no LoRA; NumPy trains something small instead")
        import demo_numpy as story
    else:
        import demo_torch as story
    story.train(folder)
    newest, before = story.LAST_TWO
    show_store(newest, before)
    prove_resharding(story.RESHARDED)
    story.settle(folder)
    show_retention(keep=3)


def main() -> None:
    parser = argparse.ArgumentParser(description="See scripts/demo.")
    parser.add_argument("folder", type=Path, nargs="?", help="keeps the store; it must be empty")
    parser.add_argument("--no-torch", action="store_true")
    options = parser.parse_args()
    with_torch = not options.no_torch and importlib.util.find_spec("torch") is not None
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
        run(options.folder.resolve(), with_torch)
        return
    with tempfile.TemporaryDirectory(prefix="cairn-demo-") as folder:
        run(Path(folder), with_torch)


if __name__ == "__main__":
    main()
