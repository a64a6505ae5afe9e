"""Whether the ranks of a save mean the same by a name.

DCP's planner keeps one of several replicas by name and place alone: where ranks have tensors of
different shapes or dtypes under one name, one of them would be saved and nobody told. So each rank
adds what it has to its plan, and the coordinator compares. Pieces of one tensor are compared when
the tag is made.
"""

import dataclasses

from torch.distributed.checkpoint.planner import WriteItemType

from ..errors import UsageError

@dataclasses.dataclass
class Brought:
    """What a rank adds to its plan."""

    forms: dict
    boxes: list  # _dealing.boxes_of


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
