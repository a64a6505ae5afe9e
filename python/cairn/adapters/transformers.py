"""Checkpoints of transformers.Trainer as tags of a store.

    saves = CairnCallback("/data/store", prefix="run7", keep_last=5)
    trainer = Trainer(model=model, args=args, train_dataset=data, callbacks=[saves])
    trainer.train(resume_from_checkpoint=saves.folder_of_newest(trainer))

The Trainer then writes no checkpoint folders of its own. docs/MIGRATION.md says what each argument
means.
"""

import dataclasses
import json
import os
import shutil

import torch
from safetensors.torch import save_file
from torch import distributed
from transformers import TrainerCallback

from .. import _memory
from ..errors import NotFoundError, UsageError
from ..store import Store
from . import _rng
from ._run import Run, open_of_this_size, own_states

_REPORTS = {"config": "config.json", "trainer_state": "trainer_state.json"}  # saved as text
_STATES = {"optimizer": "optimizer.pt", "scheduler": "scheduler.pt", "scaler": "scaler.pt"}


class CairnCallback(TrainerCallback):
    """Saves model, optimizer, scheduler, scaler, random numbers and TrainerState as PREFIX/step-N
    where the Trainer would write a checkpoint folder, and at the end of the training.

    store: a cairn.Store, or a path, where one is made when there is none.
    prefix: of the tags' names; a tag of that step is replaced.
    keep_last: all but the newest so many tags of the prefix go after a save, and their space with
    them; pinned ones stay. None: all stay.
    async_save: training goes on while a copy of the state is saved; what a save fails with is
    raised by the next one, or at the end of the training.
    folders: whether the Trainer goes on writing those too. Without, a tag is saved as the next step
    begins: with all that the Trainer logged and evaluated after its own.
    Errors, raised in the training: UsageError for models that are cut among ranks; as Store.save.
    """

    def __init__(self, store, *, prefix, keep_last=None, async_save=True, folders=False):
        self._run = Run(store, prefix, keep_last, async_save)
        self._has_folders = folders
        self._is_due = False
        self._saved_step = None
        self._resumed_from = None  # a folder that this made

    @property
    def store(self):
        """The cairn.Store that the tags are in."""
        return self._run.store

    def folder_of_newest(self, trainer):
        """folder_of() the newest tag of the prefix; None without any, which trainer.train() takes
        for a fresh start."""
        try:
            newest = self._run.newest()
        except NotFoundError:
            newest = None
        return newest and self.folder_of(trainer, newest)

    def folder_of(self, trainer, tag):
        """Writes a tag below the trainer's output_dir as a checkpoint folder, for trainer.train()
        of all ranks; its first step removes it. Returns its path.
        Errors: NotFoundError, UsageError where another number of ranks saved, CorruptError."""
        self._run.wait()
        checkpoint = open_of_this_size(self.store, tag)
        folder = os.path.join(trainer.args.output_dir, f"resume-from-step-{checkpoint.step}")
        rank = trainer.args.process_index
        if trainer.args.should_save:
            export_folder(self.store, checkpoint.tag, folder)
        _export_rng(self.store, checkpoint.tag, folder, rank, trainer.args.world_size)
        if distributed.is_initialized():
            distributed.barrier()
        self._resumed_from = folder
        return folder

    def on_train_begin(self, args, state, control, **_):
        if args.load_best_model_at_end and not self._has_folders:
            raise UsageError("load_best_model_at_end reads the Trainer's folders",
                             "give CairnCallback(..., folders=True)")
        if args.fsdp or args.deepspeed:
            raise UsageError("FSDP and DeepSpeed under the Trainer keep a state of their own form",
                             "cairn.torch.StorageWriter saves sharded states from a loop of yours")
        self._is_due, self._saved_step = False, state.global_step

    def on_step_begin(self, args, state, control, **parts):
        self._save_what_is_due(state, parts)

    def on_epoch_begin(self, args, state, control, **parts):
        self._save_what_is_due(state, parts)

    def on_step_end(self, args, state, control, **_):
        self._remove_folder(args)
        return self._take_turn(control)

    def on_epoch_end(self, args, state, control, **_):
        return self._take_turn(control)

    def on_save(self, args, state, control, **parts):
        self._is_due = True
        self._save_what_is_due(state, parts)

    def on_train_end(self, args, state, control, **parts):
        self._remove_folder(args)
        self._is_due = not args.load_best_model_at_end  # else the model is the best one's by now
        self._save_what_is_due(state, parts)
        self._run.close()

    def _take_turn(self, control):
        if control.should_save and not self._has_folders:
            control.should_save, self._is_due = False, True
        return control

    def _save_what_is_due(self, state, parts):
        is_due, self._is_due = self._is_due, False
        if is_due and self._saved_step != state.global_step:
            self._run.save(state.global_step, _state_of(state, **parts))
            self._saved_step = state.global_step

    def _remove_folder(self, args):
        folder, self._resumed_from = self._resumed_from, None
        if folder is not None and args.should_save:
            shutil.rmtree(folder, ignore_errors=True)


def export_folder(store, tag, folder):
    """Writes a tag as a checkpoint folder of the Trainer, all but the random numbers of its ranks.
    The model's configuration is there, so from_pretrained() reads it too.
    Errors: NotFoundError, UsageError for what the callback has not saved, CorruptError."""
    store = store if isinstance(store, Store) else Store(store)
    state = store.load(tag)
    if "trainer_state" not in state:
        raise UsageError(f"'{tag}' was not saved by CairnCallback",
                         "store.load() shows what it holds")
    os.makedirs(folder, exist_ok=True)
    save_file(_named_once(state["model"]), os.path.join(folder, "model.safetensors"),
              metadata={"format": "pt"})
    for section, name in _STATES.items():
        if section in state:
            torch.save(state[section], os.path.join(folder, name))
    for section, name in _REPORTS.items():
        if section in state:
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(state[section])


def _export_rng(store, tag, folder, rank, ranks):
    """Writes the random numbers of one rank, as the Trainer reads them."""
    taken = store.load(tag, tensors=f"rng.rank_{rank}.*")["rng"][f"rank_{rank}"]
    written = {"python": _rng.of_python(taken), "numpy": _rng.of_numpy(taken),
               "cpu": taken["torch"]}
    if "cuda" in taken:
        written["cuda"] = taken["cuda"] if ranks > 1 else taken["cuda"][torch.cuda.current_device()]
    os.makedirs(folder, exist_ok=True)
    name = f"rng_state_{rank}.pth" if ranks > 1 else "rng_state.pth"
    torch.save(written, os.path.join(folder, name))


def _state_of(trainer_state, model, optimizer, lr_scheduler, **_):
    """What a tag holds, of what the Trainer gives to callbacks."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(),
             "scheduler": lr_scheduler.state_dict(), "rng": own_states(),
             "trainer_state": json.dumps(dataclasses.asdict(trainer_state))}
    if _memory.is_of_several_ranks(state["model"]):
        raise UsageError("the model is cut among ranks, which the Trainer's folders cannot tell",
                         "cairn.torch.StorageWriter saves sharded states from a loop of yours")
    if getattr(optimizer, "scaler", None) is not None:
        state["scaler"] = optimizer.scaler.state_dict()
    if hasattr(model, "config"):
        state["config"] = model.config.to_json_string(use_diff=False)
    return state


def _named_once(tensors):
    """Without the other names of tied tensors, which safetensors files do not know."""
    named = {tensor.data_ptr(): name for name, tensor in reversed(tensors.items())
             if tensor.numel()}
    return {name: tensor for name, tensor in tensors.items()
            if not tensor.numel() or named[tensor.data_ptr()] == name}
