"""The demo: see scripts/demo."""

import importlib.util
import os
import shutil
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


def run(folder: Path) -> None:
    os.environ["CAIRN_STORE"] = str(folder / "store")
    cairn("init", "-q", os.environ["CAIRN_STORE"])
    if importlib.util.find_spec("torch") is None:
        print("demo: no PyTorch here: no ranks, no LoRA; NumPy trains something small instead")
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
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        run(folder)
        return
    folder = Path(tempfile.mkdtemp(prefix="cairn-demo-"))
    try:
        run(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
