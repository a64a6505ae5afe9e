"""The ranks of a job talk about a save: small values through the key-value store that
torch.distributed began with.

No collectives: a background thread may talk while the main thread trains with them. Values travel
as JSON, and nothing that another rank sent is executed. Every wait ends, with the values or with an
error that names the ranks that are missing. How one talk goes: _exchange.py;
how they come to the same one: _joining.py.
"""

import concurrent.futures
import contextlib
import itertools
import json
import math
import numbers
import os
import secrets
import threading
import time
import zlib

import torch.distributed as dist

from ..errors import CancelledError, UnreachableError, UsageError
from ._exchange import Exchange

TIMEOUT = 600.0  # seconds
_NAMED = 16  # ranks in a message
_CONNECTING = 60.0  # seconds for a connection to a store that answered before

_NOTHING = "-"  # what no key holds
_SHORTEST_PAUSE, _LONGEST_PAUSE = 2e-4, 0.1  # seconds between two looks



def check_timeout(timeout):
    """Errors: UsageError."""
    is_number = isinstance(timeout, numbers.Real) and not isinstance(timeout, bool)
    if not (is_number and 0 < timeout < math.inf):
        raise UsageError(f"timeout is {timeout!r}", "it is a number of seconds, above 0")


def named(ranks):
    """Text for messages: "rank 3", "ranks 3, 5 and 2 more"."""
    more = f" and {len(ranks) - _NAMED} more" if len(ranks) > _NAMED else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks[:_NAMED]))}{more}"


class Numbers:
    """Of talks. Taking the next one is atomic."""

    def __init__(self):
        self.exchanges, self.talks = itertools.count(), itertools.count()


class _Job:
    """What this process keeps while the job has its store: the Numbers of its groups, and one
    connection for all Ranks. What that is asked does not wait for what else asks the store; when who
    holds the store is gone it says so, while a new one would wait for it."""

    def __init__(self, store):
        self.store = store
        self._numbers, self._connection, self._connecting = {}, None, None
        self._lock = threading.Lock()

    def numbers_of(self, name):
        with self._lock:
            return self._numbers.setdefault(name, Numbers())

    def connection(self, limit):
        with self._lock:
            if self._connection is None:
                self._connection = self._connected(limit)
            return self._connection

    def _connected(self, limit):
        """Who is waited for in vain once is not waited for again."""
        if self._connecting is None:
            self._connecting = _cloning(self.store)
            return _soon(self._connecting, limit)
        return _soon(self._connecting, 0)


_job = _Job(None)
_lock = threading.Lock()


def _job_of(store):
    """The _Job of the job's store."""
    global _job
    with _lock:
        if _job.store is not store:
            _job = _Job(store)
        return _job


def _forget_job():
    global _job, _lock
    _job, _lock = _Job(None), threading.Lock()  # the connection is the parent's


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_job)


def _cloning(store):
    """A connection of its own, as a Future. Where who holds the store has gone at that moment, PyTorch
    tries for as long as the job would wait for anything: a thread does that, and is left to it."""
    made = concurrent.futures.Future()

    def connect():
        try:
            made.set_result(store.clone())
        except BaseException as error:
            made.set_exception(error)

    if hasattr(store, "clone"):
        threading.Thread(target=connect, daemon=True).start()
    else:
        made.set_result(store)
    return made


def _soon(made, limit):
    """What a Future brings within `limit` seconds. Errors: RuntimeError, as those of the store."""
    try:
        return made.result(limit)
    except concurrent.futures.TimeoutError:
        raise RuntimeError("no connection in time") from None


class Ranks:
    """(rank, size) of a job or a process group, and its way to talk.

    Made by of() and alone(), for savers; most programs need none.

    store: a store of torch.distributed that all of them reach.
    name: what this talk's keys begin with, the same on all ranks and no other talk's.
    labels: the ranks' names in messages.
    timeout: seconds that one wait may last without a sign of life of who is waited for, and half of
    the wait for an answer of one to all.
    Threads: any; saves of one group begin in the same order on all ranks. A fork may not use it.
    """

    def __init__(self, rank, size, store=None, *, name="cairn", labels=None, timeout=TIMEOUT,
                 numbers=None):
        if size > 1 and store is None:
            raise UsageError(f"{size} ranks need a store of torch.distributed to talk through")
        self.rank, self.size, self.timeout = rank, size, timeout
        self.labels = list(labels) if labels is not None else list(range(size))
        self.keys = name  # what all begin with
        self._store = store
        self._numbers = Numbers() if numbers is None else numbers
        self._process = os.getpid()
        self._own_store = None
        self.ended = threading.Event()

    @classmethod
    def alone(cls):
        """Those of one process, with nobody to talk to."""
        return cls(0, 1)

    @classmethod
    def of(cls, group=None, *, timeout=TIMEOUT):
        """Those of a process group; without one, of the whole job.
        Errors: UsageError where torch.distributed is not initialized, this process is none of the
        group's, or there is no store."""
        if not (dist.is_available() and dist.is_initialized()):
            raise UsageError("torch.distributed is not initialized",
                             "call init_process_group() before saves by several ranks")
        check_timeout(timeout)
        group = group if group is not None else dist.group.WORLD
        is_group = isinstance(group, dist.ProcessGroup)
        if not is_group and group is not dist.GroupMember.NON_GROUP_MEMBER:
            raise UsageError(f"group is {group!r}, which is no process group",
                             "give what torch.distributed.new_group() returns, or None")
        if dist.get_rank(group) < 0:
            raise UsageError(f"rank {dist.get_rank()} is not in the group of this call")
        labels = distributed_ranks(group)
        store = _job_store() if len(labels) > 1 else None
        name = f"cairn/{_members(labels)}/{getattr(group, 'group_name', '')}"
        numbers = None if store is None else _job_of(store).numbers_of(name)
        return cls(dist.get_rank(group), len(labels), store, name=name, labels=labels,
                   timeout=timeout, numbers=numbers)

    @classmethod
    def numbered(cls, rank, size, name, timeout=TIMEOUT):
        """Those whose numbers something else has given them, such as DCP: processes of the job.
        Errors: UsageError where there is no store."""
        check_timeout(timeout)
        return cls(rank, size, _job_store(), name=name, timeout=timeout)

    def __repr__(self):
        return f"cairn.torch.Ranks({self.rank} of {self.size})"

    def exchange(self):
        """The next talk of these ranks: what is said in it does not meet what is said in others,
        also when one of them ended early. All ranks begin as many (_joining.py has others)."""
        self.check_process()
        return Exchange(self, f"next/{next(self._numbers.exchanges)}")

    def check_process(self):
        """Errors: UsageError in a fork."""
        if os.getpid() != self._process:
            raise UsageError("a forked process cannot speak for its parent's rank",
                             "save from the process that began the job")

    def take_number(self):
        """One that this process takes once for these ranks."""
        return next(self._numbers.talks)

    def end(self):
        """Ends all waits of this rank, now and later, with CancelledError."""
        self.ended.set()

    def gather(self, value, to=0):
        """The values of all ranks on the rank `to`, as a list; None on the others. They go as JSON.
        Errors: UnreachableError naming ranks."""
        return self.exchange().gather(value, to)

    def broadcast(self, value=None, of=0):
        """The value that the rank `of` gives, on all ranks. It goes as JSON.
        Errors: UnreachableError naming ranks."""
        return self.exchange().broadcast(value, of)

    def named(self, ranks):
        """Text for messages, of their labels: "ranks 3 and 5"."""
        return named([self.labels[rank] for rank in ranks])

    def ask(self, question, *arguments):
        """Calls a method of the store, none that waits. Errors: UnreachableError when who holds it is
        gone."""
        with self._holder_answers():
            return getattr(self.store(), question)(*arguments)

    def store(self):
        """The connection to the job's store, for others that take a store of torch.distributed.
        Errors: UnreachableError."""
        if self._own_store is None:
            limit = min(self.timeout, _CONNECTING)
            with self._holder_answers():
                is_job = self._store is _default_store()
                self._own_store = (_job_of(self._store).connection(limit) if is_job
                                   else _soon(_cloning(self._store), limit))
        return self._own_store

    @contextlib.contextmanager
    def _holder_answers(self):
        try:
            yield
        except RuntimeError as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UnreachableError(
                f"the job's store does not answer {self.named([self.rank])}: {told}",
                f"{self.named([0])} or the launcher, which holds it, may have ended") from error

    def read(self, key):
        """What a key that is deleted now and then holds, as bytes; None when it is not there. A get
        of a key that has just gone would wait for it."""
        told = self.ask("compare_set", key, _NOTHING, _NOTHING)
        return None if told == _NOTHING.encode() else told

    def until(self, is_so, limit):
        """Whether it became so within `limit` seconds. It looks again and again, a twentieth of the
        time waited apart: unlike a blocking wait that leaves no request behind when it gives up.
        Errors: CancelledError after end()."""
        begin = time.monotonic()
        while not is_so():
            waited = time.monotonic() - begin
            if waited > limit:
                return False
            if self.ended.wait(min(max(waited / 20, _SHORTEST_PAUSE), _LONGEST_PAUSE)):
                raise CancelledError(f"{self.named([self.rank])} no longer waits for the others")
        return True


def can_talk():
    """Whether the job has a store to talk through."""
    try:
        _job_store()
    except UsageError:
        return False
    return True


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


def _default_store():
    """That of the job; None without one."""
    from torch.distributed import distributed_c10d

    find = getattr(distributed_c10d, "_get_default_store", None)
    try:
        return find() if find is not None else None
    except (RuntimeError, ValueError, KeyError):
        return None


def _job_store():
    """Errors: UsageError."""
    store = _default_store()
    if store is None:
        raise UsageError("this job's torch.distributed has no key-value store",
                         "begin it with init_method=, store= or torchrun")
    return store
