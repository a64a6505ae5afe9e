"""One save by several ranks: each stores its part, rank 0 commits, and all learn the outcome.

A save is one exchange of the ranks (_ranks.py):

    agree   every rank says what it wants to save; rank 0 compares, chooses the base, and answers
    save    every rank stores its part and says its name; rank 0 unites them and says the outcome

What fails on one rank fails on all, with the rank and the reason. A rank that says nothing in time
is named; what the others have stored is then left to gc, as the commit may have happened.
"""

import ctypes
import dataclasses

from .. import _library, _program, _saving
from .._checkpoint import Checkpoint
from ..errors import Error, NotFoundError, UsageError, error_of
from . import _structures


@dataclasses.dataclass
class Agreement:
    """What all ranks know before they save."""

    word: str  # "go", or another answer of rank 0
    base: object  # a tag's name, "none"
    alike: list  # the ranks that brought the same names as this one, in order


def agree(exchange, bring, decide):
    """The first half. bring(): (tag, step, text that is equal on ranks whose states have the same
    names and shapes). decide(tag): on rank 0, (word, base). Both may raise.
    Errors: what they raised, on all ranks; UsageError naming a rank that saves another tag or
    step; UnreachableError naming the missing ranks."""
    own, raised = _tried(lambda: dict(zip(("tag", "step", "names"), bring())))
    told = exchange.gather(own)
    answer = None
    if exchange.ranks.rank == 0:
        answer, _ = _tried(lambda: _answer(exchange.ranks, told, decide))
    answer = exchange.broadcast(answer)
    if raised is not None:
        raise raised
    _raise_told(answer)
    names = answer["names"]
    mine = names[exchange.ranks.rank]
    return Agreement(answer["word"], answer["base"],
                     [rank for rank, each in enumerate(names) if each == mine])


def _answer(ranks, told, decide):
    _raise_first(ranks, told)
    for rank, each in enumerate(told):
        if (each["tag"], each["step"]) != (told[0]["tag"], told[0]["step"]):
            raise UsageError(
                f"{ranks.named([rank])} saves '{each['tag']}' (step {each['step']}) where "
                f"{ranks.named([0])} saves '{told[0]['tag']}' (step {told[0]['step']})",
                "ranks that save together give the same tag and step")
    word, base = decide(told[0]["tag"])
    numbers = {}
    names = [numbers.setdefault(each["names"], len(numbers)) for each in told]
    return {"word": word, "base": base, "names": names}


def save(store, exchange, request, boxes, base_boxes=(), structure=None):
    """The second half. request: with the base agreed on; rank 0's attachments are the tag's.
    structure: a _structures.Structure, of the first rank of each that are alike.
    Returns what `_saving.save` does, on all ranks. Errors: any of cairn.Error."""
    ranks = exchange.ranks
    part, raised = None, None
    if ranks.size > 1:
        # Attachments are rank 0's, who commits.
        alone = dataclasses.replace(request, attachments={})
        part, raised = _tried_value(lambda: _saving.Part(store, alone, boxes, base_boxes))
    try:
        return _outcome(store, exchange, request, part, raised, structure)
    finally:
        pass


def withdraw(exchange, error):
    """Instead of save(), on a rank that cannot: all ranks fail with its error."""
    told = exchange.gather(_told(error))
    if exchange.ranks.rank == 0:
        exchange.broadcast(_tried(lambda: _raise_first(exchange.ranks, told))[0])
