"""Signs of life of the ranks of one talk, over the keys of a store of torch.distributed.

    RANK    [beats, moves]

A rank that works beats as long as its process runs, and moves when it gets on. One that only waits
has no beats (null); it moves when those that it waits for do.
"""

import contextlib
import json
import threading
import time

from ..errors import UnreachableError

LOOK = 5.0  # seconds, at most, from one look or beat to the next
_LOOKS_WITHOUT_BEAT = 6  # at a process that has ended, or hangs


class Life:
    """Of this rank, and what others tell of theirs. keys: what its keys begin with."""

    def __init__(self, ranks, keys):
        self._ranks, self._keys = ranks, keys
        self._lock = threading.Lock()
        self._beats, self._moves, self._is_told = None, 0, False

    @contextlib.contextmanager
    def working(self, progress):
        """While it lasts, others notice when this process is gone, and wait for it for as long as
        progress() changes. Errors: UnreachableError."""
        ended, last = threading.Event(), progress()

        def beat():
            nonlocal last
            with contextlib.suppress(UnreachableError):  # whoever waits will see
                while not ended.wait(min(LOOK, self._ranks.timeout / 4)):
                    before, last = last, progress()
                    self._tell(beats=1, moves=int(last != before))

        self._beats = 0
        self._tell()
        threading.Thread(target=beat, name="cairn: signs of life", daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            self._end()

    def move(self):
        """For a rank that waits: those that wait for it wait on."""
        self._tell(moves=1)

    def hush(self):
        """Nobody need wait for this rank, unless it works."""
        if self._beats is None:
            self._end()

    def told(self, rank):
        """(beats, moves) of a rank; None for what it does not tell."""
        told = self._ranks.read(self._key(rank))
        return (None, None) if told is None else tuple(json.loads(told))

    def _tell(self, beats=0, moves=0):
        with self._lock:
            if self._beats is None and beats:
                return  # the work has just ended
            self._beats = None if self._beats is None else self._beats + beats
            self._moves += moves
            self._is_told = True
            told = json.dumps([self._beats, self._moves])
            self._ranks.ask("set", self._key(self._ranks.rank), told)

    def _end(self):
        with self._lock, contextlib.suppress(UnreachableError):
            self._beats = None
            if self._is_told:
                self._is_told = False
                self._ranks.ask("delete_key", self._key(self._ranks.rank))

    def _key(self, rank):
        return f"{self._keys}/{rank}"


class Vigil:
    """One wait for some ranks: which of them are gone, or do not get on. limit: seconds."""

    def __init__(self, life, limit):
        self._life, self._limit = life, limit
        self.pause = min(LOOK, limit)  # before each look
        self._begin = time.monotonic()
        self._seen = {}  # rank -> _Seen

    def look(self, missing):
        """(those that are gone, those that have shown nothing for `limit` seconds). This rank moves
        where one of them has."""
        now, have_moved = time.monotonic(), False
        for rank in missing:
            seen = self._seen.setdefault(rank, _Seen(self._begin))
            have_moved = seen.take(*self._life.told(rank), now) or have_moved
        if have_moved:
            self._life.move()
        of_all = [(rank, self._seen[rank]) for rank in missing]
        return ([rank for rank, seen in of_all if seen.looks_without_beat >= _LOOKS_WITHOUT_BEAT],
                [rank for rank, seen in of_all if now - seen.moved_at >= self._limit])


class _Seen:
    """Of one rank."""

    def __init__(self, begin):
        self.moved_at, self.looks_without_beat = begin, 0
        self._beats = self._moves = None

    def take(self, beats, moves, now):
        """Whether it has moved since the last look."""
        is_still = beats is not None and beats == self._beats
        self.looks_without_beat = self.looks_without_beat + 1 if is_still else 0
        self._beats = beats
        has_moved = moves not in (None, self._moves)
        if has_moved:
            self._moves, self.moved_at = moves, now
        return has_moved
