"""States that differ from rank to rank (the stages of a pipeline) become one structure."""

import dataclasses

from .. import _tree
from ..errors import UsageError


@dataclasses.dataclass
class Structure:
    """A flattened state without its tensors; what ranks tell each other of it."""

    node: object  # as in the attachment cairn_structure.json
    values: dict  # name -> what JSON holds
    is_plain: bool  # a flat dict of tensors: it needs no attachment

    @classmethod
    def of(cls, flat):
        plain = {"dict": [[name, "tensor"] for name in flat.tensors]}
        return cls(flat.structure or plain, flat.values, flat.structure is None)

    def attachments(self):
        """name -> bytes."""
        return _tree.Flat(structure=None if self.is_plain else self.node,
                          values=self.values).attachments()


def refuse_objects(flat):
    """Errors: UsageError for Python objects of a rank whose state is not rank 0's."""
    if flat.objects:
        raise UsageError(f"'{next(iter(flat.objects))}' is a Python object of a rank whose state "
                         "has other names than rank 0's",
                         "ranks send each other no objects: leave it out there")


def united(structures):
    """One with all that any of them has; where several have a value, the first one's counts.
    Errors: UsageError naming what is of two kinds."""
    first = structures[0]
    node, values = first.node, dict(first.values)
    for other in structures[1:]:
        node = _tree.merged(node, other.node, _settled)
        values = {**other.values, **values}
    _check_names(node)
    return Structure(node, values, all(each.is_plain for each in structures))


def _check_names(node):
    names = set()
    for name, _ in _tree.leaves(node):
        if name in names:
            raise UsageError(f"two values that ranks save together are called '{name}' when keys are "
                             "joined with '.'", "rename one")
        names.add(name)


def _settled(one, other, name):
    """What is no dict on both."""
    if not (isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys()
            and "tied" not in one):
        raise UsageError(f"{name} is not the same on ranks that save together",
                         "give it another name on one of them")
    (kind, mine), = one.items()
    theirs = other[kind]
    if len(mine) != len(theirs):
        raise UsageError(f"{name} has {len(mine)} items on one rank, {len(theirs)} on another")
    return {kind: [_tree.merged(a, b, _settled, f"item {number} of {name}")
                   for number, (a, b) in enumerate(zip(mine, theirs))]}
