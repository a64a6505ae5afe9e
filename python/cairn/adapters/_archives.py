"""Files of torch.save and safetensors as the tensors in them and the bytes around those, and back,
byte for byte. Nothing is unpickled."""

import bisect
import io
import json

import torch

from .. import _memory
from .._saved import SavedState
from ..errors import NotFoundError
from ._pieces import pieces_of


def take_apart(content, value=None):
    """The state that holds a file. content: a bytearray, which the tensors share; value: the object
    that torch.save wrote, whose keys and shapes the tensors then have."""
    view = memoryview(content)
    tensors, extents, around, at = {}, [], [], 0
    for piece in pieces_of(content, value):
        around.append(view[at:piece.offset])
        at = piece.offset + piece.nbytes
        name = piece.name
        while name in tensors:  # a number, or keys that are joined, may meet a key
            name += "'"
        tensors[name] = piece.bytes_of(content).view(piece.dtype).reshape(piece.shape)
        extents.append([piece.offset, name])
    rest = torch.frombuffer(bytearray().join([*around, view[at:]]) or bytearray(1),
                            dtype=torch.uint8)
    return {"rest": rest, "size": len(view), "extents": json.dumps(extents), "tensors": tensors}


class ArchiveFile(io.RawIOBase):
    """A file that was taken apart, under a key of a tag's state. Reads a tensor when it is asked
    for, and keeps the latest. Threads: one at a time. Errors: NotFoundError, CorruptError."""

    def __init__(self, checkpoint, key):
        super().__init__()
        self._checkpoint, self._key, self._at = checkpoint, key, 0
        values = SavedState(checkpoint).values
        if f"{key}.size" not in values:
            raise NotFoundError(f"there is no file '{key}' in the tag '{checkpoint.tag}'")
        self.size = values[f"{key}.size"]
        self._extents = self._laid_out(json.loads(values[f"{key}.extents"]))
        self._starts = [offset for offset, *_ in self._extents]
        self._latest = (None, None)  # a tensor's name, and its bytes

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self._at

    def seek(self, offset, whence=io.SEEK_SET):
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def readinto(self, buffer):
        buffer = memoryview(buffer).cast("B")
        done = 0
        while done < len(buffer) and self._at < self.size:
            start, nbytes, name, skipped = self._extents[
                bisect.bisect_right(self._starts, self._at) - 1]
            count = min(len(buffer) - done, start + nbytes - self._at)
            begin = self._at - start + skipped
            buffer[done:done + count] = self._bytes_of(name)[begin:begin + count]
            self._at += count
            done += count
        return done

    def _laid_out(self, tensors):
        """(offset, bytes, name, offset in what is called so) of each stretch of the file."""
        stretches, at, of_rest = [], 0, 0
        for offset, name in [*tensors, [self.size, None]]:
            if offset > at:
                stretches.append((at, offset - at, f"{self._key}.rest", of_rest))
                of_rest += offset - at
            if name is not None:
                stored = f"{self._key}.tensors.{name}"
                dtype, shape = self._checkpoint.tensors[stored]
                nbytes = _memory.torch_dtype(dtype).itemsize * torch.Size(shape).numel()
                stretches.append((offset, nbytes, stored, 0))
                at = offset + nbytes
        return stretches

    def _bytes_of(self, name):
        if self._latest[0] != name:
            dtype, shape = self._checkpoint.tensors[name]
            room = torch.empty(shape, dtype=_memory.torch_dtype(dtype))
            self._checkpoint.load([(name, _memory.memory_of(name, room))])
            self._latest = (name, memoryview(room.reshape(-1).view(torch.uint8).numpy()))
        return self._latest[1]
