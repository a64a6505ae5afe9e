"""Saves without collectives: each rank makes its plan alone, and they meet in the store."""

from torch import distributed

from .. import _saved
from . import _ranks


class Meeting:
    """rank: of this process. group: of the ranks that save; None: the whole job. timeout: how many
    seconds a rank waits for the others."""

    def __init__(self, rank, group, timeout):
        is_job = distributed.is_available() and distributed.is_initialized()
        self.rank, self._timeout = rank, timeout
        self._ranks = distributed.get_world_size(group) if is_job else 1
        self._job = _ranks.job_name(group) if self._ranks > 1 else ""

    def own(self, attachments):
        """The same under names that no other rank has."""
        return {_saved.name_of_rank(self.rank, name): content
                for name, content in attachments.items()}

    def wait(self, part, request):
        """Returns when the tag is there: whichever rank comes last makes it.
        Errors: UnreachableError naming the ranks that did not come; what it could not be made for.
        """
        part.meet(request, self.rank, self._ranks, self._timeout, self._job)
