"""Copies of tensors on CUDA devices as they were saved last, beside them on their devices: the base of
the next save, of which only what corrects a prediction then crosses over to the host."""

import dataclasses

import torch

from .. import _notes


class Kept:
    """Of one saver. Threads: the training's."""

    def __init__(self):
        self._boxes = []  # as they were given, with copies as their memory
        self._tag = None

    def take(self, tag, boxes):
        """Copies the tensors of _saving.Box on the current streams, which is all that the training
        waits for. When there is no room, nothing is kept."""
        by_place = {_place_of(box): box.memory.owner for box in self._boxes}
        self.clear()
        try:
            made = [_kept(box, by_place.get(_place_of(box))) for box in boxes]
        except torch.OutOfMemoryError:
            _notes.log_once(["there is no room on the devices to keep what was saved: changed tensors "
                             "go to the host whole"])
            return
        self._boxes, self._tag = made, tag

    def add_to(self, records, tag):
        """The boxes as the tag has them, if it is that which was taken."""
        if self._tag == tag:
            for box in self._boxes:
                records.add(box.name, box.memory, writer=box.writer)
        return records

    def clear(self):
        """Gives the memory back."""
        self._boxes, self._tag = [], None


def _place_of(box):
    memory = box.memory
    return box.name, memory.dtype, memory.device, memory.offsets, memory.lengths, memory.shape


def _kept(box, room):
    """The box with a copy for its memory; in `room`, if there is one."""
    lying = box.memory.owner.detach()
    with torch.inference_mode(False):
        copy = room if room is not None else torch.empty_like(
            lying, memory_format=torch.contiguous_format)
    copy.copy_(lying, non_blocking=True)
    memory = dataclasses.replace(box.memory, address=copy.data_ptr(), owner=copy,
                                 strides_bytes=None)
    return dataclasses.replace(box, memory=memory)
