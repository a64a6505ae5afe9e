"""What is known of a save that is under way."""

import os
import threading

from ..errors import UsageError


class Saving:
    """One save of an AsyncSaver. Threads: any; a forked child cannot wait for it.

    tag: its name; skipped: there is none, as the save before was still under way.
    """

    def __init__(self, tag, skipped=False):
        self.tag, self.skipped = tag, skipped
        self._process = os.getpid()
        self._done = threading.Event()
        self._may_change = threading.Event()  # the tensors: they are read, or the save has ended
        self._is_read = False
        self._before_change = None
        self._result, self._error = None, None
        self._lock = threading.Lock()
        self._is_told = True  # the error was raised to somebody, or there is none
        if skipped:
            self.read()
            self._done.set()

    def __repr__(self):
        state = "skipped" if self.skipped else "under way"
        if self.done() and not self.skipped:
            state = "saved" if self._error is None else f"failed: {self._error}"
        return f"<saving '{self.tag}': {state}>"

    def done(self):
        """Whether it has ended, well or not."""
        return self._done.is_set()

    def is_read(self):
        """Whether the save has read all of the state, so that its tensors may change."""
        return self._is_read

    def wait_read(self, timeout=None):
        """Waits until the tensors may change, for `timeout` seconds at most; whether they may. To be
        called before they do (before optimizer.step()) after save(overlap=True). Raises what the
        save failed with before it had read all, unless that was raised before."""
        self._check_process()
        if not self._may_change.wait(timeout):
            return False
        if not self._is_read:
            self.raise_untold()
        self._prepare_change()
        return True

    def before_change(self, call):
        """Calls it once, in wait_read() of whoever comes first, if all was read."""
        self._before_change = call

    def _prepare_change(self):
        with self._lock:
            call, self._before_change = self._before_change, None
        if call is not None and self._is_read:
            call()

    def wait(self, timeout=None):
        """Whether it ended within `timeout` seconds. Raises what it failed with, unless that was
        raised before, here or by the saver."""
        self._check_process()
        if not self._done.wait(timeout):
            return False
        self.raise_untold()
        return True

    def result(self, timeout=None):
        """What Store.save() returns; None when it was skipped. Raises what it failed with, each
        time. Errors: TimeoutError when it has not ended within `timeout` seconds."""
        self._check_process()
        if not self._done.wait(timeout):
            raise TimeoutError(f"the save of '{self.tag}' has not ended within {timeout:g} s")
        self._is_told = True
        if self._error is not None:
            raise self._error
        return self._result

    def read(self):
        """Called by who saves, when all of the state is read."""
        self._is_read = True
        self._may_change.set()

    def end(self, result=None, error=None):
        """Called once, by who saves."""
        self._result, self._error, self._is_told = result, error, error is None
        self._is_read = self._is_read or error is None
        self._done.set()
        self._may_change.set()

    def take_untold(self):
        """The error that nobody was told of; None without. It counts as told then."""
        with self._lock:
            error = None if self._is_told else self._error
            self._is_told = True
        return error

    def raise_untold(self):
        """Raises the error that nobody was told of."""
        error = self.take_untold()
        if error is not None:
            raise error

    def _check_process(self):
        if not self.done() and os.getpid() != self._process:
            raise UsageError(f"the save of '{self.tag}' runs in the process that this one was "
                             "forked from", "wait there")
