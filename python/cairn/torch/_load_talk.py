"""What the library has the ranks of a load tell each other: what they want, and what one of them has
read for all."""

import contextlib
import datetime

import torch
from torch import distributed

from ..errors import UnreachableError

_GRACE = 1.0  # seconds in which others come that are not gone


class LoadTalk:
    """Over the process group that loads, by collectives of bytes; on a group of devices alone they
    pass through the memory of one. The key-value store of the job tells who is behind.

    Made in the thread that loads; used by one of the library's. name: no other load's."""

    def __init__(self, ranks, group, name):
        self.missing, self._has_failed = [], False
        self._grace = min(_GRACE, ranks.timeout / 4)
        self._ranks, self._group, self._device = ranks, group, device_of(group)
        self._keys = f"{ranks.keys}/{name}"
        self._turn = 0  # the calls that were begun
        self._limit = datetime.timedelta(seconds=ranks.timeout)

    def all_gather(self, own, everyones):
        mine = _tensor_of(own).to(self._device, copy=True)
        parts = [torch.empty_like(mine) for _ in range(self._ranks.size)]
        self._call(lambda: distributed.all_gather(parts, mine, self._group, async_op=True))
        _tensor_of(everyones).copy_(torch.cat(parts))

    def broadcast(self, data, root):
        # Room of its own: after a time-out the group may still write to it.
        room, is_root = _tensor_of(data), root == self._ranks.rank
        sent = (room.to(self._device, copy=True) if is_root
                else torch.empty(len(data), dtype=torch.uint8, device=self._device))
        source = distributed.get_global_rank(self._group, root)
        self._call(lambda: distributed.broadcast(sent, source, self._group, async_op=True))
        if not is_root:
            room.copy_(sent)

    def end(self):
        """The load is over. Where it has failed, others may still ask where this rank is."""
        with contextlib.suppress(UnreachableError):
            if not self._has_failed:
                self._ranks.ask("delete_key", self._key(self._ranks.rank))
                return
            self._ranks.ask("set", self._key(self._ranks.rank), str(-self._turn))
            if self._ranks.rank == 0:  # this process may hold the job's store
                self._ranks.until(self._have_ended, 2 * self._grace)

    def _call(self, begin):
        """Errors: UnreachableError when the group fails, which it does for ranks that are gone."""
        self._turn += 1
        self._ranks.ask("set", self._key(self._ranks.rank), str(self._turn))
        try:
            with _on(self._device):
                begin().wait(self._limit)
        except RuntimeError as error:
            self._has_failed = True
            with contextlib.suppress(UnreachableError):
                self._ranks.until(lambda: not self._behind(), self._grace)
                self.missing = self._behind()
            raise UnreachableError(self._failure(error), "see whether it still runs") from error

    def _failure(self, error):
        if self.missing:
            return (f"{self._ranks.named(self.missing)} did not answer "
                    f"{self._ranks.named([self._ranks.rank])}, which loads together with it")
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        return f"the process group that loads has failed: {told}"

    def _behind(self):
        """The ranks that have not come to this call."""
        return [rank for rank, turn in enumerate(self._turns()) if abs(turn) < self._turn]

    def _have_ended(self):
        """Whether all have that came to the call."""
        return all(turn <= 0 for rank, turn in enumerate(self._turns())
                   if rank not in self.missing)

    def _turns(self):
        """At which call each rank is: negative when it has ended, 0 when it has not begun."""
        told = [self._ranks.read(self._key(rank)) for rank in range(self._ranks.size)]
        return [0 if each is None else int(each) for each in told]

    def _key(self, rank):
        return f"{self._keys}/{rank}"


def device_of(group):
    """Where tensors must lie that a process group sends: the current device, of those it knows."""
    types = group._device_types
    if torch.device("cpu") in types:
        return torch.device("cpu")
    index = torch.get_device_module(types[0]).current_device()
    return torch.device(types[0].type, index)


def _on(device):
    """Threads of the library begin on the first device."""
    if device.type == "cpu":
        return contextlib.nullcontext()
    return torch.get_device_module(device).device(device)


def _tensor_of(view):
    if len(view) == 0:
        return torch.empty(0, dtype=torch.uint8)
    return torch.frombuffer(view, dtype=torch.uint8)
