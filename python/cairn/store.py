"""A store, from Python. Saving and loading run in C++ threads without the interpreter's lock;
what needs the store's index or its policies is done by the program `cairn`."""

import ctypes
import dataclasses
import datetime
import json
import os
import re

from . import _into, _library, _loading, _memory, _program, _saving
from ._checkpoint import Checkpoint
from .errors import CorruptError, ExistsError, NoStoreError, UsageError


@dataclasses.dataclass(frozen=True)
class Tag:
    """What `cairn ls` says of a tag.

    manifest: the digest of the checkpoint, the same for equal ones.
    created: when it was committed, in UTC.
    step: a number, or None.
    logical_bytes: of all tensors.
    new_bytes: of the chunks that the store did not hold before, decoded.
    metadata: texts by name.
    """

    tag: str
    manifest: str
    created: datetime.datetime
    step: object
    logical_bytes: int
    new_bytes: int
    pinned: bool
    metadata: dict


def _time(text):
    # fromisoformat knows microseconds at most, and "Z" only since Python 3.11
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(f"{seconds}.{(fraction + '000000')[:6]}+00:00")


def name_of(tag):
    """A tag's name, of that or of a Tag. Errors: UsageError."""
    name = tag.tag if isinstance(tag, Tag) else tag
    _saving.check_text("the tag", name)
    return name


def _check_choices(into, map_location, rename):
    """Errors: UsageError for what a load would pass over or stumble over."""
    if into is not None and map_location is not None:
        raise UsageError("map_location means nothing where tensors are filled where they lie",
                         "leave it out, or leave out into=")
    if isinstance(map_location, dict) or callable(map_location):
        raise UsageError("map_location is a device here: the tag does not say where tensors were",
                         "give \"cuda:0\" or torch.device(...)")
    if rename is not None and not hasattr(rename, "items"):
        raise UsageError("rename is {regular expression: replacement}")


def place_of(store):
    """Of a Store, or what it is made from: a folder from the root on, wherever the process goes; a
    URL as it is."""
    text = _words_of(store)
    # One that is written wrong is told by the library.
    if re.match("(s3|https?):", text, re.IGNORECASE) or ("://" in text and not text.startswith("file://")):
        return text if text.endswith("://") else text.rstrip("/")
    return os.path.abspath(text.removeprefix("file://"))


def _words_of(store):
    """The same as the caller has it."""
    return store.path if isinstance(store, Store) else os.fsdecode(store)


class Store:
    """A store: its folder, or the URL of one (docs/REMOTES.md): s3://bucket/prefix, or https:// to
    load from. Tags are given by name, or as Tag.

    show(), diff(), forget(), gc(), check(), push() and pull() take the flags of their commands, with '_' for '-':
    keep_last=5 is --keep-last 5, read_data=True is --read-data. docs/cli has a page for each.

    path: the folder or URL; as an attribute, absolute.
    create: makes an empty store when there is none.
    Threads: any, also calls at the same time. After a fork a child opens one of its own. Pickles.
    Errors: NoStoreError, NewerFormatError, UsageError; with create ExistsError for a folder that
    holds other files.
    """

    def __init__(self, path, *, create=False):
        self.path = place_of(path)
        self._handle = ctypes.c_void_p()
        try:
            self._open(self.path)
        except NoStoreError:
            if not create:
                self._open(_words_of(path))  # fails again, and sees by the words if a URL was meant
                return
            self._make()

    def _make(self):
        try:
            _library.call_waiting("cairn_init", os.fsencode(self.path))
        except ExistsError as occupied:
            # By what another rank has made just now, or by something else.
            try:
                self._open(self.path)
            except NoStoreError:
                raise occupied from None
        else:
            self._open(self.path)

    def _open(self, place):
        _library.call_waiting("cairn_open", os.fsencode(place), ctypes.byref(self._handle))

    def __del__(self):
        if getattr(self, "_handle", None):
            _library.loaded().cairn_close(self._handle)
            self._handle = None

    def __repr__(self):
        return f"cairn.Store({self.path!r})"

    def __reduce__(self):
        return Store, (self.path,)

    def save(self, tag, state_dict, *, user_content=None, metadata=None, step=None, base=None,
             if_exists="error", roles="auto", effort=None, pin=False, allow_pickle=False,
             group=None, timeout=None, compare_replicas="sampled"):
        """Saves a nested state (dicts, lists, tensors on any device, arrays, plain values) as a tag.

        The tag is complete and durable when this returns, or does not exist. Nothing may write to the
        tensors until then: where that is noticed, UsageError and no tag. Tensors that share
        their memory exactly are stored once and are one tensor again after a load. CUDA tensors are
        digested where they lie, after what was enqueued on the current streams; what differs from
        the base is copied to the host (cairn.torch.device_options()).
        step: of the training; a number that policies and warnings go by.
        user_content: anything that JSON holds; read back by `user_content()`.
        metadata: short facts for people and policies; values are kept as text, a loss that is NaN
        too.
        base: the tag to compare with, "none", or None for the newest of the tag's prefix.
        if_exists: what to do about a tag of that name: "error"; "same", which is fine where it is the
        same checkpoint; "replace".
        effort: how hard to try to store few bytes: "fast", "balanced" (None), "small".
        pin: policies of forget() pass the tag over.
        allow_pickle: keeps other Python objects as pickles, which a load must ask for as well.
        roles: "auto": told from the optimizers in the state, or by names; cairn.torch.roles_of();
        "none"; or a dict like a roles file (`cairn help import`).
        group: a process group of torch.distributed whose ranks all make this call; without one, all
        ranks of the job make it where tensors are cut among them. What all hold is stored by one.
        timeout: seconds that a rank waits for a sign of life of another; None: 600.
        compare_replicas: whether what several ranks hold is the same: "sampled", a stretch of each
        tensor, another one at each save; "all"; "none". What differs gets a StateWarning.
        Returns a dict: tag, manifest, logical_bytes, new_bytes, reused_bytes, stored_bytes, ...
        Threads: any. The work is done in C++, without the interpreter's lock.
        Errors: UsageError naming the key (also for sparse, quantized, complex128 and meta tensors),
        and while a CUDA graph is being captured; ExistsError, NoSpaceError, BusyError, NoStoreError;
        UnreachableError naming ranks.
        """
        _saving.check_comparison(compare_replicas)
        request = _saving.Request(tag, step, metadata or {}, {}, base, if_exists, roles, effort, pin)

        def take_apart():
            return _saving.take_apart(request, state_dict, user_content, allow_pickle)

        if group is not None or _memory.is_of_several_ranks(state_dict):
            from .torch import _saves  # which imports PyTorch

            return _saves.save(self, group, request, take_apart, compare_replicas, timeout)
        flat = take_apart()
        given = _saving.describe(request, flat.tensors, flat.values)
        return _saving.save(self, request, _saving.boxes_of(flat.tensors, given))

    def load(self, tag, into=None, *, tensors=None, map_location=None, dtype=None, rename=None,
             strict=True, allow_pickle=False, group=None, timeout=None):
        """Loads a tag (a name, or "PREFIX/@newest").

        into: a nested state, or a module, optimizer or scheduler. Its tensors are filled where they
        lie, in any strides; those on the meta device are made anew. Plain values (a learning rate, a
        step) become the tag's, unless tensors= or rename= choose: in the state that is returned, which
        is `into` itself, so what state_dict() made goes to load_state_dict() again. Empty dicts take
        what the tag has there, as of an optimizer that has not stepped. Shapes are the
        tag's, of whole tensors; a DTensor gets the box that this rank holds, whoever saved it.
        None: the state as it was saved.
        map_location: the device of what is made, without `into`; else the CPU. Tensors on CUDA
        devices are filled there.
        tensors: a glob of stored names, or several; what does not match is left out.
        dtype: what floats become; with `into`: lets dtypes differ, elements are converted.
        rename: {regular expression: replacement} for stored names.
        strict: names that only one side has are an error (with `tensors`, those chosen that the
        state has not); else they are passed over.
        allow_pickle: loads Python objects that were saved with it; they may run any code.
        group: a process group of torch.distributed whose ranks all make this call, each for what it
        wants: what several want is read from the store by one of them and passed on to the others.
        None: each reads all that it wants. timeout: as in save().
        Returns the state, or what `into` was. Every byte was checked against its digest.
        Threads: any, also loads at the same time; those of a group one after the other, in the same
        order on all ranks.
        Errors: NotFoundError; UsageError with all that does not fit, or while a CUDA graph is being
        captured; CorruptError naming the place, after which tensors of `into` may hold anything;
        with `group` those of other ranks, which are named, and UnreachableError.
        """

        def fill(checkpoint):
            _check_choices(into, map_location, rename)
            if into is None:
                return _loading.load_new(checkpoint, tensors, map_location, dtype, rename,
                                         allow_pickle)
            choice = _into.Choice(tensors, dtype, rename, strict, allow_pickle)
            if hasattr(into, "load_state_dict"):
                return _into.load_into_module(checkpoint, into, choice)
            return _into.load_into(checkpoint, into, choice)

        if group is not None:
            from .torch import _loads  # which imports PyTorch

            return _loads.load(self, tag, group, timeout, fill)
        return fill(Checkpoint(self, name_of(tag)))

    def push(self, place, *tags, **flags):
        """Brings tags of this store to another: only what that lacks. place: a Store, or a folder, or
        s3://bucket/prefix; where there is no store one is made. Takes the flags of `cairn push`.
        Returns its JSON, of one tag or, of several, {"tags": [...]}.
        Errors: NotFoundError, ExistsError, NoSpaceError; UnreachableError and AuthError of a remote."""
        return _program.run(self.path, "push", _words_of(place), *map(name_of, tags), flags=flags)

    def pull(self, place, *tags, **flags):
        """Brings tags of another store here: only what is missing. place: as for push(), or
        https://host/path. Takes the flags of `cairn pull`; returns and raises what push() does, and
        CorruptError. One that was killed goes on from what had arrived."""
        return _program.run(self.path, "pull", _words_of(place), *map(name_of, tags), flags=flags)

    def user_content(self, tag):
        """What the tag was saved with as user_content; None without any.
        Errors: NotFoundError, CorruptError."""
        content = Checkpoint(self, name_of(tag)).attachment(_saving.USER_CONTENT)
        try:
            return None if content is None else json.loads(content)
        except (ValueError, RecursionError) as error:
            raise CorruptError(f"the user content of '{name_of(tag)}' is damaged: {error}") from error

    def tags(self, pattern=None):
        """The tags that match a glob, or all, newest first: a list of Tag."""
        listed = _program.run(self.path, "ls", *([pattern] if pattern else []))["tags"]
        names = [field.name for field in dataclasses.fields(Tag)]
        return [Tag(**{**{name: row.get(name) for name in names}, "created": _time(row["created"])})
                for row in listed]

    def show(self, tag, **flags):
        """The JSON of `cairn show`: tensors, layouts, attachments, restore cost.
        Errors: NotFoundError, CorruptError for damaged metadata."""
        return _program.run(self.path, "show", name_of(tag), flags=flags)

    def diff(self, a, b, **flags):
        """The JSON of `cairn diff`: what changed between two tags.
        Errors: NotFoundError, CorruptError."""
        return _program.run(self.path, "diff", name_of(a), name_of(b), flags=flags)

    def forget(self, *tags, **flags):
        """Drops tags by name, or by policy: forget(keep_last=5); all of them in one step, or none.
        Returns what was kept and removed. Their space comes back with gc(), or gc=True here.
        Errors: ProtectedError for a pinned tag and the newest of a prefix, NotFoundError, BusyError."""
        return _program.run(self.path, "forget", *map(name_of, tags),
                            flags={"yes": True, **flags})

    def gc(self, **flags):
        """Frees what no tag needs, while others save and load. Returns freed_bytes and more.
        Errors: BusyError while another one runs, PartialError, CorruptError."""
        return _program.run(self.path, "gc", flags={"yes": True, **flags})

    def check(self, **flags):
        """Looks for damage, of data too by check(read_data=True). Returns the findings: `ok` sums
        them up, `errors` names tags, tensors and packs. Damage is a finding, no error.
        Errors: NotFoundError; Error for what could not be read this time."""
        return _program.run(self.path, "check", flags=flags, fine=(0, 12))
