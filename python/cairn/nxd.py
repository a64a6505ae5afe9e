"""Checkpoints by the calls of neuronx_distributed's trainer, as tags of a store.

    import cairn.nxd as nxd
    nxd.save_checkpoint("/data/store", "step_7", model=model, optimizer=optimizer, num_kept_ckpts=5)
    user_content = nxd.load_checkpoint("/data/store", model=model, optimizer=optimizer)

docs/MIGRATION.md says what each argument means here. Calls are of all ranks of the job together.
"""

import atexit
import json
import os

from . import _notes, _saving
from .errors import NoStoreError, NotFoundError
from .store import Store
from .torch import AsyncSaver
from .torch._job import group_of_job, keep_newest, newest_checkpoint, step_of
from .torch._training import Training

_savers = {}  # a store's path -> _Saver


class _Saver:
    """Asynchronous saves to one store, and what is to be kept of them."""

    def __init__(self, store):
        self.store = store
        self._saver = AsyncSaver(store, group=group_of_job())
        self._kept = None  # of the save under way

    def save(self, tag, state, user_content, kept):
        self.finish()
        self._saver.save(tag, state, user_content=user_content, step=step_of(tag))
        self._kept = kept

    def finish(self):
        """Waits for the save under way. Errors: what it failed with."""
        self._saver.wait()
        kept, self._kept = self._kept, None
        keep_newest(self.store, kept)

    def close(self):
        try:
            self.finish()
        finally:
            self._saver.close()


def save_checkpoint(checkpoint_dir_str, tag, model=None, optimizer=None, scheduler=None,
                    user_content=None, num_workers=8, use_xser=False, num_kept_ckpts=None,
                    async_save=False, zero1_optimizer=False, use_zero1_dcp=False,
                    avoid_saving_lower_precision_weights=False):
    """Saves what is given as a tag, whole or not at all.
    Errors: ExistsError, UsageError, NoSpaceError, ...; with async_save what the save before failed
    with."""
    _notes.tell_once("cairn.nxd.save_checkpoint", num_workers=(num_workers, 8),
                     use_xser=(use_xser, False), zero1_optimizer=(zero1_optimizer, False),
                     use_zero1_dcp=(use_zero1_dcp, False),
                     avoid_saving_lower_precision_weights=(avoid_saving_lower_precision_weights,
                                                           False))
    store = Store(checkpoint_dir_str, create=True)
    state = Training(model, optimizer, scheduler).state()
    if async_save:
        if store.path not in _savers:
            _savers[store.path] = _Saver(store)
        _savers[store.path].save(tag, state, user_content, num_kept_ckpts)
        return
    finalize_checkpoint()
    store.save(tag, state, user_content=user_content, step=step_of(tag), group=group_of_job())
    keep_newest(store, num_kept_ckpts)


def load_checkpoint(path, tag=None, model=None, optimizer=None, scheduler=None, num_workers=8,
                    strict=True, use_zero1_dcp=False):
    """Fills what is given from a tag (None: the newest). Returns the user content, or None.
    Errors: NoStoreError, NotFoundError, UsageError with what does not fit, CorruptError."""
    _notes.tell_once("cairn.nxd.load_checkpoint", num_workers=(num_workers, 8),
                     use_zero1_dcp=(use_zero1_dcp, False))
    finalize_checkpoint()
    store = Store(path)
    checkpoint = Training(model, optimizer, scheduler).load(store, tag or newest_checkpoint(store),
                                                            strict)
    content = checkpoint.attachment(_saving.USER_CONTENT)
    return None if content is None else json.loads(content)


def has_checkpoint(checkpoint_dir_str):
    """Whether there is a tag."""
    try:
        newest_checkpoint(Store(checkpoint_dir_str))
    except (NoStoreError, NotFoundError):
        return False
    return True


def finalize_checkpoint():
    """Waits for asynchronous saves, and ends them. Errors: what one failed with."""
    while _savers:
        _, saver = _savers.popitem()
        saver.close()


def _finish_at_exit(process):
    if os.getpid() == process:
        finalize_checkpoint()


atexit.register(_finish_at_exit, os.getpid())
