"""torch.distributed.checkpoint loads from a store."""

import dataclasses
import math
import uuid

from torch.distributed import checkpoint as dcp
from torch.futures import Future

from ..errors import BusyError
from . import _metadata, _orders, _reading, _sharing
from ._opened import OpenedTag
from ._place import Place, Placed


@dataclasses.dataclass(frozen=True)
class _Chosen:
    """What the coordinator of a load tells each rank."""

    tag: str
    manifest: str
    rank: int  # number of the plan
    ranks: int
    shared: tuple  # of _sharing.Shared


class StorageReader(Placed, dcp.StorageReader):
    """Makes dcp.load read tags: of this package, of dcp.save, of `cairn import`.

        dcp.load(state, storage_reader=StorageReader("/data/store"), checkpoint_id="run7/@newest")

    store: a cairn.Store, a path or a URL; None where checkpoint_id is cairn:///folder/of/the/store#tag.
    checkpoint_id: for calls that give none; a tag's name, or "PREFIX/@newest".
    group: the process group of the load: what several of its ranks want is read by one of them and
    sent to the others, so the job reads the state once. None: each rank reads what it wants.
    allow_pickle: for objects that Store.save stored with allow_pickle=True.
    Threads: one load at a time. Pickles, without the group.
    """

    def __init__(self, store=None, *, checkpoint_id=None, group=None, allow_pickle=False):
        self._place = Place(store, checkpoint_id)
        self._group = group
        self.allow_pickle = allow_pickle
        self._load_id = None
        self._opened = None

    def __getstate__(self):
        return self.__dict__ | {"_group": None, "_opened": None}

    def reset(self, checkpoint_id=None):
        self._place.reset(checkpoint_id)
        self._load_id = str(uuid.uuid4())
        self._opened = None

    # DCP calls a second time, with a rank, where a parameter is called kwargs: for one file a rank.
    def read_metadata(self, *args, **options):
        self._opened = self._open(self._place.tag)
        return _metadata.metadata_of(self._opened, self._load_id)

    def _open(self, tag):
        return OpenedTag(self._place.store, tag, _orders.own_rank())

    def set_up_storage_reader(self, metadata, is_coordinator, *args, **kwargs):
        pass

    def prepare_local_plan(self, plan):
        return plan

    def prepare_global_plan(self, plans):
        shared = ()
        if self._group is not None:
            shared = _sharing.shared_boxes([_reading.boxes_of(plan) for plan in plans],
                                           self._bytes_of)
        # With the manifest: "@newest" may be another tag by now for a rank that looks later.
        tag, manifest = self._opened.checkpoint.tag, self._opened.checkpoint.manifest
        return [dataclasses.replace(plan, storage_data=_Chosen(tag, manifest, rank, len(plans),
                                                               shared))
                for rank, plan in enumerate(plans)]

    def _bytes_of(self, box):
        key, _, lengths = box
        return math.prod(lengths) * self._opened.tensor(key)[1].itemsize

    def read_data(self, plan, planner):
        chosen, exchange = plan.storage_data, None
        if self._group is not None:
            exchange = _sharing.Exchange(self._group, chosen.rank, chosen.ranks, chosen.shared)
        reading = _reading.Reading(lambda: self._open_chosen(chosen), planner, exchange,
                                   self.allow_pickle)
        reading.run(plan)
        done = Future()
        done.set_result(None)
        return done

    def _open_chosen(self, chosen):
        if self._opened.checkpoint.manifest != chosen.manifest:
            self._opened = self._open(chosen.tag)
        if self._opened.checkpoint.manifest != chosen.manifest:
            raise BusyError(f"the tag '{chosen.tag}' was replaced while it was being loaded",
                            "try again")
        return self._opened
