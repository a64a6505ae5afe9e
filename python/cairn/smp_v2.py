"""Checkpoints by the calls of SageMaker's model parallel library v2
(torch.sagemaker.distributed.checkpoint), as tags of a store.

    from cairn import smp_v2
    smp_v2.async_save(state_dict, checkpoint_id="/data/store/step_7")
    smp_v2.maybe_finalize_async_calls(blocking=True)
    smp_v2.load(state_dict, checkpoint_id="/data/store/step_7")

A checkpoint id is the store's folder, a slash, and the tag's name without one; or STORE#TAG. Local
and sharded checkpoints are one: each rank stores what it holds, and any number of ranks loads it.
docs/MIGRATION.md says what each argument means here. Calls are of all ranks of the job together.
"""

import atexit
import os

from . import _notes
from .errors import UsageError
from .store import Store
from .torch import AsyncSaver
from .torch._job import group_of_job, step_of

_savers = {}  # (a store's path, a process group) -> AsyncSaver


def async_save(state_dict, checkpoint_id=None, storage_writer=None, planner=None,
               process_group=None, coordinator_rank=0, queue=None, sharded_strategy=None,
               wait_error_handling=True, force_check_all_plans=True, s3_region=None,
               s3client_config=None):
    """Copies the state and returns; it is saved as a tag meanwhile, whole or not at all, and
    replaces one of that name. A save before must have been finalized, or is waited for.
    process_group: the ranks that save together; None: all of the job.
    Returns a handle: done(), wait(), result().
    Errors: what the save before failed with; UsageError."""
    _notes.tell_once("cairn.smp_v2.async_save", storage_writer=(storage_writer, None),
                     planner=(planner, None), coordinator_rank=(coordinator_rank, 0),
                     queue=(queue, None), sharded_strategy=(sharded_strategy, None),
                     wait_error_handling=(wait_error_handling, True),
                     force_check_all_plans=(force_check_all_plans, True),
                     s3_region=(s3_region, None), s3client_config=(s3client_config, None))
    folder, tag = _place_of(checkpoint_id)
    group = process_group or group_of_job()
    store = Store(folder, create=True)
    key = (store.path, group)
    if key not in _savers:
        _savers[key] = AsyncSaver(store, group=group)
    return _savers[key].save(tag, state_dict, step=step_of(tag), if_exists="replace")


def maybe_finalize_async_calls(blocking=True, process_group=None):
    """Raises what a save failed with that has ended.
    blocking: waits for those under way first.
    process_group: only saves of this one; None: all.
    Returns whether none is under way."""
    savers = [saver for (_, group), saver in _savers.items() if process_group in (None, group)]
    return all([saver.wait(None if blocking else 0) for saver in savers])


def load(state_dict, checkpoint_id=None, storage_reader=None, planner=None, process_group=None,
         check_keys_matched=True, coordinator_rank=0, s3_region=None, s3client_config=None):
    """Fills the tensors of a state, and its plain values, from a tag, however it was cut.
    check_keys_matched: names that only one of the two has are an error.
    Errors: NoStoreError, NotFoundError, UsageError with what does not fit, CorruptError."""
    _notes.tell_once("cairn.smp_v2.load", storage_reader=(storage_reader, None),
                     planner=(planner, None), process_group=(process_group, None),
                     coordinator_rank=(coordinator_rank, 0), s3_region=(s3_region, None),
                     s3client_config=(s3client_config, None))
    maybe_finalize_async_calls()
    folder, tag = _place_of(checkpoint_id)
    Store(folder).load(tag, into=state_dict, strict=check_keys_matched)


def _place_of(checkpoint_id):
    """(the store's folder, the tag)."""
    if checkpoint_id is None:
        raise UsageError("no checkpoint_id says where the checkpoint is",
                         "give checkpoint_id=\"/folder/of/the/store/step_7\"")
    text = os.fspath(checkpoint_id)
    folder, mark, tag = text.partition("#")
    return (folder, tag) if mark else os.path.split(text.rstrip("/"))


def _finish_at_exit(process):
    if os.getpid() == process:
        while _savers:
            _savers.popitem()[1].close()


atexit.register(_finish_at_exit, os.getpid())
