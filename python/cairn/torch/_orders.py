"""What the coordinator of a save tells each rank, on the way that DCP has for it: the plan.

A planner that caches its plans keeps those of an earlier save, and with them that save's orders;
what came with the new plan is lost to the writer. So orders are also noted as they arrive: DCP
unpickles them in the thread that is about to call write_data.
"""

import dataclasses
import threading

from torch import distributed

_arrived = threading.local()


@dataclasses.dataclass
class Orders:
    tag: str
    base: str  # the tag to compare with, the same on all ranks; "none" for none
    step: object  # of the tag
    rank: int  # number of the plan
    leaves: list = ()  # items of the plan that other ranks write instead,
    takes: list = ()  # and those of other plans that this one writes
    talk: object = None  # what the talk of the first ranks of the job is called; None: there is none
    ranks: int = 1  # how many these are

    def items_of(self, plan):
        """What this rank writes."""
        left = {item.index for item in self.leaves}
        return [*(item for item in plan.items if item.index not in left), *self.takes]

    def __setstate__(self, state):
        self.__dict__.update(state)
        note(self)


def note(orders):
    _arrived.orders = orders


def take():
    """Those that arrived last in this thread; None when there were none since the last call."""
    orders, _arrived.orders = getattr(_arrived, "orders", None), None
    return orders


def own_rank():
    """Of this process in its job; 0 without one."""
    is_job = distributed.is_available() and distributed.is_initialized()
    return distributed.get_rank() if is_job else 0
