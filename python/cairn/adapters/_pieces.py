"""Where the tensors of a file lie in it, and what they are called: of torch.save, by the object
that it wrote; of safetensors, by its header."""

import dataclasses
import io
import json
import re
import struct
import zipfile

import torch

from .. import _memory
from ..errors import UsageError

_STORAGE = re.compile(r".*/data/(\d+)")  # of a file of torch.save
_LOCAL_HEADER = 30  # bytes before the name of a file in an archive


@dataclasses.dataclass
class Piece:
    """Where a tensor lies in a file."""

    offset: int
    nbytes: int
    name: str
    dtype: torch.dtype = torch.uint8
    shape: object = (-1,)

    def bytes_of(self, content):
        return torch.frombuffer(content, dtype=torch.uint8, count=self.nbytes, offset=self.offset)


def pieces_of(content, value):
    """Those that have bytes, in order, none upon another, whatever the file says of itself. content:
    a bytearray; value: the object that torch.save wrote, or None."""
    view = memoryview(content)
    if view[:4] == b"PK\3\4":
        return _named(_sound(_storages_of(view), len(view)), content, value)
    return _sound(_tensors_of_safetensors(view), len(view))


def _sound(pieces, size):
    """Those that lie in the file beside each other, and are as large as their shapes say."""
    sound, taken = [], 0
    for piece in pieces:
        if piece.nbytes > 0 and piece.offset >= taken and piece.offset + piece.nbytes <= size:
            count = torch.Size(piece.shape).numel() if -1 not in piece.shape else piece.nbytes
            if count * piece.dtype.itemsize == piece.nbytes:
                sound.append(piece)
                taken = piece.offset + piece.nbytes
    return sound


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
            found[int(match[1])] = Piece(offset, file.file_size, match[1])
    yield from (found[number] for number in sorted(found))


def _named(pieces, content, value):
    """With the keys, dtypes and shapes of the tensors whose storages they are. What else has some
    (a DTensor's mesh) lies between those, and keeps its number for a name."""
    told = _storages_in(value)
    for number, piece in enumerate(pieces):
        met = next((at for at, (_, tensor) in enumerate(told) if _is_of(tensor, piece, content)),
                   None)
        if met is not None:
            path, tensor = told.pop(met)
            shape = tensor.shape if _is_whole(tensor) else (-1,)
            pieces[number] = Piece(piece.offset, piece.nbytes, path, tensor.dtype, shape)
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
        header = json.loads(bytes(view[8:8 + length])) if 8 + length <= len(view) else {}
        told = [(*each["data_offsets"], name, each["dtype"], tuple(each["shape"]))
                for name, each in header.items() if name != "__metadata__"]
        for begin, end, name, dtype, shape in sorted(told):
            yield Piece(8 + length + begin, end - begin, name, _memory.torch_dtype(dtype), shape)
    except (ValueError, AttributeError, KeyError, TypeError, UsageError):
        return
