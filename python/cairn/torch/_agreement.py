"""Whether the ranks of a save mean the same by a name.

DCP's planner keeps one of several replicas by name and place alone: where ranks have tensors of
different shapes or dtypes under one name, one of them would be saved and nobody told. So each rank
adds what it has to its plan, and the coordinator compares. Pieces of one tensor are compared when
the tag is made.
"""

import dataclasses
import threading

from torch.distributed.checkpoint.planner import WriteItemType

from ..errors import UsageError

_arrived = threading.local()


@dataclasses.dataclass
class Brought:
    """What a rank adds to its plan."""

    forms: dict
    boxes: list  # _dealing.boxes_of
    rank: object = None  # in the job, of one that may tell the others digests

    def __setstate__(self, state):
        self.__dict__.update(state)
        _arrived.ranks = [*getattr(_arrived, "ranks", ()), self.rank]


def expect():
    """Before plans are gathered."""
    _arrived.ranks = []


def are_first_ranks(size):
    """Whether the plans that were gathered in this thread since expect() are of the first `size`
    ranks of the job, in their order, which all may tell each other digests. A planner that caches
    its plans drops what came with the new ones, so it is noted as DCP unpickles it."""
    return size > 1 and getattr(_arrived, "ranks", None) == list(range(size))


def forms_of(plan):
    """name -> (dtype, shape) of the tensors that this rank has as a whole."""
    return {item.index.fqn: (str(item.tensor_data.properties.dtype), tuple(item.tensor_data.size))
            for item in plan.items if item.type == WriteItemType.TENSOR}


def check(forms_of_ranks):
    """Errors: UsageError naming the tensor and two ranks. None for a rank whose plan is cached."""
    first = {}
    for rank, forms in enumerate(forms_of_ranks):
        for name, form in (forms or {}).items():
            other, known = first.setdefault(name, (rank, form))
            if known != form:
                raise UsageError(f"tensor '{name}' is {_text(*known)} on rank {other}, "
                                 f"{_text(*form)} on rank {rank}",
                                 "give tensors that ranks do not share names of their own")


def _text(dtype, shape):
    return f"{dtype.removeprefix('torch.')} {list(shape)}"
