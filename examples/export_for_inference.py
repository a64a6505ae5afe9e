"""Takes the weights out of a training checkpoint: in bf16, without the optimizer, as safetensors.

    python examples/export_for_inference.py /data/store fsdp2/@newest model.safetensors

Prints what was written, and what a training checkpoint holds beside it:

    model.safetensors: 11 tensors, 1.55 MB of the 9.31 MB of 'fsdp2/step-20'

Without a line of Python:

    cairn export fsdp2/@newest model.safetensors --tensors 'model.*' --rename '^model\\.=' --dtype BF16
"""

import argparse

import torch
from safetensors.torch import save_file

import cairn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store")
    parser.add_argument("tag", help="a name, or PREFIX/@newest")
    parser.add_argument("path", help="of the new file")
    options = parser.parse_args()
    store = cairn.Store(options.store)
    # Only chunks of the weights are read. Any cut that they were saved in makes the same tensors.
    weights = store.load(options.tag, tensors="model.*", rename={r"^model\.": ""},
                         dtype=torch.bfloat16)
    save_file(weights, options.path, {"format": "pt"})
    tag = store.show(options.tag)
    print(f"{options.path}: {len(weights)} tensors, "
          f"{sum(tensor.nbytes for tensor in weights.values()) / 1e6:.2f} MB "
          f"of the {tag['logical_bytes'] / 1e6:.2f} MB of '{tag['tag']}'")


if __name__ == "__main__":
    main()
