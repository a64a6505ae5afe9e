"""Tensors of PyTorch and arrays of NumPy as memory: dtype, shape, strides, address, device."""

import collections.abc
import dataclasses
import functools
import math
import sys

from . import _devices
from .errors import UsageError

# Names as in safetensors files, by those of PyTorch.
_TORCH_NAMES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "int16": "I16", "uint16": "U16",
    "int32": "I32", "uint32": "U32", "int64": "I64", "uint64": "U64", "float16": "F16",
    "bfloat16": "BF16", "float32": "F32", "float64": "F64", "complex64": "C64",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e8m0fnu": "F8_E8M0",
}
_NUMPY_NAMES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "int16": "I16", "uint16": "U16", "int32": "I32",
    "uint32": "U32", "int64": "I64", "uint64": "U64", "float16": "F16", "float32": "F32",
    "float64": "F64", "complex64": "C64",
}


@dataclasses.dataclass
class Memory:
    """A box of a tensor in this process' memory, or a device's: what a save reads or a load fills.
    `owner` keeps it alive."""

    dtype: str
    shape: tuple  # of the whole tensor
    strides_bytes: object  # per axis; None: row-major
    address: int
    owner: object
    offsets: object = None  # of the box in the tensor; None: the box is the whole
    lengths: object = None
    device: object = None  # CUDA's number; None: the host's memory


def torch_module():
    """PyTorch if the program has imported it: who has not, holds no tensors of its."""
    return sys.modules.get("torch")


def is_tensor(value):
    torch = torch_module()
    return torch is not None and isinstance(value, torch.Tensor)


def is_array(value):
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def tensor_types():
    """The classes of all that is_tensor() or is_array() knows; and those of the latter."""
    torch, numpy = torch_module(), sys.modules.get("numpy")
    arrays = () if numpy is None else (numpy.ndarray,)
    return (arrays if torch is None else (torch.Tensor, *arrays)), arrays


_STORED_NAMES = frozenset(_TORCH_NAMES.values())


@functools.lru_cache(maxsize=None)
def _name_of(dtype):
    word = dtype if isinstance(dtype, str) else str(dtype).rsplit(".", maxsplit=1)[-1]
    return word if word in _STORED_NAMES else _TORCH_NAMES.get(word)


def dtype_name(dtype, what="the tensor"):
    """The safetensors name of a dtype of PyTorch or NumPy, or of such a name."""
    name = _name_of(dtype)
    if name is None:
        raise UsageError(f"{what} has the dtype {dtype}, which Cairn does not store")
    return name


@functools.lru_cache(maxsize=None)
def torch_dtype(name):
    """Of a safetensors name. Errors: UsageError when this PyTorch has none."""
    torch = torch_module()
    for word, known in _TORCH_NAMES.items():
        if known == name and hasattr(torch, word):
            return getattr(torch, word)
    raise UsageError(f"this PyTorch has no dtype for {name}")


def numpy_dtype(name):
    """Of a safetensors name. Errors: UsageError when NumPy has none."""
    for word, known in _NUMPY_NAMES.items():
        if known == name:
            return word
    raise UsageError(f"NumPy has no dtype for {name}", "import torch first: then tensors are made")


def is_cut(value):
    """Whether ranks hold boxes of it (a DTensor, a ShardedTensor), and not each one all. All ranks
    get the same answer, also one that happens to hold everything."""
    if hasattr(value, "device_mesh"):
        return any(not placement.is_replicate() and value.device_mesh.size(axis) > 1
                   for axis, placement in enumerate(value.placements))
    if hasattr(value, "local_shards"):
        return len(value.metadata().shards_metadata) > 1
    return hasattr(value, "__create_chunk_list__") and any(
        tuple(local.shape) != tuple(value.shape) for local, _ in local_boxes(value))


def has_boxes_everywhere(value):
    """Whether no rank's box of a DTensor is empty: the same answer on all ranks."""
    cuts = {}  # tensor's axis -> in how many it is cut, by one axis of the mesh after the other
    for axis, placement in enumerate(value.placements):
        if placement.is_shard():
            cuts.setdefault(placement.dim, []).append(value.device_mesh.size(axis))
    for axis, counts in cuts.items():
        length, parts = value.shape[axis], math.prod(counts)
        is_full = -(-length // parts) * (parts - 1) < length if len(counts) == 1 else (
            length % parts == 0)
        if not is_full or length == 0:
            return False
    return True


def is_of_several_ranks(state):
    """Whether a nested state holds a tensor that is cut among the ranks of this job."""
    return job_size() is not None and _holds_cut(state)


def job_size():
    """How many ranks the job of torch.distributed has that this process is of; None without one."""
    distributed = getattr(torch_module(), "distributed", None)
    if distributed is None or not (distributed.is_available() and distributed.is_initialized()):
        return None
    return distributed.get_world_size()


def _holds_cut(value):
    if isinstance(value, collections.abc.Mapping):
        return any(map(_holds_cut, value.values()))
    if type(value) in (list, tuple):
        return any(map(_holds_cut, value))
    return is_tensor(value) and is_cut(value)


def local_boxes(value):
    """(local tensor, offsets in the whole) for each box of a tensor that this rank holds."""
    if hasattr(value, "__create_chunk_list__"):
        # What torch.distributed.checkpoint asks of a DTensor, and of what wraps several shards.
        from torch.distributed.checkpoint.metadata import MetadataIndex

        return [(value.__get_tensor_shard__(MetadataIndex("", box.offsets, number)),
                 tuple(box.offsets))
                for number, box in enumerate(value.__create_chunk_list__())]
    if hasattr(value, "local_shards"):
        return [(shard.tensor, tuple(shard.metadata.shard_offsets))
                for shard in value.local_shards()]
    return [(value, (0,) * value.dim())]


def boxes_of(name, value):
    """(local tensor, offsets in the whole) for each box of a tensor that this rank holds. Empty
    boxes are left out, unless the tensor itself is empty.
    Errors: UsageError naming the tensor for what has no values of its own."""
    what = f"tensor '{name}'"
    _refuse_formless(value, what)
    try:
        boxes = local_boxes(value)
    except Exception as error:  # whatever PyTorch says of placements that have no boxes
        raise UsageError(f"{what} has no boxes: {error}") from error
    boxes = [(local, offsets) for local, offsets in boxes if local.numel() or not value.numel()]
    for local, _ in boxes:
        check_local(local, what)
    return boxes


def memories_of(name, value):
    """The boxes of a tensor or array that this process holds, as they lie, in its memory or that of
    a CUDA device; copies where they lie elsewhere. Empty boxes are left out, unless the tensor
    itself is empty.
    Errors: UsageError naming the tensor for what has no values of its own."""
    if is_array(value):
        return [_memory_of_array(name, value)]
    if _is_plain(value):  # as nearly all are: ten thousand take a few milliseconds
        return [memory_of_tensor(value, f"tensor '{name}'")]
    made = []
    for local, offsets in boxes_of(name, value):
        what = f"tensor '{name}'"
        made.append(memory_of_box(within_reach(local, what), value.shape, offsets, what))
    return made


def _is_plain(value):
    """Whether this process holds all values of the tensor, as they are to be read."""
    torch = torch_module()
    return (type(value) in (torch.Tensor, torch.nn.Parameter) and value.layout is torch.strided
            and not (value.is_quantized or value.is_conj() or value.is_neg())
            and _devices.lies_here(value))


def memory_of(name, value):
    """A tensor or array that this process holds all of. Errors: UsageError naming the tensor."""
    if is_tensor(value) and is_cut(value):
        raise UsageError(f"tensor '{name}' is cut among ranks, of which this is one",
                         "give full_tensor(), or call this on all ranks where it takes a group")
    return memories_of(name, value)[0]


def _refuse_formless(value, what):
    if value.layout is not torch_module().strided or value.is_quantized:
        raise UsageError(f"{what} is sparse or quantized", "save its dense parts")


def check_local(local, what):
    """That a rank's box of a tensor has values of its own. Errors: UsageError."""
    _refuse_formless(local, what)
    if local.is_meta:
        raise UsageError(f"{what} is on the meta device: it has no values")
    if hasattr(local, "__tensor_flatten__"):
        raise UsageError(f"{what} is a {type(local).__name__}, which is made of other tensors",
                         "save those")


def within_reach(value, what):
    """A strided tensor where the library reads it, its values as they are to be read: itself, or a
    copy in the host's memory."""
    check_local(value, what)
    if _devices.lies_here(value) and not (value.is_conj() or value.is_neg()):
        return value
    return value.detach().cpu().resolve_conj().resolve_neg()


def memory_of_tensor(value, what="the tensor"):
    """A strided tensor within reach."""
    strides = None
    if not value.is_contiguous():
        size = value.element_size()
        strides = tuple(size * stride for stride in value.stride())
    return Memory(dtype_name(value.dtype, what), value.shape, strides, value.data_ptr(), value,
                  device=_devices.device_of(value))


def memory_of_box(local, shape, offsets, what="the tensor"):
    """A strided tensor within reach that is a box of one of that shape, or all of it."""
    memory = memory_of_tensor(local, what)
    if memory.shape != shape:
        memory.shape, memory.offsets, memory.lengths = tuple(shape), offsets, memory.shape
    return memory


def _memory_of_array(name, value):
    import numpy

    if isinstance(value, numpy.ma.MaskedArray):
        raise UsageError(f"array '{name}' is masked", "save its data and its mask")
    word = value.dtype.name
    if word not in _NUMPY_NAMES:
        raise UsageError(f"array '{name}' has the dtype {value.dtype}, which Cairn does not store")
    if not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    if any(stride < 0 for stride in value.strides):
        value = numpy.ascontiguousarray(value)
    strides = None if value.flags.c_contiguous else tuple(value.strides)
    return Memory(_NUMPY_NAMES[word], tuple(value.shape), strides, value.ctypes.data, value)
