"""How the ranks of a job come to talk about the same thing.

Rank 0 says what it talks about, and which talk it is; the others wait for that. So nobody counts,
and who left out one talk takes part in the next. While they wait for each other, each says where it
is: rank 0 sees who waits for something else, and sends those away that are behind.

    at/0                 rank 0 waits for the others: [topic, talk, step]
    at/RANK              a rank waits for rank 0: [topic, number, step]
    away/RANK            rank 0 to that rank: [number, error]
    missed/TOPIC/RANK    rank 0 has waited in vain for that rank: [step, message]

One talk at a time is sought in a group: that of one thread.
"""

import contextlib
import dataclasses
import json

from ..errors import UnreachableError, error_of
from ._exchange import Exchange

LOADS = "(loads)"  # the topic of all of them; saves have tags
_GRACE = 1.0  # seconds, at most


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a rank waits. step: to tell who is behind; may be None."""

    topic: str
    number: int  # of the talk; of others than rank 0: of their wait
    step: object = None


@contextlib.contextmanager
def announced(ranks, topic, step=None):
    """On rank 0: a talk about the topic, which others find while this lasts. It must end before
    anything is answered, so that who has heard the answer finds the next one."""
    number = ranks.take_number()
    exchange = Exchange(ranks, f"talk/{number}")
    with _placed(ranks, Place(topic, number, step)):
        yield exchange


def join(ranks, topic, step=None):
    """On others: the talk about the topic that rank 0 has announced.
    Errors: UnreachableError naming rank 0, or when it has waited in vain; what it sends away with."""
    seeking = _Seeking(ranks, Place(topic, ranks.take_number(), step))
    with _placed(ranks, seeking.place):
        if not ranks.until(seeking.is_found, 2 * ranks.timeout):
            raise UnreachableError(
                f"{ranks.named([0])} did not answer {ranks.named([ranks.rank])} within "
                f"{2 * ranks.timeout:g} s: {_missed(topic)}",
                "see whether it still runs; timeout= waits longer")
    return Exchange(ranks, f"talk/{seeking.talk}")


def grace(ranks):
    """Seconds for who seems to be late."""
    return min(_GRACE, ranks.timeout / 4)


def _missed(topic):
    return "it has not come to load" if topic == LOADS else f"it has not come to save '{topic}'"


def place_of(ranks, rank):
    """The Place of a rank that waits for another; None of others."""
    told = ranks.read(_key(ranks, "at", rank))
    return None if told is None else Place(*json.loads(told))


def send_away(ranks, rank, place, error):
    """On rank 0: ends the wait of a rank for another talk. error: [number, message, hint]."""
    ranks.ask("set", _key(ranks, "away", rank), json.dumps([place.number, error]))


def tell_missed(ranks, missing, topic, step, message):
    """On rank 0: what those hear who come too late."""
    for rank in missing:
        ranks.ask("set", _key(ranks, f"missed/{topic}", rank), json.dumps([step, message]))


class _Seeking:
    """talk: the number of the talk, once it is found."""

    def __init__(self, ranks, place):
        self.place, self.talk = place, None
        self._ranks = ranks
        self._missed = _key(ranks, f"missed/{place.topic}", ranks.rank)

    def is_found(self):
        there = place_of(self._ranks, 0)
        if there is not None and there.topic == self.place.topic:
            self.talk = there.number
            self._ranks.ask("delete_key", self._missed)
            return True
        self._hear_sent_away()
        self._hear_missed()
        return False

    def _hear_sent_away(self):
        key = _key(self._ranks, "away", self._ranks.rank)
        told = self._ranks.read(key)
        if told is None:
            return
        self._ranks.ask("delete_key", key)
        number, error = json.loads(told)
        if number == self.place.number:
            raise error_of(*error)

    def _hear_missed(self):
        """Of a talk that is over; not of one that was left out, where it can be told."""
        told = self._ranks.read(self._missed)
        if told is None:
            return
        step, message = json.loads(told)
        if step == self.place.step and self._ranks.until(self._has_come, grace(self._ranks)):
            return
        self._ranks.ask("delete_key", self._missed)
        if step == self.place.step:
            raise UnreachableError(message, "it came too late; timeout= waits longer")

    def _has_come(self):
        there = place_of(self._ranks, 0)
        return there is not None and there.topic == self.place.topic


@contextlib.contextmanager
def _placed(ranks, place):
    if ranks.size == 1:
        yield
        return
    key = _key(ranks, "at", ranks.rank)
    ranks.ask("set", key, json.dumps([place.topic, place.number, place.step]))
    try:
        yield
    finally:
        with contextlib.suppress(UnreachableError):
            ranks.ask("delete_key", key)


def _key(ranks, what, rank):
    return f"{ranks.keys}/{what}/{rank}"
