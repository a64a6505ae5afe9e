"""What the library has the ranks of a save tell each other: which bytes they hold, by digests."""

import contextlib

from .. import _rank_group, _saving
from ..errors import CancelledError, UnreachableError
from . import _outcomes
from ._exchange import VALUE_BYTES


def part_of_shared(store, exchange, request, boxes, base_boxes=()):
    """A part of which others may store what this rank holds too. To be called within
    failures_told()."""
    group = group_of(exchange, request.watch)
    try:
        return _saving.Part(store, request, boxes, base_boxes, group)
    except Exception as error:
        raise group.take_failed() or error from None


@contextlib.contextmanager
def failures_told(exchange):
    """What fails on this rank before all know who stores what, the others hear instead of waiting."""
    try:
        yield
    except BaseException as error:
        told = _outcomes.told(error)["error"]
        if not _outcomes.names_rank(told[1]):
            with contextlib.suppress(UnreachableError):
                exchange.tell_failed(told)
        raise


def group_of(exchange, watch):
    """The RankGroup of a save's exchange. watch: of the call that it is lent to."""
    ranks = exchange.ranks
    return _rank_group.RankGroup(ranks.rank, ranks.size, ranks.timeout,
                                 _SaveTalk(exchange, watch))


class _SaveTalk:
    """Through the job's key-value store, as all talk of saves: no collective gets in the way of the
    training's. Rank 0 puts together what all say, as many words as there are ranks."""

    def __init__(self, exchange, watch):
        self._exchange, self._bytes = exchange, exchange.of_bytes("group")
        self._watch, self.missing = watch, []

    def all_gather(self, own, everyones):
        size = self._exchange.ranks.size
        piece_bytes = max(1, VALUE_BYTES // size - 1)
        for begin in range(0, len(own), piece_bytes):
            piece = bytes(own[begin:begin + piece_bytes])
            told = self._told(piece)
            for rank in range(size):
                place = rank * len(own) + begin
                everyones[place:place + len(piece)] = told[rank * len(piece):][:len(piece)]

    def _told(self, piece):
        """What all ranks say, one after the other."""
        try:
            told = self._bytes.gather(piece, look=self._look)
            return self._bytes.broadcast(None if told is None else b"".join(told),
                                         look=self._look)
        except UnreachableError:
            self.missing = self._bytes.missing
            raise

    def _look(self):
        if self._watch.is_stopped:
            raise CancelledError("the save was stopped")
        self._exchange.check_failed()
