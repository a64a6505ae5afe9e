"""One save by several ranks: each stores its part, rank 0 commits, and all learn the outcome.

A save is one exchange of the ranks (_ranks.py), in two halves:

    agree   every rank says what it brings; rank 0 compares, chooses the base, answers
            where replicas differ: every rank says what it has of them
    save    every rank stores its part and says its name; rank 0 unites them and says the outcome
            where replicas are told by digests: first they tell each other these (_save_talk.py)

What fails on one rank fails on all, with the rank and the reason, and no rank keeps what it has
stored. A rank that says nothing in time is named; what was stored is then gc's to find, as there
may have been a commit.
"""

import dataclasses
import itertools

from .. import _saving
from ..errors import Error, UnreachableError, UsageError
from . import _joining, _outcomes, _save_talk, _structures, _tripwires

_LOOKED_AT = 4  # ranks at a time


@dataclasses.dataclass
class Agreement:
    """What all ranks know before they save."""

    exchange: object  # for save()
    word: str  # rank 0's: "go" or "skip"
    base: str  # a tag's name or "none"
    alike: list  # the ranks whose states have the same names as this one's, in order
    warnings: list  # on rank 0: of replicas that differ
    by_digest: bool  # how the ranks find who has what: each gives all that it holds


def agree(ranks, topic, bring, decide):
    """The first half. topic: the tag.

    bring(): (tag, step, text, seals, may_digest): texts are equal where states have the same names
    and shapes; seals: of _tripwires; may_digest: whether replicas may be found by digests, which is
    done where all ranks may.
    decide(): on rank 0: (word, base). Both may raise.
    Errors: what they raised, on all ranks; UsageError naming a rank with another tag or step;
    UnreachableError naming the ranks that are missing.
    """
    ranks.check_process()
    seals = {}

    def say():
        nonlocal seals
        tag, step, names, seals, may_digest = bring()
        return {"tag": tag, "step": step, "names": names, "may_digest": may_digest,
                "seals": {label: seal.sum for label, seal in seals.items()}}

    mine, failed = _outcomes.tried(say)
    try:
        exchange, answer = _agreed(ranks, topic, mine, decide)
    except Error:
        _outcomes.raise_failed(failed, {})
        raise
    _outcomes.raise_failed(failed, answer)
    names = answer["names"]
    alike = [rank for rank in range(ranks.size) if names[rank] == names[ranks.rank]]
    warnings = _tripwires.tell(exchange, seals, answer["doubts"]) if answer["doubts"] else []
    return Agreement(exchange, answer["word"], answer["base"], alike, warnings,
                     answer["by_digest"])


def _agreed(ranks, topic, mine, decide):
    """The exchange, and rank 0's answer in it."""
    step = mine.get("step")
    if ranks.rank != 0:
        exchange = _joining.join(ranks, topic, step)
        return exchange, _outcomes.heard(exchange, mine)
    look = _Lookout(ranks, topic, step)
    with _joining.announced(ranks, topic, step) as exchange:
        told, missing = _outcomes.tried(lambda: exchange.gather(mine, look=look))
    if isinstance(missing, UnreachableError):
        _joining.tell_missed(ranks, exchange.missing, topic, step, missing.message)
    answer = _outcomes.answer_to(ranks, told, missing, lambda told: _compared(ranks, told, decide))
    _outcomes.tell(exchange, answer, missing)
    return exchange, answer


class _Lookout:
    """What rank 0 does about ranks that wait for something else meanwhile. Who is behind hears so
    and is waited for; where this one is behind, or nobody knows, it gives up, and all that wait for
    something else hear so."""

    def __init__(self, ranks, topic, step):
        self._ranks, self._topic, self._step = ranks, topic, step
        self._others = itertools.cycle(range(1, ranks.size))
        self._sent_away = set()

    def __call__(self):
        """Errors: UsageError naming the rank."""
        for rank in itertools.islice(self._others, min(_LOOKED_AT, self._ranks.size - 1)):
            place = self._elsewhere(rank)
            if place is None:
                continue
            error = self._unlike(rank, place)
            if self._ahead(place) <= 0:
                self._send_away(rank, place)
            if self._ahead(place) >= 0:
                self._ranks.until(self._send_all_away, _joining.grace(self._ranks))
                raise error

    def _elsewhere(self, rank):
        """Where a rank waits for something else; None of others, and once it was sent away."""
        place = _joining.place_of(self._ranks, rank)
        is_elsewhere = place is not None and place.topic != self._topic
        is_new = is_elsewhere and (rank, place.number) not in self._sent_away
        return place if is_new else None

    def _ahead(self, place):
        return 0 if None in (self._step, place.step) else place.step - self._step

    def _unlike(self, rank, place):
        return _unlike(self._ranks, rank, place.topic, place.step, self._topic, self._step)

    def _send_away(self, rank, place):
        self._sent_away.add((rank, place.number))
        error = _outcomes.told(self._unlike(rank, place))["error"]
        _joining.send_away(self._ranks, rank, place, error)

    def _send_all_away(self):
        """Each once: who has heard it may wait for the next save already. Some may be yet to come,
        so it is for a while that this is false."""
        gone = {rank for rank, _ in self._sent_away}
        for rank in range(1, self._ranks.size):
            place = None if rank in gone else self._elsewhere(rank)
            if place is not None and self._ahead(place) <= 0:
                self._send_away(rank, place)
        return len(gone) == self._ranks.size - 1


def _unlike(ranks, rank, tag, step, own_tag, own_step):
    other = "loads" if tag == _joining.LOADS else f"saves '{tag}' (step {step})"
    return UsageError(f"{ranks.named([rank])} {other} where "
                      f"{ranks.named([0])} saves '{own_tag}' (step {own_step})",
                      "ranks that save together give the same tag and step")


def _compared(ranks, told, decide):
    for rank, each in enumerate(told):
        if (each["tag"], each["step"]) != (told[0]["tag"], told[0]["step"]):
            raise _unlike(ranks, rank, each["tag"], each["step"], told[0]["tag"], told[0]["step"])
    word, base = decide()
    numbers = {}
    names = [numbers.setdefault(each["names"], len(numbers)) for each in told]
    return {"word": word, "base": base, "names": names,
            "by_digest": all(each["may_digest"] for each in told),
            "doubts": _tripwires.doubts([each["seals"] for each in told])}


def save(store, exchange, request, boxes, base_boxes=(), structure=None, by_digest=False):
    """The second half. Returns what _saving.save() does, on all ranks.

    request: rank 0's attachments and metadata are the tag's; its base is the one agreed on.
    structure: a _structures.Structure: on rank 0 its own; on others where rank 0's state has
    other names, of one rank of those that are alike.
    by_digest: what was agreed on.
    Errors: any of cairn.Error; of another rank with its number.
    """
    ranks, part = exchange.ranks, None

    def store_part():
        nonlocal part
        own = dataclasses.replace(request, attachments={})
        if by_digest:
            with _save_talk.failures_told(exchange):
                part = _save_talk.part_of_shared(store, exchange, own, boxes, base_boxes)
        else:
            part = _saving.Part(store, own, boxes, base_boxes)
        return {"part": part.name, "structure": structure and vars(structure)}

    is_unused = False
    try:
        with exchange.working(request.watch.progress):
            mine, failed = _outcomes.tried(store_part, BaseException)
            answer = _outcomes.answered(
                exchange, mine, lambda told: {"result": _commit(store, request, told)}, failed)
        is_unused = answer.get("unused", False)
    finally:
        if part is not None:
            part.end(remove=is_unused)
    _outcomes.raise_failed(failed, answer)
    return answer["result"]


def withdraw(exchange, error, by_digest=False):
    """Instead of save() on a rank that cannot: it fails on all, as if storing the part had."""
    if by_digest:
        exchange.tell_failed(_outcomes.told(error)["error"])
    _outcomes.withdraw(exchange, error)


def _commit(store, request, told):
    structures = [_structures.Structure(**each["structure"]) for each in told if each["structure"]]
    attachments = request.attachments
    if len(structures) > 1:
        attachments = {**attachments, **_structures.united(structures).attachments()}
    parts = [each["part"] for each in told]
    return _saving.save(store, dataclasses.replace(request, attachments=attachments, parts=parts),
                        ())
