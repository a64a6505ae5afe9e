"""One save by several ranks: each stores its part, rank 0 commits, and all learn the outcome.

A save is one exchange of the ranks (_ranks.py), in two halves:

    agree   every rank says what it brings; rank 0 compares, chooses the base, answers
            where replicas differ: every rank says what it has of them
    save    every rank stores its part and says its name; rank 0 unites them and says the outcome

What fails on one rank fails on all, with the rank and the reason, and no rank keeps what it has
stored. A rank that says nothing in time is named; what was stored is then gc's to find, as there
may have been a commit.
"""

import contextlib
import dataclasses
import itertools

from .. import _saving
from ..errors import CancelledError, Error, UnreachableError, UsageError, error_of
from . import _joining, _structures, _tripwires

_SETTLE_WITHOUT_ALL = 1.0  # seconds
_LOOKED_AT = 4  # ranks at a time


@dataclasses.dataclass
class Agreement:
    """What all ranks know before they save."""

    exchange: object  # for save()
    word: str  # rank 0's: "go" or "skip"
    base: str  # a tag's name or "none"
    alike: list  # the ranks whose states have the same names as this one's, in order
    warnings: list  # on rank 0: of replicas that differ


def agree(ranks, topic, bring, decide):
    """The first half. topic: the tag.

    bring(): (tag, step, text, seals): texts are equal where states have the same names and shapes;
    seals: of _tripwires.
    decide(): on rank 0: (word, base). Both may raise.
    Errors: what they raised, on all ranks; UsageError naming a rank with another tag or step;
    UnreachableError naming the ranks that are missing.
    """
    ranks.check_process()
    seals = {}

    def say():
        nonlocal seals
        tag, step, names, seals = bring()
        return {"tag": tag, "step": step, "names": names,
                "seals": {label: seal.sum for label, seal in seals.items()}}

    mine, failed = _tried(say)
    try:
        exchange, answer = _agreed(ranks, topic, mine, decide)
    except Error:
        _raise(failed, {})
        raise
    _raise(failed, answer)
    names = answer["names"]
    alike = [rank for rank in range(ranks.size) if names[rank] == names[ranks.rank]]
    warnings = _tripwires.tell(exchange, seals, answer["doubts"]) if answer["doubts"] else []
    return Agreement(exchange, answer["word"], answer["base"], alike, warnings)


def _agreed(ranks, topic, mine, decide):
    """The exchange, and rank 0's answer in it."""
    step = mine.get("step")
    if ranks.rank != 0:
        exchange = _joining.join(ranks, topic, step)
        return exchange, _heard(exchange, mine)
    look = _Lookout(ranks, topic, step)
    with _joining.announced(ranks, topic, step) as exchange:
        told, missing = _tried(lambda: exchange.gather(mine, look=look))
    if isinstance(missing, UnreachableError):
        _joining.tell_missed(ranks, exchange.missing, topic, step, missing.message)
    answer = _answer_to(ranks, told, missing, lambda told: _compared(ranks, told, decide))
    _tell(exchange, answer, missing)
    return exchange, answer


class _Lookout:
    """What rank 0 does about ranks that wait for something else meanwhile. Who is behind hears so
    and is waited for; where this one is behind, or nobody knows, it gives up."""

    def __init__(self, ranks, topic, step):
        self._ranks, self._topic, self._step = ranks, topic, step
        self._others = itertools.cycle(range(1, ranks.size))
        self._sent_away = set()

    def __call__(self):
        """Errors: UsageError naming the rank."""
        for rank in itertools.islice(self._others, min(_LOOKED_AT, self._ranks.size - 1)):
            place = _joining.place_of(self._ranks, rank)
            is_elsewhere = place is not None and place.topic != self._topic
            if is_elsewhere and (rank, place.number) not in self._sent_away:
                self._meet(rank, place)

    def _meet(self, rank, place):
        ahead = 0 if None in (self._step, place.step) else place.step - self._step
        error = _unlike(self._ranks, rank, place.topic, place.step, self._topic, self._step)
        if ahead <= 0:
            self._sent_away.add((rank, place.number))
            _joining.send_away(self._ranks, rank, place, _told(error)["error"])
        if ahead >= 0:
            raise error


def _unlike(ranks, rank, tag, step, own_tag, own_step):
    return UsageError(f"{ranks.named([rank])} saves '{tag}' (step {step}) where "
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
            "doubts": _tripwires.doubts([each["seals"] for each in told])}


def save(store, exchange, request, boxes, base_boxes=(), structure=None):
    """The second half. Returns what _saving.save() does, on all ranks.

    request: rank 0's attachments and metadata are the tag's; its base is the one agreed on.
    structure: a _structures.Structure: on rank 0 its own; on others where rank 0's state has
    other names, of one rank of those that are alike.
    Errors: any of cairn.Error; of another rank with its number.
    """
    ranks, part = exchange.ranks, None

    def store_part():
        nonlocal part
        with exchange.working(request.watch.progress):
            part = _saving.Part(store, dataclasses.replace(request, attachments={}), boxes,
                                base_boxes)
        return {"part": part.name, "structure": structure and vars(structure)}

    mine, failed = _tried(store_part)
    is_unused = False
    try:
        answer = _answered(exchange, mine, lambda told: {"result": _commit(store, request, told)})
        is_unused = answer.get("unused", False)
    finally:
        if part is not None:
            part.end(remove=is_unused)
    _raise(failed, answer)
    return answer["result"]


def withdraw(exchange, error):
    """Instead of save() on a rank that cannot: it fails on all, as if storing the part had."""
    _answered(exchange, _told(error), None)


def _answered(exchange, mine, work):
    """Rank 0's answer to what all ranks say: what work(told) returns, or its error; where a rank
    failed before or is missing, that, and no work is done ("unused")."""
    if exchange.ranks.rank != 0:
        return _heard(exchange, mine)
    told, missing = _tried(lambda: exchange.gather(mine))
    answer = _answer_to(exchange.ranks, told, missing, work)
    _tell(exchange, answer, missing)
    return answer


def _heard(exchange, mine):
    """On others than rank 0."""
    try:
        exchange.gather(mine)
    except (TypeError, ValueError, UsageError) as error:  # it cannot be said
        exchange.gather(_told(error), again=True)
    return exchange.broadcast()


def _answer_to(ranks, told, missing, work):
    if missing is not None:
        return {**told, "unused": True}
    well, failed = _tried(lambda: _all_well(ranks, told))
    return {**well, "unused": True} if failed is not None else _tried(lambda: work(told))[0]


def _tell(exchange, answer, missing):
    exchange.broadcast(answer)
    with contextlib.suppress(UnreachableError, CancelledError):
        # This process may hold the job's store, and end next.
        exchange.settle(*([] if missing is None else [_SETTLE_WITHOUT_ALL]))


def _commit(store, request, told):
    structures = [_structures.Structure(**each["structure"]) for each in told if each["structure"]]
    attachments = request.attachments
    if len(structures) > 1:
        attachments = {**attachments, **_structures.united(structures).attachments()}
    parts = [each["part"] for each in told]
    return _saving.save(store, dataclasses.replace(request, attachments=attachments, parts=parts),
                        ())


def _tried(work):
    """What it returned, and None; or what others are told of its error, and the error."""
    try:
        return work(), None
    except Exception as error:  # whatever it is, the other ranks wait for an answer
        return _told(error), error


def _told(error):
    if not isinstance(error, Error):
        error = Error(f"{type(error).__name__}: {error}")
    return {"error": [error.number, error.message, error.hint]}


def _all_well(ranks, told):
    """Nothing; raises what the first rank failed with, if any did."""
    for rank, each in enumerate(told):
        if "error" in each:
            number, message, hint = each["error"]
            raise error_of(number, f"{ranks.named([rank])}: {message}", hint)
    return {}


def _raise(failed, answer):
    if failed is not None:
        raise failed
    if "error" in answer:
        raise error_of(*answer["error"])
