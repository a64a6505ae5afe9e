"""Checkpoints of accelerate.Accelerator as tags of a store.

    from cairn.adapters.accelerate import load_state, save_state
    save_state(accelerator, "/data/store", f"run7/step-{step}", step=step)
    load_state(accelerator, "/data/store", "run7/@newest")

A tag has what accelerator.save_state() writes: models, optimizers, schedulers, scaler, the objects
registered for checkpointing, random numbers and places in the data. Calls are of all ranks of the
job together. docs/MIGRATION.md says what each argument means.
"""

import os

from accelerate.utils import DistributedType

from .. import _into
from .._checkpoint import Checkpoint
from ..errors import UsageError
from ..store import Store
from ..torch._job import group_of_job, rank_in_job
from ..torch._training import Training
from . import _rng
from ._data_places import places_of, take_places
from ._run import open_of_this_size, owner_of

_OWN_ENGINES = (DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)


def save_state(accelerator, store, tag, *, step=None, metadata=None, if_exists="error",
               allow_pickle=False):
    """Saves what the accelerator has prepared and registered as a tag, whole or not at all.
    allow_pickle: whether registered objects may have states that only a pickle holds.
    Returns what Store.save does.
    Errors: as Store.save; UsageError under DeepSpeed and Megatron-LM."""
    _refuse_engines(accelerator)
    accelerator.wait_for_everyone()
    state = {name: part.state({kind})[kind]
             for name, (part, kind) in _tensors_of(accelerator).items()}
    state |= {name: each.state_dict() for name, each in _shared_of(accelerator).items()}
    state |= {"step": accelerator.step, _own(): {"rng": _rng.states(), **places_of(accelerator)}}
    return _opened(store, create=True).save(
        tag, state, step=step, metadata={"ranks": rank_in_job()[1], **(metadata or {})},
        if_exists=if_exists, group=group_of_job(), allow_pickle=allow_pickle)


def load_state(accelerator, store, tag, *, allow_pickle=False):
    """Fills what the accelerator has prepared and registered from a tag of save_state().
    Returns the tag's step, or None.
    Errors: NoStoreError, NotFoundError, CorruptError; UsageError with what does not fit, and where
    another number of ranks saved."""
    _refuse_engines(accelerator)
    store = _opened(store)
    checkpoint = open_of_this_size(store, tag)
    _fill(checkpoint, _tensors_of(accelerator))
    shared = _shared_of(accelerator)
    rest = _rest_of(store, checkpoint, {*shared, _own()}, allow_pickle)
    own = rest[_own()]
    _refuse_others(checkpoint.tag, {*shared, *places_of(accelerator)}, {*rest, *own})
    for name, each in shared.items():
        each.load_state_dict(rest[name])
    accelerator.step = rest["step"]
    take_places(accelerator, own)
    _rng.restore(own["rng"])
    if own["is_within_epoch"]:
        _restore_before_forward(accelerator, own["rng"])
    return checkpoint.step


def keep_weights_in_store(accelerator, store, prefix):
    """Hooks by which accelerator.save_state(folder) saves weights as the tag PREFIX/FOLDER's name,
    and load_state() loads them; all else stays in the folder's files, as Accelerate offers no hook
    for it. A tag of that name is replaced. Returns the two handles."""
    def save(models, weights, folder):
        if len(weights) != len(models):
            raise UsageError("sharded weights are written before hooks are asked",
                             "use cairn.adapters.accelerate.save_state()")
        state = {f"model_{number}": Training(model).state()["model"]
                 for number, model in enumerate(models)}
        _opened(store, create=True).save(_tag_of(prefix, folder), state, if_exists="replace",
                                         group=group_of_job())
        weights.clear()

    def load(models, folder):
        parts = {f"model_{number}": (Training(model), "model")
                 for number, model in enumerate(models)}
        _fill(Checkpoint(_opened(store), _tag_of(prefix, folder)), parts)
        models.clear()

    return (accelerator.register_save_state_pre_hook(save),
            accelerator.register_load_state_pre_hook(load))


def _opened(store, create=False):
    return store if isinstance(store, Store) else Store(store, create=create)


def _tag_of(prefix, folder):
    return f"{prefix}/{os.path.basename(os.path.normpath(folder))}"


def _own():
    return f"rank_{rank_in_job()[0]}"


def _refuse_engines(accelerator):
    if accelerator.distributed_type in _OWN_ENGINES:
        raise UsageError(f"{accelerator.distributed_type.value} keeps states in a form of its own",
                         "its engine's save_checkpoint() writes them")


def _tensors_of(accelerator):
    """{name: (Training, its section)}: what is filled where it lies. Moments go by the names of the
    model whose parameters they are of."""
    models = accelerator._models
    parts = {f"model_{number}": (Training(model), "model") for number, model in enumerate(models)}
    for number, optimizer in enumerate(accelerator._optimizers):
        owner = owner_of(optimizer, models)
        parts[f"optimizer_{number}"] = (Training(owner, optimizer.optimizer), "optimizer")
    return parts


def _shared_of(accelerator):
    """{name: object}: what is the same on all ranks."""
    shared = {f"scheduler_{number}": each
              for number, each in enumerate(accelerator._schedulers)}
    shared |= {f"registered_{number}": each
               for number, each in enumerate(accelerator._custom_objects)}
    if accelerator.scaler is not None:
        shared["scaler"] = accelerator.scaler
    return shared


def _fill(checkpoint, parts):
    state = {name: part.state({kind})[kind] for name, (part, kind) in parts.items()}
    state = _into.load_into(checkpoint, state, _into.Choice(sections=tuple(state)))
    for name, (part, kind) in parts.items():
        part.take({kind: state[name]})


def _rest_of(store, checkpoint, sections, allow_pickle):
    """Values, and of tensors those of some sections."""
    held = {name.partition(".")[0] for name in checkpoint.tensors}
    return store.load(checkpoint.tag, tensors=[f"{name}.*" for name in sorted(sections & held)],
                      allow_pickle=allow_pickle)


def _refuse_others(tag, here, there):
    """Errors: UsageError where the tag has other objects than the accelerator."""
    kinds = ("scheduler", "registered", "scaler", "dataloader")
    differing = {name for name in here ^ there if name.partition("_")[0] in kinds}
    if differing:
        raise UsageError(f"'{tag}' and the accelerator differ in {sorted(differing)}",
                         "prepare and register what was there when the tag was saved")


def _restore_before_forward(accelerator, taken):
    """Gives random numbers back once more before the next step: who goes on within an epoch begins
    an iteration of the data there, which draws some, and the run that was saved did not."""
    handles = []

    def restore(model, _):
        if model.training:
            _rng.restore(taken)
            for handle in handles:
                handle.remove()

    handles += [model.register_forward_pre_hook(restore) for model in accelerator._models]
