"""How the ranks of a save of DCP's find by digests what several of them hold, where that is on devices.

Where a tensor is, plans do not say, and DCP shows a writer none before write_data(). So there each
rank judges its own state, and all tell each other, through the job's key-value store.
"""

import contextlib

from torch.distributed.checkpoint.planner import SavePlanner

from .. import _devices
from . import _orders, _ranks, _replicas, _save_talk
from ._exchange import Exchange


def rank_that_may_talk(compare):
    """The number of this process in the job; None where it tells nobody digests. compare: as for
    Store.save()."""
    can = compare != "none" and _devices.count() > 0 and _ranks.can_talk()
    return _orders.own_rank() if can else None


class Talk:
    """One that the coordinator's orders tell of. All ranks of the save enter it, and leave it when
    they have stored their parts: what fails on one of them meanwhile, all hear. That word stays in
    the job's store, as DCP tells nobody when all have left."""

    def __init__(self, orders, timeout):
        self._exchange = Exchange(_ranks.Ranks.first(orders.ranks, orders.talk, timeout), "save")

    @contextlib.contextmanager
    def entered(self):
        with _save_talk.failures_told(self._exchange):
            yield self

    def is_by_digest(self, tensors, held, compare):
        """Whether all ranks may give all that they hold. held: what held_by() returned."""
        own = held is not None and _replicas.are_digested(tensors, self._exchange.ranks, compare)
        told = self._exchange.gather(own, look=self._look)
        return self._exchange.broadcast(None if told is None else all(told), look=self._look)

    def part(self, store, request, boxes):
        """The _saving.Part of this rank, of all that it holds."""
        with self._exchange.working(request.watch.progress):
            return _save_talk.part_of_shared(store, self._exchange, request, boxes)

    def _look(self):
        _save_talk.look_for_failed(self._exchange)


def held_by(plan, planner):
    """The items of a local plan, which has all that this rank holds; those of the earlier one where
    the planner says that nothing is new. None where it keeps that elsewhere than DCP's do."""
    if getattr(plan, "usable", True):
        return plan.items
    kept = getattr(SavePlanner, "_cached_save_plan", {})
    earlier = kept.get(getattr(planner, "_cached_plans_key", None))
    return None if earlier is None else earlier.items
