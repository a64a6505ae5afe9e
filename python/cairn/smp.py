"""Checkpoints by the calls of SageMaker's model parallel library, as tags of a store.

    import cairn.smp as smp
    smp.save_checkpoint("/data/store", "step_7", model=model, optimizer=optimizer)
    user_content = smp.resume_from_checkpoint("/data/store", model=model, optimizer=optimizer)

A tag is the partial checkpoint and the full one: each rank stores what it holds, and any number of
ranks loads it. docs/MIGRATION.md says what each argument means here. Calls are of all ranks of the
job together.
"""

import json
import os

from . import _notes, _saving
from ._checkpoint import Checkpoint
from .errors import NotFoundError, UsageError
from .store import Store
from .torch._job import (DICTIONARIES, group_of_job, keep_newest, newest_checkpoint,
                         rank_in_job)
from .torch._training import Training


def save_checkpoint(path, tag, partial=True, model=None, optimizer=None, user_content=None,
                    translate_if_full=True, num_kept_partial_checkpoints=None):
    """Saves what is given as a tag, whole or not at all; one of that name is replaced.
    Errors: UsageError, NoSpaceError, ..."""
    _notes.tell_once("cairn.smp.save_checkpoint", translate_if_full=(translate_if_full, True))
    store = Store(path, create=True)
    store.save(tag, Training(model, optimizer).state(), user_content=user_content,
               group=group_of_job(), if_exists="replace")
    if partial:
        keep_newest(store, num_kept_partial_checkpoints)


def resume_from_checkpoint(path, tag=None, partial=True, strict=True, load_optimizer=True,
                           load_sharded_optimizer_state=True, translate_function=None, *, model=None,
                           optimizer=None):
    """Fills the model, and the optimizer unless load_optimizer is False, from a tag (None: the
    newest). A model on the meta device gets its memory now.
    translate_function: makes the state dict that the model takes of the one that the tag has.
    Returns the user content, or None.
    Errors: NoStoreError, NotFoundError, UsageError with what does not fit, CorruptError."""
    _notes.tell_once("cairn.smp.resume_from_checkpoint", partial=(partial, True),
                     load_sharded_optimizer_state=(load_sharded_optimizer_state, True))
    if model is None and optimizer is None:
        raise UsageError("there is nothing to fill", "give model=, optimizer=, or both")
    store = Store(path)
    wanted = tag or newest_checkpoint(store)
    if translate_function is not None:
        told = store.load(wanted, tensors="model.*")["model"]
        model.load_state_dict(translate_function(told), strict=strict)
    training = Training(model, optimizer if load_optimizer else None)
    sections = training.sections() - ({"model"} if translate_function is not None else set())
    checkpoint = training.load(store, wanted, strict, sections)
    content = checkpoint.attachment(_saving.USER_CONTENT)
    return None if content is None else json.loads(content)


def save(obj, f, partial=True):
    """Saves a dictionary under a path: the store's folder, a slash, a name. The tag is files/NAME,
    pinned, so that it is not taken for a checkpoint; one of that name is replaced.
    partial: each rank's own; else rank 0's. Errors: as save_checkpoint."""
    store, tag = _place_of(f, create=True)
    rank, ranks = rank_in_job()
    if partial:
        whole = {"ranks": ranks, _section(rank): obj}
    else:
        whole = {"ranks": 0} | ({_section(0): obj} if rank == 0 else {})
    store.save(tag, whole, group=group_of_job(), if_exists="replace", pin=True)


def load(f, partial=True):
    """The dictionary that this rank gave to save(..., partial=True), or rank 0 to partial=False.
    Errors: NoStoreError, NotFoundError; UsageError where another number of ranks saved."""
    store, tag = _place_of(f)
    rank, ranks = rank_in_job()
    section = _section(rank if partial else 0)
    own = [name for name in Checkpoint(store, tag).tensors if name.startswith(section + ".")]
    state = store.load(tag, tensors=f"{section}.*" if own else None)
    saved = state.get("ranks")
    if not isinstance(saved, int):
        raise NotFoundError(f"the tag '{tag}' is none of smp.save()", "see resume_from_checkpoint()")
    if partial and saved != ranks:
        raise UsageError(f"'{tag}' has what {saved or 'one'} rank(s) saved, each its own, here are "
                         f"{ranks}", "save_checkpoint() saves what any number of ranks can load")
    return state[section]


def _section(rank):
    return f"rank_{rank}"


def _place_of(f, create=False):
    folder, tag = os.path.split(os.fspath(f))
    return Store(folder, create=create), DICTIONARIES + tag
