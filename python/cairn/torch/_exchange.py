"""One talk of the ranks of a job, over the keys of a store of torch.distributed."""

import contextlib
import dataclasses
import itertools
import json
import threading
import time
import zlib

from ..errors import CancelledError, UnreachableError, UsageError

_VALUE_BYTES = 4 << 20  # TCPStore closes the connection over 8 MiB
_SHORTEST_PAUSE, _LONGEST_PAUSE = 2e-4, 0.1  # seconds between two looks
_SETTLE = 10.0  # seconds: ranks look for an answer more often


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a rank is: in which exchange about a topic. step: to tell who is behind; may be None."""

    topic: str
    number: int
    step: object = None


class Exchange:
    """One talk: the same calls in the same order on all ranks. Its keys are gone when it is over,
    unless a rank was missing or slow.

    Ranks meet by the topic and by how often they have talked about it, so who missed a talk about
    one thing takes part in those about others. To a topic that rank 0 is at already they come too.
    """

    def __init__(self, ranks, topic):
        self.ranks, self.topic = ranks, topic
        there = self.place_of(0) if topic and ranks.rank != 0 else None
        is_there = there is not None and there.topic == topic
        self._number = ranks.take_number(topic, there.number if is_there else None)
        self._turns = itertools.count()
        self._turn = None
        self._given = None  # the key of what this rank said to one
        self._said = None  # and to all

    @contextlib.contextmanager
    def placed(self, step=None):
        """Lets the others see that this rank is here."""
        ranks = self.ranks
        if ranks.size == 1:
            yield
            return
        key, told = _place_key(ranks, ranks.rank), [self.topic, self._number, step]
        ranks.ask("set", key, _packed(told))
        try:
            yield
        finally:
            with contextlib.suppress(UnreachableError):
                ranks.ask("delete_key", key)

    def place_of(self, rank):
        """The Place of a rank that is in placed(); None of others."""
        key = _place_key(self.ranks, rank)
        if self.ranks.size == 1 or not self.ranks.ask("check", [key]):
            return None
        try:
            return Place(*_unpacked(self.ranks.ask("get", key)))
        except UnreachableError:  # it has left in between
            return None

    def turn_away(self, place, turn, answer):
        """On rank 0: tells the ranks at another place what they wait for there."""
        ranks = self.ranks
        ranks.ask("set", _key(ranks, place.topic, place.number, turn, 0), _packed(answer))
        ranks.pass_over(place.topic, place.number)

    @contextlib.contextmanager
    def working(self, progress):
        """While it lasts, others go on waiting for this rank as long as progress() changes."""
        ranks, done = self.ranks, threading.Event()

        def beat():
            before = progress()
            with contextlib.suppress(UnreachableError):  # whoever waits will see
                while not done.wait(ranks.timeout / 4):
                    before, now = progress(), before
                    if now != before:
                        self._give_sign()

        beating = threading.Thread(target=beat, name="cairn: signs of life", daemon=True)
        if ranks.size > 1:
            beating.start()
        try:
            yield
        finally:
            done.set()

    def _give_sign(self):
        self.ranks.ask("add", self._life_key(self.ranks.rank), 1)

    def gather(self, value, to=0, look=None, again=False):
        """On rank `to`: the values of all ranks, in their order. On others: None, without a wait.
        again: in place of the call before, whose value could not be sent.
        look(missing): called again and again while ranks are missing; it may raise. Errors: UnreachableError naming the ranks that did not answer in time."""
        ranks = self.ranks
        turn = self._turn if again else next(self._turns)
        self._turn = turn
        if ranks.rank != to:
            self._given = self._key(turn, ranks.rank)
            ranks.ask("set", self._given, _packed(value))
            return None
        keys = {rank: self._key(turn, rank) for rank in range(ranks.size) if rank != to}
        self._wait(keys, ranks.timeout, look)
        values = {rank: _unpacked(ranks.ask("get", key)) for rank, key in keys.items()}
        for key in keys.values():
            ranks.ask("delete_key", key)
        values[to] = value
        return [values[rank] for rank in range(ranks.size)]

    def broadcast(self, value=None, of=0):
        """The value of rank `of`, on all ranks. It is waited for twice as long: that rank may have
        waited for others. Errors: UnreachableError naming it."""
        ranks, turn = self.ranks, next(self._turns)
        key = self._key(turn, of)
        if ranks.rank == of:
            if ranks.size > 1:
                ranks.ask("set", key, _packed(value))
                self._said = key
            return value
        try:
            self._wait({of: key}, 2 * ranks.timeout)
        except (UnreachableError, CancelledError):
            self._take_back()
            raise
        value = _unpacked(ranks.ask("get", key))
        if ranks.ask("add", key + "/read", 1) == ranks.size - 1:
            ranks.ask("delete_key", key)
            ranks.ask("delete_key", key + "/read")
        return value

    def _take_back(self):
        """What this rank has said to one that has not come: it is not to be met there later."""
        if self._given is not None:
            with contextlib.suppress(UnreachableError):
                self.ranks.ask("delete_key", self._given)

    def settle(self, limit=_SETTLE):
        """On the rank that said something last: whether all heard it within `limit` seconds. Then
        it may end, and the job's store with it."""
        if self._said is not None:
            heard = self._until(lambda: not self.ranks.ask("check", [self._said]),
                                limit)
            self._said = None
            return heard
        return True

    def _key(self, turn, rank):
        return _key(self.ranks, self.topic, self._number, turn, rank)

    def _life_key(self, rank):
        return self._key("life", rank)

    def _wait(self, keys, limit, look=None):
        """Until the keys of these ranks are there; `limit` seconds after the last sign of life of
        the ranks that are missing."""
        ranks, seen = self.ranks, {}

        def missing():
            return [rank for rank, key in keys.items() if not ranks.ask("check", [key])]

        def are_there():
            if not keys or ranks.ask("check", list(keys.values())):
                return True
            if look is not None:
                look(missing())
            return False

        while not self._until(are_there, limit):
            silent = []
            for rank in missing():
                signs = ranks.ask("add", self._life_key(rank), 0)
                if signs == seen.get(rank, 0):
                    silent.append(rank)
                seen[rank] = signs
            if not silent:
                self._give_sign()  # others may wait for this one
            else:
                raise UnreachableError(
                    f"{ranks.named(silent)} did not answer {ranks.named([ranks.rank])} within "
                    f"{limit:g} s", "see whether it still runs; timeout= waits longer")

    def _until(self, is_so, limit):
        """Whether it became so in time. It looks again and again, a twentieth of the time waited
        apart: unlike a blocking wait that leaves no request behind when it gives up."""
        begin = time.monotonic()
        while not is_so():
            waited = time.monotonic() - begin
            if waited > limit:
                return False
            if self.ranks.ended.wait(min(max(waited / 20, _SHORTEST_PAUSE), _LONGEST_PAUSE)):
                raise CancelledError(f"{self.ranks.named([self.ranks.rank])} no longer waits for "
                                     "the others")
        return True


def _key(ranks, topic, number, turn, rank):
    return f"{ranks.keys}/{topic}/{number}/{turn}/{rank}"


def _place_key(ranks, rank):
    return f"{ranks.keys}//at/{rank}"


def _packed(value):
    packed = zlib.compress(json.dumps(value).encode(), 1)
    if len(packed) > _VALUE_BYTES:
        raise UsageError(f"{len(packed)} bytes are too much for ranks to tell each other")
    return packed


def _unpacked(packed):
    return json.loads(zlib.decompress(packed))
