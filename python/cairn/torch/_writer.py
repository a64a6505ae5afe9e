"""torch.distributed.checkpoint saves to a store.

One save, as DCP calls it: all ranks reset() and plan; the coordinator looks at all plans
(prepare_global_plan) and tells each rank what to compare with; where replicas lie on devices, ranks
find out by digests who stores what; each rank stores its boxes (write_data); the coordinator commits
(finish). Until then there is no tag.
"""

import dataclasses
import uuid

from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.metadata import MetadataIndex, StorageMeta
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future

from .. import _collector, _devices, _notes, _saving
from .._pushes import Pushes
from ..errors import UsageError
from . import _agreement, _dealing, _metadata, _orders, _ranks, _tripwires, _writer_talk
from ._contribution import Contribution
from ._job import step_of
from ._meeting import Meeting
from ._place import Place, Placed


class _Aside(WriteResult):
    """A result beside those of the plan, one of each rank: the name of its part, or None, and what
    the coordinator compares replicas by."""


class StorageWriter(Placed, dcp.StorageWriter):
    """Makes dcp.save and dcp.async_save write tags.

        dcp.save(state, storage_writer=StorageWriter("/data/store"), checkpoint_id="run7/step-100")

    store: a cairn.Store, or a path or s3:// URL, where one is made when there is none and the ranks
    talk; None where checkpoint_id is cairn:///folder/of/the/store#tag.
    checkpoint_id: for calls that give none.
    overwrite: replaces a tag that exists, as DCP's own writers do; False raises ExistsError before
    a byte is written.
    step: of the tag; None: the number of a name that ends in "step-100".
    metadata, roles, effort, pin, compare_replicas: as in Store.save.
    group: for use_collectives=False: the process group of the save (None: the whole job).
    timeout: for how many seconds ranks wait for each other, with use_collectives=False and where
    they find replicas on devices by digests.
    push_to, push_backlog: as for AsyncSaver: the coordinator pushes each tag that it has made, and a
    save that would have more wait ends when there is room. What a push fails with is logged, or
    raised by wait_pushed().
    Threads: one save at a time. Pickles, without the group, and without a save under way.
    """

    def __init__(self, store=None, *, checkpoint_id=None, overwrite=True, roles="auto",
                 metadata=None, step=None, effort=None, pin=False, compare_replicas="sampled",
                 group=None, timeout=600, push_to=None, push_backlog=4):
        _saving.check_comparison(compare_replicas)
        self._place = Place(store, checkpoint_id)
        self.overwrite = overwrite
        self.roles, self.metadata, self.step = roles, metadata, step
        self.effort, self.pin = effort, pin
        self.compare_replicas = compare_replicas
        self._pushes = None if push_to is None else Pushes(push_to, push_backlog)
        self._save_id = None
        self._group, self._timeout = group, timeout
        self._meeting = None
        self._told = None  # the items that this rank told its planner of
        self._orders = None
        self._talk = None
        self._part = None
        self._own = None
        self._seals = {}
        self._told_roles = "auto"

    def __getstate__(self):
        return self.__dict__ | {"_group": None, "_told": None, "_orders": None, "_talk": None,
                                "_part": None, "_own": None, "_seals": {}}

    def reset(self, checkpoint_id=None):
        self._end()
        self._place.reset(checkpoint_id)
        self._save_id = str(uuid.uuid4())

    def storage_meta(self):
        return StorageMeta(checkpoint_id=self.checkpoint_id, save_id=self._save_id)

    def set_up_storage_writer(self, is_coordinator, *args, **kwargs):
        self._meeting = None
        if not kwargs.get("use_collectives", True):
            self._meeting = Meeting(kwargs["rank"], self._group, self._timeout)
        # Without collectives nobody tells the others when it is made.
        self._place.create = is_coordinator and self._meeting is None

    def prepare_local_plan(self, plan):
        self._told = plan.items if getattr(plan, "usable", True) else None
        brought = _agreement.Brought(_agreement.forms_of(plan), _dealing.boxes_of(plan))
        return dataclasses.replace(plan, storage_data=brought)

    def prepare_global_plan(self, plans):
        brought = [plan.storage_data for plan in plans]
        _agreement.check([each and each.forms for each in brought])
        boxes = [each and each.boxes for each in brought]
        tag = self._place.tag
        base = _saving.base_of(self._place.store, tag)
        ranks = range(len(plans)) if self._meeting is None else [self._meeting.rank]
        talk = _writer_talk.name_for(len(plans), self.compare_replicas)
        is_complete = talk is not None and _dealing.are_complete(plans, boxes)
        orders = [_orders.Orders(tag, base, self._step(), rank, len(plans), len(plan.items),
                                 is_complete, talk, *change)
                  for rank, plan, change in zip(ranks, plans, _dealing.deal(plans, boxes))]
        _orders.note(orders[0])  # where there is but this process, nothing is sent
        return [dataclasses.replace(plan, storage_data=order)
                for plan, order in zip(plans, orders)]

    def write_data(self, plan, planner):
        self._orders = _orders.take() or plan.storage_data
        self._talk = _writer_talk.Talk(self._orders, self._timeout)
        with self._talk.taken_part_in():
            results = self._write(plan, planner)
        done = Future()
        done.set_result(results)
        return done

    def _write(self, plan, planner):
        self._check()
        own, is_by_digest = self._brought(plan, planner)
        self._told_roles = own.roles
        if self._meeting is not None:
            self._own = own  # what it is called follows from the metadata, which comes next
        elif own or is_by_digest:
            self._store(own, own.attachments, is_by_digest)
        return [*own.results(), self._aside(own.tensors, is_by_digest)]

    def _check(self):
        _devices.refuse_capture()
        if self._orders.tag != self._place.tag:
            raise UsageError(f"this rank saves '{self._place.tag}', the coordinator "
                             f"'{self._orders.tag}'")

    def _brought(self, plan, planner):
        """This rank's Contribution, and whether it has all that this rank holds, for digests to tell
        who stores what."""
        with _collector.paused():
            own = Contribution(planner, self._orders.rank, self.roles, self.metadata)
        held = _orders.held_with(plan, self._orders, self._told)
        is_by_digest = self._talk.finds_by_digest(None if held is None else own.tensors,
                                                  self.compare_replicas)
        with _collector.paused():
            items = plan.items if is_by_digest else self._orders.items_of(plan)
            own.take(items)
            own.hold(_dealing.left_by(items, held) if is_by_digest else ())
        return own, is_by_digest

    def _aside(self, tensors, is_by_digest):
        turn = _tripwires.turn_of(self._orders.tag, self._orders.step)
        # What is digested anyway is compared whole. Where ranks do not talk, each stores all its
        # replicas: they are compared by what is stored.
        is_compared = is_by_digest or self._meeting is not None
        self._seals = _tripwires.seals(tensors, turn,
                                       "none" if is_compared else self.compare_replicas)
        told = {label: seal.digests for label, seal in self._seals.items()}
        return _Aside(MetadataIndex(""), 0, (self._part and self._part.name, told))

    def _store(self, own, attachments, is_by_digest=False):
        store_part = self._talk.store_part if is_by_digest else _saving.Part
        self._part = store_part(self._place.store, self._request(attachments, roles=own.roles),
                                own.boxes)

    def _request(self, attachments, **options):
        return _saving.Request(self._orders.tag, self._orders.step, attachments=attachments,
                               base=self._orders.base, effort=self.effort,
                               if_exists="replace" if self.overwrite else "error",
                               way_out="choose another name, or overwrite=True", **options)

    def finish(self, metadata, results):
        _metadata.finish(metadata, self.storage_meta())
        if self._meeting is not None:
            self._meet(metadata)
        else:
            self._unite(metadata, results)
        is_first = self._meeting is None or self._meeting.rank == 0
        self._end()
        if self._pushes is not None and is_first:
            self._push()

    def _push(self):
        _notes.log_once(map(str, self._pushes.take_untold()))
        self._pushes.wait_for_room()
        self._pushes.add(self._place.store, self._place.tag)

    def wait_pushed(self, timeout=None):
        """Whether all tags of this process are pushed, or failed to be, within `timeout` seconds.
        Raises what one failed with, if nobody was told yet."""
        return self._pushes is None or self._pushes.wait_told(timeout)

    def _unite(self, metadata, results):
        asides = [result.storage_data for each in results for result in each
                  if isinstance(result, _Aside)]
        told = {result.index.fqn: result.storage_data for each in results for result in each
                if not isinstance(result, _Aside)}
        names = {label: seal.names for label, seal in self._seals.items()}
        request = self._request(
            _metadata.attachments_of(metadata, told), **self._facts(),
            parts=tuple(part for part, _ in asides if part is not None),
            warnings=_tripwires.differences([seals for _, seals in asides], names, _ranks.named))
        _saving.save(self._place.store, request, ())

    def _meet(self, metadata):
        own, self._own = self._own, None
        about = _metadata.attachments_of(metadata, own.told, always=True)
        self._store(own, self._meeting.own(own.attachments | about))
        self._meeting.wait(self._part, self._request({}, **self._facts()))

    def _facts(self):
        return {"metadata": self.metadata or {}, "pin": self.pin, "roles": self._told_roles}

    def _end(self):
        """The tag is there, or was given up: what this rank has stored needs no protection."""
        if self._part is not None:
            self._part.end()
        self._part = self._orders = self._talk = self._own = self._told = None
        self._seals = {}

    def _step(self):
        if self.step is not None:
            return self.step
        return step_of(self._place.tag)
