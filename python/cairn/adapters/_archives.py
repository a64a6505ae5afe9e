"""Files of torch.save and safetensors as the tensors in them and the bytes around those, and back,
byte for byte. Nothing is unpickled."""

import bisect
import dataclasses
import io
import json
import re
import struct
import zipfile

import torch

from .. import _memory
from .._saved import SavedState
from ..errors import NotFoundError, UsageError

_STORAGE = re.compile(r".*/data/(\d+)")  # of a file of torch.save
_LOCAL_HEADER = 30  # bytes before the name of a file in an archive


@dataclasses.dataclass
class _Piece:
    """Where a tensor lies in a file."""

    offset: int
    nbytes: int
    name: str
    dtype: torch.dtype = torch.uint8
    shape: object = (-1,)

    def bytes_of(self, content):
        return torch.frombuffer(content, dtype=torch.uint8, count=self.nbytes, offset=self.offset)


def take_apart(content, value=None):
    """The state that holds a file. content: a bytearray, which the tensors share; value: the object
    that torch.save wrote, whose keys and shapes the tensors then have."""
    view = memoryview(content)
    tensors, extents, around, at = {}, [], [], 0
    for piece in sorted(_pieces_of(content, value), key=lambda piece: piece.offset):
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
    """A file that was taken apart, under a key of a tag's state. Reads a tensor when it is asked for,
    and keeps the latest. Threads: one at a time. Errors: NotFoundError, CorruptError."""

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


def _pieces_of(content, value):
    view = memoryview(content)
    if view[:4] == b"PK\3\4":
        return _named(list(_storages_of(view)), content, value)
    return [piece for piece in _tensors_of_safetensors(view) if piece.nbytes]


def _storages_of(view):
    """The storages in a file of torch.save, in the order in which it met them."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(view))
    except zipfile.BadZipFile:
        return
    found = {}
    for file in archive.infolist():
        match = _STORAGE.fullmatch(file.filename)
        if match and file.compress_type == zipfile.ZIP_STORED:
            name, extra = struct.unpack_from("<HH", view, file.header_offset + 26)
            offset = file.header_offset + _LOCAL_HEADER + name + extra
            found[int(match[1])] = _Piece(offset, file.file_size, match[1])
    yield from (found[number] for number in sorted(found) if found[number].nbytes)


def _named(pieces, content, value):
    """With the keys, dtypes and shapes of the tensors whose storages they are. What else has some (a
    DTensor's mesh) lies between those, and keeps its number for a name."""
    told = _storages_in(value)
    for number, piece in enumerate(pieces):
        met = next((at for at, (_, tensor) in enumerate(told) if _is_of(tensor, piece, content)),
                   None)
        if met is not None:
            path, tensor = told.pop(met)
            shape = tensor.shape if _is_whole(tensor) else (-1,)
            pieces[number] = _Piece(piece.offset, piece.nbytes, path, tensor.dtype, shape)
    return pieces


def _storages_in(value):
    """(path, the first tensor in it) of each storage that has bytes."""
    met = {}
    for path, tensor in _tensors_in(value):
        if (tensor.layout is torch.strided and not tensor.is_meta and _is_stored(tensor.dtype)
                and tensor.untyped_storage().nbytes()):
            met.setdefault(tensor.untyped_storage().data_ptr(), (path, tensor))
    return list(met.values())


def _is_stored(dtype):
    try:
        return bool(_memory.dtype_name(dtype))
    except UsageError:
        return False


def _is_of(tensor, piece, content):
    """Whether a stretch of a file is a tensor's storage."""
    storage = tensor.untyped_storage()
    if storage.nbytes() != piece.nbytes:
        return False
    own = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage)
    return torch.equal(own.cpu(), piece.bytes_of(content))


def _tensors_in(value, path=""):
    """(keys joined with '.', tensor of this process) in the order of a pickle."""
    if isinstance(value, torch.Tensor):
        yield path or "value", getattr(value, "_local_tensor", value)
        return
    items = value.items() if isinstance(value, dict) else (
        enumerate(value) if isinstance(value, (list, tuple)) else ())
    for key, child in items:
        yield from _tensors_in(child, f"{path}.{key}" if path else str(key))


def _is_whole(tensor):
    """Whether it is all of its storage, in order."""
    return (tensor.is_contiguous() and tensor.storage_offset() == 0
            and tensor.nbytes == tensor.untyped_storage().nbytes())


def _tensors_of_safetensors(view):
    """Of a safetensors file; none of any other."""
    try:
        length = int.from_bytes(view[:8], "little")
        header = json.loads(bytes(view[8:8 + length])) if 8 + length <= len(view) else None
        for name, told in header.items():
            if name != "__metadata__":
                begin, end = told["data_offsets"]
                yield _Piece(8 + length + begin, end - begin, name,
                             _memory.torch_dtype(told["dtype"]), tuple(told["shape"]))
    except (ValueError, AttributeError, KeyError, TypeError):
        return
