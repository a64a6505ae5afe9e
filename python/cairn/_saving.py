"""One save over the C ABI: boxes of tensors, attachments and choices become `cairn_save_request`.

All saves of the package come through here: `Store.save`, the asynchronous saver, and the writer
for torch.distributed.checkpoint.
"""

import collections.abc
import ctypes
import dataclasses
import json
import logging
import math
import os
import sys
import warnings

from . import _collector, _devices, _library, _memory, _notes, _roles, _tree
from ._records import Records
from .errors import CancelledError, ExistsError, StateWarning, UsageError

USER_CONTENT = "cairn_user_content.json"
_ROLES = ("auto", "none")
_COMPARISONS = ("sampled", "all", "none")
_PACKAGE = os.path.dirname(__file__)


@dataclasses.dataclass
class Request:
    """What a save is asked for; the fields of `cairn_save_request` (lib/cairn.h)."""

    tag: str
    step: object = None
    metadata: dict = dataclasses.field(default_factory=dict)  # values become text
    attachments: dict = dataclasses.field(default_factory=dict)  # name -> bytes
    base: object = None
    if_exists: str = "error"
    roles: object = "auto"
    effort: object = None
    pin: bool = False
    still: bool = False  # nothing writes to the tensors before the call returns
    parts: tuple = ()  # names of parts that other processes, or this one, have stored
    warnings: tuple = ()  # what was found odd about the state
    use: object = None  # _devices.Use of what is on devices; None: made by the call that saves
    watch: object = dataclasses.field(default_factory=_library.Watch)
    way_out: str = "choose another name, or if_exists=\"replace\""  # of a tag that exists


@dataclasses.dataclass
class Box:
    """A box of a tensor of the state."""

    name: str
    memory: object  # _memory.Memory
    writer: int = 0
    role: object = None
    parameter: object = None


def save(store, request, boxes, base_boxes=()):
    """Saves a tag to a cairn.Store. `boxes`: of Box, or Records. `base_boxes`: those of the base tag,
    if they are still in memory.
    Returns the JSON of `cairn import`; its warnings are warned of. Errors: any of cairn.Error."""
    call = _Call(request, boxes, base_boxes)
    told = ctypes.c_void_p()
    call.run("cairn_save", store, ctypes.byref(told))
    return _warned(json.loads(_library.take_text(told)))


def _warned(saved):
    _notes.log_once(saved.get("notes", ()))
    for text in saved["warnings"]:
        told = f"'{saved['tag']}': {text}"
        try:
            warnings.warn(told, StateWarning, stacklevel=_level_of_caller())
        except StateWarning:  # where warnings are errors: the tag is there all the same
            logging.getLogger("cairn").warning(told)
    return saved


def _level_of_caller():
    """How many frames up the code is that called the package, for a warning of the caller."""
    frame, level = sys._getframe(1), 1
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level


def take_apart(request, state, user_content=None, allow_pickle=False):
    """The _tree.Flat of a nested state; the request gets the attachments. Errors: UsageError."""
    _devices.refuse_capture()
    with _collector.paused():
        flat = _tree.flatten(state, allow_pickle)
        request.attachments = flat.attachments()
    if user_content is not None:
        request.attachments[USER_CONTENT] = as_json(user_content, "user_content")
    return flat


def describe(request, tensors, values):
    """{tensor's name: (role, parameter)}; the request gets the numbers of the step."""
    with _collector.paused():
        request.roles, given = _roles.of_save(request.roles, tensors, values, request.metadata)
    return given


def boxes_of(tensors, given, writer=0):
    """A Box for each box of the tensors that this process holds, as they lie. Errors: UsageError."""
    with _collector.paused():
        return [Box(name, memory, writer, *given.get(name, (None, None)))
                for name, value in tensors.items() for memory in _memory.memories_of(name, value)]


def base_of(store, tag):
    """The tag that a save compares with unless it is told: a name, or "none"."""
    told = ctypes.c_void_p()
    _library.call_waiting("cairn_base_of", store._handle, tag.encode(), ctypes.byref(told))
    return _library.take_text(told)


class Part:
    """What this process has stored of a tag that several save together (`cairn_save_part`).

    It protects its files until end(), so keep it until the tag is there. `request.base` is a tag's
    name or "none", and the same on all ranks; so are tag and step. `name` is for `Request.parts` of
    the process that makes the tag. group: a RankGroup of the ranks that store parts: what several of
    them hold is stored by one. Errors of the constructor: any of cairn.Error.
    """

    def __init__(self, store, request, boxes, base_boxes=(), group=None):
        call = _Call(request, boxes, base_boxes)
        if group is not None:
            call.give_group(group)
        self._store, self._handle = store, ctypes.c_void_p()
        call.run("cairn_save_part", store, ctypes.byref(self._handle))
        told = ctypes.c_void_p()
        _library.call("cairn_part_notes", self._handle, ctypes.byref(told))
        _notes.log_once(json.loads(_library.take_text(told)))
        self.name = _library.loaded().cairn_part_name(self._handle).decode()

    def meet(self, request, rank, ranks, timeout, job):
        """Waits until all ranks have stored their parts, and one has made the tag: for ranks that do
        not talk. `request` is the part's, without attachments; timeout in seconds; job: a text that
        is the same on all of them, and no other job's.
        Returns what save() does. Errors: UnreachableError naming the ranks that did not come."""
        call = _Call(request, ())
        call.give_job(job)
        told = ctypes.c_void_p()
        call.run("cairn_part_meet", self._store, rank, ranks, timeout, ctypes.byref(told),
                 part=self._handle)
        return _warned(json.loads(_library.take_text(told)))

    def end(self, remove=False):
        """remove: nobody has tried to make the tag, nor will: the files go at once. Otherwise gc
        takes what no tag needs, which is right whatever has happened."""
        handle, self._handle = self._handle, None
        if handle:
            _library.loaded().cairn_part_end(handle, remove)

    def __del__(self):
        if getattr(self, "_handle", None):
            self.end()


def as_json(value, what):
    """Errors: UsageError naming `what`."""
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what} does not fit JSON: {error}") from error


def check(request):
    """Refuses what ctypes would take for something else; makes the step an int. Errors: UsageError.
    """
    for what, text in (("the tag", request.tag), ("base", request.base),
                       ("if_exists", request.if_exists), ("effort", request.effort)):
        if text is not None:
            check_text(what, text)
    _library.call("cairn_check_tag", request.tag.encode())
    if isinstance(request.roles, str) and request.roles not in _ROLES:
        raise UsageError(f"roles is {request.roles!r}", f"it is one of {_ROLES}, or a dict")
    if request.step is not None:
        request.step = _integer(request.step)
    if not isinstance(request.metadata, collections.abc.Mapping):
        raise UsageError("metadata is a dict of short facts")


def check_comparison(choice):
    """Of replicas. Errors: UsageError."""
    if choice not in _COMPARISONS:
        raise UsageError(f"compare_replicas is {choice!r}", f"it is one of {_COMPARISONS}")


def check_text(what, text):
    """Errors: UsageError for what C would read otherwise, or not at all."""
    if not isinstance(text, str) or not _is_text(text):
        raise UsageError(f"{what} is {text!r}, which is no text")


def _integer(step):
    """Of an int, a number of NumPy, or a tensor of one element."""
    try:
        number = step.__index__()
    except (AttributeError, TypeError, RuntimeError):
        number = None
    if number is None or not -2**63 <= number < 2**63:
        raise UsageError(f"the step is {step!r}, which is no integer of 64 bits")
    return number


def _is_text(text):
    """Whether it has a form in UTF-8 and ends where it ends."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


class _Call:
    """The request as C sees it. What it points to lives as long as this."""

    def __init__(self, request, boxes, base_boxes=()):
        check(request)
        records, before = _records_of(boxes), _records_of(base_boxes)
        self._watch, self._way_out = request.watch, request.way_out
        self._kept = [records, before, boxes, base_boxes]
        roles = request.roles
        if not isinstance(roles, str):
            roles = as_json(roles, "roles").decode()
        self._request = _library.SaveRequest(
            struct_bytes=ctypes.sizeof(_library.SaveRequest), tag=_text(request.tag),
            tensors=records.pack(), tensor_count=len(records), tensor_bytes=records.element_bytes,
            step=request.step or 0, has_step=request.step is not None, pinned=request.pin,
            base=_text(request.base), if_exists=_text(request.if_exists),
            effort=_text(request.effort), roles=_text(roles), watch=self._watch.handle,
            base_memory=before.pack(), base_memory_count=len(before), still=request.still)
        self._use = self._give_devices(request.use, records)
        self._give_attachments(request.attachments)
        self._give_metadata(request.metadata)
        self._request.parts, self._request.part_count = self._texts(request.parts)
        self._request.warnings, self._request.warning_count = self._texts(request.warnings)

    def run(self, name, store, *arguments, part=None):
        """Errors: any of cairn.Error."""
        of = (store._handle,) if part is None else (store._handle, part)
        try:
            _library.call_stoppable(self._watch, name, *of, ctypes.byref(self._request), *arguments,
                                    keep=(self, store))
        except ExistsError as error:
            is_alone = name == "cairn_save" and not self._request.part_count
            together = ""
            if is_alone and (_memory.job_size() or 1) > 1:
                together = "; ranks that save one state together give group="
            raise ExistsError(error.message, self._way_out + together) from None
        except CancelledError:
            if self._use is not None:
                self._use.check()
            raise

    def _give_devices(self, use, records):
        """The _devices.Use of the call; None where all tensors are the host's."""
        if not records.on_devices:
            return None
        use = use or _devices.Use(records.on_devices)
        for name, value in use.fields().items():
            setattr(self._request, name, value)
        self._request.fence = use.fence(self._watch)
        self._kept.append(self._request.fence)
        return use

    def _give_attachments(self, attachments):
        array = (_library.Attachment * max(1, len(attachments)))()
        for at, (name, content) in enumerate(attachments.items()):
            data = ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p)
            array[at] = _library.Attachment(name.encode(), data, len(content))
        self._request.attachments, self._request.attachment_count = array, len(attachments)
        self._request.attachment_bytes = ctypes.sizeof(_library.Attachment)
        self._kept += [array, attachments]

    def _give_metadata(self, metadata):
        array = (_library.Pair * max(1, len(metadata)))()
        for at, (key, value) in enumerate(metadata.items()):
            text = _fact(key, value)
            array[at] = _library.Pair(str(key).encode(), text.encode())
        self._request.metadata, self._request.metadata_count = array, len(metadata)
        self._kept.append(array)

    def give_job(self, job):
        """Of Part.meet()."""
        self._request.job = _text(job)

    def give_group(self, group):
        """Of a Part."""
        self._request.group = group.pointer()
        self._kept.append(group)

    def _texts(self, texts):
        array = (ctypes.c_char_p * max(1, len(texts)))(*(text.encode() for text in texts))
        self._kept.append(array)
        return array, len(texts)


def _records_of(boxes):
    if isinstance(boxes, Records):
        return boxes
    records = Records()
    for box in boxes:
        records.add(box.name, box.memory, writer=box.writer, role=box.role,
                    parameter=box.parameter)
    return records


def _fact(key, value):
    """A value of the metadata as text. Errors: UsageError."""
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()  # a loss, of PyTorch or NumPy
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    text = value if isinstance(value, str) else as_json(value, f"the metadata '{key}'").decode()
    for what, told in ((f"the key {key!r} of the metadata", str(key)),
                       (f"the metadata '{key}'", text)):
        check_text(what, told)
    return text


def _text(value):
    return None if value is None else value.encode()
