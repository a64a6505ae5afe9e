"""A training's model, optimizer and scheduler as the sections of one state, and back.

With a module, states go by the parameters' names as torch.distributed.checkpoint.state_dict has
them, wrappers taken out: what one number of ranks saved, any other loads.
"""

import dataclasses

from torch import nn
from torch.distributed.checkpoint import state_dict as dcp_state

from .. import _into
from .._checkpoint import Checkpoint


@dataclasses.dataclass
class Training:
    """Each is an object with state_dict() and load_state_dict(), or a state dict whose tensors are
    filled where they lie; None takes no part."""

    model: object = None
    optimizer: object = None
    scheduler: object = None

    def state(self, sections=None):
        """{"model": ..., "optimizer": ..., "scheduler": ...}: those that take part, or of them only
        these."""
        states = {"model": self._model_state, "optimizer": self._optimizer_state,
                  "scheduler": lambda: _state_of(self.scheduler)}
        wanted = self.sections() if sections is None else sections
        return {name: state() for name, state in states.items() if name in wanted}

    def sections(self):
        """The names of those that take part."""
        return {name for name, part in vars(self).items() if part is not None}

    def load(self, store, tag, strict=True, sections=None):
        """Fills what takes part from the sections of a tag; others may have been saved beside them.
        sections: of them only these. Returns the opened tag.
        Errors: NotFoundError, UsageError, CorruptError, ..."""
        checkpoint = Checkpoint(store, tag)
        state = self.state(sections)
        choice = _into.Choice(strict=strict, sections=tuple(state))
        self.take(_into.load_into(checkpoint, state, choice), strict)
        return checkpoint

    def _is_by_names(self):
        return isinstance(self.model, nn.Module)

    def _model_state(self):
        if self._is_by_names():
            return dcp_state.get_model_state_dict(self.model)
        return _state_of(self.model)

    def _optimizer_state(self):
        if self._is_by_names() and hasattr(self.optimizer, "param_groups"):
            return dcp_state.get_optimizer_state_dict(self.model, self.optimizer)
        return _state_of(self.optimizer)

    def take(self, state, strict=True):
        """Gives loaded states, of some of state()'s sections, to whom they belong."""
        options = dcp_state.StateDictOptions(strict=strict)
        if self._is_by_names() and "model" in state:
            _take_into_module(self.model, state["model"], options)
        elif "model" in state:
            _give(self.model, state["model"])
        if "optimizer" in state and self._is_by_names() and hasattr(self.optimizer, "param_groups"):
            dcp_state.set_optimizer_state_dict(self.model, self.optimizer, state["optimizer"],
                                               options=options)
        elif "optimizer" in state:
            _give(self.optimizer, state["optimizer"])
        if "scheduler" in state:
            _give(self.scheduler, state["scheduler"])


def _take_into_module(model, state, options):
    if any(parameter.is_meta for parameter in model.parameters()):
        model.load_state_dict(state, strict=options.strict, assign=True)
    else:
        dcp_state.set_model_state_dict(model, state, options=options)


def _state_of(part):
    return part.state_dict() if hasattr(part, "state_dict") else part


def _give(part, state):
    if hasattr(part, "load_state_dict"):
        part.load_state_dict(state)
