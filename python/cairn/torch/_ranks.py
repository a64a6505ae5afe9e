"""The ranks of a job talk about a save: small values through the key-value store that
torch.distributed began with.

No collectives: a background thread may talk while the main thread trains with them. Values travel
as JSON, and nothing that another rank sent is executed. Every wait ends, with the values or with an
error that names the ranks that are missing.
"""

import itertools
import json
import os
import threading
import time
import zlib

import torch.distributed as dist

from ..errors import CancelledError, UnreachableError, UsageError

TIMEOUT = 600.0  # seconds
_VALUE_BYTES = 4 << 20  # TCPStore closes the connection over 8 MiB
_SHORTEST_PAUSE, _LONGEST_PAUSE = 2e-4, 0.1  # seconds between two looks
_SETTLE = 10.0  # seconds: ranks look for an answer more often
_NAMED = 16  # ranks in a message

_made = {}  # how many Ranks of which group there have been in this process


def named(ranks):
    """Text for messages: "rank 3", "ranks 3, 5 and 2 more"."""
    more = f" and {len(ranks) - _NAMED} more" if len(ranks) > _NAMED else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks[:_NAMED]))}{more}"


class Ranks:
    """(rank, size) of a job or a process group, and its way to talk.

    store: a store of torch.distributed that all of them reach; name: what this talk's keys begin
    with, the same on all ranks and no other talk's; labels: the ranks' names in messages.
    timeout: seconds that one wait may last, and half of the wait for an answer of one to all.
    Threads: any, but exchanges begin in the same order on all ranks. A fork may not use it.
    """

    def __init__(self, rank, size, store=None, *, name="cairn", labels=None, timeout=TIMEOUT):
        if size > 1 and store is None:
            raise UsageError(f"{size} ranks need a store of torch.distributed to talk through")
        self.rank, self.size, self.timeout = rank, size, timeout
        self.labels = list(labels) if labels is not None else list(range(size))
        self.keys = name  # what all begin with
        self._store = store
        self._numbers = itertools.count()
        self._process = os.getpid()
        self._own_store = None
        self.ended = threading.Event()

    @classmethod
    def alone(cls):
        """One process."""
        return cls(0, 1)

    @classmethod
    def of(cls, group=None, *, timeout=TIMEOUT):
        """Those of a process group; without one, of the whole job. To be called by all of them, in
        the same order. Errors: UsageError where torch.distributed is not initialized, this process
        is none of the group's, or there is no store."""
        if not (dist.is_available() and dist.is_initialized()):
            raise UsageError("torch.distributed is not initialized",
                             "call init_process_group() before saves by several ranks")
        group = group if group is not None else dist.group.WORLD
        if dist.get_rank(group) < 0:
            raise UsageError(f"rank {dist.get_rank()} is not in the group that saves")
        labels = tuple(dist.get_process_group_ranks(group))
        number = _made[labels] = _made.get(labels, 0) + 1
        members = zlib.crc32(json.dumps(labels).encode())
        return cls(dist.get_rank(group), len(labels), _job_store() if len(labels) > 1 else None,
                   name=f"cairn/{members:08x}-{len(labels)}/{number}", labels=labels,
                   timeout=timeout)

    def __repr__(self):
        return f"cairn.torch.Ranks({self.rank} of {self.size})"

    def exchange(self):
        """The next talk of these ranks: what is said in it does not meet what is said in others,
        also when one of them ended early."""
        if os.getpid() != self._process:
            raise UsageError("a forked process cannot speak for its parent's rank",
                             "save from the process that began the job")
        return Exchange(self, next(self._numbers))

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


class Exchange:
    """One talk: the same calls in the same order on all ranks. Its keys are gone when it is over,
    unless a rank was missing."""

    def __init__(self, ranks, number):
        self.ranks = ranks
        self._number = number
        self._turns = itertools.count()
        self._said = None  # the key of what this rank said to all

    def gather(self, value, to=0):
        """On rank `to`: the values of all ranks, in their order. On others: None, without a wait.
        Errors: UnreachableError naming the ranks that did not answer in time."""
        ranks, turn = self.ranks, next(self._turns)
        if ranks.rank != to:
            ranks.ask("set", self._key(turn, ranks.rank), _packed(value))
            return None
        keys = {rank: self._key(turn, rank) for rank in range(ranks.size) if rank != to}
        self._wait(keys, ranks.timeout)
        values = {rank: _unpacked(ranks.ask("get", key)) for rank, key in keys.items()}
        for key in keys.values():
            ranks.ask("delete_key", key)
        values[to] = value
        return [values[rank] for rank in range(ranks.size)]

    def broadcast(self, value=None, of=0):
        """The value of rank `of`, on all ranks. It is waited for twice as long: that rank may have
        waited for others. Errors: UnreachableError naming it."""
        ranks, turn = self.ranks, next(self._turns)
        key = self._key(turn, of)
        if ranks.rank == of:
            if ranks.size > 1:
                ranks.ask("set", key, _packed(value))
                self._said = key
            return value
        self._wait({of: key}, 2 * ranks.timeout)
        value = _unpacked(ranks.ask("get", key))
        if ranks.ask("add", key + "/read", 1) == ranks.size - 1:
            ranks.ask("delete_key", key)
            ranks.ask("delete_key", key + "/read")
        return value

    def settle(self, limit=_SETTLE):
        """On the rank that said something last: whether all heard it within `limit` seconds. Then
        it may end, and the job's store with it."""
        if self._said is not None:
            heard = self._until(lambda: not self.ranks.ask("check", [self._said]),
                                limit)
            self._said = None
            return heard
        return True

    def _key(self, turn, rank):
        return f"{self.ranks.keys}/{self._number}/{turn}/{rank}"

    def _wait(self, keys, limit):
        """Until the keys of these ranks are there."""
        ranks = self.ranks
        if not keys or self._until(lambda: ranks.ask("check", list(keys.values())), limit):
            return
        missing = [rank for rank, key in keys.items() if not ranks.ask("check", [key])]
        if missing:
            raise UnreachableError(
                f"{ranks.named(missing)} did not answer {ranks.named([ranks.rank])} within "
                f"{limit:g} s", "see whether it still runs; timeout= waits longer")

    def _until(self, is_so, limit):
        """Whether it became so in time. It looks again and again, a twentieth of the time waited
        apart: unlike a blocking wait that leaves no request behind when it gives up."""
        begin = time.monotonic()
        while not is_so():
            waited = time.monotonic() - begin
            if waited > limit:
                return False
            if self.ranks.ended.wait(min(max(waited / 20, _SHORTEST_PAUSE), _LONGEST_PAUSE)):
                raise CancelledError(f"{self.ranks.named([self.ranks.rank])} no longer waits for "
                                     "the others")
        return True


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


def _packed(value):
    packed = zlib.compress(json.dumps(value).encode(), 1)
    if len(packed) > _VALUE_BYTES:
        raise UsageError(f"{len(packed)} bytes are too much for ranks to tell each other")
    return packed


def _unpacked(packed):
    return json.loads(zlib.decompress(packed))
