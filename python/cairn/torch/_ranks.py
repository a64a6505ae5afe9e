"""The ranks of a job talk about a save: small values through the key-value store that
torch.distributed began with.

No collectives: a background thread may talk while the main thread trains with them. Values travel
as JSON, and nothing that another rank sent is executed. Every wait ends, with the values or with an
error that names the ranks that are missing. How one talk goes: _exchange.py.
"""

import json
import os
import secrets
import threading
import zlib

import torch.distributed as dist

from ..errors import UnreachableError, UsageError
from ._exchange import Exchange

TIMEOUT = 600.0  # seconds
_NAMED = 16  # ranks in a message
_KEPT_TOPICS = 10_000  # of older ones nothing is left that could be met

_job = [None, {}]  # the job's store; how often which members have talked of what


def named(ranks):
    """Text for messages: "rank 3", "ranks 3, 5 and 2 more"."""
    more = f" and {len(ranks) - _NAMED} more" if len(ranks) > _NAMED else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks[:_NAMED]))}{more}"


class Ranks:
    """(rank, size) of a job or a process group, and its way to talk.

    store: a store of torch.distributed that all of them reach; name: what this talk's keys begin
    with, the same on all ranks and no other talk's; labels: the ranks' names in messages.
    timeout: seconds that one wait may last without a sign of life of who is waited for, and half of
    the wait for an answer of one to all.
    Threads: any, but exchanges of one topic begin in the same order on all ranks. A fork may not use
    it.
    """

    def __init__(self, rank, size, store=None, *, name="cairn", labels=None, timeout=TIMEOUT,
                 counts=None):
        if size > 1 and store is None:
            raise UsageError(f"{size} ranks need a store of torch.distributed to talk through")
        self.rank, self.size, self.timeout = rank, size, timeout
        self.labels = list(labels) if labels is not None else list(range(size))
        self.keys = name  # what all begin with
        self._store = store
        self._counts = {} if counts is None else counts  # topic -> how many exchanges there were
        self._lock = threading.Lock()  # of counts
        self._process = os.getpid()
        self._own_store = None
        self.ended = threading.Event()

    @classmethod
    def alone(cls):
        """One process."""
        return cls(0, 1)

    @classmethod
    def of(cls, group=None, *, timeout=TIMEOUT):
        """Those of a process group; without one, of the whole job. Errors: UsageError where torch.distributed is not initialized, this process
        is none of the group's, or there is no store."""
        if not (dist.is_available() and dist.is_initialized()):
            raise UsageError("torch.distributed is not initialized",
                             "call init_process_group() before saves by several ranks")
        group = group if group is not None else dist.group.WORLD
        if dist.get_rank(group) < 0:
            raise UsageError(f"rank {dist.get_rank()} is not in the group that saves")
        labels = distributed_ranks(group)
        store = _job_store() if len(labels) > 1 else None
        return cls(dist.get_rank(group), len(labels), store,
                   name=f"cairn/{_members(labels)}", labels=labels, timeout=timeout,
                   counts=_counts_of(store, labels))

    def __repr__(self):
        return f"cairn.torch.Ranks({self.rank} of {self.size})"

    def exchange(self, topic=""):
        """The next talk of these ranks about something: what is said in it does not meet what is
        said in others, also when one of them ended early."""
        if os.getpid() != self._process:
            raise UsageError("a forked process cannot speak for its parent's rank",
                             "save from the process that began the job")
        return Exchange(self, topic)

    def take_number(self, topic, number=None):
        """The number of an exchange that begins: this rank's next of the topic, or the given one."""
        with self._lock:
            taken = self._counts.pop(topic, 0)
            if number is not None:
                taken = number
            self._counts[topic] = taken + 1
            while len(self._counts) > _KEPT_TOPICS:
                del self._counts[next(iter(self._counts))]
        return taken

    def pass_over(self, topic, number):
        """No exchange of this number, or an earlier one, will begin here."""
        with self._lock:
            self._counts[topic] = max(self._counts.get(topic, 0), number + 1)

    def end(self):
        """Ends all waits of this rank, now and later, with CancelledError."""
        self.ended.set()

    def gather(self, value, to=0):
        """As Exchange.gather, in a talk of its own."""
        return self.exchange().gather(value, to)

    def broadcast(self, value=None, of=0):
        """As Exchange.broadcast, in a talk of its own."""
        return self.exchange().broadcast(value, of)

    def named(self, ranks):
        """named() of their labels."""
        return named([self.labels[rank] for rank in ranks])

    def ask(self, question, *arguments):
        """Calls a method of the store. Errors: UnreachableError when who holds it is gone."""
        if self._own_store is None:
            # A connection of its own: a wait does not hold up what else asks the job's store.
            clone = getattr(self._store, "clone", None)
            self._own_store = clone() if clone is not None else self._store
        try:
            return getattr(self._own_store, question)(*arguments)
        except RuntimeError as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UnreachableError(
                f"the job's store does not answer {self.named([self.rank])}: {told}",
                f"{self.named([0])} or the launcher, which holds it, may have ended") from error


def job_name(group=None):
    """A text that only this job's processes of the group have; "" where its store cannot tell."""
    key = f"cairn/job/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}"
    try:
        # The first one's stays.
        name = _job_store().compare_set(key, "", secrets.token_hex(8)).decode()
    except (UsageError, RuntimeError, NotImplementedError):
        return ""
    return f"{name}/{_members(distributed_ranks(group))}"


def distributed_ranks(group=None):
    """The global ranks of a group's members; without one, of the job's."""
    return tuple(dist.get_process_group_ranks(group if group is not None else dist.group.WORLD))


def _members(labels):
    return f"{zlib.crc32(json.dumps(labels).encode()):08x}-{len(labels)}"


def _counts_of(store, labels):
    if _job[0] is not store:
        _job[:] = [store, {}]
    return _job[1].setdefault(labels, {})


def _job_store():
    from torch.distributed import distributed_c10d

    find = getattr(distributed_c10d, "_get_default_store", None)
    try:
        store = find() if find is not None else None
    except (RuntimeError, ValueError, KeyError):
        store = None
    if store is None:
        raise UsageError("this job's torch.distributed has no key-value store",
                         "begin it with init_method=, store= or torchrun")
    return store
