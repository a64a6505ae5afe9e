"""Checkpoints of lightning.pytorch (or pytorch_lightning) as tags of a store.

    io = CairnCheckpointIO("/data/store")
    trainer = Trainer(plugins=[io], callbacks=[ModelCheckpoint(folder), RandomNumbers()])
    trainer.fit(model, loader, ckpt_path=io.newest(folder))

docs/MIGRATION.md says what each argument means.
"""

import importlib
import importlib.util
import os
import sys

from torch import distributed

from .. import _memory
from ..errors import NotFoundError, ProtectedError, UsageError
from ..store import Store
from ..torch import AsyncSaver
from ..torch._job import rank_in_job
from . import _rng

_SUFFIX = ".ckpt"
_RANDOM_NUMBERS = "cairn_random_numbers"


def _library():
    """The one of the two that the program has imported, or that there is."""
    names = ("lightning.pytorch", "pytorch_lightning")
    known = [name for name in names if name in sys.modules]
    there = known or [name for name in names if importlib.util.find_spec(name.partition(".")[0])]
    return importlib.import_module((there or names)[0])


_lightning = _library()


class CairnCheckpointIO(_lightning.plugins.CheckpointIO):
    """Saves, loads and removes checkpoints as tags. A path's tag is what is below `root` of it, or
    the whole of it when it is elsewhere, without ".ckpt"; a tag's name is a path too. A tag of that
    name is replaced.

    store: a cairn.Store, or a path, where one is made when there is none.
    root: a folder; None: the one that the program runs in.
    async_save: save_checkpoint() copies the state and returns. What a save failed with is raised by
    the next one, or at the end.
    allow_pickle: whether checkpoints may hold what only a pickle does.
    Threads: one at a time.
    Errors: UsageError for paths that no tag can be called; as Store.save and Store.load.
    """

    def __init__(self, store, *, root=None, async_save=True, allow_pickle=False):
        super().__init__()
        self.store = store if isinstance(store, Store) else Store(store, create=True)
        self._root = os.path.abspath(root or os.getcwd())
        self._is_async, self._allow_pickle = async_save, allow_pickle
        self._saver, self._saving = None, None  # of asynchronous saves, and the one under way
        self._unwanted = []  # tags to forget when it is over

    def tag_of(self, path):
        """The name of the tag that a checkpoint's path stands for."""
        path = os.path.normpath(os.fspath(path)).removesuffix(_SUFFIX)
        below = os.path.relpath(path, self._root) if os.path.isabs(path) else path
        return path.lstrip("/") if below.startswith("..") else below

    def newest(self, folder):
        """The newest checkpoint below a folder, as fit(ckpt_path=) takes it; None without any."""
        self._wait()
        try:
            return next((tag.tag for tag in self.store.tags(f"{self.tag_of(folder)}/*")), None)
        except NotFoundError:
            return None

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        if storage_options is not None:
            raise UsageError("storage_options mean nothing to a store", "leave them out")
        if _memory.is_of_several_ranks(checkpoint):
            raise UsageError("the checkpoint is cut among ranks, and only one of them saves it",
                             "FSDPStrategy(state_dict_type=\"full\") gathers it")
        chosen = {"step": checkpoint.get("global_step"), "if_exists": "replace"}
        if not self._is_async:
            self.store.save(self.tag_of(path), checkpoint, allow_pickle=self._allow_pickle,
                            **chosen)
            return
        self._wait()
        if self._saver is None:
            self._saver = AsyncSaver(self.store, allow_pickle=self._allow_pickle)
        self._saving = self._saver.save(self.tag_of(path), checkpoint, **chosen)

    def load_checkpoint(self, path, map_location=None, weights_only=None):
        """The checkpoint as it was saved. weights_only: tags hold no code, unless allow_pickle lets
        them; then True refuses it. Errors: as Store.load."""
        self._wait()
        return self.store.load(self.tag_of(path), map_location=map_location,
                               allow_pickle=self._allow_pickle and not weights_only)

    def remove_checkpoint(self, path):
        """Forgets the tag, unless it is pinned, and gives its space back."""
        self._unwanted.append(self.tag_of(path))
        if self._saving is None or self._saving.done():
            self._forget()

    def teardown(self):
        """Waits for the save under way. Errors: what it failed with."""
        saver, self._saver, self._saving = self._saver, None, None
        try:
            if saver is not None:
                saver.close()
        finally:
            self._forget()

    def _wait(self):
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.wait()
        self._forget()

    def _forget(self):
        while self._unwanted:
            try:
                self.store.forget(self._unwanted.pop(), allow_newest=True, gc=True)
            except (NotFoundError, ProtectedError):  # gone already, or pinned
                continue


class RandomNumbers(_lightning.Callback):
    """Saves the random numbers of all ranks with a checkpoint, and gives them back where training
    goes on. A resumed run is then exact from within an epoch with data whose place is kept
    (torchdata's StatefulDataLoader), and from its end with a DataLoader.
    Errors: UsageError where another number of ranks saved."""

    def __init__(self):
        self._taken, self._is_within_epoch = None, False

    def on_save_checkpoint(self, trainer, pl_module, checkpoint):
        own = _rng.states()
        _, ranks = rank_in_job()
        everyones = [own] * ranks
        if ranks > 1:
            distributed.all_gather_object(everyones, own)
        checkpoint[_RANDOM_NUMBERS] = {
            "is_within_epoch": not trainer.is_last_batch,
            "ranks": {f"rank_{rank}": each for rank, each in enumerate(everyones)}}

    def on_load_checkpoint(self, trainer, pl_module, checkpoint):
        saved = checkpoint.get(_RANDOM_NUMBERS)
        if saved is None or trainer.state.fn != "fit":
            return
        rank, ranks = rank_in_job()
        if len(saved["ranks"]) != ranks:
            raise UsageError(f"the checkpoint has random numbers of {len(saved['ranks'])} rank(s), "
                             f"here are {ranks}", "go on without RandomNumbers()")
        self._taken = saved["ranks"][f"rank_{rank}"]
        self._is_within_epoch = saved["is_within_epoch"]
        _rng.restore(self._taken)

    def on_fit_start(self, trainer, pl_module):
        """Restores them again: setting up the strategy may have drawn some."""
        if self._taken is not None:
            _rng.restore(self._taken)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        """And again: an iteration that begins within an epoch has drawn numbers that the saved run
        did not."""
        taken, self._taken = self._taken, None
        if taken is not None and self._is_within_epoch:
            _rng.restore(taken)
