"""A checkpoint manager with the calls of TorchTitan's, for training loops of one's own.

    manager = CheckpointManager("/data/store", {"model": model, "optimizer": optimizer,
                                                "scheduler": scheduler}, prefix="run7", interval=10,
                                keep_latest_k=3)
    manager.load()
    for step in range(first, steps + 1):
        manager.maybe_wait_for_staging()
        train()
        manager.save(step, last_step=step == steps)
    manager.close()

TorchTitan's own trainer takes cairn.adapters.torchtitan.
"""

from torch import nn, optim

from .. import _into
from .._checkpoint import Checkpoint
from ..errors import UsageError
from ..torch._training import Training
from ._run import MODES, Run, owner_of


class CheckpointManager:
    """Saves and loads tags PREFIX/step-N; calls are of all ranks of the job together.

    states: name -> an object with state_dict() and load_state_dict(). Optimizers of modules among
    them go by the parameters' names, so that any number of ranks loads what others have saved.
    interval: save() saves steps that it divides. enable_first_step_checkpoint: and step 1.
    keep_latest_k: all but the newest so many tags of the prefix go; None, 0: all stay.
    async_mode: "disabled", or else save() copies the state and returns.
    exclude_from_loading: names whose states load() leaves as they are.
    Errors: UsageError for settings that mean nothing. Threads: one.
    """

    def __init__(self, store, states, *, prefix="run", interval=1, keep_latest_k=None,
                 async_mode="async", enable_first_step_checkpoint=False, exclude_from_loading=()):
        if async_mode not in MODES:
            raise UsageError(f"async_mode is {async_mode!r}", f"it is one of {MODES}")
        if interval < 1:
            raise UsageError(f"interval is {interval!r}", "it counts steps, from 1 on")
        unknown = set(exclude_from_loading) - set(states)
        if unknown:
            raise UsageError(f"exclude_from_loading has {sorted(unknown)}, which are no states",
                             f"they are {sorted(states)}")
        self.states = states
        self._interval, self._saves_first = interval, enable_first_step_checkpoint
        self._excluded = exclude_from_loading
        self._run = Run(store, prefix, keep_latest_k or None, async_mode != "disabled")

    def save(self, curr_step, last_step=False):
        """Saves a step that is due, and the last one in any case, which is waited for. Returns
        whether it was. Errors: as Store.save; what the save before failed with."""
        is_first = curr_step == 1 and self._saves_first
        if not (last_step or is_first or curr_step % self._interval == 0):
            return False
        self._run.save(curr_step, self._state_of(self.states))
        if last_step:
            self.maybe_wait_for_saving()
        return True

    def load(self, step=-1):
        """Fills the states from a step's tag; -1: the last one's. Returns whether there was one.
        Errors: NotFoundError for a step that was not saved; UsageError with what does not fit;
        CorruptError."""
        self._run.wait()
        if step == -1:
            step = self._run.last_step()
        if step is None:
            return False
        tag = self._run.tag_of(step)
        wanted = {key: each for key, each in self.states.items() if key not in self._excluded}
        choice = _into.Choice(sections=tuple(wanted))
        state = _into.load_into(Checkpoint(self._run.store, tag), self._state_of(wanted), choice)
        for key in wanted:
            self._take(key, state[key])
        return True

    def maybe_wait_for_staging(self):
        """The state was copied before save() returned: it may be changed."""

    def _state_of(self, states):
        made = {}
        for key in states:
            training, section = self._training_of(key)
            made[key] = training.state([section])[section]
        return made

    def _take(self, key, state):
        training, section = self._training_of(key)
        training.take({section: state}, strict=True)

    def _training_of(self, key):
        """(what saves and loads a state, the section that it is there)."""
        each = self.states[key]
        if isinstance(each, optim.Optimizer):
            modules = [part for part in self.states.values() if isinstance(part, nn.Module)]
            return Training(model=owner_of(each, modules), optimizer=each), "optimizer"
        return Training(model=each), "model"

    def maybe_wait_for_saving(self):
        """Until nothing is under way. Errors: what a save failed with."""
        self._run.wait()

    def close(self):
        """Waits for the save under way, and gives the memory back. Errors: what it failed with."""
        self._run.close()
