"""Goes on with what fsdp2_train.py saved, by PyTorch's own calls: torch.distributed.checkpoint with
Cairn as its storage. Saved on 2 ranks, loaded on 3, or on any number.

    torchrun --nproc-per-node 2 examples/fsdp2_train.py /data/store
    torchrun --nproc-per-node 3 examples/resume_with_dcp.py /data/store fsdp2/@newest --steps 20

Prints:

    loaded 'fsdp2/@newest' on 3 ranks: step 20
    step 40: loss 5.9409, saved as 'fsdp2/step-40'
"""

import argparse

from torch import distributed
from torch.distributed import checkpoint as dcp

from cairn.torch import AsyncStager, StorageReader, StorageWriter
from fsdp2_train import RUN, make_sharded, state_of, take_over, train_step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store")
    parser.add_argument("tag", help="a name, or fsdp2/@newest")
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    distributed.init_process_group("gloo")
    is_first = distributed.get_rank() == 0

    model, optimizer = make_sharded()
    state = state_of(model, optimizer, 0)
    # Was: dcp.load(state, checkpoint_id=PATH). With the group, each box is read by one rank.
    dcp.load(state, storage_reader=StorageReader(options.store, group=distributed.group.WORLD),
             checkpoint_id=options.tag)
    step = take_over(model, optimizer, state)
    if is_first:
        print(f"loaded '{options.tag}' on {distributed.get_world_size()} ranks: step {step}")

    for _ in range(options.steps):
        loss = train_step(model, optimizer, step)
        step += 1
    tag = f"{RUN}/step-{step}"
    # Was: dcp.async_save(state, checkpoint_id=PATH). DCP's thread uses collectives: in a group of its
    # own, or they meet those of the training.
    saving = dcp.async_save(state_of(model, optimizer, step), checkpoint_id=tag,
                            storage_writer=StorageWriter(options.store),
                            async_stager=AsyncStager(), process_group=distributed.new_group())
    saving.result()  # training would go on meanwhile
    if is_first:
        print(f"step {step}: loss {loss:.4f}, saved as '{tag}'")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
