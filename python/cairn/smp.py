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

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from . import _notes, _saving
from ._checkpoint import Checkpoint
from .errors import NotFoundError, UsageError
from .store import Store
from .torch import _partition
from .torch._job import (DICTIONARIES, group_of_job, keep_newest, newest_checkpoint,
                         rank_in_job, step_of)
from .torch._training import Training


def save_checkpoint(path, tag, partial=True, model=None, optimizer=None, user_content=None,
                    translate_if_full=True, num_kept_partial_checkpoints=None):
    """Saves what is given as a tag, whole or not at all; one of that name is replaced.
    Errors: UsageError, NoSpaceError, ..."""
    _notes.tell_once("cairn.smp.save_checkpoint", translate_if_full=(translate_if_full, True))
    store = Store(path, create=True)
    store.save(tag, Training(model, optimizer).state(), user_content=user_content,
               step=step_of(tag), group=group_of_job(), if_exists="replace")
    if partial:
        keep_newest(store, num_kept_partial_checkpoints)


def resume_from_checkpoint(path, tag=None, partial=True, strict=True, load_optimizer=True,
                           load_sharded_optimizer_state=True, translate_function=None, *, model=None,
                           optimizer=None, deferred=False):
    """Fills the model, and the optimizer unless load_optimizer is False, from a tag (None: the
    newest). A model on the meta device gets its memory now.
    translate_function: makes the state dict that the model takes of the one that the tag has.
    deferred: fills them when the model first runs: by then it may be cut among ranks, and each
    reads what it holds.
    Returns the user content, or None.
    Errors: NoStoreError, NotFoundError, UsageError with what does not fit, CorruptError."""
    _notes.tell_once("cairn.smp.resume_from_checkpoint", partial=(partial, True),
                     load_sharded_optimizer_state=(load_sharded_optimizer_state, True))
    if model is None and optimizer is None:
        raise UsageError("there is nothing to fill", "give model=, optimizer=, or both")
    store = Store(path)
    wanted = tag or newest_checkpoint(store)
    checkpoint = Checkpoint(store, wanted)  # it is there

    def fill():
        _fill(store, wanted, strict, translate_function,
              Training(model, optimizer if load_optimizer else None))

    if deferred:
        _before_first_run(model, fill)
    else:
        fill()
    content = checkpoint.attachment(_saving.USER_CONTENT)
    return None if content is None else json.loads(content)


def _fill(store, tag, strict, translate_function, training):
    sections = training.sections()
    if translate_function is not None:
        told = store.load(tag, tensors="model.*")["model"]
        training.model.load_state_dict(translate_function(told), strict=strict)
        sections = sections - {"model"}
    training.load(store, tag, strict, sections)


def _before_first_run(model, call):
    if not isinstance(model, nn.Module):
        raise UsageError("a load can be deferred until a module runs, and model= is none")

    def run_once(module, _):
        if any(each is model for each in module.modules()):
            call()
            hook.remove()  # not before: what failed is tried again, and nothing runs without it

    # Of all modules: hooks of the model's own would come after those that put its shards together.
    hook = register_module_forward_pre_hook(run_once)


def local_state_dict(part, model=None):
    """What this rank holds of a model or optimizer: its state dict, with tensors that are cut among
    ranks as this rank's own. Ranks do not talk. The tensors are the part's memory: copy what shall
    stay.
    model: an optimizer's, whose state then goes by the parameters' names."""
    training, sections = _training_of(part, model)
    (state,) = training.state(sections).values()
    return _partition.local(state)


def load_state_dict(part, state, strict=True, same_partition_load=False, model=None):
    """Fills a model or optimizer from a state dict.
    same_partition_load: from one of local_state_dict(), where ranks hold the same again; else from
    one of whole tensors, of which each rank takes what it holds.
    model: as for local_state_dict().
    Errors, before anything is filled: UsageError naming what has another shape here, or, if strict,
    only one of the two has."""
    training, sections = _training_of(part, model)
    ((section, own),) = training.state(sections).items()
    filler = _partition.Filler(same_partition_load)
    filled = filler.filled(own, state)
    if strict and filler.unmatched:
        raise UsageError(f"only one of the two has {sorted(filler.unmatched)}",
                         "strict=False passes them over")
    filler.copy()
    training.take({section: filled}, strict)


def _training_of(part, model):
    """(a Training with the part, the part's section)."""
    if model is None:
        return Training(model=part), {"model"}
    return Training(model=model, optimizer=part), {"optimizer"}


def save(obj, f, partial=True):
    """Saves a dictionary under a path: the store's folder, a slash, a name. The tag is files/NAME,
    pinned, so that it is not taken for a checkpoint; one of that name is replaced.
    partial: each rank's own; else rank 0's.
    Errors: as save_checkpoint."""
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
