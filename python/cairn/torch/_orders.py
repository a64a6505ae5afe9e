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
    rank: int  # number of the plan,
    ranks: int  # of so many
    items: int  # that the plan has
    is_complete: bool  # whether the plans of all ranks have each box that some rank told of
    talk: object  # its name (_writer_talk.py); None: there is none
    leaves: list = ()  # items of the plan that other ranks write instead,
    takes: list = ()  # and those of other plans that this one writes
    held: object = None  # all that the plan was made of; known to its rank, and never sent

    def items_of(self, plan):
        """What this rank writes where replicas are found by names."""
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


def held_with(plan, orders, told):
    """The items of all that this rank holds, also of what its plan leaves to others; None where
    nobody knows them, or where the planner may have left some out on purpose.

    orders: of this save. told: the items that this rank told its planner of; None where the planner
    says that nothing is new: then the plan is one of an earlier save, whose orders came with it and
    keep them.
    """
    came_with = plan.storage_data
    if not isinstance(came_with, Orders) or came_with.items != len(plan.items):
        return None  # the planner has made another plan of it
    if told is not None:
        came_with.held = told if orders.is_complete else None
    return came_with.held


def own_rank():
    """Of this process in its job; 0 without one."""
    is_job = distributed.is_available() and distributed.is_initialized()
    return distributed.get_rank() if is_job else 0
