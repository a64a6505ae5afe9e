"""What the ranks of one save by DCP say to each other when they are to write: whether replicas are
found by digests, and then these (_save_talk.py).

DCP makes its plans before a writer sees a tensor, so nobody can say earlier where they lie. And it
tells a writer no process group; so ranks are numbers of plans, and talk as all saves do, through
the job's key-value store: no collective gets in the way of DCP's. The coordinator names the talk,
in its orders (_orders.py). All ranks come to it, as DCP calls write_data on all or on none.
"""

import contextlib
import uuid

from .. import _devices
from ..errors import UnreachableError
from . import _ranks, _replicas, _save_talk
from ._exchange import Exchange


def name_for(ranks, compare):
    """For the coordinator of so many ranks. None where they go by names without a word: its process
    uses no devices, say. compare: as for Store.save()."""
    may_talk = ranks > 1 and compare != "none" and _devices.are_in_use() and _ranks.can_talk()
    return str(uuid.uuid4()) if may_talk else None


class Talk:
    """orders: where they name no talk, nothing is said. timeout: seconds."""

    def __init__(self, orders, timeout):
        self._exchange, self._progress = None, lambda: 0
        if orders.talk is not None:
            ranks = _ranks.Ranks.numbered(orders.rank, orders.ranks, "cairn/dcp", timeout)
            self._exchange = Exchange(ranks, orders.talk)

    @contextlib.contextmanager
    def taken_part_in(self):
        """While it lasts others may wait for this rank, hear what it fails with, and notice when it
        is gone."""
        if self._exchange is None:
            yield
            return
        try:
            with self._exchange.working(lambda: self._progress()), \
                    _save_talk.failures_told(self._exchange):
                yield
        finally:
            with contextlib.suppress(UnreachableError):
                self._exchange.leave()

    def finds_by_digest(self, tensors, compare):
        """Whether all ranks give all that they hold. tensors: this rank's; None where it does not
        know what it holds. Errors: that of a rank that failed; UnreachableError naming who is
        missing."""
        exchange = self._exchange
        if exchange is None:
            return False
        may = tensors is not None and _replicas.are_digested(tensors, exchange.ranks, compare)
        told = exchange.gather(may, look=exchange.check_failed)
        return exchange.broadcast(told and all(told), look=exchange.check_failed)

    def store_part(self, store, request, boxes):
        """A _saving.Part of what this rank is to store of its boxes. Errors: as
        finds_by_digest(); any of cairn.Error."""
        self._progress = request.watch.progress
        return _save_talk.part_of_shared(store, self._exchange, request, boxes)
