"""One read_data of torch.distributed.checkpoint: what a plan asks for, from an opened tag."""

import io

from torch.distributed.checkpoint.planner import LoadItemType

from .. import _checkpoint, _collector, _tree
from ..errors import UsageError
from . import _values
from ._filling import Filling


def box_of(item):
    """(key, offsets, lengths) of a ReadItem, in the whole tensor."""
    index = item.storage_index
    start = index.offset or [0] * len(item.lengths)
    return index.fqn, tuple(map(sum, zip(start, item.storage_offsets))), tuple(item.lengths)


def boxes_of(plan):
    return [box_of(item) for item in plan.items if item.type == LoadItemType.TENSOR]


class Reading:
    """open_tag: gives the OpenedTag. exchange: a _sharing.Exchange; None: this rank reads all that
    it wants."""

    def __init__(self, open_tag, planner, exchange, allow_pickle):
        self._open_tag, self._planner, self._exchange = open_tag, planner, exchange
        self._allow_pickle = allow_pickle
        self._opened = self._filling = None
        self._committed = []  # (item, target)
        self._values = []  # (item, what gives its bytes once all is loaded)
        self._sent, self._received = {}, {}  # for the exchange, by box

    def run(self, plan):
        """Errors: any of cairn.Error, and what the planner raises."""
        error = None
        try:
            self._read(plan)
        except BaseException as caught:  # other ranks may be waiting: they are told first
            error = caught
        if self._exchange is not None:
            self._exchange.agree(error)
            self._exchange.run(self._sent, self._received)
        elif error is not None:
            raise error
        for item, target in self._committed:
            self._planner.commit_tensor(item, target)
        for item, bytes_of in self._values:
            self._planner.load_bytes(item, io.BytesIO(bytes_of()))

    def _read(self, plan):
        with _collector.paused():
            self._opened = self._open_tag()
            self._filling = Filling(self._opened)
            for item in plan.items:
                if item.type == LoadItemType.TENSOR:
                    self._take_tensor(item)
                else:
                    self._values.append((item, self._bytes_of(item.storage_index.fqn)))
        if self._exchange is not None:
            self._exchange.check(self._sent, self._received)
        self._filling.run()

    def _take_tensor(self, item):
        target = self._planner.resolve_tensor(item).detach()
        key, offsets, lengths = box = box_of(item)
        if tuple(target.shape) != lengths:
            raise UsageError(f"tensor '{key}': the plan has a box of {list(lengths)}, its target is "
                             f"{list(target.shape)}")
        self._committed.append((item, target))
        is_known = box in self._sent or box in self._received
        if self._exchange is not None and not is_known and self._exchange.gets(box):
            self._received[box] = (target, self._opened.tensor(key)[1])
        else:
            self._sent.setdefault(box, self._filling.add(key, offsets, target))

    def _bytes_of(self, key):
        """A call that gives them when the load is done."""
        read = self._opened.saved.read
        node = self._opened.node(key)
        if node == "bytes":
            return lambda: read(_tree.BYTES + key)
        arrays = _tree.arrays_of(node, key)
        made = {name: self._filling.add_new(name, _checkpoint.new_array if name in arrays
                                            else _checkpoint.new_tensor)
                for name in _tree.stored_in(node, key)}
        objects = _tree.load_objects(read, node, self._allow_pickle, key)
        return lambda: _values.bytes_of(
            _tree.unflatten(node, made, self._opened.saved.values, objects, key))
