"""Saves that training does not wait for.

save() copies what lies in the host's memory and returns; a thread then digests, encodes and writes
the copy, in C++ and without the interpreter's lock. The copy is what the next save is compared with,
so nothing is read back from the store. Tensors on CUDA devices are not copied: the thread has them
digested where they lie, what differs from the tag before comes to the host, and save() returns then.
"""

import contextlib
import logging
import os
import threading
import weakref

from .. import _memory, _saving
from .._pushes import Pushes
from ..errors import BusyError, UsageError
from ..store import Store
from . import _live, _saves
from ._handles import Saving
from ._kept import Kept
from ._live_roles import roles_of
from ._ranks import TIMEOUT, Ranks
from ._snapshot import Snapshots

_log = logging.getLogger("cairn")
_POLICIES = ("wait", "skip", "error")


class AsyncSaver:
    """Saves states to a store, one after the other, beside the training.

    What a save fails with is raised once: by its handle, or by the next call here. What nobody saw
    is logged when the program ends; it waits for the save that is under way. As a context manager
    it closes itself.

    store: a cairn.Store, or a path or s3:// URL, where one is made when there is none.
    group: a process group whose ranks all call save() together, in the same order. Without one, a
    state with tensors that are cut among ranks is saved by all ranks of the job; any other by this
    process alone.
    back_pressure: what save() does while the one before is under way: "wait" for it; "skip": save
    nothing, and say so in the handle; "error": raise BusyError. Of a group, rank 0 decides.
    timeout: seconds that one rank waits for another.
    optimizer (one or several), model: what is saved is theirs: the store is told what tensors are to
    the optimizer, and how it stepped, as by roles_of(model, optimizer). Without, states tell.
    keep_on_device: keeps a copy of tensors on CUDA devices as they were saved last, there. Of what
    changed only corrections to a prediction from it then cross over to the host. Copying reads and
    writes each of these tensors once, on the current stream.
    compare_replicas, roles, effort, allow_pickle: as in Store.save.
    push_to: another place for each tag, as Store.push takes it: pushed when it is saved, oldest first,
    beside the training, by rank 0. What a push fails with is raised like what a save fails with; the
    tag is in the store then, and the next ones are pushed all the same.
    push_backlog: how many tags may wait for that. When one more would, the save before counts as
    still under way.

    Memory: two copies of what this rank stores, from the second save on; of tensors on CUDA devices
    none, but what cairn.torch.device_options() and keep_on_device say.
    Threads: one at a time. A forked child cannot save, and its end disturbs nothing.
    """

    def __init__(self, store, *, group=None, back_pressure="wait", timeout=TIMEOUT,
                 optimizer=None, model=None, compare_replicas="sampled", roles="auto", effort=None,
                 allow_pickle=False, keep_on_device=False, push_to=None, push_backlog=4):
        if back_pressure not in _POLICIES:
            raise UsageError(f"back_pressure is {back_pressure!r}", f"it is one of {_POLICIES}")
        _saving.check_comparison(compare_replicas)
        self._live_roles = None
        if optimizer is not None:
            if roles != "auto":
                raise UsageError("both the optimizer and roles= tell roles", "give one of them")
            roles = self._live_roles = roles_of(model, optimizer)
        self._compare = compare_replicas
        self._store = store if isinstance(store, Store) else Store(store, create=True)
        self._pushes = None if push_to is None else Pushes(push_to, push_backlog)
        self._policy, self._timeout = back_pressure, timeout
        self._roles, self._effort, self._allow_pickle = roles, effort, allow_pickle
        self._ranks = None if group is None else Ranks.of(group, timeout=timeout)
        self._snapshots = Snapshots()
        self._kept = Kept() if keep_on_device else None
        self._saved = None  # the tag of the last save, and its snapshot
        self._is_idle = threading.Event()  # no thread uses the snapshots
        self._is_idle.set()
        self._current = [Saving("", skipped=True)]
        self._process = os.getpid()
        self._is_closed = False
        weakref.finalize(self, _log_untold, self._current, self._pushes, self._process)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
            return
        # What ended the block is more to the point than what a save failed with.
        try:
            self.close()
        except Exception as error:
            _log.error("a save failed: %s", error)

    def save(self, tag, state_dict, *, user_content=None, metadata=None, step=None, base=None,
             if_exists="error", pin=False, overlap=False):
        """Begins a save; arguments as for Store.save. Once this returns, the state may change.
        overlap: returns without waiting until tensors on CUDA devices are read; they may change, or
        their memory be used for something else, once the handle's wait_read() has returned, which
        the training calls before it changes them: before optimizer.step(), and before a forward that
        changes buffers. The save keeps them alive. When one is written to earlier, the save fails
        with a UsageError that names it, and there is no tag of two states. That is seen by the writes
        that PyTorch counts for each tensor, and by steps of its optimizers; not for what writes past
        it (a CUDA graph's replay, collectives, kernels of one's own, `.data`): then a change to what
        is just being stored fails the save, and other chunks may be of before and after.
        Returns a handle, for any thread: done() tells whether it has ended; wait(timeout) and
        result(timeout) wait and raise what it failed with, and result() returns what Store.save does;
        skipped tells that nothing was saved, as the one before was still under way. is_read() tells
        whether the state may change, which wait_read(timeout) waits for.
        Errors: what the call can see, as Store.save; what the save before failed with, if nobody was
        told yet; BusyError with back_pressure="error"; UsageError while a CUDA graph is being
        captured. Nothing is begun then. Without overlap, what a save fails with before it has read
        the tensors on devices.
        """
        if self._is_closed or os.getpid() != self._process:
            raise UsageError("this saver is closed" if self._is_closed else
                             "this saver belongs to the process that this one was forked from",
                             "make another")
        request = _saving.Request(tag, step, metadata or {}, {}, base, if_exists, self._roles,
                                  self._effort, pin, still=True)
        saving = self._begin(request, state_dict, user_content, overlap)
        if not overlap:
            saving.wait_read()
        return saving

    def wait(self, timeout=None):
        """Whether the save under way, if any, ended within `timeout` seconds. Raises what it failed
        with, if nobody was told yet."""
        return self._current[0].wait(timeout)

    def wait_pushed(self, timeout=None):
        """Whether all saves that have ended are pushed, or failed to be, within `timeout` seconds.
        Raises what one failed with, if nobody was told yet."""
        return self._pushes is None or self._pushes.wait_told(timeout)

    def close(self, timeout=None):
        """Waits for the save under way and for pushes, and gives the memory back; after `timeout`
        seconds no longer for other ranks. Raises what the save or a push failed with, if nobody was
        told yet."""
        if self._is_closed or os.getpid() != self._process:
            return
        self._is_closed = True
        try:
            if timeout is not None and self._ranks is not None:
                self._is_idle.wait(timeout)
                self._ranks.end()
            self._finish()
            self.wait_pushed()
        finally:
            if self._is_idle.is_set():  # else Ctrl-C was faster than the thread
                self._snapshots.clear()
                self._saved = None
                if self._kept is not None:
                    self._kept.clear()
            if self._live_roles is not None:
                self._live_roles.end()

    def _begin(self, request, state, user_content, overlap):
        if self._ranks is None and _memory.is_of_several_ranks(state):
            self._ranks = Ranks.of(timeout=self._timeout)

        def take_apart():
            self._current[0].raise_untold()
            if self._pushes is not None:
                self._pushes.raise_untold()
            flat = _saving.take_apart(request, state, user_content, self._allow_pickle)
            if self._policy == "wait":
                self._finish()
            return flat

        begun = _saves.begin(self._store, self._ranks, request, take_apart, self._compare,
                             self._decide, may_digest=self._kept is None)
        if begun.word == "skip":
            return Saving(request.tag, skipped=True)
        with begun.withdrawn_on_error():
            self._finish()
            before = self._base_records(begun.request)
            copied, stay = _live.split(begun.tensors)
            snapshot = self._snapshots.take(copied)
            saving = Saving(begun.request.tag)
            live = _live.Live(stay, begun, saving.read) if stay else None
            if live is not None and self._kept is not None:
                boxes, kept = live.boxes, self._kept
                saving.before_change(lambda: kept.take(saving.tag, boxes))
            if live is not None and overlap:
                live.watch_optimizers()
            begun.tensors = None  # they are the training's
            return self._start(saving, begun, snapshot, before, live)

    def _decide(self):
        is_done = self._current[0].done()
        if self._policy == "wait" or (is_done and self._may_push_more()):
            return "go"
        if self._policy == "skip":
            return "skip"
        under_way = f"the save of '{self._current[0].tag}' is" if not is_done else "earlier pushes are"
        raise BusyError(f"{under_way} still under way",
                        "save less often, or with back_pressure='wait' or 'skip'")

    def _may_push_more(self):
        return self._pushes is None or self._pushes.has_room()

    def _finish(self):
        """Until there is no save under way, and the memory of the next one is free."""
        self._is_idle.wait()
        self._current[0].raise_untold()
        if self._pushes is not None:
            self._pushes.wait_for_room()

    def _base_records(self, request):
        """The boxes of what was saved last, where it may be the base."""
        if self._saved is None:
            return ()
        tag, snapshot = self._saved
        follows = tag.rpartition("/")[0] == request.tag.rpartition("/")[0]
        is_base = request.base == tag or (request.base is None and follows)
        if not is_base:
            return ()
        return snapshot.records() if self._kept is None else self._kept.add_to(
            snapshot.new_records(), tag)

    def _start(self, saving, begun, snapshot, before, live):
        if live is None:
            saving.read()
        thread = threading.Thread(target=self._run, args=[saving, begun, snapshot, before, live],
                                  name=f"cairn save {saving.tag}")
        self._current[0] = saving
        self._is_idle.clear()
        try:
            thread.start()
        except RuntimeError as error:  # out of threads
            self._is_idle.set()
            saving.end(error=error)
            saving.raise_untold()
        return saving

    def _run(self, saving, begun, snapshot, before, live):
        try:
            result = begun.finish(_records_of(begun, snapshot, live), before)
            self._saved = (saving.tag, snapshot)
            if self._pushes is not None and begun.rank == 0:
                self._pushes.add(self._store, saving.tag)
            saving.end(result)
            # Without the memory now, the next save says so.
            with contextlib.suppress(MemoryError, OSError, RuntimeError):
                self._snapshots.prepare()
        except BaseException as error:  # handed over to who asks
            self._saved = None
            saving.end(error=error)
        finally:
            if live is not None:
                live.end()
            self._is_idle.set()


def _records_of(begun, snapshot, live):
    if live is None:
        return snapshot.records(begun.rank, begun.given)
    return live.add_to(snapshot.new_records(begun.rank, begun.given))


def _log_untold(current, pushes, process):
    if os.getpid() != process:
        return
    error = current[0].take_untold()
    if error is not None:
        _log.error("the save of '%s' failed, and nobody asked: %s", current[0].tag, error)
    for failed in () if pushes is None else pushes.take_untold():
        _log.error("%s", failed)
