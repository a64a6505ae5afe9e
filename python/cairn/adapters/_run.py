"""What adapters have in common: the tags of a run, all of one prefix, each saved by all ranks."""

import logging

from .. import _saving
from .._checkpoint import Checkpoint
from ..errors import Error, NotFoundError, UsageError
from ..store import Store
from ..torch import AsyncSaver
from ..torch._job import group_of_job, rank_in_job
from . import _rng

_log = logging.getLogger("cairn")
MODES = ("disabled", "async", "async_with_pinned_mem")  # of TorchTitan's checkpoints


class Run:
    """Saves states as tags PREFIX/step-N; those of that name are replaced, as a resumed run comes
    by again.

    store: a cairn.Store, or a path, where one is made when there is none.
    keep_last: all but the newest so many tags of the prefix go after a save, and their space with
    them; pinned ones stay. None: all stay.
    async_save: save() copies the state and returns.
    Calls are of all ranks of the job together.
    Errors: UsageError for a prefix that no tag can have.
    """

    def __init__(self, store, prefix, keep_last=None, async_save=True):
        if keep_last is not None and keep_last < 1:
            raise UsageError(f"keep_last is {keep_last!r}", "it counts tags; None keeps all")
        _saving.check(_saving.Request(f"{prefix}/step-0"))
        self.store = store if isinstance(store, Store) else Store(store, create=True)
        self.prefix = prefix
        self._keep_last, self._is_async = keep_last, async_save
        self._saver = None  # of asynchronous saves
        self._is_untidy = False  # there is a save after which nothing was dropped yet

    def tag_of(self, step):
        return f"{self.prefix}/step-{step}"

    def save(self, step, state, metadata=None):
        """Returns the handle of an asynchronous save.
        Errors: as Store.save; asynchronous ones raise what the save before failed with."""
        facts = {"ranks": rank_in_job()[1], **(metadata or {})}
        chosen = {"step": step, "metadata": facts, "if_exists": "replace"}
        if not self._is_async:
            self.store.save(self.tag_of(step), state, group=group_of_job(), **chosen)
            self._drop_old()
            return None
        self.wait()
        if self._saver is None:
            self._saver = AsyncSaver(self.store, group=group_of_job())
        self._is_untidy = True
        return self._saver.save(self.tag_of(step), state, **chosen)

    def wait(self):
        """Until nothing is under way. Errors: what the save failed with."""
        if self._saver is not None:
            self._saver.wait()
        if self._is_untidy:
            self._drop_old()

    def close(self):
        """The same, and gives the memory of asynchronous saves back."""
        try:
            self.wait()
        finally:
            saver, self._saver = self._saver, None
            if saver is not None:
                saver.close()

    def tags(self):
        """Those of the run, newest first."""
        return [tag for tag in self.store.tags(f"{self.prefix}/*")
                if tag.tag.rpartition("/")[0] == self.prefix]

    def newest(self):
        """The name of the newest tag. Errors: NotFoundError."""
        for tag in self.tags():
            return tag.tag
        raise NotFoundError(f"there is no checkpoint below '{self.prefix}' in '{self.store.path}'",
                            "'cairn ls' lists the tags")

    def last_step(self):
        """The highest step that has a tag; None without any."""
        return max((tag.step for tag in self.tags() if tag.step is not None), default=None)

    def _drop_old(self):
        self._is_untidy = False
        if self._keep_last is None or rank_in_job()[0] != 0:
            return
        old = [tag for tag in self.tags()[self._keep_last:] if not tag.pinned]
        try:
            if old:
                self.store.forget(*old, gc=True)
        except Error as error:  # the new tag is there: the training need not end for old ones
            _log.warning("old tags of '%s' stay until the next save: %s", self.prefix, error)


def open_of_this_size(store, tag):
    """The opened tag, saved by as many ranks as there are now: what each keeps for itself (random
    numbers, its place in the data) means nothing to others. Errors: NotFoundError, UsageError."""
    checkpoint = Checkpoint(store, tag)
    saved, here = checkpoint.metadata.get("ranks"), str(rank_in_job()[1])
    if saved is None:
        raise UsageError(f"'{checkpoint.tag}' was not saved by this adapter",
                         "store.load() shows what it holds")
    if saved != here:
        raise UsageError(f"'{checkpoint.tag}' was saved by {saved} rank(s), here are {here}, and "
                         "an exact resume needs as many",
                         "store.load() gives weights to any number")
    return checkpoint


def own_states():
    """{rank: states of its random number generators}, of this rank."""
    return {f"rank_{rank_in_job()[0]}": _rng.states()}


def owner_of(optimizer, modules):
    """The module that all parameters of an optimizer are of; None without one."""
    stepped = {id(each) for group in optimizer.param_groups for each in group["params"]}
    return next((module for module in modules
                 if stepped <= set(map(id, module.parameters()))), None)
