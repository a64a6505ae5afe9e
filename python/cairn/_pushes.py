"""Tags on their way from a store to another place, oldest first, beside the training."""

import collections
import os
import threading

from .errors import Error, UsageError


class Pushes:
    """The tags that one saver pushes, one after the other, in a process of the program `cairn`
    each. A push that fails is passed over: its tag stands in the store, and later tags bring
    what they need themselves.

    place: as Store.push() takes it.
    most: how many tags may wait, the one on its way included.
    Threads: any. A forked child pushes nothing. Pickles, without what waits.
    """

    def __init__(self, place, most):
        if not isinstance(most, int) or most < 1:
            raise UsageError(f"push_backlog is {most!r}", "it is the number of tags that may wait")
        self._place, self._most = place, most
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._waiting = collections.deque()  # (store, tag), of which the first is on its way
        self._untold = []

    def __reduce__(self):
        return Pushes, (self._place, self._most)

    def has_room(self):
        """Whether a tag more may wait."""
        with self._changed:
            return len(self._waiting) < self._most

    def wait_for_room(self):
        """Until a tag more may wait."""
        if os.getpid() != self._process:
            return
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < self._most)

    def add(self, store, tag):
        """Has a tag of a Store pushed when those before are."""
        if os.getpid() != self._process:
            return
        with self._changed:
            self._waiting.append((store, tag))
            if len(self._waiting) == 1:
                # It ends with its work. No daemon: the program's end waits for what is on its way.
                try:
                    threading.Thread(target=self._run, name=f"cairn push {tag}").start()
                except RuntimeError as error:  # out of threads
                    self._waiting.clear()
                    self._untold.append(Error(f"'{tag}' is saved and was not pushed: {error}"))

    def wait(self, timeout=None):
        """Whether all are pushed, or failed, within `timeout` seconds."""
        if os.getpid() != self._process:
            return True
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout)

    def wait_told(self, timeout=None):
        """The same. Raises what a push failed with, if nobody was told yet."""
        is_over = self.wait(timeout)
        self.raise_untold()
        return is_over

    def raise_untold(self):
        """Raises what a push failed with, once."""
        with self._changed:
            error = self._untold.pop(0) if self._untold else None
        if error is not None:
            raise error

    def take_untold(self):
        """The errors that nobody was told of; they count as told then."""
        with self._changed:
            errors, self._untold = self._untold, []
        return errors

    def _run(self):
        while True:
            with self._changed:
                store, tag = self._waiting[0]
            failed = self._push(store, tag)
            with self._changed:
                if failed is not None:
                    self._untold.append(failed)
                self._waiting.popleft()
                self._changed.notify_all()
                if not self._waiting:
                    return

    def _push(self, store, tag):
        """What it failed with; None."""
        try:
            store.push(self._place, tag)
        except Error as error:
            return type(error)(f"'{tag}' is saved and was not pushed: {error.message}", error.hint)
        except Exception as error:  # no memory for another process, say
            return Error(f"'{tag}' is saved and was not pushed: {error}")
        return None
