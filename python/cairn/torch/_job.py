"""What calls of other systems mean by "all ranks", and what they keep."""

import re

from torch import distributed

from .. import _memory
from ..errors import NotFoundError

DICTIONARIES = "files/"  # what tags begin with that are no checkpoints of a training


def group_of_job():
    """All ranks of the job; None for a process alone."""
    return distributed.group.WORLD if (_memory.job_size() or 1) > 1 else None


def rank_in_job():
    """(rank, ranks)."""
    size = _memory.job_size() or 1
    return (distributed.get_rank() if size > 1 else 0), size


def newest_checkpoint(store):
    """The name of the newest tag that is no dictionary. Errors: NotFoundError."""
    for tag in store.tags():
        if not tag.tag.startswith(DICTIONARIES):
            return tag.tag
    raise NotFoundError(f"there is no checkpoint in '{store.path}'", "'cairn ls' lists the tags")


def step_of(tag):
    """The number that a name like "step_7" or "run7/step-100" ends in; None without one."""
    named = re.search(r"step[-_=]?(\d+)$", tag)
    return int(named[1]) if named else None


def keep_newest(store, count):
    """Drops all but the newest tags of a store, and gives their space back; once for the job. Without
    a count, or with one that is not positive, all stay."""
    if count is not None and count > 0 and rank_in_job()[0] == 0:
        store.forget(keep_last=count, gc=True)
