"""One talk of the ranks of a job, over the keys of a store of torch.distributed."""

import contextlib
import itertools
import json
import zlib

from ..errors import UnreachableError, UsageError, error_of
from ._life import Life, Vigil

VALUE_BYTES = 4 << 20  # TCPStore closes the connection over 8 MiB
_SETTLE = 10.0  # seconds: ranks look for an answer more often


class Exchange:
    """The same calls in the same order on all ranks. Its keys are gone when it is over, unless a
    rank was missing. name: no other talk's. missing: the ranks that the last call lacked."""

    def __init__(self, ranks, name, *, life=None, pack=None, unpack=None):
        self.ranks, self.missing = ranks, []
        self.name, self._keys = name, f"{ranks.keys}/{name}"
        self._life = life or Life(ranks, f"{self._keys}/life")
        self._pack, self._unpack = pack or _packed, unpack or _unpacked
        self._turns = itertools.count()
        self._turn = None
        self._given = None  # the key of what this rank said to one
        self._said = None  # and to all

    @contextlib.contextmanager
    def working(self, progress):
        """While it lasts, others notice when this process is gone, and go on waiting for this rank
        for as long as progress() changes. Errors: UnreachableError."""
        if self.ranks.size == 1:
            yield
            return
        with self._life.working(progress):
            yield

    def of_bytes(self, name):
        """Another talk of these ranks, beside this one: of bytes, VALUE_BYTES at most. Signs of
        life are those of this one."""
        return Exchange(self.ranks, f"{self.name}/{name}", life=self._life, pack=_marked,
                        unpack=_unmarked)

    def tell_failed(self, error):
        """That this rank cannot go on, to ranks that look for it. The first one's word counts.
        error: [number, message, hint]."""
        told = json.dumps([self.ranks.rank, *error])
        self.ranks.ask("compare_set", f"{self._keys}/failed", "", told)

    def check_failed(self):
        """For the `look` of a call. Errors: that of the first rank that could not go on."""
        failed = self.find_failed()
        if failed is not None:
            raise failed

    def find_failed(self):
        """The error of the first rank that could not go on, which names it; None without any."""
        told = self.ranks.read(f"{self._keys}/failed")
        if told is None:
            return None
        rank, number, message, hint = json.loads(told)
        return error_of(number, f"{self.ranks.named([rank])}: {message}", hint)

    def forget_failed(self):
        """All have ended that could look for it."""
        self.ranks.ask("delete_key", f"{self._keys}/failed")

    def leave(self):
        """In place of forget_failed() where nobody knows who ends last: all ranks call it then.
        Returns whether this one did."""
        is_last = self.ranks.ask("add", f"{self._keys}/left", 1) == self.ranks.size
        if is_last:
            self.forget_failed()
            self.ranks.ask("delete_key", f"{self._keys}/left")
        return is_last

    def skip_turn(self):
        """In place of a gather() on the rank that it goes to."""
        next(self._turns)

    def gather(self, value, to=0, look=None, again=False):
        """On rank `to`: the values of all ranks, in their order. On others: None, without a wait.
        look(): called again and again while ranks are missing; it may raise.
        again: in place of the call before, whose value could not be sent.
        Errors: UnreachableError naming the ranks that did not answer in time."""
        ranks = self.ranks
        self._turn = self._turn if again else next(self._turns)
        if ranks.rank != to:
            self._given = self._key(self._turn, ranks.rank)
            ranks.ask("set", self._given, self._pack(value))
            return None
        keys = {rank: self._key(self._turn, rank) for rank in range(ranks.size) if rank != to}
        try:
            self._wait(keys, ranks.timeout, look)
        except Exception:
            self._pass_over(keys.values())
            raise
        told = {rank: ranks.read(key) for rank, key in keys.items()}
        self.missing = [rank for rank, each in told.items() if each is None]
        if self.missing:
            raise UnreachableError(f"{ranks.named(self.missing)} has given up waiting for "
                                   f"{ranks.named([ranks.rank])}", "save again")
        for key in keys.values():
            ranks.ask("delete_key", key)
        return [value if rank == to else self._unpack(told[rank]) for rank in range(ranks.size)]

    def broadcast(self, value=None, of=0, look=None):
        """The value of rank `of`, on all ranks. It is waited for twice as long: that rank may have
        waited for others. look(): as for gather(). Errors: UnreachableError naming it."""
        ranks, key = self.ranks, self._key(next(self._turns), of)
        if ranks.rank == of:
            if ranks.size > 1:
                ranks.ask("set", key, self._pack(value))
                self._said = key
            return value
        try:
            self._wait({of: key}, 2 * ranks.timeout, look)
        except BaseException:
            self._take_back()
            with contextlib.suppress(UnreachableError):
                self._has_read(key)
            raise
        value = self._unpack(ranks.ask("get", key))
        self._has_read(key)
        return value

    def skip_broadcast(self, of=0):
        """In place of a broadcast() on a rank that does not wait for it."""
        self._has_read(self._key(next(self._turns), of))

    def _has_read(self, key):
        """The last rank takes the key away, which who said it may wait for."""
        if self.ranks.ask("add", key + "/read", 1) == self.ranks.size - 1:
            self.ranks.ask("delete_key", key)
            self.ranks.ask("delete_key", key + "/read")

    def settle(self, limit=_SETTLE):
        """On the rank that said something last: whether all heard it within `limit` seconds, half of
        the time-out at most: who has heard it may wait for what comes next already. Then it may end,
        and the job's store with it."""
        if self._said is None:
            return True
        said, self._said = self._said, None
        return self.ranks.until(lambda: not self.ranks.ask("check", [said]),
                                min(limit, self.ranks.timeout / 2))

    def _take_back(self):
        """What this rank has said to one that has not come."""
        if self._given is not None:
            self._pass_over([self._given])

    def _pass_over(self, keys):
        """What nobody will read."""
        with contextlib.suppress(UnreachableError):
            for key in keys:
                self.ranks.ask("delete_key", key)

    def _key(self, turn, rank):
        return f"{self._keys}/{turn}/{rank}"

    def _wait(self, keys, limit, look=None):
        """Until the keys of these ranks are there: as long as those that are missing show signs of
        life, each within `limit` seconds. Errors: UnreachableError naming who does not."""
        ranks, vigil = self.ranks, Vigil(self._life, limit)

        def find_missing():
            return [rank for rank, key in keys.items() if not ranks.ask("check", [key])]

        def are_there():
            if not keys or ranks.ask("check", list(keys.values())):
                return True
            if look is not None:
                look()
            return False

        try:
            while not ranks.until(are_there, vigil.pause):
                self.missing = find_missing()
                self._raise_missing(*vigil.look(self.missing), limit)
        finally:
            self._life.hush()

    def _raise_missing(self, gone, silent, limit):
        own = self.ranks.named([self.ranks.rank])
        if gone:
            raise UnreachableError(f"{self.ranks.named(gone)} no longer gives {own} signs of life",
                                   "see whether it still runs")
        if silent:
            raise UnreachableError(
                f"{self.ranks.named(silent)} did not answer {own} within {limit:g} s",
                "see whether it still runs; timeout= waits longer")


def _packed(value):
    packed = zlib.compress(json.dumps(value).encode(), 1)
    if len(packed) > VALUE_BYTES:
        raise UsageError(f"{len(packed)} bytes are too much for ranks to tell each other")
    return packed


def _unpacked(packed):
    return json.loads(zlib.decompress(packed))


def _marked(data):
    """Bytes that are not taken for a key's that is not there."""
    return b"\0" + data


def _unmarked(told):
    return told[1:]
