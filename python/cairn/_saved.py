"""How the state of a tag was nested, and its values that are no tensors.

Ranks that saved a tag without talking to each other could not make one structure of theirs: each
then has attachments of its own, under its number, and they are put together here.
"""

import functools

from . import _tree
from .errors import CorruptError

RANKS = "cairn_ranks/"


def name_of_rank(rank, name):
    """What a rank's own attachment is called that in other tags is `name`."""
    return f"{RANKS}{rank}/{name}"


class SavedState:
    """structure: as in _tree; None for a flat dict of tensors. values: name -> value, as JSON.
    rank: whose values count where ranks have their own; of what it lacks, the lowest rank's."""

    def __init__(self, checkpoint, rank=0):
        try:
            self._readers = _readers_of(checkpoint, rank)
            self._read_all()
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise CorruptError(f"the structure of the state in the tag '{checkpoint.tag}' is "
                               f"damaged: {error}", "its tensors can be exported: cairn help export"
                               ) from error

    def _read_all(self):
        self.structure, self.values = _tree.load_structure(self._readers[0])
        for read in self._readers[1:]:
            structure, values = _tree.load_structure(read)
            self.structure = _tree.merged(self.structure, structure, _first)
            self.values = values | self.values
        if self.structure is not None:
            _tree.check(self.structure, self.values)

    def read(self, name):
        """An attachment's bytes; None when there is none."""
        found = (read(name) for read in self._readers)
        return next((data for data in found if data is not None), None)


def _readers_of(checkpoint, rank):
    ranks = {int(name.split("/")[1]) for name in checkpoint.attachments if name.startswith(RANKS)}
    if not ranks:
        return [checkpoint.attachment]
    return [functools.partial(lambda each, name: checkpoint.attachment(name_of_rank(each, name)),
                              each)
            for each in sorted(ranks, key=lambda each: (each != rank, each))]


def _first(node, _, __):
    """Where ranks have different things of one name, the first one's counts."""
    return node
