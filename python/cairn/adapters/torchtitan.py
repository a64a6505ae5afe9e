"""Checkpoints of TorchTitan's trainer as tags of a store.

    from cairn.adapters.torchtitan import CairnCheckpointManager
    config.checkpoint = CairnCheckpointManager.Config(enable=True, store="/data/store",
                                                      prefix="run7")

Names in a tag are those of TorchTitan's own checkpoints: parameters' at the outside, "optimizer",
"lr_scheduler", "dataloader" and "train_state" beside them. docs/MIGRATION.md says what each setting
means.
"""

import dataclasses
import os
from typing import Literal

import torch
from torch.distributed import checkpoint as dcp
from torchtitan.components.checkpointer.base import (DATALOADER, LR_SCHEDULER, MODEL, OPTIMIZER,
                                                     BaseCheckpointManager, ModelWrapper)
from torchtitan.config import TORCH_DTYPE_MAP

from .. import _into
from .._checkpoint import Checkpoint
from ..errors import UsageError
from ..store import Store
from ..torch import _ids
from ._run import MODES, Run


class CairnCheckpointManager(BaseCheckpointManager):
    """Saves and loads tags PREFIX/step-N. The calls and settings are TorchTitan's; calls are of all
    ranks together.
    Errors: NotFoundError for a step that was not saved; UsageError for a state that does not fit,
    also for data that other ranks than the saved ones read; as Store.save and Store.load."""

    @dataclasses.dataclass(kw_only=True, slots=True)
    class Config(BaseCheckpointManager.Config):
        async_mode: Literal["disabled", "async", "async_with_pinned_mem"] = "disabled"
        """Whether save() copies the state and returns; the two async modes are one here."""

        store: str = ""
        """The store's folder; none: `folder` below the trainer's dump folder."""

        prefix: str = "run"
        """What the names of the run's tags begin with."""

        def __post_init__(self):
            path = self.initial_load_path
            if path and _ids.is_url(path):
                self.initial_load_path = None  # TorchTitan takes it for a remote folder
            BaseCheckpointManager.Config.__post_init__(self)
            self.initial_load_path = self.initial_load_path or path
            if self.async_mode not in MODES:
                raise UsageError(f"async_mode is {self.async_mode!r}", f"it is one of {MODES}")

    def __init__(self, config, *, dataloader, model_parts, optimizers, lr_schedulers, states,
                 sd_adapter, base_folder=""):
        self.enable, self.save_future = config.enable, None
        if not self.enable:
            return
        if config.last_save_in_hf and sd_adapter is None:
            raise UsageError("last_save_in_hf needs an adapter of state dicts", "give sd_adapter=")
        self._config, self._adapter = config, sd_adapter
        self.folder = config.store or os.path.join(base_folder, config.folder)
        self._run = Run(self.folder, config.prefix, config.keep_latest_k or None,
                        config.async_mode != "disabled")
        self.states = states
        self.states.update({MODEL: ModelWrapper(model_parts), OPTIMIZER: optimizers,
                            DATALOADER: dataloader, LR_SCHEDULER: lr_schedulers})

    def _close(self):
        self._run.close()

    @torch.no_grad()
    def _save(self, curr_step, last_step=False):
        if not self._is_due(curr_step, last_step):
            return False
        self.maybe_wait_for_saving()
        if last_step and self._config.last_save_model_only:
            state = self._exported()
        else:
            state = self._state_of(self.states)
        self.save_future = self._run.save(curr_step, state)
        if last_step:
            self.maybe_wait_for_saving()
        return True

    def _maybe_wait_for_staging(self):
        """The state was copied before save() returned."""

    def _wait_for_saving(self):
        self.save_future = None
        self._run.wait()

    @torch.no_grad()
    def _load(self, step=-1):
        if step == -1:
            step = self._run.last_step()
        if step is None:
            return self._load_initial()
        self._fill(Checkpoint(self._run.store, self._run.tag_of(step)), self._wanted(step == 0))
        return True

    def _load_initial(self):
        config, path = self._config, self._config.initial_load_path
        if not path and config.initial_load_in_hf and self._adapter is not None:
            path = self._adapter.hf_assets_path
        if not path:
            return False
        states = self._wanted(config.initial_load_model_only)
        if _ids.is_url(path):
            store, tag = _ids.split(path)
            self._fill(Checkpoint(Store(store), tag), states, config.initial_load_in_hf)
        else:
            self._fill_from_folder(path, states)
        return True

    def _is_due(self, step, is_last):
        config = self._config
        if config.load_only:
            return False
        is_first = step == 1 and config.enable_first_step_checkpoint
        return is_first or is_last or step % config.interval == 0

    def _exported(self):
        """The weights alone, of the export's dtype and names."""
        dtype = TORCH_DTYPE_MAP[self._config.export_dtype]
        weights = {name: value.to(dtype) if torch.is_tensor(value) and value.is_floating_point()
                   else value for name, value in self.states[MODEL].state_dict().items()}
        return self._adapter.to_hf(weights) if self._config.last_save_in_hf else weights

    def _wanted(self, model_only):
        """The objects to load, by their keys."""
        if model_only:
            return {MODEL: self.states[MODEL]}
        excluded = self._config.exclude_from_loading
        for key in excluded:
            if key not in self.states:
                raise UsageError(f"exclude_from_loading has '{key}', which is no state",
                                 f"they are {sorted(self.states)}")
        return {key: each for key, each in self.states.items() if key not in excluded}

    def _state_of(self, states):
        """What a tag holds of them: the model's names at the outside."""
        state = {key: each.state_dict() if hasattr(each, "state_dict") else each
                 for key, each in states.items() if key != MODEL and each is not None}
        return state | states[MODEL].state_dict()

    def _fill(self, checkpoint, states, in_hf=False):
        """Tensors where they lie; the tag may have more, of other ranks and layers."""
        state = self._state_of(states)
        if in_hf:
            state = self._adapter.to_hf(state)
        state = _into.load_into(checkpoint, state, _into.Choice(partly=True))
        self._give(self._adapter.from_hf(state) if in_hf else state, states)

    def _fill_from_folder(self, folder, states):
        """From what TorchTitan's own managers read: a checkpoint of DCP's, or safetensors files."""
        state = self._state_of(states)
        if not self._config.initial_load_in_hf:
            dcp.load(state, checkpoint_id=folder)
            self._give(state, states)
            return
        state = self._adapter.to_hf(state)
        quantized = self._config.initial_load_in_hf_quantized
        dcp.load(state, storage_reader=self._adapter.get_hf_storage_reader(folder, quantized))
        self._give(self._adapter.from_hf(state), states)

    def _give(self, state, states):
        states[MODEL].load_state_dict(state)
        for key, each in states.items():
            if key != MODEL and key in state and hasattr(each, "load_state_dict"):
                try:
                    each.load_state_dict(state[key])
                except AssertionError as error:  # of data that others than the saved ranks read
                    way_out = f"exclude_from_loading=[\"{key}\"] goes on without it"
                    raise UsageError(f"'{key}' does not fit this job: {error}", way_out) from error
