"""Loads by several ranks: what several of them want one reads, and the others get it from there.

    open    rank 0 opens the tag and says which manifest it is; the others open the same
    ready   all say that they know what to fill, or why not
    load    the library's: chunks that several want are read by one and passed on (docs/GPU.md)

What fails on one rank fails on all.
"""

import contextlib

from .._checkpoint import Checkpoint
from .._rank_group import RankGroup
from ..errors import BusyError, UsageError
from . import _load_talk, _outcomes
from ._ranks import TIMEOUT, Ranks


def load(store, tag, group, timeout, fill):
    """fill(checkpoint): loads into what this rank wants, by one checkpoint.load(). Returns what it
    does. Errors: its; those of other ranks, with their numbers; UsageError for ranks that load
    another tag; UnreachableError."""
    ranks = Ranks.of(group, timeout=TIMEOUT if timeout is None else timeout)
    if ranks.size == 1:
        return fill(Checkpoint(store, tag))
    together = _Together(ranks, group)
    try:
        checkpoint = together.open(store, tag)
        return fill(checkpoint)
    except Exception as error:
        together.withdraw(error)
        raise


class _Together:
    """One load."""

    def __init__(self, ranks, group):
        self._ranks, self._group = ranks, group
        self._exchange = ranks.exchange()
        self._is_over = False  # nobody waits for this rank's word

    def open(self, store, tag):
        """The Checkpoint of rank 0's tag. Errors: those of opening it."""
        if self._ranks.rank != 0:
            told = self._exchange.broadcast()
            self._is_over = "error" in told
            _outcomes.raise_failed(None, told)
            return self._opened_alike(store, tag, told)
        opened, failed = _outcomes.tried(lambda: Checkpoint(store, tag, self))
        self._is_over = failed is not None
        self._exchange.broadcast(opened if failed is not None else {
            "asked": tag, "tag": opened.tag, "manifest": opened.manifest})
        _outcomes.raise_failed(failed, {})
        return opened

    def _opened_alike(self, store, tag, told):
        if tag != told["asked"]:
            raise UsageError(f"this rank loads '{tag}', {self._ranks.named([0])} '{told['asked']}'",
                             "ranks that load together give the same tag")
        opened = Checkpoint(store, told["tag"], self)
        if opened.manifest != told["manifest"]:
            raise BusyError(f"the tag '{told['tag']}' was replaced while it was being loaded",
                            "try again")
        return opened

    @contextlib.contextmanager
    def lent(self, request):
        """While the library loads by a `cairn_load_request`. Errors: those of ranks that cannot."""
        self._is_over = True
        answer = _outcomes.answered(self._exchange, {}, lambda _: {})
        _outcomes.raise_failed(None, answer)
        talk = _load_talk.LoadTalk(self._ranks, self._group, self._exchange.name)
        lent = RankGroup(self._ranks.rank, self._ranks.size, self._ranks.timeout, talk)
        request.group = lent.pointer()
        try:
            yield
        except Exception as error:
            raise lent.failed or error from None
        finally:
            talk.end()

    def withdraw(self, error):
        """This rank cannot load: the others hear it, if they still wait."""
        if not self._is_over:
            self._is_over = True
            _outcomes.answered(self._exchange, _outcomes.told(error), None)
