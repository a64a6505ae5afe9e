"""What the tests of adapters have in common."""
_PAGES = {"torch_checkpointing": "torch-checkpointing"}


def page_of(module):
    """Of an adapter, in docs/migration."""
    return f"docs/migration/{_PAGES.get(module, module)}.md"


def printed(module, folder):
    """The Python of an adapter's page as it is printed, with the test's folder for the store."""
    from docs_test import blocks_of

    block, = [block for block in blocks_of(page_of(module)) if f"cairn.adapters.{module} " in block]
    return block.replace("/data/", f"{folder}/")


def are_equal(one, other):
    """Whether two nested states hold the same bits."""
    import numpy
    import torch

    if isinstance(one, dict):
        return one.keys() == other.keys() and all(are_equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(are_equal, one, other))
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, numpy.ndarray):
        return one.dtype == other.dtype and numpy.array_equal(one, other)
    return one == other or (one != one and other != other)


def be_rank(rank, size):
    """Lets libraries that ask the environment find the job that ranks.run() began."""
    import os

    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size),
                      LOCAL_WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
