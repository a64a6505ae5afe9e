"""torch.distributed.checkpoint loads from a store."""

import dataclasses
import io
import uuid

from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.planner import LoadItemType
from torch.futures import Future

from .. import _checkpoint, _tree
from ..errors import BusyError, NotFoundError, UsageError
from . import _ids, _keys, _metadata, _values
from ._filling import Filling
from ._place import Place


class StorageReader(dcp.StorageReader):
    """Makes dcp.load read tags: of this package, of dcp.save, of `cairn import`.

        dcp.load(state, storage_reader=StorageReader("/data/store"), checkpoint_id="run7/@newest")

    store: a cairn.Store or a path; None where checkpoint_id is cairn:///folder/of/the/store#tag.
    checkpoint_id: for calls that give none; a tag's name, or "PREFIX/@newest".
    allow_pickle: for objects that Store.save stored with allow_pickle=True.
    Threads: one load at a time. Pickles.
    """

    def __init__(self, store=None, *, checkpoint_id=None, allow_pickle=False):
        self._place = Place(store, checkpoint_id, create=False)
        self.allow_pickle = allow_pickle
        self._load_id = None
        self._checkpoint = None
        self._leaves, self._values = {}, {}

    def __getstate__(self):
        return self.__dict__ | {"_checkpoint": None, "_leaves": {}, "_values": {}}

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id):
        return _ids.is_url(checkpoint_id)

    @property
    def checkpoint_id(self):
        """What names the tag, as it was given."""
        return self._place.checkpoint_id

    def reset(self, checkpoint_id=None):
        self._place.reset(checkpoint_id)
        self._load_id = str(uuid.uuid4())
        self._checkpoint = None

    def read_metadata(self, *args, **options):
        self._open(self._place.tag)
        return _metadata.metadata_of(self._checkpoint, self._leaves, self._load_id)

    def _open(self, tag):
        self._checkpoint = _checkpoint.Checkpoint(self._place.store._handle, tag)
        structure, self._values = _tree.load_structure(self._checkpoint.attachment)
        if structure is None:
            structure = {"dict": [[name, "tensor"] for name in self._checkpoint.tensors]}
        self._leaves = _keys.leaves_of(structure)

    def set_up_storage_reader(self, metadata, is_coordinator, *args, **kwargs):
        pass

    def prepare_local_plan(self, plan):
        return plan

    def prepare_global_plan(self, plans):
        # "@newest" may be another tag by now for a rank that looks later.
        chosen = (self._checkpoint.tag, self._checkpoint.manifest)
        return [dataclasses.replace(plan, storage_data=chosen) for plan in plans]

    def read_data(self, plan, planner):
        self._open_chosen(*plan.storage_data)
        filling = Filling(self._checkpoint)
        targets = [self._add_tensor(item, planner, filling) for item in plan.items
                   if item.type == LoadItemType.TENSOR]
        values = [self._add_value(item, filling) for item in plan.items
                  if item.type == LoadItemType.BYTE_IO]
        filling.run()
        for item, target in targets:
            planner.commit_tensor(item, target)
        for item, bytes_of in values:
            planner.load_bytes(item, io.BytesIO(bytes_of()))
        done = Future()
        done.set_result(None)
        return done

    def _open_chosen(self, tag, manifest):
        if self._checkpoint.manifest != manifest:
            self._open(tag)
        if self._checkpoint.manifest != manifest:
            raise BusyError(f"the tag '{tag}' was replaced while it was being loaded", "try again")

    def _add_tensor(self, item, planner, filling):
        """(item, the tensor to commit)."""
        index = item.storage_index
        target = planner.resolve_tensor(item).detach()
        if target.shape != item.lengths:
            raise UsageError(f"tensor '{index.fqn}': the plan has a box of {list(item.lengths)}, "
                             f"its target is {list(target.shape)}")
        start = index.offset or [0] * len(item.lengths)
        offsets = tuple(map(sum, zip(start, item.storage_offsets)))
        _, node = self._leaf(index.fqn)
        filling.add(_keys.stored_name(index.fqn, node), offsets, target)
        return item, target

    def _leaf(self, key):
        if key not in self._leaves:
            raise NotFoundError(f"there is no '{key}' in the tag '{self._checkpoint.tag}'")
        return self._leaves[key]

    def _add_value(self, item, filling):
        """(item, what gives its bytes once all is loaded)."""
        key = item.storage_index.fqn
        _, node = self._leaf(key)
        if node == "bytes":
            return item, lambda: self._checkpoint.attachment(_tree.BYTES + key)
        arrays = _tree.arrays_of(node, key)
        made = {name: filling.add_new(name, _checkpoint.new_array if name in arrays
                                      else _checkpoint.new_tensor)
                for name in _tree.stored_in(node, key)}
        return item, lambda: _values.bytes_of(self._value(node, key, made))

    def _value(self, node, key, made):
        read = self._checkpoint.attachment
        objects = _tree.load_objects(read, node, self.allow_pickle, key)
        return _tree.unflatten(node, made, self._values, objects, key)
