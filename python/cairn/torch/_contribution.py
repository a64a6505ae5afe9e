"""What one rank brings to a save: what its plan has it write, resolved."""

from torch.distributed.checkpoint.planner import WriteItemType
from torch.distributed.checkpoint.storage import WriteResult

from .. import _roles, _tree
from . import _boxes, _values


class Contribution:
    """boxes, roles: for the save; attachments: name -> bytes; told: key -> (node, its values), as
    _metadata.attachments_of takes it; tensors: of the whole state, replicas included.
    Errors: what the planner raises, UsageError."""

    def __init__(self, planner, rank, roles, metadata):
        self.tensors, values = _boxes.state_of(planner)
        self.roles, self._given = _roles.of_save(roles, self.tensors, values, metadata)
        self.boxes, self.attachments, self.told = [], {}, {}
        self._written = []  # (index, bytes)
        self._planner, self._rank = planner, rank

    def __bool__(self):
        return bool(self.boxes or self.attachments)

    def take(self, items):
        """What the plan has this rank write."""
        for item in items:
            data = self._planner.resolve_data(item)
            if item.type == WriteItemType.BYTE_IO:
                self._take_bytes(item, data.getvalue())
            else:
                self._take_box(item, data)
                self._written.append((item.index, data.nbytes))
                self.told[item.index.fqn] = ("tensor", {})

    def hold(self, items):
        """Tensors that the plans of other ranks have: whoever stores what of them, they tell."""
        for item in items:
            self._take_box(item, self._planner.resolve_data(item))

    def results(self):
        """DCP's, which tell the coordinator."""
        return [WriteResult(index, size, self.told[index.fqn]) for index, size in self._written]

    def _take_box(self, item, data):
        box = _boxes.box_of(item, data, self._rank, self._given)
        if box is not None:
            self.boxes.append(box)

    def _take_bytes(self, item, data):
        key = item.index.fqn
        plain = _values.plain_of(data, key)
        if plain is None:
            self.attachments[_tree.BYTES + key] = data
        self._written.append((item.index, len(data)))
        self.told[key] = plain or ("bytes", {})
