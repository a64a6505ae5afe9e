"""Loads by several ranks: what several of them want one reads, and the others get it from there.

    open    all say which tag they want; rank 0 opens it and says which manifest it is; the others
            open the same
    ready   all say that they know what to fill and on which device most of it is, or why not; rank 0
            says which way it is passed on (_load_way.py)
    load    the library's: chunks that several want are read by one and passed on (docs/GPU.md)

What fails on one rank fails on all.
"""

import contextlib

from .._checkpoint import Checkpoint
from .._rank_group import RankGroup
from ..errors import BusyError, Error, UsageError
from ..store import name_of
from . import _joining, _load_talk, _load_way, _outcomes
from ._ranks import TIMEOUT, Ranks


def load(store, tag, group, timeout, fill):
    """tag: as Store.load() takes it. fill(checkpoint): loads what this rank wants, by one
    checkpoint.load(). Returns what it does. Errors: its; those of other ranks, with their numbers;
    UsageError for ranks that load another tag; UnreachableError."""
    ranks = Ranks.of(group, timeout=TIMEOUT if timeout is None else timeout)
    if ranks.size == 1:
        return fill(Checkpoint(store, name_of(tag)))
    together = _Together(ranks, group)
    try:
        return fill(together.open(store, tag))
    except BaseException as error:
        together.withdraw(error)
        raise


class _Together:
    """One load."""

    def __init__(self, ranks, group):
        self._ranks, self._group = ranks, group
        self._exchange = None
        self._is_over = True  # nobody waits for this rank's word

    def open(self, store, tag):
        """The Checkpoint of rank 0's tag. Errors: those of opening it; UsageError for ranks that
        ask for different ones; UnreachableError naming who does not come."""
        mine, failed = _outcomes.tried(lambda: {"tag": name_of(tag)})
        opened = None

        def open_first(all_told):
            nonlocal opened
            _check_alike(self._ranks, [told["tag"] for told in all_told])
            opened = Checkpoint(store, mine["tag"], self)
            return {"tag": opened.tag, "manifest": opened.manifest}

        answer = self._agreed(mine, open_first)
        _outcomes.raise_failed(failed, answer)
        self._is_over = False
        return opened or self._opened_alike(store, answer)

    def _agreed(self, mine, work):
        """Rank 0's answer to what all ranks want. A rank that has left out a load finds the next."""
        if self._ranks.rank != 0:
            self._exchange = _joining.join(self._ranks, _joining.LOADS)
            return _outcomes.heard(self._exchange, mine)
        with _joining.announced(self._ranks, _joining.LOADS) as self._exchange:
            all_told, missing = _outcomes.tried(lambda: self._exchange.gather(mine))
        answer = _outcomes.answer_to(self._ranks, all_told, missing, work)
        _outcomes.tell(self._exchange, answer, missing)
        return answer

    def _opened_alike(self, store, told):
        opened = Checkpoint(store, told["tag"], self)
        if opened.manifest != told["manifest"]:
            raise BusyError(f"the tag '{told['tag']}' was replaced while it was being loaded",
                            "try again")
        return opened

    @contextlib.contextmanager
    def lent(self, request, watch, loads):
        """While the library loads by a `cairn_load_request`. watch, loads: of the call. Errors: those
        of ranks that cannot."""
        wish = _load_way.wish(self._group, loads)
        self._is_over = True
        answer = _outcomes.answered(self._exchange, wish, _load_way.way_of)
        _outcomes.raise_failed(None, answer)
        talk = _load_talk.LoadTalk(self._exchange, watch)
        device = wish["device"] if answer["way"] == _load_way.DEVICES else None
        lent = RankGroup(self._ranks.rank, self._ranks.size, self._ranks.timeout, talk, device)
        request.group = lent.pointer()
        try:
            talk.connect()
            yield
        except Exception as error:
            failed = lent.take_failed()
            is_told = failed is None and talk.is_connected and _is_told(error, device)
            talk.fail(None if is_told else _outcomes.told(failed or error)["error"])
            try:
                raise failed or error from None
            finally:
                del failed  # its traceback has hold of this frame
        except BaseException as interrupt:
            talk.fail(_outcomes.told(interrupt)["error"])
            raise
        talk.end()

    def withdraw(self, error):
        """This rank cannot load: the others hear it, if they still wait."""
        if not self._is_over:
            self._is_over = True
            _outcomes.withdraw(self._exchange, error)


def _is_told(error, device):
    """Whether all ranks know of an error of the call that was lent the group. What the library fails
    with it tells them; where a transport on devices has failed it cannot."""
    return isinstance(error, Error) and (device is None or _outcomes.names_rank(error.message))


def _check_alike(ranks, tags):
    for rank, tag in enumerate(tags):
        if tag != tags[0]:
            raise UsageError(f"{ranks.named([rank])} loads '{tag}', {ranks.named([0])} '{tags[0]}'",
                             "ranks that load together give the same tag")
