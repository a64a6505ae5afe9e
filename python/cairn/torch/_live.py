"""Tensors on devices, of a save beside the training: they are not copied, but read where they lie,
and may change as soon as that is done."""

import functools

from torch.optim import optimizer as torch_optimizers

from .. import _collector, _devices, _memory, _saving
from ._forms import is_plain
from ._snapshot import locals_of


def split(tensors):
    """(those to copy, those that stay where they are): of name -> tensor or array."""
    stay = {name: value for name, value in tensors.items() if _stays(value)}
    if not stay:
        return tensors, stay
    return {name: value for name, value in tensors.items() if name not in stay}, stay


def _stays(value):
    if is_plain(value):
        return _devices.device_of(value) is not None
    if _memory.is_array(value):
        return False
    boxes = locals_of(value)
    return bool(boxes) and all(_devices.device_of(local) is not None for local, _ in boxes)


class Live:
    """Of one save: its tensors on devices, until they are read. Made in the training's thread.

    on_read: called when they are read and were not written to meanwhile.
    Errors: UsageError while a graph is being captured, or naming what has no values of its own.
    """

    def __init__(self, tensors, begun, on_read):
        self._boxes = _saving.boxes_of(tensors, begun.given or {}, begun.rank)
        self._on_read, self._records = on_read, None
        self._use = begun.request.use = _devices.Use(
            [(box.name, box.memory.owner, box.memory.device) for box in self._boxes], later=True,
            on_read=self._let_go)

    @property
    def boxes(self):
        """Of _saving.Box, while they are not read."""
        return self._boxes

    def watch_optimizers(self):
        """PyTorch's own: those that are fused do not count what they write to."""
        _watch_steps()
        _unread[id(self)] = self

    def add_to(self, records):
        """To those of the tensors that were copied. Returns all."""
        with _collector.paused():
            for box in self._boxes:
                records.add(box.name, box.memory, writer=box.writer, role=box.role,
                            parameter=box.parameter)
        self._records = records
        return records

    def end(self):
        """The save has read all, or has ended: no error of it keeps a tensor alive."""
        _unread.pop(id(self), None)
        self._boxes = []
        self._use.let_go()
        if self._records is not None:
            self._records.on_devices.clear()

    def _let_go(self):
        self.end()
        self._on_read()

    def look_at_step(self, optimizer):
        """Before it writes to its parameters."""
        names = {box.memory.address: box.name for box in self._boxes}
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                local = getattr(parameter, "_local_tensor", parameter)
                if local.data_ptr() in names:
                    self._use.mark_written(names[local.data_ptr()])
                    return


_unread = {}  # id -> Live, of saves that are under way


@functools.lru_cache(maxsize=None)
def _watch_steps():
    torch_optimizers.register_optimizer_step_pre_hook(_before_step)


def _before_step(optimizer, *_):
    for live in list(_unread.values()):
        live.look_at_step(optimizer)
