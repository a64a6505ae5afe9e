"""How ranks tell each other what became of their parts of a call: all tell rank 0, and it answers."""

import contextlib
import re

from ..errors import CancelledError, Error, UnreachableError, UsageError, error_of

_SETTLE_WITHOUT_ALL = 1.0  # seconds


def answered(exchange, mine, work, failed=None):
    """Rank 0's answer to what all ranks say: what work(told) returns, or its error; where a rank
    failed before or is missing, that, and no work is done ("unused"). failed: what this rank has
    failed with, which `mine` tells."""
    if _is_interrupt(failed):
        leave(exchange, mine)
        return {**mine, "unused": True}
    if exchange.ranks.rank != 0:
        return heard(exchange, mine)
    try:
        all_told, missing = tried(lambda: _gathered(exchange, mine))
        answer = answer_to(exchange.ranks, all_told, missing, work)
    except BaseException as interrupt:
        exchange.broadcast(told(interrupt))
        raise
    tell(exchange, answer, missing)
    return answer


def withdraw(exchange, error):
    """This rank cannot do its part: it fails on all."""
    answered(exchange, told(error), None, error)


def leave(exchange, mine):
    """Says so without a wait: this rank ends."""
    with contextlib.suppress(UnreachableError):
        if exchange.ranks.rank != 0:
            exchange.gather(mine)
            exchange.skip_broadcast()
            return
        exchange.skip_turn()
        exchange.broadcast(mine)


def _is_interrupt(failed):
    """Of the program, which goes where the user wants it to."""
    return failed is not None and not isinstance(failed, Exception)


def _has_waited(mine):
    """Whether this rank has waited in vain before: another wait would be too."""
    number, message, _ = mine.get("error", (0, "", ""))
    return number == UnreachableError.number and not names_rank(message)


def _gathered(exchange, mine):
    """Errors: that of this rank, where it has waited in vain."""
    if not _has_waited(mine):
        return exchange.gather(mine)
    exchange.skip_turn()
    raise error_of(*mine["error"])


def heard(exchange, mine):
    """On others than rank 0."""
    if _has_waited(mine):
        leave(exchange, mine)
        return mine
    try:
        exchange.gather(mine)
    except (TypeError, ValueError, UsageError) as error:  # it cannot be said
        exchange.gather(told(error), again=True)
    return exchange.broadcast()


def answer_to(ranks, all_told, missing, work):
    """Rank 0's. missing: the error where not all were heard, which `all_told` tells then."""
    if missing is not None:
        return {**all_told, "unused": True}
    well, failed = tried(lambda: _all_well(ranks, all_told))
    return {**well, "unused": True} if failed is not None else tried(lambda: work(all_told))[0]


def tell(exchange, answer, missing):
    """Rank 0's answer to all, which are given time to hear it."""
    exchange.broadcast(answer)
    with contextlib.suppress(UnreachableError, CancelledError):
        # This process may hold the job's store, and end next.
        exchange.settle(*([] if missing is None else [_SETTLE_WITHOUT_ALL]))
        if missing is None and "error" in answer:
            exchange.forget_failed()


def tried(work, kinds=Exception):
    """What it returned, and None; or what others are told of its error, and the error."""
    try:
        return work(), None
    except kinds as error:  # whatever it is, the other ranks wait for an answer
        return told(error), error


def told(error):
    """How an error is said to others."""
    if not isinstance(error, Exception):
        error = CancelledError(f"it was interrupted ({type(error).__name__})", "save or load again")
    if not isinstance(error, Error):
        error = Error(f"{type(error).__name__}: {error}")
    return {"error": [error.number, error.message, error.hint]}


def _all_well(ranks, all_told):
    """Nothing; raises what the first rank failed with, if any did."""
    failed = {rank: each["error"] for rank, each in enumerate(all_told) if "error" in each}
    if not failed:
        return {}
    # One that only says what it has heard of another comes after that.
    rank = min(failed, key=lambda rank: (names_rank(failed[rank][1]), rank))
    number, message, hint = failed[rank]
    named = "" if names_rank(failed[rank][1]) else f"{ranks.named([rank])}: "
    raise error_of(number, named + message, hint)


def names_rank(message):
    """Whether it says of a rank that it has failed: what others say of that."""
    return re.match(r"rank \d+: ", message) is not None


def raise_failed(failed, answer):
    """Raises this rank's error, or that of an answer, if there is one."""
    if failed is not None:
        raise failed
    if "error" in answer:
        raise error_of(*answer["error"])
