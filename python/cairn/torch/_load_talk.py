"""What the library has the ranks of a load tell each other: what they want, and what one of them has
read for all."""

import contextlib
import datetime
import re
import threading

import torch
from torch import distributed

from ..errors import CancelledError, UnreachableError

_WHERE_GLOO_WAS = re.compile(r"^\[[^\]]*\] *")
_GRACE = 1.0  # seconds in which others come that are not gone, or say why they are


class LoadTalk:
    """Over a gloo group of this load's own, so that a load that fails leaves no collective behind in
    a group of the training's. The key-value store of the job tells what ranks failed with, and who
    is behind.

    connect() comes first, on all ranks at about the same time. exchange: of the load. watch: of its
    call. Errors of all: what another rank says that it failed with; CancelledError;
    UnreachableError naming the ranks that do not come."""

    def __init__(self, exchange, watch):
        self.missing = []
        self._exchange, self._ranks, self._watch = exchange, exchange.ranks, watch
        self._grace = min(_GRACE, self._ranks.timeout / 4)
        self._keys = f"{self._ranks.keys}/{exchange.name}/load"
        self._turn, self._has_failed = 0, False  # the calls that were begun
        self._group = None

    @property
    def is_connected(self):
        """Whether the ranks have met."""
        return self._group is not None

    def connect(self):
        """Meets the other ranks."""
        self._taking_part(self._connect)

    def all_gather(self, own, everyones):
        mine = _tensor_of(own)
        parts = list(_tensor_of(everyones).chunk(self._ranks.size)) if len(own) else []
        # Room of its own: after a time-out the group may still write to it.
        rooms = [torch.empty_like(part) for part in parts]
        self._call(lambda: self._group.allgather([rooms], [mine.clone()]))
        for part, room in zip(parts, rooms):
            part.copy_(room)

    def broadcast(self, data, root):
        whole, is_root = _tensor_of(data), root == self._ranks.rank
        room = whole.clone() if is_root else torch.empty_like(whole)
        options = distributed.BroadcastOptions()
        options.rootRank, options.rootTensor = root, 0
        self._call(lambda: self._group.broadcast([room], options))
        if not is_root:
            whole.copy_(room)

    def look(self):
        """While this rank waits in another way than by this talk: raises what ends the wait."""
        if self._watch.is_stopped:
            raise CancelledError("the load was stopped")
        self._raise_told()

    def end(self):
        """The load is over, and went well."""
        with contextlib.suppress(UnreachableError):
            self._forget(self._ranks.rank)

    def fail(self, error=None):
        """In place of end(), on all ranks. error: what this rank alone failed with, for those that
        wait for it."""
        with contextlib.suppress(UnreachableError):
            if error is not None and not self._has_failed:
                self._exchange.tell_failed(error)
            # Others may still ask where this rank is.
            self._ranks.ask("set", self._key(self._ranks.rank), str(-self._turn))
            self._let_go()
            if self._exchange.leave():
                for rank in range(self._ranks.size):
                    self._forget(rank)
            elif self._ranks.rank == 0:  # this process may hold the job's store
                self._ranks.until(self._have_ended, 2 * self._grace)

    def _forget(self, rank):
        self._ranks.ask("delete_key", self._key(rank))
        self._ranks.ask("delete_key", f"{self._keys}/0/{rank}")  # gloo's

    def _let_go(self):
        """Of the group: its end waits for what is under way, and nobody waits for that."""
        group, self._group = [self._group], None
        threading.Thread(target=group.clear, name="cairn: end of a group", daemon=True).start()

    def _connect(self):
        store = distributed.PrefixStore(self._keys, self._ranks.store())
        limit = datetime.timedelta(seconds=self._ranks.timeout)
        self._group = distributed.ProcessGroupGloo(store, self._ranks.rank, self._ranks.size, limit)

    def _call(self, begin):
        def work():
            under_way = begin()
            self._ranks.until(lambda: self._is_over(under_way), self._ranks.timeout)
            under_way.wait(datetime.timedelta(seconds=self._grace))

        self._taking_part(work)

    def _is_over(self, work):
        if work.is_completed():
            return True
        self.look()
        return False

    def _taking_part(self, work):
        """Errors: that of another rank, if it says one; UnreachableError when the group fails, as it
        does for ranks that are gone."""
        self._turn += 1
        self._ranks.ask("set", self._key(self._ranks.rank), str(self._turn))
        try:
            work()
        except RuntimeError as error:
            self._has_failed = True
            self._raise_failure_of_others()
            raise UnreachableError(self._failure(error), "see whether it still runs; timeout= waits "
                                   "longer") from error

    def _raise_failure_of_others(self):
        with contextlib.suppress(UnreachableError):
            self._ranks.until(lambda: self._exchange.find_failed() or not self._behind(),
                              self._grace)
            self.missing = self._behind()
            self._raise_told()

    def _raise_told(self):
        """What another rank has failed with, if one has said so."""
        try:
            self._exchange.check_failed()
        except Exception:
            self._has_failed = True
            raise

    def _failure(self, error):
        own = self._ranks.named([self._ranks.rank])
        if self.missing:
            return f"{self._ranks.named(self.missing)} did not answer {own}, which loads with it"
        with contextlib.suppress(UnreachableError):
            ended = [rank for rank, turn in enumerate(self._turns()) if turn < 0]
            if ended:
                return f"{self._ranks.named(ended)} no longer waited for {own}"
        told = _WHERE_GLOO_WAS.sub("", str(error)).partition(". ")[0].splitlines()
        return f"the ranks that load lost each other: {told[0] if told else 'unknown'}"

    def _behind(self):
        """The ranks that have not come to this call: rather those that have not ended."""
        behind = {rank: turn for rank, turn in enumerate(self._turns()) if abs(turn) < self._turn}
        return [rank for rank, turn in behind.items() if turn >= 0] or list(behind)

    def _have_ended(self):
        """Whether all have that came to the call."""
        return all(turn <= 0 for rank, turn in enumerate(self._turns())
                   if rank not in self.missing)

    def _turns(self):
        """At which call each rank is: negative when it has ended, 0 when it has not begun."""
        told = [self._ranks.read(self._key(rank)) for rank in range(self._ranks.size)]
        return [0 if each is None else int(each) for each in told]

    def _key(self, rank):
        return f"{self._keys}/at/{rank}"


def _tensor_of(view):
    if len(view) == 0:
        return torch.empty(0, dtype=torch.uint8)
    return torch.frombuffer(view, dtype=torch.uint8)
