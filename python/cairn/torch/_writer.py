"""torch.distributed.checkpoint saves to a store.

One save, as DCP calls it: all ranks reset() and plan; the coordinator looks at all plans
(prepare_global_plan) and tells each rank what to compare with; each rank stores its boxes
(write_data); the coordinator commits (finish). Until then there is no tag.
"""

import dataclasses
import re
import uuid

from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.metadata import StorageMeta
from torch.distributed.checkpoint.planner import WriteItemType
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future

from .. import _saving, _tree
from .._checkpoint import newest_beside
from ..errors import UsageError
from . import _agreement, _boxes, _ids, _metadata, _orders, _values
from ._place import Place


class StorageWriter(dcp.StorageWriter):
    """Makes dcp.save and dcp.async_save write tags.

        dcp.save(state, storage_writer=StorageWriter("/data/store"), checkpoint_id="run7/step-100")

    store: a cairn.Store, or a path where one is made when there is none; None where checkpoint_id
    is cairn:///folder/of/the/store#tag. checkpoint_id: for calls that give none.
    overwrite: replaces a tag that exists, as DCP's own writers do; False raises ExistsError before
    a byte is written. step: of the tag; None: the number of a name that ends in "step-100".
    metadata, roles, effort, pin: as in Store.save.
    Threads: one save at a time. Pickles: without a save that is under way.
    """

    def __init__(self, store=None, *, checkpoint_id=None, overwrite=True, roles="auto",
                 metadata=None, step=None, effort=None, pin=False):
        self._place = Place(store, checkpoint_id, create=True)
        self.overwrite = overwrite
        self.roles, self.metadata, self.step = roles, metadata, step
        self.effort, self.pin = effort, pin
        self._save_id = None
        self._orders = None
        self._part = None

    def __getstate__(self):
        return self.__dict__ | {"_orders": None, "_part": None}

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id):
        return _ids.is_url(checkpoint_id)

    @property
    def checkpoint_id(self):
        """What names the tag, as it was given."""
        return self._place.checkpoint_id

    def reset(self, checkpoint_id=None):
        self._end()
        self._place.reset(checkpoint_id)
        self._save_id = str(uuid.uuid4())

    def storage_meta(self):
        return StorageMeta(checkpoint_id=self.checkpoint_id, save_id=self._save_id)

    def set_up_storage_writer(self, is_coordinator, *args, **kwargs):
        pass

    def prepare_local_plan(self, plan):
        return dataclasses.replace(plan, storage_data=_agreement.forms_of(plan))

    def prepare_global_plan(self, plans):
        _agreement.check([plan.storage_data for plan in plans])
        tag = self._place.tag
        base = newest_beside(self._place.store, tag)
        orders = [_orders.Orders(tag, base, self._step(), rank) for rank in range(len(plans))]
        _orders.note(orders[0])  # where there is but this process, nothing is sent
        return [dataclasses.replace(plan, storage_data=order)
                for plan, order in zip(plans, orders)]

    def write_data(self, plan, planner):
        self._orders = _orders.take() or plan.storage_data
        if self._orders.tag != self._place.tag:
            raise UsageError(f"this rank saves '{self._place.tag}', the coordinator "
                             f"'{self._orders.tag}'")
        boxes, attachments, written = [], {}, []
        for item in plan.items:
            data = planner.resolve_data(item)
            if item.type == WriteItemType.BYTE_IO:
                written.append((item, *_take_bytes(item, data.getvalue(), attachments)))
            else:
                box = _boxes.box_of(item, data, self._orders.rank)
                boxes += [] if box is None else [box]
                written.append((item, data.nbytes, ("tensor", {})))
        if boxes or attachments:
            self._part = _saving.Part(self._place.store._handle, self._request(attachments), boxes)
        done = Future()
        done.set_result([WriteResult(item.index, size, (self._part and self._part.name, told))
                         for item, size, told in written])
        return done

    def _request(self, attachments, **options):
        return _saving.Request(self._orders.tag, self._orders.step, attachments=attachments,
                               base=self._orders.base, roles=self.roles, effort=self.effort,
                               if_exists="replace" if self.overwrite else "error", **options)

    def finish(self, metadata, results):
        _metadata.finish(metadata, self.storage_meta())
        results = [result for each in results for result in each]
        told = {result.index.fqn: result.storage_data[1] for result in results}
        parts = dict.fromkeys(result.storage_data[0] for result in results)
        request = self._request(
            _metadata.attachments_of(metadata, told), metadata=self.metadata or {}, pin=self.pin,
            parts=tuple(name for name in parts if name is not None))
        _saving.save(self._place.store._handle, request, ())
        self._end()

    def _end(self):
        """The tag is there, or was given up: what this rank has stored needs no protection."""
        if self._part is not None:
            self._part.end()
        self._part, self._orders = None, None

    def _step(self):
        if self.step is not None:
            return self.step
        named = re.search(r"step[-_=]?(\d+)$", self._place.tag)
        return int(named[1]) if named else None


def _take_bytes(item, data, attachments):
    """(size, what the coordinator is told): the value itself, or that an attachment has it."""
    key = item.index.fqn
    plain = _values.plain_of(data, key)
    if plain is None:
        attachments[_tree.BYTES + key] = data
    return len(data), plain or ("bytes", {})
